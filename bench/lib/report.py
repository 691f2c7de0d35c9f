"""Results as a table for people and as JSON lines for scripts."""

import json
import statistics

COLUMNS = {"records_per_s": ("records/s", "{:,.0f}"), "cpu_s_per_million": ("CPU s/M", "{:.2f}"),
           "max_rss_mb": ("RSS MB", "{:,.0f}"), "p50_ms": ("p50 ms", "{:.1f}"), "p99_ms": ("p99 ms", "{:.1f}"),
           "correct": ("correct", "{}")}


def rounded(value):
    return round(value, 4) if isinstance(value, float) else value


def median_of(results):
    """One line for several runs of the same thing: medians of the numbers, and correct only if all were."""
    lines = [result.line() for result in results]
    median = {}
    for name, first in lines[0].items():
        values = [line[name] for line in lines if line.get(name) is not None]
        if not values:
            median[name] = None
        elif name == "correct":
            median[name] = all(values)
        elif isinstance(first, (int, float)) and not isinstance(first, bool):
            median[name] = statistics.median(values)
        else:
            median[name] = first
    return {**median, "runs": len(lines)}


def summary(results, base="tidemark"):
    """Medians by (workload, system), each with how much `base` is better: its rate over the other's, the other's CPU over
    its own."""
    groups = {}
    for result in results:
        groups.setdefault((result.workload, result.system), []).append(result)
    medians = {key: median_of(group) for key, group in groups.items()}
    for (workload, _), median in medians.items():
        ours = medians.get((workload, base))
        if ours is None or ours is median:
            continue
        if median["records_per_s"] and ours["records_per_s"]:
            median["rate_ratio"] = ours["records_per_s"] / median["records_per_s"]
        if median["cpu_s_per_million"] and ours["cpu_s_per_million"]:
            median["cpu_ratio"] = median["cpu_s_per_million"] / ours["cpu_s_per_million"]
    return list(medians.values())


def print_json(lines):
    for line in lines:
        print(json.dumps({name: rounded(value) for name, value in line.items()}))


def print_table(medians):
    """Only the columns that some line fills; what a measurement has beside them is written behind."""
    shown = {name: column for name, column in COLUMNS.items() if any(m.get(name) is not None for m in medians)}
    fixed = {"system", "workload", "records", "runs", *COLUMNS}
    rows = [["workload", "system", *(title for title, _ in shown.values()), "also"]]
    for median in medians:
        cells = [form.format(median[name]) if median.get(name) is not None else "" for name, (_, form) in shown.items()]
        also = ", ".join(f"{name} {value:,.2f}" if isinstance(value, float) else f"{name} {value}"
                         for name, value in median.items() if name not in fixed and value is not None)
        rows.append([median["workload"], median["system"], *cells, also])
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        print("  ".join(cell.ljust(width) if i < 2 or i == len(row) - 1 else cell.rjust(width)
                        for i, (cell, width) in enumerate(zip(row, widths))).rstrip())
