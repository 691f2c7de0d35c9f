package bench.flink;

import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/**
 * The reference table, read to its end once in the process before the first record is processed. (A broadcast stream would
 * take updates, but a job couldn't know when it has the whole of it.)
 */
final class Locations {
    /** A location as the outputs need it. */
    record Row(byte[] key, byte[] name, byte[] tail) { }

    private static Map<Integer, Row> rows;

    private Locations() { }

    static synchronized Map<Integer, Row> of(String brokers, String topic) {
        if (rows != null) return rows;
        Map<Integer, Row> read = new HashMap<>();
        TopicPartition partition = new TopicPartition(topic, 0);
        try (var consumer = new KafkaConsumer<>(Map.of("bootstrap.servers", brokers), new ByteArrayDeserializer(),
                new ByteArrayDeserializer())) {
            consumer.assign(List.of(partition));
            consumer.seekToBeginning(List.of(partition));
            long end = consumer.endOffsets(List.of(partition)).get(partition);
            while (consumer.position(partition) < end) {
                for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofMillis(200))) put(read, record);
            }
        }
        return rows = read;
    }

    private static void put(Map<Integer, Row> rows, ConsumerRecord<byte[], byte[]> record) {
        int oid = Integer.parseInt(new String(record.key(), StandardCharsets.US_ASCII));
        String name = record.value() == null ? null : Reader.field(record.value(), "geographical_location");
        if (name == null) {
            rows.remove(oid);
        } else {
            rows.put(oid, new Row(record.key(), name.getBytes(StandardCharsets.UTF_8),
                (",\"geographical_location\":\"" + name + "\"}").getBytes(StandardCharsets.UTF_8)));
        }
    }
}
