"""Variants of examples/htx/topology.yaml: the shipped file under other names, so that tests share a broker."""

import yaml

from stack import ROOT

EXAMPLE = ROOT / "examples" / "htx" / "topology.yaml"


def load():
    # All scalars stay text, as they stand in the file: to PyYAML's other loaders `on` is a boolean.
    return yaml.load(EXAMPLE.read_text(), Loader=yaml.BaseLoader)


def variant(name, source="detections", table="locations", prefix=None, lake=None, pg_table=None, **more):
    """The example as application `name`, writing to topics `<prefix><topic>`; `more` overrides top-level keys."""
    topology = load()
    prefix = f"{name}-" if prefix is None else prefix
    topology["name"] = name
    topology["sources"]["detections"]["topic"] = source
    topology["tables"]["locations"]["topic"] = table
    for sink in topology["sinks"].values():
        if "topic" in sink:
            sink["topic"] = prefix + sink["topic"]
    topology["sinks"]["top_items_table"]["postgres"]["table"] = pg_table or f"{name}_top_items".replace("-", "_")
    topology["sinks"]["lake"]["parquet"]["path"] = lake or "${LAKE}/" + name
    topology.update(more)
    return topology


def write(path, topology):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(topology, sort_keys=False))
    return path
