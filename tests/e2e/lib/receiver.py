"""A receiver of webhooks: keeps what was posted to it, checks signatures as the Standard Webhooks specification has them,
and answers badly now and then where it is told to."""

import base64
import hashlib
import hmac
import http.server
import json
import threading
import time

SECRET = "whsec_" + base64.b64encode(b"a secret of the tests, 32 bytes.").decode()


def signature(secret, message_id, timestamp, body):
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{message_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


class Receiver:
    """`answer(number)`: the status of the answer to the n-th post; 0: the connection is closed without one, after the
    post was taken."""

    def __init__(self, answer=lambda number: 204, secret=SECRET):
        self.answer, self.secret = answer, secret
        self.posts, self.wrong = [], []  # (id, message, headers, status)
        self.lock = threading.Lock()
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status = receiver.take(self.path, self.headers, body)
                if status == 0:
                    self.close_connection = True
                    return
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *args):
                pass

        class Server(http.server.ThreadingHTTPServer):
            def handle_error(self, request, client_address):
                """Who posts may be killed."""

        self.server = Server(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}/hooks/a-secret-path"
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def take(self, path, headers, body):
        message_id, stamp = headers["webhook-id"], headers["webhook-timestamp"]
        if self.secret and headers["webhook-signature"] != signature(self.secret, message_id, stamp, body):
            self.wrong.append(f"signature of {message_id}")
        if abs(int(stamp) - time.time()) > 60 or not path.endswith("/a-secret-path"):
            self.wrong.append(f"{stamp} {path}")
        message = json.loads(body)
        if message["id"] != message_id:
            self.wrong.append(f"{message['id']} is not {message_id}")
        with self.lock:
            status = self.answer(len(self.posts))
            self.posts.append((message_id, message, dict(headers), status))
        return status

    def messages(self):
        """What arrived, once for each id; every repetition of an id must be the same."""
        found = {}
        with self.lock:
            for message_id, message, _, _ in self.posts:
                assert found.setdefault(message_id, message) == message, (message, found[message_id])
        return found

    def close(self):
        self.server.shutdown()
        self.server.server_close()
