package bench.nexmark;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import org.apache.flink.table.functions.FunctionContext;
import org.apache.flink.table.functions.ScalarFunction;

/** q13's bounded side input, whole in memory: SIDE_INPUT(key) is its value, or NULL. */
public final class SideInput extends ScalarFunction {
    private final String file;
    private transient Map<Long, String> values;

    public SideInput(String file) { this.file = file; }

    @Override
    public void open(FunctionContext context) throws IOException {
        values = new HashMap<>();
        for (String line : Files.readAllLines(Path.of(file))) {
            String[] fields = line.split(",", 2);
            if (!fields[0].equals("key")) values.put(Long.parseLong(fields[0]), fields[1]);
        }
    }

    public String eval(Long key) { return values.get(key); }
}
