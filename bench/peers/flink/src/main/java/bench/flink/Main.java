package bench.flink;

import java.io.File;
import java.time.Duration;
import java.util.Properties;
import org.apache.flink.api.common.JobStatus;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.connector.base.DeliveryGuarantee;
import org.apache.flink.connector.kafka.sink.KafkaRecordSerializationSchema;
import org.apache.flink.connector.kafka.sink.KafkaSink;
import org.apache.flink.connector.kafka.sink.TransactionNamingStrategy;
import org.apache.flink.connector.kafka.source.KafkaSource;
import org.apache.flink.connector.kafka.source.enumerator.initializer.OffsetsInitializer;
import org.apache.flink.core.execution.JobClient;
import org.apache.flink.streaming.api.datastream.SingleOutputStreamOperator;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;

/** W1 or W2 as one Flink job in a cluster inside of this process. */
public final class Main {
    private final Options options;
    private final String brokers, table, prefix;
    private final boolean w2;

    private Main(Options options) {
        this.options = options;
        brokers = options.text("brokers");
        table = options.text("locations");
        prefix = options.text("prefix");
        w2 = options.text("workload").equals("w2");
    }

    public static void main(String[] words) throws Exception {
        JobClient job = new Main(new Options(words)).start();
        while (job.getJobStatus().get() != JobStatus.RUNNING) Thread.sleep(50);
        System.out.println("RUNNING");
        job.getJobExecutionResult().get();
        // The last checkpoint is complete: what an orderly end costs isn't part of the work.
        Runtime.getRuntime().halt(0);
    }

    private JobClient start() throws Exception {
        var env = StreamExecutionEnvironment.createLocalEnvironment(options.number("threads"), configuration());
        SingleOutputStreamOperator<Detection> unique = env.fromSource(source(), watermarks(), "detections").uid("detections")
            .keyBy(d -> d.oid, Types.LONG)
            .process(new Dedup(brokers, table), new Detection.Type()).uid("dedup");
        if (w2) {
            unique.keyBy(d -> d.location, Types.INT)
                .process(new TopItems(brokers, table, prefix), TypeInformation.of(Output.class)).uid("top-items")
                .sinkTo(sink(new Output.Rows(prefix))).uid("rows");
        } else {
            unique.sinkTo(sink(new Output.Enriched(brokers, table, prefix))).uid("enriched");
        }
        return env.executeAsync(options.text("application"));
    }

    private KafkaSource<Detection> source() {
        var builder = KafkaSource.<Detection>builder().setBootstrapServers(brokers).setTopics(options.text("detections"))
            .setGroupId(options.text("application")).setStartingOffsets(OffsetsInitializer.earliest())
            .setDeserializer(new Reader(!w2)).setProperty("isolation.level", "read_committed")
            .setProperty("max.poll.records", "5000").setProperty("fetch.max.bytes", "16777216")
            .setProperty("max.partition.fetch.bytes", "4194304").setProperty("partition.discovery.interval.ms", "-1");
        if (options.has("until-end")) builder.setBounded(OffsetsInitializer.latest());
        return builder.build();
    }

    /** W1 has no use for them. */
    private WatermarkStrategy<Detection> watermarks() {
        if (!w2) return WatermarkStrategy.noWatermarks();
        return WatermarkStrategy.<Detection>forBoundedOutOfOrderness(Duration.ofSeconds(2))
            .withTimestampAssigner((d, t) -> d.time);
    }

    private <T> KafkaSink<T> sink(KafkaRecordSerializationSchema<T> schema) {
        Properties producer = new Properties();
        producer.put("linger.ms", options.has("until-end") ? "20" : "5");
        producer.put("batch.size", "262144");
        producer.put("buffer.memory", "67108864");
        producer.put("compression.type", "lz4");
        producer.put("transaction.timeout.ms", "600000");
        return KafkaSink.<T>builder().setBootstrapServers(brokers).setKafkaProducerConfig(producer)
            .setRecordSerializer(schema).setDeliveryGuarantee(DeliveryGuarantee.EXACTLY_ONCE)
            .setTransactionalIdPrefix(options.text("application"))
            .setTransactionNamingStrategy(TransactionNamingStrategy.POOLING).build();
    }

    private Configuration configuration() {
        File state = new File(options.text("state"));
        Configuration c = new Configuration();
        c.setString("state.backend.type", "rocksdb");
        c.setString("state.backend.rocksdb.localdir", new File(state, "db").getPath());
        c.setString("state.backend.rocksdb.use-bloom-filter", "true");
        c.setString("state.backend.rocksdb.thread.num", "2");
        c.setString("state.backend.rocksdb.timer-service.factory", "HEAP");
        c.setString("execution.checkpointing.incremental", "true");
        c.setString("execution.checkpointing.dir", new File(state, "checkpoints").toURI().toString());
        c.setString("execution.checkpointing.interval", options.text("commit-ms") + "ms");
        c.setString("execution.checkpointing.mode", "EXACTLY_ONCE");
        c.setString("execution.buffer-timeout.interval", options.has("until-end") ? "100ms" : "5ms");
        c.setString("pipeline.object-reuse", "true");
        c.setString("pipeline.auto-watermark-interval", "100ms");
        c.setString("restart-strategy.type", "none"); // a measured run fails rather than begins again
        c.setString("taskmanager.numberOfTaskSlots", options.text("threads"));
        c.setString("taskmanager.memory.managed.size", "1g");
        c.setString("taskmanager.memory.network.min", "64m");
        c.setString("taskmanager.memory.network.max", "64m");
        return c;
    }
}
