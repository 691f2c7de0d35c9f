package bench.nexmark;

import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.regex.Pattern;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.table.api.TableResult;
import org.apache.flink.table.api.bridge.java.StreamTableEnvironment;

/** One Nexmark query in a Flink cluster inside of this process, from a topic to a topic, to the end of the input. */
public final class Main {
    private final Options options;

    private Main(Options options) { this.options = options; }

    public static void main(String[] words) throws Exception {
        new Main(new Options(words)).run();
        // The last checkpoint is complete: what an orderly end costs isn't part of the work.
        Runtime.getRuntime().halt(0);
    }

    private void run() throws Exception {
        var env = StreamExecutionEnvironment.createLocalEnvironment(options.number("threads"), configuration());
        StreamTableEnvironment tables = StreamTableEnvironment.create(env);
        tables.createTemporarySystemFunction("SIDE_INPUT", new SideInput(options.text("side-input")));
        // The script creates its table and says how to fill it; statements end in a semicolon and a line break.
        for (String statement : script(resource("queries/" + options.text("query") + ".sql")).split(";\n")) {
            if (statement.isBlank()) continue;
            TableResult result = tables.executeSql(filled(statement));
            if (statement.contains("INSERT")) result.await();
        }
    }

    /** The query behind what it reads: of each kind of events the type of its rows, which a comment says, and its view. */
    private static String script(String query) throws IOException {
        StringBuilder rows = new StringBuilder(), views = new StringBuilder();
        for (String kind : List.of("person", "auction", "bid")) {
            if (!Pattern.compile("\\b(FROM|JOIN|TABLE) " + kind + "\\b").matcher(query).find()) continue;
            String[] typeAndView = resource("kinds/" + kind + ".sql").substring("-- ".length()).split("\n", 2);
            rows.append("  ").append(kind).append(" ").append(typeAndView[0]).append(",\n");
            views.append(typeAndView[1]);
        }
        return resource("events.sql").replace("${ROWS}\n", rows) + views + query;
    }

    private static String resource(String name) throws IOException {
        try (InputStream stream = Main.class.getResourceAsStream("/" + name)) {
            if (stream == null) throw new IllegalArgumentException("there is no " + name);
            return new String(stream.readAllBytes(), StandardCharsets.UTF_8);
        }
    }

    private String filled(String statement) {
        String connection = "'properties.bootstrap.servers' = '" + options.text("brokers") + "'";
        String sink = connection + ", 'topic' = '" + options.text("prefix") + "output', 'sink.delivery-guarantee' = 'exactly-once', "
            + "'sink.transactional-id-prefix' = '" + options.text("application") + "', "
            + "'properties.transaction.timeout.ms' = '600000', 'properties.linger.ms' = '20', 'properties.batch.size' = '262144', "
            + "'properties.compression.type' = 'lz4'";
        return statement
            .replace("${SOURCE}", connection + ", 'topic' = '" + options.text("events") + "', 'properties.group.id' = '"
                + options.text("application") + "'")
            .replace("${APPEND}", "'connector' = 'kafka', 'format' = 'json', " + sink)
            .replace("${UPSERT}", "'connector' = 'upsert-kafka', 'key.format' = 'json', 'value.format' = 'json', " + sink);
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
        c.setString("pipeline.object-reuse", "true");
        c.setString("restart-strategy.type", "none");
        c.setString("taskmanager.numberOfTaskSlots", options.text("threads"));
        c.setString("taskmanager.memory.managed.size", "1g");
        c.setString("taskmanager.memory.network.min", "64m");
        c.setString("taskmanager.memory.network.max", "64m");
        c.setString("table.local-time-zone", "UTC");
        // As Nexmark's own configuration for Flink has it.
        c.setString("table.exec.mini-batch.enabled", "true");
        c.setString("table.exec.mini-batch.allow-latency", "2s");
        c.setString("table.exec.mini-batch.size", "50000");
        return c;
    }
}
