"""Just enough of three protocols to tell one request from the next: what it asks for, how long it is, which answer is its.

A protocol has `requests(stream)`, which yields Requests, and `answers(stream)`, which yields (bytes, key): an answer belongs
to the request with that key; the key None means that a connection asks only one thing at a time.
"""

import dataclasses
import struct
import urllib.parse


class Ended(Exception):
    """The stream is over."""


class Stream:
    """Bytes of a socket by number or up to a mark."""

    def __init__(self, socket):
        self.socket, self.held = socket, b""

    def some(self):
        data, self.held = self.held, b""
        if not data:
            try:
                data = self.socket.recv(65536)
            except OSError:
                data = b""
        if not data:
            raise Ended
        return data

    def exactly(self, count):
        pieces = []
        while count > 0:
            data = self.some()
            self.held = data[count:]
            pieces.append(data[:count])
            count -= len(pieces[-1])
        return b"".join(pieces)

    def through(self, mark):
        data = self.some()
        while mark not in data:
            data += self.some()
        end = data.index(mark) + len(mark)
        self.held = data[end:]
        return data[:end]


@dataclasses.dataclass
class Request:
    """`name` says what is asked for, `about` who or what it is about, `head` is all of it but the body that follows."""
    name: str
    about: str
    head: bytes
    key: object = None
    body: object = ()  # an iterable of bytes


class Raw:
    """Bytes without meaning."""

    @staticmethod
    def answers(stream):
        while True:
            yield stream.some(), None


class Postgres(Raw):
    """`name` is the text of a simple query, or the letter of another message: P parse, B bind, E execute, S sync."""

    @staticmethod
    def requests(stream):
        encryption = (80877103, 80877104)  # asked for before the start-up message, and refused by our servers
        code = encryption[0]
        while code in encryption:
            head = stream.exactly(8)
            length, code = struct.unpack(">ii", head)
            yield Request("start", "", head + stream.exactly(length - 8))
        while True:
            head = stream.exactly(5)
            text = stream.exactly(struct.unpack(">i", head[1:])[0] - 4)
            kind = head[:1].decode()
            name = text.rstrip(b"\0").decode(errors="replace") if kind == "Q" else kind
            yield Request(name, "", head + text)


class Http(Raw):
    """`name` is the method; of S3 also what makes the difference: PUT part, PUT copy, POST create, POST complete, GET list.
    `about` is the path."""

    @staticmethod
    def requests(stream):
        while True:
            head = stream.through(b"\r\n\r\n")
            lines = head.decode("latin-1").split("\r\n")
            method, target, _ = lines[0].split(" ", 2)
            fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
            path, _, query = target.partition("?")
            what = ("part" if "partNumber=" in query else "create" if query.startswith("uploads") else
                    "complete" if "uploadId=" in query and method == "POST" else
                    "copy" if "x-amz-copy-source" in fields else "list" if "list-type" in query else "")
            yield Request(f"{method} {what}".strip(), urllib.parse.unquote(path), head, None, Http._body(stream, fields))

    @staticmethod
    def _body(stream, fields):
        if fields.get("transfer-encoding", "").lower() == "chunked":
            size = -1
            while size != 0:
                line = stream.through(b"\r\n")
                size = int(line.split(b";")[0], 16)
                if size:
                    line += stream.exactly(size + 2)
                yield line
            trailer = b""
            while trailer != b"\r\n":
                trailer = stream.through(b"\r\n")
                yield trailer
        else:
            left = int(fields.get("content-length", 0))
            while left > 0:
                piece = stream.exactly(min(left, 65536))
                left -= len(piece)
                yield piece

    @staticmethod
    def response(status, code):
        text = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>by the test</Message></Error>".encode()
        return (f"HTTP/1.1 {status} {code}\r\nContent-Type: application/xml\r\nContent-Length: {len(text)}\r\n"
                "Connection: close\r\n\r\n").encode() + text


class Kafka:
    """`about` is the client id."""

    NAMES = {0: "Produce", 1: "Fetch", 2: "ListOffsets", 3: "Metadata", 8: "OffsetCommit", 9: "OffsetFetch",
             10: "FindCoordinator", 11: "JoinGroup", 12: "Heartbeat", 13: "LeaveGroup", 14: "SyncGroup", 18: "ApiVersions",
             22: "InitProducerId", 24: "AddPartitionsToTxn", 25: "AddOffsetsToTxn", 26: "EndTxn", 28: "TxnOffsetCommit"}

    @staticmethod
    def requests(stream):
        while True:
            size = stream.exactly(4)
            body = stream.exactly(struct.unpack(">i", size)[0])
            api, _, correlation, length = struct.unpack_from(">hhih", body)
            client = body[10:10 + max(length, 0)].decode(errors="replace")
            yield Request(Kafka.NAMES.get(api, str(api)), client, size + body, correlation)

    # Whose answers are throttle time and error and nothing else, in the versions that librdkafka speaks.
    PLAIN = {"EndTxn": 2, "AddOffsetsToTxn": 2, "Heartbeat": 3}

    @staticmethod
    def failed(request, error):
        """The answer to a request of a PLAIN kind that has come to nothing."""
        version, = struct.unpack_from(">h", request.head, 6)
        if version > Kafka.PLAIN[request.name]:
            raise ValueError(f"{request.name} {version} has another answer")
        return struct.pack(">iiih", 10, request.key, 0, error)

    @staticmethod
    def spoilt(request, answer, error):
        """The server's answer with an error for every partition, where it has none: TxnOffsetCommit up to 3, Produce up to 10."""
        version, = struct.unpack_from(">h", request.head, 6)
        produce = request.name == "Produce"
        if request.name not in ("TxnOffsetCommit", "Produce") or version > (10 if produce else 3):
            raise ValueError(f"{request.name} {version} has another answer")
        data, at = bytearray(answer), 8
        compact = version >= (9 if produce else 3)

        def number(width):
            nonlocal at
            at += width
            return int.from_bytes(data[at - width:at], "big")

        def varint():
            value, shift = 0, 0
            while True:
                byte = number(1)
                value |= (byte & 127) << shift
                shift += 7
                if byte < 128:
                    return value

        def text():
            nonlocal at
            length = varint() - 1 if compact else number(2)
            at += 0 if length < 0 or length == 65535 else length

        def many():
            return varint() - 1 if compact else number(4)

        if compact:
            varint()  # no tagged fields
        if not produce:
            number(4)  # throttle time
        for _ in range(many()):
            text()
            for _ in range(many()):
                number(4)
                data[at:at + 2] = struct.pack(">h", error)
                number(2)
                if produce:
                    number(8 + (8 if version >= 2 else 0) + (8 if version >= 5 else 0))
                    if version >= 8:
                        for _ in range(many()):
                            number(4)
                            text()
                            if compact:
                                varint()
                        text()
                if compact:
                    varint()
            if compact:
                varint()
        return bytes(data)

    @staticmethod
    def answers(stream):
        while True:
            size = stream.exactly(4)
            body = stream.exactly(struct.unpack(">i", size)[0])
            yield size + body, struct.unpack_from(">i", body)[0]
