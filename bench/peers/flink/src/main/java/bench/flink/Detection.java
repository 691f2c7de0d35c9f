package bench.flink;

import java.io.IOException;
import java.io.Serializable;
import java.util.Arrays;
import org.apache.flink.api.common.serialization.SerializerConfig;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.common.typeutils.SimpleTypeSerializerSnapshot;
import org.apache.flink.api.common.typeutils.TypeSerializer;
import org.apache.flink.api.common.typeutils.TypeSerializerSnapshot;
import org.apache.flink.api.common.typeutils.base.TypeSerializerSingleton;
import org.apache.flink.core.memory.DataInputView;
import org.apache.flink.core.memory.DataOutputView;

/**
 * What travels between the operators: the numbers they work with, and the bytes that go out as they came in: the whole
 * record for W1, the item for W2. With a serializer of its own, as objects are used again and again.
 */
public final class Detection implements Serializable {
    public long oid, time;
    public int location;
    public byte[] bytes;
    public int size; // of the bytes in use

    void setBytes(byte[] from, int at, int count) {
        reserve(count);
        System.arraycopy(from, at, bytes, 0, count);
    }

    private void reserve(int count) {
        if (bytes == null || bytes.length < count) bytes = new byte[Math.max(count, 256)];
        size = count;
    }

    byte[] copyOfBytes() {
        return Arrays.copyOf(bytes, size);
    }

    public static final class Serializer extends TypeSerializerSingleton<Detection> {
        static final Serializer INSTANCE = new Serializer();

        @Override
        public void serialize(Detection d, DataOutputView out) throws IOException {
            out.writeLong(d.oid);
            out.writeLong(d.time);
            out.writeInt(d.location);
            out.writeInt(d.size);
            out.write(d.bytes, 0, d.size);
        }

        @Override
        public Detection deserialize(Detection d, DataInputView in) throws IOException {
            d.oid = in.readLong();
            d.time = in.readLong();
            d.location = in.readInt();
            d.reserve(in.readInt());
            in.readFully(d.bytes, 0, d.size);
            return d;
        }

        @Override
        public Detection copy(Detection from, Detection to) {
            to.oid = from.oid;
            to.time = from.time;
            to.location = from.location;
            to.setBytes(from.bytes, 0, from.size);
            return to;
        }

        @Override
        public void copy(DataInputView in, DataOutputView out) throws IOException {
            serialize(deserialize(in), out);
        }

        @Override public Detection deserialize(DataInputView in) throws IOException { return deserialize(new Detection(), in); }
        @Override public Detection copy(Detection from) { return copy(from, new Detection()); }
        @Override public Detection createInstance() { return new Detection(); }
        @Override public boolean isImmutableType() { return false; }
        @Override public int getLength() { return -1; }
        @Override public TypeSerializerSnapshot<Detection> snapshotConfiguration() { return new Snapshot(); }

        public static final class Snapshot extends SimpleTypeSerializerSnapshot<Detection> {
            public Snapshot() { super(() -> INSTANCE); }
        }
    }

    public static final class Type extends TypeInformation<Detection> {
        @Override public TypeSerializer<Detection> createSerializer(SerializerConfig config) { return Serializer.INSTANCE; }
        @Override public Class<Detection> getTypeClass() { return Detection.class; }
        @Override public int getArity() { return 1; }
        @Override public int getTotalFields() { return 1; }
        @Override public boolean isBasicType() { return false; }
        @Override public boolean isTupleType() { return false; }
        @Override public boolean isKeyType() { return false; }
        @Override public boolean canEqual(Object other) { return other instanceof Type; }
        @Override public boolean equals(Object other) { return other instanceof Type; }
        @Override public int hashCode() { return Type.class.hashCode(); }
        @Override public String toString() { return "Detection"; }
    }
}
