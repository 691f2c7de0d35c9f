"""What an S3 service, or what lies between, does to a lake."""

import wire
import views
from matrix import Fault, Party, and_killed, by_rule, refused, slowed
from proxy import CUT, HALF, LOST, TORN, Proxy


class Bucket(Party):
    """A lake whose files are cut about every second, three folders each; the bucket is read past the proxy."""

    def prepare(self):
        self.s3 = self.stack.s3()
        host, _, port = self.s3.url.removeprefix("http://").partition(":")
        self.proxy = Proxy((host, int(port)), wire.Http)
        return {**self.s3.environment(), "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.proxy.port}"}

    def sinks(self):
        return {"lake": {"from": "numbers", "parquet": {"path": f"s3://{self.s3.bucket}/{self.name}", "partition_by": ["k"],
                                                        "max_age": "1s"}}}

    def views(self):
        return [views.BucketRows(self.s3, self.name)]

    def close(self):
        self.proxy.close()


def asks(*names, about=""):
    return lambda request: request.name in names and about in request.about


def anything(request):
    return True


def failing(matches, status=500, code="InternalError", **more):
    return by_rule(matches, answer=wire.Http.response(status, code), **more)


UPLOAD = ("POST create", "PUT part", "POST complete")

FAULTS = {
    Bucket: [
        Fault("a service that refuses connections", refused, rounds=2, lasts=8),
        Fault("a service that refuses and a worker that dies", and_killed(refused), rounds=2, lasts=4),
        Fault("connections that are reset", by_rule(anything, CUT), rounds=2, lasts=8, slow=True),
        Fault("a service that answers 500", failing(anything), rounds=2, lasts=6, slow=True),
        Fault("a service that answers 503", failing(anything, 503, "SlowDown"), rounds=2, lasts=6),
        Fault("parts that can't be uploaded", by_rule(asks("PUT part"), CUT), rounds=2, lasts=12),
        Fault("half a part", by_rule(asks("PUT part"), HALF, times=20), hits=20, rounds=2, slow=True),
        Fault("uploads that can't be completed", failing(asks("POST complete")), rounds=2, lasts=8),
        Fault("one partition's objects only", failing(lambda request: request.name in UPLOAD and "-1-" in request.about),
              rounds=2, lasts=8),
        Fault("one folder only", failing(asks(*UPLOAD, "PUT copy", about="k=k1")), rounds=2, lasts=8, slow=True),
        Fault("a completed upload whose answer is lost", by_rule(asks("POST complete"), LOST, times=8), hits=8, rounds=2),
        Fault("copies that can't be made", failing(asks("PUT copy")), rounds=2, lasts=6),
        Fault("a copy whose answer is lost", by_rule(asks("PUT copy"), LOST, times=8), hits=8, rounds=2),
        Fault("copies that can't be made and a worker that dies", and_killed(failing(asks("PUT copy"))), rounds=2, lasts=4,
              slow=True),
        Fault("a delete whose answer is lost", by_rule(asks("DELETE"), LOST, times=8), hits=8, rounds=2),
        Fault("deletes that can't be made", failing(asks("DELETE"), 503, "SlowDown"), rounds=2, lasts=6, slow=True),
        Fault("an answer of which half arrives", by_rule(anything, TORN, times=30), hits=30, rounds=2, slow=True),
        Fault("a slow line", slowed(40_000), rounds=2, lasts=6, slow=True),
        Fault("answers that come late", by_rule(anything, stall=4, times=10), hits=10, rounds=2, slow=True),
    ],
}
