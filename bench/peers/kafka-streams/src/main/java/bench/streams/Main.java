package bench.streams;

import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.kstream.Named;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.kstream.Repartitioned;
import org.apache.kafka.streams.state.Stores;

/** W1, W2 or W3 as one Kafka Streams application. */
public final class Main {
    private static final Serde<byte[]> BYTES = Serdes.ByteArray();
    private static final Map<String, String> CHANGELOG = Map.of("segment.bytes", Integer.toString(256 << 20));
    private static final String SHUFFLE = "by-key";
    private static final long STILL_NS = 5_000_000_000L;

    private final Options options;
    private final boolean w2, w3;
    private final int partitions;

    private Main(Options options, int partitions) {
        this.options = options;
        this.partitions = partitions;
        w2 = options.text("workload").equals("w2");
        w3 = options.text("workload").equals("w3");
    }

    public static void main(String[] words) throws Exception {
        Options options = new Options(words);
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", options.text("brokers")))) {
            Map<TopicPartition, Long> ends = ends(admin, options.text("detections"));
            Map<TopicPartition, Long> begins = committed(admin, options.text("application"));
            Main main = new Main(options, ends.size());
            KafkaStreams streams = main.start();
            if (!options.has("until-end")) {
                Runtime.getRuntime().addShutdownHook(new Thread(() -> streams.close(Duration.ofSeconds(20))));
                Thread.currentThread().join();
            }
            main.awaitCommitted(admin, begins, ends);
            // The work is done and committed: what an orderly end costs isn't part of it.
            Runtime.getRuntime().halt(0);
        }
    }

    private KafkaStreams start() {
        KafkaStreams streams = new KafkaStreams(topology(), properties());
        streams.setStateListener((now, before) -> System.out.println(before + " -> " + now));
        streams.setUncaughtExceptionHandler(error -> {
            error.printStackTrace();
            Runtime.getRuntime().halt(1);
            return StreamThreadExceptionResponse.SHUTDOWN_CLIENT;
        });
        streams.start();
        return streams;
    }

    private Topology topology() {
        StreamsBuilder builder = new StreamsBuilder();
        if (w3) return shuffle(builder);
        builder.addGlobalStore(
            Stores.keyValueStoreBuilder(Stores.inMemoryKeyValueStore(Locations.STORE), BYTES, BYTES).withLoggingDisabled(),
            options.text("locations"), Consumed.with(BYTES, BYTES), Locations.Updater::new);
        builder.addStateStore(Stores.keyValueStoreBuilder(Stores.persistentKeyValueStore(DedupJoin.STORE), BYTES, BYTES)
            .withLoggingEnabled(CHANGELOG).withCachingDisabled());
        KStream<byte[], byte[]> joined = builder.stream(options.text("detections"), Consumed.with(BYTES, BYTES))
            .process(() -> new DedupJoin(w2), Named.as("dedup-join"), DedupJoin.STORE);
        String prefix = options.text("prefix");
        if (!w2) {
            joined.to(prefix + "enriched", Produced.with(BYTES, BYTES));
            return builder.build();
        }
        builder.addStateStore(Stores.keyValueStoreBuilder(Stores.persistentKeyValueStore(TopItems.STORE), BYTES, BYTES)
            .withLoggingEnabled(CHANGELOG).withCachingEnabled());
        Serde<TopItems.Row> rows = Serdes.serdeFrom((topic, row) -> row.json(), (topic, json) -> new TopItems.Row(false, json));
        joined.repartition(Repartitioned.with(BYTES, BYTES).withName(SHUFFLE).withNumberOfPartitions(partitions))
            .process(() -> new TopItems(partitions), Named.as("top-items"), TopItems.STORE)
            .to((key, row, context) -> prefix + (row.top() ? "top_items" : "item_counts"), Produced.with(BYTES, rows));
        return builder.build();
    }

    private Topology shuffle(StreamsBuilder builder) {
        Rules rules = new Rules(Shuffle.RULES, Shuffle.SELECTIVITY);
        builder.addStateStore(Stores.keyValueStoreBuilder(Stores.persistentKeyValueStore(Shuffle.STORE), BYTES, BYTES)
            .withLoggingEnabled(CHANGELOG).withCachingEnabled());
        builder.stream(options.text("detections"), Consumed.with(BYTES, BYTES))
            .process(() -> new Shuffle.Match(rules), Named.as("match"))
            .repartition(Repartitioned.with(BYTES, BYTES).withName(SHUFFLE).withNumberOfPartitions(partitions))
            .process(Shuffle.Consume::new, Named.as("consume"), Shuffle.STORE)
            .to(options.text("prefix") + "events", Produced.with(BYTES, BYTES));
        return builder.build();
    }

    private Properties properties() {
        int commitMs = options.number("commit-ms");
        Properties p = new Properties();
        p.put(StreamsConfig.APPLICATION_ID_CONFIG, options.text("application"));
        p.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, options.text("brokers"));
        p.put(StreamsConfig.STATE_DIR_CONFIG, options.text("state"));
        p.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, options.number("threads"));
        p.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);
        p.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, commitMs);
        p.put(StreamsConfig.POLL_MS_CONFIG, Math.max(1, commitMs / 2));
        p.put(StreamsConfig.BUFFERED_RECORDS_PER_PARTITION_CONFIG, 5_000);
        p.put(StreamsConfig.STATESTORE_CACHE_MAX_BYTES_CONFIG, 64L << 20);
        p.put(StreamsConfig.MAX_TASK_IDLE_MS_CONFIG, -1L); // each task has one input: there is nothing to wait for
        p.put(StreamsConfig.TOPOLOGY_OPTIMIZATION_CONFIG, StreamsConfig.OPTIMIZE);
        p.put(StreamsConfig.ROCKSDB_CONFIG_SETTER_CLASS_CONFIG, RocksTuning.class);
        consumer(p, ConsumerConfig.AUTO_OFFSET_RESET_CONFIG, "earliest");
        consumer(p, ConsumerConfig.GROUP_INSTANCE_ID_CONFIG, "worker"); // a restart takes its place at once
        consumer(p, ConsumerConfig.MAX_PARTITION_FETCH_BYTES_CONFIG, 4 << 20);
        consumer(p, ConsumerConfig.RECEIVE_BUFFER_CONFIG, 1 << 20);
        p.put(StreamsConfig.mainConsumerPrefix(ConsumerConfig.MAX_POLL_RECORDS_CONFIG), 5_000);
        p.put(StreamsConfig.restoreConsumerPrefix(ConsumerConfig.MAX_POLL_RECORDS_CONFIG), 20_000);
        producer(p, ProducerConfig.LINGER_MS_CONFIG, Math.min(100, commitMs)); // the commit flushes
        producer(p, ProducerConfig.BATCH_SIZE_CONFIG, 256 << 10);
        producer(p, ProducerConfig.BUFFER_MEMORY_CONFIG, 64L << 20);
        producer(p, ProducerConfig.COMPRESSION_TYPE_CONFIG, "lz4");
        producer(p, ProducerConfig.SEND_BUFFER_CONFIG, 1 << 20);
        producer(p, ProducerConfig.MAX_REQUEST_SIZE_CONFIG, 4 << 20);
        return p;
    }

    private static void consumer(Properties p, String name, Object value) { p.put(StreamsConfig.consumerPrefix(name), value); }
    private static void producer(Properties p, String name, Object value) { p.put(StreamsConfig.producerPrefix(name), value); }

    // --- the end of the input

    private void awaitCommitted(Admin admin, Map<TopicPartition, Long> begins, Map<TopicPartition, Long> ends)
            throws Exception {
        String group = options.text("application"), shuffle = group + "-" + SHUFFLE + "-repartition";
        long total = 0;
        for (var end : ends.entrySet()) total += end.getValue() - begins.getOrDefault(end.getKey(), 0L);
        boolean shuffles = w2 || w3;
        long before = -1, since = System.nanoTime();
        while (true) {
            Thread.sleep(100);
            // Cheap first: asking the broker costs more than looking. After an aborted transaction rows are counted twice, and
            // the counters no longer tell; then that nothing moves does.
            long moved = Progress.moved();
            if (moved != before) since = System.nanoTime();
            before = moved;
            boolean still = System.nanoTime() - since > STILL_NS;
            if (!still && (Progress.taken() < total || shuffles && !Progress.shuffleIsEmpty())) continue;
            Map<TopicPartition, Long> wanted = new HashMap<>(ends);
            for (int i = 0; shuffles && i < partitions; i++) wanted.put(new TopicPartition(shuffle, i), Progress.next(i));
            Map<TopicPartition, Long> committed = committed(admin, group);
            if (wanted.entrySet().stream().allMatch(e -> committed.getOrDefault(e.getKey(), 0L) >= e.getValue())) return;
        }
    }

    private static Map<TopicPartition, Long> ends(Admin admin, String topic) throws Exception {
        int count = admin.describeTopics(List.of(topic)).allTopicNames().get().get(topic).partitions().size();
        Map<TopicPartition, OffsetSpec> asked = new HashMap<>();
        for (int i = 0; i < count; i++) asked.put(new TopicPartition(topic, i), OffsetSpec.latest());
        Map<TopicPartition, Long> ends = new HashMap<>();
        admin.listOffsets(asked).all().get().forEach((partition, found) -> ends.put(partition, found.offset()));
        return ends;
    }

    private static Map<TopicPartition, Long> committed(Admin admin, String group) throws InterruptedException {
        Map<TopicPartition, Long> committed = new HashMap<>();
        try {
            admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get()
                .forEach((partition, found) -> { if (found != null) committed.put(partition, found.offset()); });
        } catch (ExecutionException notYet) {
            // The group is new.
        }
        return committed;
    }
}
