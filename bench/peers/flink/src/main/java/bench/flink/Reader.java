package bench.flink;

import java.nio.charset.StandardCharsets;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.connector.kafka.source.reader.deserializer.KafkaRecordDeserializationSchema;
import org.apache.flink.util.Collector;
import org.apache.kafka.clients.consumer.ConsumerRecord;

/** Detections from JSON bytes: one pass over the fields of a flat object, in any order. */
final class Reader implements KafkaRecordDeserializationSchema<Detection> {
    private final boolean whole; // keep the whole record, not just the item
    private final Detection detection = new Detection();
    private transient byte[] json;
    private transient int at;

    Reader(boolean whole) { this.whole = whole; }

    @Override
    public void deserialize(ConsumerRecord<byte[], byte[]> record, Collector<Detection> out) {
        detection.oid = detection.location = -1;
        detection.time = record.timestamp();
        if (!read(record.value()) || detection.oid < 0) return;
        if (whole) detection.setBytes(json, 0, json.length);
        out.collect(detection);
    }

    @Override
    public TypeInformation<Detection> getProducedType() { return new Detection.Type(); }

    private boolean read(byte[] bytes) {
        json = bytes;
        at = 0;
        if (next() != '{') return false;
        byte c;
        do {
            if (next() != '"') return false;
            int name = at, length = endOfString() - name;
            if (next() != ':') return false;
            if (json[at] == '"') {
                int from = ++at, to = endOfString();
                if (length == 9 && json[name] == 'i' && !whole) detection.setBytes(json, from, to - from);
            } else {
                number(length);
            }
            c = next();
        } while (c == ',');
        return c == '}';
    }

    private void number(int nameLength) {
        long value = 0;
        for (; json[at] >= '0' && json[at] <= '9'; at++) value = value * 10 + (json[at] - '0');
        switch (nameLength) {
            case 25 -> detection.location = (int) value;
            case 13 -> detection.oid = value;
            case 18 -> detection.time = value;
            default -> { } // the camera
        }
    }

    private byte next() {
        while (json[at] <= ' ') at++;
        return json[at++];
    }

    private int endOfString() {
        while (json[at] != '"') at += json[at] == '\\' ? 2 : 1;
        return at++;
    }

    /** The text of one field of a flat object without escapes, or null. */
    static String field(byte[] json, String name) {
        String text = new String(json, StandardCharsets.UTF_8), key = '"' + name + "\":\"";
        int from = text.indexOf(key);
        return from < 0 ? null : text.substring(from + key.length(), text.indexOf('"', from + key.length()));
    }
}
