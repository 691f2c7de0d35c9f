"""An S3 server on loopback (moto), and a bucket's content as a local folder for the oracle to read."""

import atexit
import os
import pathlib
import subprocess
import urllib.error
import urllib.request

import boto3

import ports
from stack import ROOT, Failure, tail, wait_for

CREDENTIALS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_REGION": "us-east-1",
               "AWS_DEFAULT_REGION": "us-east-1", "AWS_EC2_METADATA_DISABLED": "true"}


class S3:
    def __init__(self, folder, bucket="lake"):
        self.bucket = bucket
        self.log = pathlib.Path(folder) / "s3.log"
        self.starts = ports.Start(self.log)
        self._start()
        atexit.register(self.stop)  # where a signal ends the tests
        wait_for("the S3 server", self._answers, 180, lambda: tail(self.log))
        self.client = boto3.client("s3", endpoint_url=self.url, region_name="us-east-1", aws_access_key_id="test",
                                   aws_secret_access_key="test")
        self.client.create_bucket(Bucket=bucket)

    def _start(self):
        port = self.starts.port()
        self.url = f"http://127.0.0.1:{port}"
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen([str(ROOT / ".deps/venv/bin/moto_server"), "-H", "127.0.0.1", "-p", str(port)],
                                            stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True,
                                            env={**os.environ, **CREDENTIALS})

    def _answers(self):
        if self.process.poll() is not None:
            if not self.starts.again():
                raise Failure("the S3 server has ended:\n" + tail(self.log))
            self._start()
        try:
            urllib.request.urlopen(self.url, timeout=10).close()
            return True
        except urllib.error.HTTPError:
            return True
        except OSError:
            return False

    def environment(self):
        return {**CREDENTIALS, "AWS_ENDPOINT_URL": self.url}

    def download(self, prefix, folder):
        """All *.parquet objects below the prefix, into the folder under their own names."""
        folder = pathlib.Path(folder)
        for page in self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix + "/"):
            for item in page.get("Contents", []):
                if item["Key"].endswith(".parquet"):
                    path = folder / item["Key"].removeprefix(prefix + "/")
                    path.parent.mkdir(parents=True, exist_ok=True)
                    self.client.download_file(self.bucket, item["Key"], str(path))
        return folder

    def upload(self, folder, prefix):
        """All *.parquet files of the folder, as objects below the prefix under their own names."""
        for path in pathlib.Path(folder).rglob("*.parquet"):
            self.client.upload_file(str(path), self.bucket, f"{prefix}/{path.relative_to(folder)}")

    def stop(self):
        self.process.kill()
        self.process.wait()
