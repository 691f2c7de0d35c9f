package bench.flink;

import java.time.Duration;
import java.util.Map;
import org.apache.flink.api.common.functions.OpenContext;
import org.apache.flink.api.common.state.StateTtlConfig;
import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.api.common.state.ValueStateDescriptor;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.streaming.api.functions.KeyedProcessFunction;
import org.apache.flink.util.Collector;

/**
 * The first of each detection within an hour of event time, of known locations only. The stored time decides; the state's
 * time to live only has RocksDB's compaction throw old ids away, which is cheaper than a timer for each.
 */
final class Dedup extends KeyedProcessFunction<Long, Detection, Detection> {
    private static final long WITHIN_MS = 3_600_000;

    private final String brokers, table;
    private transient ValueState<Long> accepted;
    private transient Map<Integer, Locations.Row> locations;

    Dedup(String brokers, String table) {
        this.brokers = brokers;
        this.table = table;
    }

    @Override
    public void open(OpenContext context) {
        var descriptor = new ValueStateDescriptor<>("accepted", Types.LONG);
        descriptor.enableTimeToLive(StateTtlConfig.newBuilder(Duration.ofHours(2))
            .setUpdateType(StateTtlConfig.UpdateType.OnCreateAndWrite)
            .setStateVisibility(StateTtlConfig.StateVisibility.ReturnExpiredIfNotCleanedUp)
            .cleanupInRocksdbCompactFilter(1_000_000).build());
        accepted = getRuntimeContext().getState(descriptor);
        locations = Locations.of(brokers, table);
    }

    @Override
    public void processElement(Detection detection, Context context, Collector<Detection> out) throws Exception {
        Long time = accepted.value();
        if (time != null && Math.abs(detection.time - time) < WITHIN_MS) return;
        accepted.update(detection.time);
        if (locations.containsKey(detection.location)) out.collect(detection);
    }
}
