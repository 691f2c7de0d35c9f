package bench.flink;

import java.io.Serializable;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Properties;
import org.apache.flink.connector.kafka.lineage.DefaultKafkaDatasetFacet;
import org.apache.flink.connector.kafka.lineage.DefaultKafkaDatasetIdentifier;
import org.apache.flink.connector.kafka.lineage.KafkaDatasetFacet;
import org.apache.flink.connector.kafka.lineage.KafkaDatasetFacetProvider;
import org.apache.flink.connector.kafka.sink.KafkaRecordSerializationSchema;
import org.apache.flink.api.common.serialization.SerializationSchema;
import org.apache.kafka.clients.producer.ProducerRecord;

/** A record that goes out. Only handed on inside of a chain of operators, so that one object does. */
public final class Output implements Serializable {
    String topic;
    byte[] key, value;
    long time;

    /** The sink's way of reusing transactional ids wants to know the topics beforehand. */
    abstract static class Schema<T> implements KafkaRecordSerializationSchema<T>, KafkaDatasetFacetProvider {
        private final List<String> topics;

        Schema(String... topics) { this.topics = Arrays.asList(topics); }

        @Override
        public Optional<KafkaDatasetFacet> getKafkaDatasetFacet() {
            return Optional.of(new DefaultKafkaDatasetFacet(DefaultKafkaDatasetIdentifier.ofTopics(topics), new Properties()));
        }
    }

    /** W2's rows, as they are. */
    static final class Rows extends Schema<Output> {
        Rows(String prefix) { super(prefix + "item_counts", prefix + "top_items"); }

        @Override
        public ProducerRecord<byte[], byte[]> serialize(Output row, KafkaSinkContext context, Long timestamp) {
            return new ProducerRecord<>(row.topic, null, row.time, row.key, row.value);
        }
    }

    /** W1's: the record as it came, with the location's name at its end. */
    static final class Enriched extends Schema<Detection> {
        private final String brokers, table, topic;
        private transient Map<Integer, Locations.Row> locations;

        Enriched(String brokers, String table, String prefix) {
            super(prefix + "enriched");
            this.brokers = brokers;
            this.table = table;
            topic = prefix + "enriched";
        }

        @Override
        public void open(SerializationSchema.InitializationContext context, KafkaSinkContext sink) {
            locations = Locations.of(brokers, table);
        }

        @Override
        public ProducerRecord<byte[], byte[]> serialize(Detection d, KafkaSinkContext context, Long timestamp) {
            Locations.Row location = locations.get(d.location);
            int kept = d.size;
            while (d.bytes[kept - 1] != '}') kept--;
            byte[] value = Arrays.copyOf(d.bytes, kept - 1 + location.tail().length);
            System.arraycopy(location.tail(), 0, value, kept - 1, location.tail().length);
            return new ProducerRecord<>(topic, null, d.time, location.key(), value);
        }
    }
}
