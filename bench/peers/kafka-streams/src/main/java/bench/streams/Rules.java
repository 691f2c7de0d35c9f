package bench.streams;

import java.util.Arrays;
import java.util.function.IntConsumer;

/** The rules of W3, as bench/shuffle/rules.h has them: ranges of equal width that begin where SplitMix64 of their number is. */
final class Rules {
    private static final long POSITIONS = Long.MAX_VALUE; // and with it: modulo 2^63
    private static final int SLOT_BITS = 20, SLOT_SHIFT = 63 - SLOT_BITS;

    private final long width;
    private final long[] begins;
    private final int[] numbers, first;

    Rules(int count, double selectivity) {
        width = (long) (selectivity / count * 0x1p63);
        Integer[] order = new Integer[count];
        for (int i = 0; i < count; i++) order[i] = i;
        Arrays.parallelSort(order, (a, b) -> Long.compare(begin(a), begin(b)));
        begins = new long[count];
        numbers = new int[count];
        first = new int[(1 << SLOT_BITS) + 1];
        Arrays.fill(first, count);
        for (int i = count; i-- > 0; ) {
            numbers[i] = order[i];
            begins[i] = begin(order[i]);
            first[(int) (begins[i] >>> SLOT_SHIFT)] = i;
        }
        for (int slot = first.length - 1; slot-- > 0; ) first[slot] = Math.min(first[slot], first[slot + 1]);
    }

    static long splitMix64(long number) {
        long z = number + 0x9e3779b97f4a7c15L;
        z = (z ^ (z >>> 30)) * 0xbf58476d1ce4e5b9L;
        z = (z ^ (z >>> 27)) * 0x94d049bb133111ebL;
        return z ^ (z >>> 31);
    }

    void forEachMatch(byte[] record, IntConsumer consumer) {
        long position = Bytes.longAt(record, 0) & POSITIONS;
        if (position < width) find(position - width + 1 & POSITIONS, POSITIONS, consumer);
        find(Math.max(0, position - width + 1), position, consumer);
    }

    private void find(long from, long to, IntConsumer consumer) {
        for (int i = first[(int) (from >>> SLOT_SHIFT)]; i < begins.length && begins[i] <= to; i++) {
            if (begins[i] >= from) consumer.accept(numbers[i]);
        }
    }

    private static long begin(int number) { return splitMix64(number) & POSITIONS; }
}
