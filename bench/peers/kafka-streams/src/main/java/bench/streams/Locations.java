package bench.streams;

import java.nio.charset.StandardCharsets;
import org.apache.kafka.streams.processor.api.ContextualProcessor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueStore;

/**
 * The reference table. The global store has it as it stands in the topic; tasks look rows up through a Cache, which decodes
 * each once and forgets everything when the table changes.
 */
final class Locations {
    static final String STORE = "locations-store";

    private static volatile long version;

    private Locations() { }

    /** What keeps the global store; one thread of the process. */
    static final class Updater extends ContextualProcessor<byte[], byte[], Void, Void> {
        private KeyValueStore<byte[], byte[]> store;

        @Override
        public void init(ProcessorContext<Void, Void> context) {
            store = context.getStateStore(STORE);
        }

        @Override
        public void process(Record<byte[], byte[]> row) {
            store.put(row.key(), row.value());
            version++;
        }
    }

    /** A location as the output needs it. */
    static final class Row {
        byte[] key;   // its oid in decimal
        byte[] name;  // null: not in the table
        byte[] tail;  // what joins it to a detection: from the comma to the closing brace
    }

    static final class Cache {
        private final KeyValueStore<byte[], byte[]> store;
        private final Detection reader = new Detection();
        private Row[] rows = new Row[1 << 14];
        private long of = -1;

        Cache(KeyValueStore<byte[], byte[]> store) { this.store = store; }

        Row row(long oid) {
            if (of != version) {
                of = version;
                rows = new Row[rows.length];
            }
            if (oid < 0 || oid >= rows.length) return load(oid);
            Row row = rows[(int) oid];
            return row != null ? row : (rows[(int) oid] = load(oid));
        }

        private Row load(long oid) {
            Row row = new Row();
            row.key = Bytes.ascii(Long.toString(oid));
            byte[] json = store.get(row.key);
            if (json != null && reader.read(json)) {
                row.name = reader.name().getBytes(StandardCharsets.UTF_8);
                row.tail = new Bytes().add(Bytes.ascii(",\"geographical_location\":\"")).add(row.name)
                    .add(Bytes.ascii("\"}")).copy();
            }
            return row;
        }
    }
}
