package bench.streams;

import java.nio.charset.StandardCharsets;

/** One flat JSON object read in place: numbers, and where texts stand in its bytes. Used over and over, allocates nothing. */
final class Detection {
    long location, oid;
    int locationFrom, locationTo; // its digits
    int itemFrom, itemTo;
    int nameFrom, nameTo;         // geographical_location, in a row of the table
    int close;                    // the closing brace

    private byte[] json;
    private int at;

    /** False if this isn't a flat object; fields that are missing keep -1. */
    boolean read(byte[] bytes) {
        json = bytes;
        at = 0;
        location = oid = -1;
        itemFrom = nameFrom = -1;
        if (next() != '{') return false;
        byte c;
        do {
            if (next() != '"') return false;
            int from = at, to = endOfString();
            if (next() != ':') return false;
            if (json[at] == '"') {
                at++;
                text(from, to - from, at, endOfString());
            } else {
                number(from, to - from);
            }
            c = next();
        } while (c == ',');
        close = at - 1;
        return c == '}';
    }

    /** The next byte that isn't blank. */
    private byte next() {
        while (json[at] <= ' ') at++;
        return json[at++];
    }

    private int endOfString() {
        while (json[at] != '"') at += json[at] == '\\' ? 2 : 1;
        return at++;
    }

    private void text(int name, int length, int from, int to) {
        if (length == 9 && json[name] == 'i') {
            itemFrom = from;
            itemTo = to;
        } else if (length == 21) {
            nameFrom = from;
            nameTo = to;
        }
    }

    private void number(int name, int length) {
        int from = at;
        long value = 0;
        for (; json[at] >= '0' && json[at] <= '9'; at++) value = value * 10 + (json[at] - '0');
        if (length == 25) {
            location = value;
            locationFrom = from;
            locationTo = at;
        } else if (length == 13) {
            oid = value;
        }
    }

    String name() {
        return new String(json, nameFrom, nameTo - nameFrom, StandardCharsets.UTF_8);
    }
}
