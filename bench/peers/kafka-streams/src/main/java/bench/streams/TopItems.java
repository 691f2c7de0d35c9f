package bench.streams;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.TreeSet;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.processor.api.ContextualProcessor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.processor.api.RecordMetadata;
import org.apache.kafka.streams.state.KeyValueIterator;
import org.apache.kafka.streams.state.KeyValueStore;

/**
 * Counts by location, item and minute; when a minute is over (grace 5 s), its counts and each location's ten largest.
 *
 * State: [window start 8][location 4][item] -> count, cached, so that what one commit counts of a key is one write. Closing
 * is one range scan, which comes by location and item and so needs no store for the top lists.
 *
 * Time is the smallest over the upstream tasks of the largest time each has sent. Kafka Streams' own notion, the largest
 * this task has seen, would drop what the slower of the tasks that share the shuffle still send.
 */
final class TopItems extends ContextualProcessor<byte[], byte[], byte[], TopItems.Row> {
    static final String STORE = "counts";
    static final int K = 10;
    private static final long SIZE_MS = 60_000, GRACE_MS = 5_000;
    private static final int NAME_AT = 12;
    // Behind every window: the end of the last one that was closed.
    private static final byte[] CLOSED = {(byte) 0xff};

    /** What goes out, and to which of the two topics. */
    record Row(boolean top, byte[] json) { }

    private static final class Item {
        byte[] name;
        int count;
    }

    private final int upstream;
    private final long[] times;
    private final TreeSet<Long> open = new TreeSet<>();
    private final List<Item> top = new ArrayList<>();
    private final Bytes buffer = new Bytes();
    private KeyValueStore<byte[], byte[]> counts;
    private Locations.Cache locations;
    private long time = Long.MIN_VALUE, closedTo = Long.MIN_VALUE, lastOpened = Long.MIN_VALUE;

    TopItems(int upstream) {
        this.upstream = upstream;
        times = new long[upstream];
        Arrays.fill(times, Long.MIN_VALUE);
    }

    @Override
    public void init(ProcessorContext<byte[], Row> context) {
        super.init(context);
        counts = context.getStateStore(STORE);
        locations = new Locations.Cache(context.getStateStore(Locations.STORE));
        byte[] closed = counts.get(CLOSED);
        if (closed != null) closedTo = Bytes.longAt(closed, 0);
        findOpenWindows();
    }

    /** One seek a window: the first key behind each. */
    private void findOpenWindows() {
        byte[] from = new byte[8];
        while (true) {
            try (KeyValueIterator<byte[], byte[]> rows = counts.range(from, CLOSED)) {
                if (!rows.hasNext() || rows.peekNextKey().length < NAME_AT) return;
                long start = Bytes.longAt(rows.peekNextKey(), 0);
                open.add(start);
                from = Bytes.ofLong(start + SIZE_MS);
            }
        }
    }

    @Override
    public void process(Record<byte[], byte[]> record) {
        byte[] row = record.value();
        advance(row[0], record.timestamp());
        long start = record.timestamp() - Math.floorMod(record.timestamp(), SIZE_MS);
        if (start + SIZE_MS > closedTo && start + SIZE_MS + GRACE_MS > time) count(start, record.key(), row);
        RecordMetadata from = context().recordMetadata().get();
        while (!open.isEmpty() && open.first() + SIZE_MS + GRACE_MS <= time) close(open.pollFirst());
        Progress.counted(from.partition(), from.offset());
    }

    private void advance(int task, long sent) {
        if (sent <= times[task]) return;
        times[task] = sent;
        long smallest = sent;
        for (int i = 0; i < upstream; i++) smallest = Math.min(smallest, times[i]);
        time = smallest;
    }

    private void count(long start, byte[] location, byte[] row) {
        byte[] key = new byte[NAME_AT + row.length - 1];
        Bytes.putLong(key, 0, start);
        int oid = 0;
        for (byte digit : location) oid = oid * 10 + digit - '0';
        Bytes.putInt(key, 8, oid);
        System.arraycopy(row, 1, key, NAME_AT, row.length - 1);
        byte[] before = counts.get(key);
        counts.put(key, Bytes.ofInt(before == null ? 1 : Bytes.intAt(before, 0) + 1));
        if (start != lastOpened) {
            open.add(start);
            lastOpened = start;
        }
    }

    private void close(long start) {
        if (start == lastOpened) lastOpened = Long.MIN_VALUE;
        closedTo = start + SIZE_MS;
        byte[] times = Bytes.ascii(",\"window_start\":" + start + ",\"window_end\":" + closedTo + ",\"detections\":");
        List<byte[]> done = new ArrayList<>();
        Locations.Row location = null;
        byte[] head = null;
        try (KeyValueIterator<byte[], byte[]> rows = counts.range(Bytes.ofLong(start), Bytes.ofLong(closedTo))) {
            int current = -1;
            while (rows.hasNext()) {
                KeyValue<byte[], byte[]> row = rows.next();
                int oid = Bytes.intAt(row.key, 8), nameLength = row.key.length - NAME_AT;
                if (oid != current) {
                    sendTop(location, times);
                    current = oid;
                    location = locations.row(oid);
                    head = buffer.clear().add(Bytes.ascii("{\"geographical_location_oid\":")).add(location.key)
                        .add(Bytes.ascii(",\"geographical_location\":\"")).add(location.name)
                        .add(Bytes.ascii("\",\"item_name\":\"")).copy();
                }
                int count = Bytes.intAt(row.value, 0);
                byte[] json = buffer.clear().add(head).add(row.key, NAME_AT, nameLength).add(QUOTE).add(times).add(count)
                    .add(END).copy();
                context().forward(new Record<>(location.key, new Row(false, json), closedTo - 1));
                offer(row.key, nameLength, count);
                done.add(row.key);
            }
        }
        sendTop(location, times);
        for (byte[] key : done) counts.delete(key);
        counts.put(CLOSED, Bytes.ofLong(closedTo));
    }

    private static final byte[] QUOTE = {'"'}, END = {'}'};

    /** Items come in ascending order of their names, so among equal counts the earlier stays in front. */
    private void offer(byte[] key, int length, int count) {
        int size = top.size();
        if (size == K && top.get(K - 1).count >= count) return;
        int at = size;
        while (at > 0 && top.get(at - 1).count < count) at--;
        Item item = size == K ? top.remove(K - 1) : new Item();
        item.name = Arrays.copyOfRange(key, NAME_AT, NAME_AT + length);
        item.count = count;
        top.add(at, item);
    }

    private void sendTop(Locations.Row location, byte[] times) {
        for (int rank = 1; rank <= top.size(); rank++) {
            Item item = top.get(rank - 1);
            byte[] json = buffer.clear().add(Bytes.ascii("{\"geographical_location\":\"")).add(location.name)
                .add(Bytes.ascii("\",\"item_rank\":")).add(rank).add(Bytes.ascii(",\"item_name\":\"")).add(item.name)
                .add(QUOTE).add(times).add(item.count).add(END).copy();
            context().forward(new Record<>(location.name, new Row(true, json), closedTo - 1));
        }
        top.clear();
    }
}
