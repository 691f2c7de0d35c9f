"""W1 with Avro in and out beside W1 with JSON, taking turns over the same records. The detections are copied into Avro by
Tidemark beforehand, and what the Avro run has written is copied back into JSON for the check; neither is measured. Values are
bare Avro, so that no registry takes part."""

import dataclasses
import json

import yaml

import topics
from backlog import uniform
from bench import RUN_SECONDS
from dataset import create_outputs
from jobs import Tidemark

COLUMNS = {"geographical_location_oid": "int64", "video_camera_oid": "int64", "detection_oid": "int64", "item_name": "string",
           "timestamp_detected": "timestamp_ms"}
ENRICHED = {**COLUMNS, "geographical_location": "string"}
AVRO = {"int64": "long", "string": "string", "timestamp_ms": {"type": "long", "logicalType": "timestamp-micros"}}


def schema_file(folder, name, columns):
    path = folder / f"{name}.avsc"
    path.write_text(json.dumps({"type": "record", "name": name, "fields": [
        {"name": column, "type": AVRO[type_]} for column, type_ in columns.items()]}))
    return {"type": "avro", "schema_file": str(path)}


class TidemarkAvro(Tidemark):
    """The workload's own file, but for the formats of its source and of its sink."""
    def topology(self, job):
        topology = super().topology(job)
        topology["sources"]["detections"]["format"] = schema_file(job.folder, "Detection", COLUMNS)
        topology["sinks"]["enriched"].update(topic=job.prefix + "enriched_avro", format={"type": "avro", "schema_id": "none"})
        return topology


class Formats:
    def add_options(self, parser):
        pass

    def measure(self, bench):
        ours = [system for system in bench.systems if system.name == "tidemark"]
        if not ours:
            return []
        dataset, avro = uniform(bench), TidemarkAvro(ours[0].binary)
        copied = dataclasses.replace(dataset, name=f"{dataset.name}-avro", expectation=None)
        topics.create(bench.stack.brokers, **{copied.detections: topics.partitions(bench.stack.brokers, dataset.detections)})
        self._copy(bench, ours[0], dataset, "json", COLUMNS, dataset.detections, "detection_oid",
                   copied.detections, {"type": "avro", "schema_id": "none"})
        results = []
        for _ in range(bench.options.runs):
            for system, label in ((ours[0], "w1 json"), (avro, "w1 avro")):
                results.append(self._run(bench, system, dataset, copied, label))
        return results

    def _run(self, bench, system, dataset, copied, label):
        is_avro = system.__class__ is TidemarkAvro
        job = bench.job(system, "w1", dataset)
        if is_avro:  # of the tables there is one topic only
            job.dataset = AvroDataset(copied.detections, dataset.locations)
        with bench.outputs(system, job):
            if is_avro:
                create_outputs(bench.stack.brokers, job.prefix, ["enriched_avro"], job.partitions)
            result = bench.drain(system, job, dataset.records)
            if is_avro and bench.options.check:
                self._copy(bench, system, dataset, schema_file(job.folder, "Enriched", ENRICHED), ENRICHED,
                           f"{job.prefix}enriched_avro", "geographical_location_oid", f"{job.prefix}enriched", "json")
            bench.check(system, job, dataset, result)
        result.workload = label
        bench.say(f"{label}: {result.records_per_s:,.0f} records/s, {result.cpu_s_per_million:.2f} CPU s/M, "
                  f"correct: {result.correct}")
        return result

    @staticmethod
    def _copy(bench, system, dataset, read, columns, topic, key, to, write):
        job = bench.job(system, "w1", dataset)
        config = job.folder / "copy.yaml"
        config.write_text(yaml.safe_dump({
            "name": job.application, "kafka": {"brokers": job.brokers},
            "sources": {"rows": {"topic": topic, "format": read, "columns": columns}},
            "sinks": {"copy": {"from": "rows", "topic": to, "key": [key], "format": write}}}, sort_keys=False))
        process = bench.start(Copier(system.binary, config), job, name=f"{job.application}-copy")
        process.finish(RUN_SECONDS)


@dataclasses.dataclass
class AvroDataset:
    """Where the Avro run reads; the check is the JSON dataset's."""
    detections: str
    locations: str


class Copier:
    def __init__(self, binary, config):
        self.binary, self.config = binary, config

    def command(self, job):
        return [self.binary, "run", "--config", self.config, "--state_dir", job.folder / "state", "--instance_id", "copy",
                "--threads", job.threads, "--http_address", "127.0.0.1:0", "--until_end"], {}
