package bench.nexmark;

import java.util.HashMap;
import java.util.Map;

/** The command line: --name value, or --name alone. */
final class Options {
    private final Map<String, String> given = new HashMap<>();

    Options(String[] words) {
        for (int i = 0; i < words.length; i++) {
            if (!words[i].startsWith("--")) throw new IllegalArgumentException("not a flag: " + words[i]);
            boolean alone = i + 1 == words.length || words[i + 1].startsWith("--");
            given.put(words[i].substring(2), alone ? "true" : words[++i]);
        }
    }

    String text(String name) {
        String value = given.get(name);
        if (value == null) throw new IllegalArgumentException("--" + name + " is missing");
        return value;
    }

    int number(String name) {
        return Integer.parseInt(text(name));
    }

    boolean has(String name) {
        return given.containsKey(name);
    }
}
