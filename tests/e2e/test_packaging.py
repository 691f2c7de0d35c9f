#!/usr/bin/env python3
"""What leaves the build: the installed tree runs by itself, and the files in docker/ say nothing that isn't so. (No container
engine is needed, and none is used.)"""

import json
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "lib"))

import yaml

from stack import BINARY, ROOT

DOCKER = ROOT / "docker"


def documents(path):
    return [document for document in yaml.safe_load_all(path.read_text()) if document]


class Packaging(unittest.TestCase):
    maxDiff = None

    def help(self):
        return subprocess.run([BINARY, "help", "run"], stdout=subprocess.PIPE, text=True, check=True).stdout

    def test_the_installed_tree_runs_without_the_build(self):
        build = pathlib.Path(BINARY).parent
        with tempfile.TemporaryDirectory(prefix="tidemark-install-") as prefix:
            subprocess.run(["cmake", "--install", str(build), "--prefix", prefix, "--strip"], check=True,
                           stdout=subprocess.DEVNULL)
            binary = f"{prefix}/bin/tidemark"
            done = subprocess.run([binary, "version"], env={}, stdout=subprocess.PIPE, text=True, check=True)
            self.assertRegex(done.stdout, r"^tidemark \d+\.\d+\.\d+")
            linked = subprocess.run(["ldd", binary], stdout=subprocess.PIPE, text=True, check=True).stdout
            self.assertNotIn("not found", linked)
            paths = re.findall(r"=> (/\S+)", linked)
            inside = [path for path in paths if pathlib.Path(path).resolve().is_relative_to(pathlib.Path(prefix).resolve())]
            self.assertTrue(any("libarrow" in path for path in inside), linked)
            outside = [path for path in paths if path not in inside]
            self.assertTrue(all(path.startswith(("/lib", "/usr/lib")) for path in outside), outside)
            self.check_packages(binary, outside)
            # Arrow exports another version of RE2: nothing of ours may be mixed with it.
            symbols = subprocess.run(["nm", "-D", f"{build}/tidemark"], stdout=subprocess.PIPE, text=True, check=True).stdout
            self.assertNotIn("3re2", symbols)

    def check_packages(self, binary, outside):
        """Debian packages of what the binary itself needs are those that the image's last stage installs."""
        needed = re.findall(r"NEEDED.*\[(\S+)\]", subprocess.run(["readelf", "-d", binary], stdout=subprocess.PIPE, text=True,
                                                                 check=True).stdout)
        last_stage = (DOCKER / "Dockerfile").read_text().rpartition("\nFROM ")[2]
        for library in needed:
            path = next((p for p in outside if pathlib.Path(p).name == library), None)
            if path is None:
                continue  # in the tree itself
            real = str(pathlib.Path(path).resolve())
            owner = ""
            for name in (real, real.removeprefix("/usr")):  # dpkg knows a file by the one or the other
                found = subprocess.run(["dpkg", "-S", name], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
                owner = owner or found.stdout.partition(":")[0]
            if owner in ("libc6", "libgcc-s1", "libstdc++6", "zlib1g"):
                continue  # in the base image, or needed by every other package here
            self.assertRegex(last_stage, rf"\s{re.escape(owner)}\s", f"{library} is in {owner or 'no package'}")

    def test_every_yaml_and_json_file_parses(self):
        files = [path for path in DOCKER.rglob("*") if path.suffix in (".yaml", ".json")]
        self.assertGreaterEqual(len(files), 6)
        for path in files:
            with self.subTest(path.name):
                self.assertTrue(json.loads(path.read_text()) if path.suffix == ".json" else documents(path))

    def test_the_compose_file_names_files_and_services_that_exist(self):
        compose = documents(DOCKER / "compose.yaml")[0]
        for name, service in compose["services"].items():
            for needed in service.get("depends_on", {}):
                self.assertIn(needed, compose["services"], name)
            for volume in service.get("volumes", []):
                source = volume.partition(":")[0]
                if source.startswith("."):
                    self.assertTrue((DOCKER / source).exists(), f"{name}: {source}")
                else:
                    self.assertIn(source, compose["volumes"], name)
            if "build" in service:
                self.assertTrue((DOCKER / service["build"]["context"] / service["build"]["dockerfile"]).exists())
        self.assert_flags(compose["services"]["worker"]["command"])

    def assert_flags(self, words):
        known = re.findall(r"^  --(\S+) ", self.help(), re.MULTILINE)
        for word in words:
            if word.startswith("--"):
                self.assertIn(word[2:].partition("=")[0].replace("_", "-"), known)

    def test_the_image_and_the_manifest_give_flags_that_there_are(self):
        command = json.loads(re.search(r"^CMD (\[.*\])$", (DOCKER / "Dockerfile").read_text(), re.MULTILINE)[1])
        self.assert_flags(command)
        self.assert_flags(self.container()["args"])

    def container(self):
        manifests = {document["kind"]: document for document in documents(DOCKER / "kubernetes" / "tidemark.yaml")}
        return manifests["StatefulSet"]["spec"]["template"]["spec"]["containers"][0]

    def test_the_manifests_fit_together(self):
        manifests = {document["kind"]: document for document in documents(DOCKER / "kubernetes" / "tidemark.yaml")}
        stateful, container = manifests["StatefulSet"]["spec"], self.container()
        self.assertEqual(stateful["serviceName"], manifests["Service"]["metadata"]["name"])
        labels = stateful["template"]["metadata"]["labels"]
        for selector in (stateful["selector"]["matchLabels"], manifests["Service"]["spec"]["selector"],
                         manifests["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"]):
            self.assertLessEqual(selector.items(), labels.items())
        self.assertIn("--instance_id=$(POD_NAME)", container["args"])
        volumes = [volume["name"] for volume in stateful["template"]["spec"]["volumes"]]
        volumes += [claim["metadata"]["name"] for claim in stateful["volumeClaimTemplates"]]
        mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
        self.assertEqual(sorted(mounts), sorted(volumes))
        state = next(arg.partition("=")[2] for arg in container["args"] if arg.startswith("--state_dir="))
        self.assertTrue(state.startswith(mounts["state"]))
        self.assertGreater(stateful["template"]["spec"]["terminationGracePeriodSeconds"], 5)
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            file.write(manifests["ConfigMap"]["data"]["topology.yaml"])
            file.flush()
            given = {"KAFKA_BROKERS": "k:9092", **manifests["Secret"]["stringData"]}
            done = subprocess.run([BINARY, "validate", "--config", file.name], env=given, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, text=True)
            self.assertEqual(done.returncode, 0, done.stdout)

    def test_the_dashboard_asks_for_metrics_that_there_are(self):
        documented = set(re.findall(r"^\| `(tidemark_\w+)` \|", (ROOT / "docs" / "metrics.md").read_text(), re.MULTILINE))
        dashboard = json.loads((DOCKER / "grafana" / "dashboards" / "tidemark.json").read_text())
        asked = set(re.findall(r"tidemark_\w+", json.dumps([p["targets"] for p in dashboard["panels"]] +
                                                           dashboard["templating"]["list"])))
        self.assertGreater(len(asked), 15)
        for name in asked:
            self.assertIn(re.sub(r"_(bucket|sum|count)$", "", name), documented)


if __name__ == "__main__":
    unittest.main(verbosity=2)
