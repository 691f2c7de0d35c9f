"""A TCP proxy that breaks things on purpose, between a worker and a server that it needs.

As a whole it refuses, resets or slows down. By Rules it breaks single requests (wire.py tells one from another): before they
reach the server, in the middle, or after they took effect and before their answer has arrived, which is where a client
can't know. What was broken is counted: a fault that hit nothing proves nothing.
"""

import contextlib
import itertools
import socket
import struct
import threading
import time

import wire

# What becomes of a request. CUT: it never reaches the server. HALF: half of it does. LOST: the server has answered, and the
# answer is thrown away. TORN: half of the answer arrives. Each of them ends the connection with a reset. INSTEAD: another
# answer arrives.
CUT, HALF, LOST, TORN, INSTEAD = "cut", "half", "lost", "torn", "instead"


class Rule:
    """What to do to the requests of which matches(request) is true, to the first `times` of them (None: to all).

    answer: given instead of asking the server: bytes, or a function of the request that makes them. With INSTEAD the
    server is asked, and the function is of the request and of what it has answered. stall: seconds for which the answer
    is kept back; do: called before the request goes on."""

    def __init__(self, matches, action=None, times=None, answer=None, stall=0, do=None):
        self.matches, self.action, self.times, self.answer, self.stall, self.do = matches, action, times, answer, stall, do
        self.hits, self.lifted = 0, False
        self._lock = threading.Lock()

    def answer_to(self, *what):
        return self.answer(*what) if callable(self.answer) else self.answer

    def takes(self, request):
        with self._lock:
            if self.lifted or (self.times is not None and self.hits >= self.times) or not self.matches(request):
                return False
            self.hits += 1
            return True


def reset(connection):
    """RST, at once; whoever reads from it meanwhile wakes up."""
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.shutdown(socket.SHUT_RD)
    with contextlib.suppress(OSError):
        connection.close()


class Connection:
    def __init__(self, proxy, client, server):
        self.proxy, self.client, self.server = proxy, client, server
        self.waiting = {}  # requests whose answers are to be broken: key -> (Rule, Request)
        self.about = ""  # of the last request

    def start(self):
        for pump in (self._requests, self._answers):
            threading.Thread(target=self._guarded, args=[pump], daemon=True).start()

    def _guarded(self, pump):
        try:
            pump()
        except (wire.Ended, OSError):
            pass
        finally:
            self.close()

    def close(self):
        self.proxy.forget(self)
        reset(self.client)
        reset(self.server)

    def _requests(self):
        for request in self.proxy.protocol.requests(wire.Stream(self.client)):
            self.about = request.about
            rule = self.proxy.rule_for(request)
            if rule is None:
                self._forward(itertools.chain([request.head], request.body))
                continue
            if rule.do:
                rule.do()
            if rule.action == CUT:
                return
            if rule.action == HALF:
                whole = request.head + next(iter(request.body), b"")
                self.server.sendall(whole[:len(request.head) + (len(whole) - len(request.head)) // 2]
                                    if len(whole) > len(request.head) else whole[:len(whole) // 2])
                return
            if rule.answer and rule.action != INSTEAD:
                for _ in request.body:
                    pass
                self.client.sendall(rule.answer_to(request))
                continue
            if rule.action or rule.stall:
                self.waiting[request.key] = rule, request
            self._forward(itertools.chain([request.head], request.body))

    def _forward(self, pieces):
        for piece in pieces:
            self.proxy.pace(piece)
            self.server.sendall(piece)

    def _answers(self):
        for data, key in self.proxy.protocol.answers(wire.Stream(self.server)):
            self.proxy.pace(data)
            # "Go on" isn't the answer yet.
            rule, request = (None, None) if data.startswith(b"HTTP/1.1 100") else self.waiting.pop(key, (None, None))
            if rule and rule.stall:
                deadline = time.monotonic() + rule.stall
                while time.monotonic() < deadline and not rule.lifted:
                    time.sleep(0.02)
            if rule and rule.action == LOST:
                return
            if rule and rule.action == TORN:
                self.client.sendall(data[:len(data) // 2])
                return
            if rule and rule.action == INSTEAD:
                data = rule.answer_to(request, data)
            self.client.sendall(data)


class Proxy:
    def __init__(self, target, protocol, port=0):
        self.target, self.protocol = target, protocol  # (host, port); may change
        self.bytes_per_second = None
        self._lock = threading.Lock()
        self._rules, self._connections, self._listener = [], set(), None
        # Bound and never listening: the port stays ours while nobody listens, and those who call are refused.
        self._holder = self._bound(port)
        self.port = self._holder.getsockname()[1]
        self.accept()

    @staticmethod
    def _bound(port):
        new = socket.socket()
        new.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        new.bind(("127.0.0.1", port))
        return new

    def accept(self):
        self._listener = self._bound(self.port)
        self._listener.listen(128)
        threading.Thread(target=self._serve, args=[self._listener], daemon=True).start()

    def _serve(self, listener):
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(self.target, timeout=10)
                server.settimeout(None)
            except OSError:
                reset(client)
                continue
            for end in (client, server):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection = Connection(self, client, server)
            with self._lock:
                self._connections.add(connection)
            connection.start()

    def forget(self, connection):
        with self._lock:
            self._connections.discard(connection)

    def reset(self, about=""):
        """Ends all connections (or those whose last request was about this). Returns how many there were."""
        with self._lock:
            ended = [connection for connection in self._connections if about in connection.about]
        for connection in ended:
            connection.close()
        return len(ended)

    def refuse(self):
        """Connections are ended, and new ones refused."""
        listener, self._listener = self._listener, None
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        return self.reset()

    def pace(self, data):
        if self.bytes_per_second:
            time.sleep(len(data) / self.bytes_per_second)

    def rule_for(self, request):
        with self._lock:
            rules = list(self._rules)
        return next((rule for rule in rules if rule.takes(request)), None)

    @contextlib.contextmanager
    def rule(self, *args, **options):
        """The rule holds within."""
        rule = Rule(*args, **options)
        with self._lock:
            self._rules.append(rule)
        try:
            yield rule
        finally:
            rule.lifted = True
            with self._lock:
                self._rules.remove(rule)

    def close(self):
        if self._listener:
            self.refuse()
        self.reset()
        self._holder.close()
