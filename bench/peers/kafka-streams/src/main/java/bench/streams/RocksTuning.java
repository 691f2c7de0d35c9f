package bench.streams;

import java.util.Map;
import org.apache.kafka.streams.state.RocksDBConfigSetter;
import org.rocksdb.BlockBasedTableConfig;
import org.rocksdb.BloomFilter;
import org.rocksdb.Cache;
import org.rocksdb.CompressionType;
import org.rocksdb.LRUCache;
import org.rocksdb.Options;
import org.rocksdb.WriteBufferManager;

/** One block cache and one budget of write buffers for all stores of the process; filters for the look-ups that miss. */
public final class RocksTuning implements RocksDBConfigSetter {
    private static final Cache CACHE = new LRUCache(128L << 20);
    private static final WriteBufferManager BUFFERS = new WriteBufferManager(256L << 20, CACHE);
    private static final BloomFilter FILTER = new BloomFilter(10, false);

    @Override
    public void setConfig(String store, Options options, Map<String, Object> config) {
        BlockBasedTableConfig table = (BlockBasedTableConfig) options.tableFormatConfig();
        table.setBlockCache(CACHE).setFilterPolicy(FILTER).setWholeKeyFiltering(true).setBlockSize(8 << 10)
            .setCacheIndexAndFilterBlocks(false).setFormatVersion(5);
        options.setTableFormatConfig(table).setWriteBufferManager(BUFFERS).setWriteBufferSize(32L << 20)
            .setMaxWriteBufferNumber(3).setMemtablePrefixBloomSizeRatio(0.1).setMemtableWholeKeyFiltering(true)
            .setCompressionType(CompressionType.LZ4_COMPRESSION).setLevel0FileNumCompactionTrigger(6)
            .setIncreaseParallelism(2).setStatsDumpPeriodSec(0);
    }

    @Override
    public void close(String store, Options options) { } // what is shared lives as long as the process
}
