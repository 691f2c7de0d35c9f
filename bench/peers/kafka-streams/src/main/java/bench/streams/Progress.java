package bench.streams;

import java.util.concurrent.atomic.LongAdder;

/** What the processors have done, for those who wait for the end: rows that went into the shuffle and came out of it. */
final class Progress {
    static final int PARTITIONS = 256;

    private static final LongAdder SENT = new LongAdder(), COUNTED = new LongAdder(), TAKEN = new LongAdder();
    // Offset behind the last row that a counting task took, by partition; each is written by one thread at a time.
    private static final long[] NEXT = new long[PARTITIONS];

    private Progress() { }

    static void took() { TAKEN.increment(); }
    static void sent() { SENT.increment(); }

    static void counted(int partition, long offset) {
        NEXT[partition] = offset + 1;
        COUNTED.increment();
    }

    static long moved() { return TAKEN.sum() + SENT.sum() + COUNTED.sum(); }
    static long taken() { return TAKEN.sum(); }
    static boolean shuffleIsEmpty() { return SENT.sum() == COUNTED.sum(); }
    static long next(int partition) { return NEXT[partition]; }
}
