package bench.streams;

import org.apache.kafka.streams.processor.api.ContextualProcessor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueStore;

/** W3, ShuffleBench: a record goes to the consumers of the rules that it meets, each of which counts in 32 bytes. */
final class Shuffle {
    static final String STORE = "consumers";
    static final int RULES = 1_000_000, EVERY = 10;
    static final double SELECTIVITY = 0.2;

    private Shuffle() { }

    static final class Match extends ContextualProcessor<byte[], byte[], byte[], byte[]> {
        private final Rules rules;

        Match(Rules rules) { this.rules = rules; }

        @Override
        public void process(Record<byte[], byte[]> record) {
            Progress.took();
            if (record.value() == null || record.value().length < 8) return;
            rules.forEachMatch(record.value(), rule -> {
                Progress.sent();
                context().forward(new Record<>(Bytes.ofLong(rule), record.value(), record.timestamp()));
            });
        }
    }

    /** State of a consumer: count, sum of the records' first eight bytes, times of the first and the last. So are its events. */
    static final class Consume extends ContextualProcessor<byte[], byte[], byte[], byte[]> {
        private KeyValueStore<byte[], byte[]> consumers;

        @Override
        public void init(ProcessorContext<byte[], byte[]> context) {
            super.init(context);
            consumers = context.getStateStore(STORE);
        }

        @Override
        public void process(Record<byte[], byte[]> record) {
            byte[] kept = consumers.get(record.key());
            if (kept == null) {
                kept = new byte[32];
                Bytes.putLong(kept, 0, Long.remainderUnsigned(Rules.splitMix64(~Bytes.longAt(record.key(), 0)), EVERY));
            }
            long count = Bytes.longAt(kept, 0) + 1;
            Bytes.putLong(kept, 0, count);
            Bytes.putLong(kept, 8, Bytes.longAt(kept, 8) + Bytes.longAt(record.value(), 0));
            if (Bytes.longAt(kept, 16) == 0) Bytes.putLong(kept, 16, record.timestamp());
            Bytes.putLong(kept, 24, record.timestamp());
            consumers.put(record.key(), count < EVERY ? kept : new byte[32]);
            context().recordMetadata().ifPresent(where -> Progress.counted(where.partition(), where.offset()));
            if (count >= EVERY) context().forward(record.withValue(kept));
        }
    }
}
