package bench.flink;

import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import org.apache.flink.api.common.functions.OpenContext;
import org.apache.flink.api.common.state.MapState;
import org.apache.flink.api.common.state.MapStateDescriptor;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.api.java.tuple.Tuple2;
import org.apache.flink.streaming.api.functions.KeyedProcessFunction;
import org.apache.flink.util.Collector;

/**
 * Counts by location, item and minute; when the watermark has passed a minute and its grace, its counts and the ten largest.
 * One timer a location and minute, one state for both results.
 */
final class TopItems extends KeyedProcessFunction<Integer, Detection, Output> {
    private static final long SIZE_MS = 60_000, GRACE_MS = 5_000;
    private static final int K = 10;

    private final String brokers, table, prefix;
    private final Output output = new Output();
    private transient MapState<Tuple2<Long, String>, Integer> counts; // by start of the window and item
    private transient Map<Integer, Locations.Row> locations;
    private transient Tuple2<Long, String> key;
    private transient ByteArrayOutputStream buffer;

    TopItems(String brokers, String table, String prefix) {
        this.brokers = brokers;
        this.table = table;
        this.prefix = prefix;
    }

    @Override
    public void open(OpenContext context) {
        counts = getRuntimeContext().getMapState(
            new MapStateDescriptor<>("counts", Types.TUPLE(Types.LONG, Types.STRING), Types.INT));
        locations = Locations.of(brokers, table);
        key = new Tuple2<>();
        buffer = new ByteArrayOutputStream(256);
    }

    @Override
    public void processElement(Detection detection, Context context, Collector<Output> out) throws Exception {
        long start = detection.time - Math.floorMod(detection.time, SIZE_MS);
        long closes = start + SIZE_MS + GRACE_MS - 1;
        if (closes <= context.timerService().currentWatermark()) return; // late
        key.f0 = start;
        key.f1 = new String(detection.bytes, 0, detection.size, StandardCharsets.UTF_8);
        Integer count = counts.get(key);
        if (count == null) context.timerService().registerEventTimeTimer(closes);
        counts.put(key, count == null ? 1 : count + 1);
    }

    private record Item(String name, int count) { }

    @Override
    public void onTimer(long time, OnTimerContext context, Collector<Output> out) throws Exception {
        long start = time + 1 - GRACE_MS - SIZE_MS;
        Locations.Row location = locations.get(context.getCurrentKey());
        List<Item> items = take(start);
        String times = "\",\"window_start\":" + start + ",\"window_end\":" + (start + SIZE_MS) + ",\"detections\":";
        output.time = start + SIZE_MS - 1;
        output.topic = prefix + "item_counts";
        output.key = location.key();
        for (Item item : items) {
            add("{\"geographical_location_oid\":").add(location.key()).add(",\"geographical_location\":\"").add(location.name())
                .add("\",\"item_name\":\"").add(item.name).add(times).add(Integer.toString(item.count)).add("}").send(out);
        }
        items.sort(Comparator.comparingInt(Item::count).reversed().thenComparing(Item::name));
        output.topic = prefix + "top_items";
        output.key = location.name();
        for (int rank = 1; rank <= Math.min(K, items.size()); rank++) {
            Item item = items.get(rank - 1);
            add("{\"geographical_location\":\"").add(location.name()).add("\",\"item_rank\":").add(Integer.toString(rank))
                .add(",\"item_name\":\"").add(item.name).add(times).add(Integer.toString(item.count)).add("}").send(out);
        }
    }

    /** The counts of a window, which leave the state. RocksDB has them in the order of their windows. */
    private List<Item> take(long start) throws Exception {
        List<Item> items = new ArrayList<>();
        for (Iterator<Map.Entry<Tuple2<Long, String>, Integer>> rows = counts.iterator(); rows.hasNext(); ) {
            Map.Entry<Tuple2<Long, String>, Integer> row = rows.next();
            if (row.getKey().f0 > start) break;
            if (row.getKey().f0 < start) continue;
            items.add(new Item(row.getKey().f1, row.getValue()));
            rows.remove();
        }
        return items;
    }

    private TopItems add(String text) { return add(text.getBytes(StandardCharsets.UTF_8)); }

    private TopItems add(byte[] bytes) {
        buffer.write(bytes, 0, bytes.length);
        return this;
    }

    private void send(Collector<Output> out) {
        output.value = buffer.toByteArray();
        buffer.reset();
        out.collect(output);
    }
}
