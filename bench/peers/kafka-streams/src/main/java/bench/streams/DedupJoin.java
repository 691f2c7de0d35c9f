package bench.streams;

import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.processor.PunctuationType;
import org.apache.kafka.streams.processor.api.ContextualProcessor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueIterator;
import org.apache.kafka.streams.state.KeyValueStore;

/**
 * Passes the first record of each detection within an hour of event time on, joined to its location: as `enriched` wants it
 * (W1), or the little that counting needs (W2).
 *
 * State: id, 8 bytes -> time of the accepted record, 8 bytes. A look-up is one point get. Ids are purged by scans in small
 * portions, which only begin once some id can be old enough.
 */
final class DedupJoin extends ContextualProcessor<byte[], byte[], byte[], byte[]> {
    static final String STORE = "seen";
    static final long WITHIN_MS = 3_600_000, DISORDER_MS = 10_000;
    private static final int PURGE_PORTION = 5_000;

    private final boolean counts;
    private final Detection detection = new Detection();
    private KeyValueStore<byte[], byte[]> seen;
    private Locations.Cache locations;
    private byte partition;
    private long newest = Long.MIN_VALUE;
    // The scan in progress: where it goes on (null: none is), the oldest time it has left; and that of the last full one.
    private byte[] scanFrom;
    private long scanOldest, oldest = Long.MAX_VALUE;

    DedupJoin(boolean counts) { this.counts = counts; }

    @Override
    public void init(ProcessorContext<byte[], byte[]> context) {
        super.init(context);
        seen = context.getStateStore(STORE);
        locations = new Locations.Cache(context.getStateStore(Locations.STORE));
        partition = (byte) context.taskId().partition();
        // What an earlier process has left is of unknown age.
        try (KeyValueIterator<byte[], byte[]> left = seen.all()) {
            if (left.hasNext()) oldest = Long.MIN_VALUE;
        }
        context.schedule(Duration.ofSeconds(1), PunctuationType.WALL_CLOCK_TIME, now -> purge());
    }

    @Override
    public void process(Record<byte[], byte[]> record) {
        Progress.took();
        byte[] json = record.value();
        if (json == null || !detection.read(json) || detection.oid < 0) return;
        long time = record.timestamp();
        if (duplicate(Bytes.ofLong(detection.oid), time)) return;
        Locations.Row location = locations.row(detection.location);
        if (location.name == null) return;
        byte[] out;
        if (counts) {
            // Who sends it and the item: the one who counts needs to know how far each of us has come.
            out = new byte[1 + detection.itemTo - detection.itemFrom];
            out[0] = partition;
            System.arraycopy(json, detection.itemFrom, out, 1, out.length - 1);
        } else {
            out = Arrays.copyOf(json, detection.close + location.tail.length);
            System.arraycopy(location.tail, 0, out, detection.close, location.tail.length);
        }
        Progress.sent();
        context().forward(new Record<>(location.key, out, time));
    }

    private boolean duplicate(byte[] id, long time) {
        byte[] accepted = seen.get(id);
        if (accepted != null && Math.abs(time - Bytes.longAt(accepted, 0)) < WITHIN_MS) return true;
        seen.put(id, Bytes.ofLong(time));
        newest = Math.max(newest, time);
        oldest = Math.min(oldest, time);
        scanOldest = Math.min(scanOldest, time);
        return false;
    }

    private void purge() {
        long expired = newest == Long.MIN_VALUE ? Long.MIN_VALUE : newest - WITHIN_MS - DISORDER_MS;
        if (scanFrom == null) {
            if (oldest > expired) return;
            scanFrom = new byte[8];
            scanOldest = Long.MAX_VALUE;
        }
        List<byte[]> dead = new ArrayList<>();
        int looked = 0;
        try (KeyValueIterator<byte[], byte[]> rows = seen.range(scanFrom, null)) {
            for (; looked < PURGE_PORTION && rows.hasNext(); looked++) {
                KeyValue<byte[], byte[]> row = rows.next();
                long time = Bytes.longAt(row.value, 0);
                if (time <= expired) dead.add(row.key);
                else scanOldest = Math.min(scanOldest, time);
                scanFrom = row.key;
            }
        }
        for (byte[] id : dead) seen.delete(id);
        if (looked == PURGE_PORTION) return;
        oldest = scanOldest;
        scanFrom = null;
    }
}
