package bench.streams;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;

/** Big-endian numbers in arrays, so that keys sort as their numbers do, and a buffer to build JSON in. */
final class Bytes {
    private static final VarHandle LONG = MethodHandles.byteArrayViewVarHandle(long[].class, ByteOrder.BIG_ENDIAN);
    private static final VarHandle INT = MethodHandles.byteArrayViewVarHandle(int[].class, ByteOrder.BIG_ENDIAN);

    private byte[] buffer = new byte[512];
    private int size;

    static byte[] ofLong(long value) {
        byte[] bytes = new byte[8];
        LONG.set(bytes, 0, value);
        return bytes;
    }

    static byte[] ofInt(int value) {
        byte[] bytes = new byte[4];
        INT.set(bytes, 0, value);
        return bytes;
    }

    static long longAt(byte[] bytes, int at) { return (long) LONG.get(bytes, at); }
    static int intAt(byte[] bytes, int at) { return (int) INT.get(bytes, at); }
    static void putLong(byte[] bytes, int at, long value) { LONG.set(bytes, at, value); }
    static void putInt(byte[] bytes, int at, int value) { INT.set(bytes, at, value); }
    static byte[] ascii(String text) { return text.getBytes(StandardCharsets.ISO_8859_1); }

    Bytes clear() {
        size = 0;
        return this;
    }

    Bytes add(byte[] bytes) { return add(bytes, 0, bytes.length); }

    Bytes add(byte[] bytes, int from, int count) {
        if (size + count > buffer.length) buffer = Arrays.copyOf(buffer, Math.max(2 * buffer.length, size + count));
        System.arraycopy(bytes, from, buffer, size, count);
        size += count;
        return this;
    }

    Bytes add(long number) { return add(ascii(Long.toString(number))); }

    byte[] copy() { return Arrays.copyOf(buffer, size); }
}
