"""A headless Chromium, driven over its debugging pipe (the DevTools protocol): pages, keys, pictures, and what the console
said. Nothing of it is installed beside the browser itself."""

import base64
import json
import os
import shutil
import subprocess
import tempfile
import time

NAMES = ("chromium", "chromium-browser", "google-chrome")


def installed():
    """The browser's path, or None."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


class Browser:
    """Use as a context manager. `size` in pixels; `scheme`: light or dark."""

    def __init__(self, size=(1300, 1400), scheme="light", path=None):
        self.size, self.scheme, self.path = size, scheme, path or installed()
        self.console, self.number, self.rest = [], 0, b""

    def __enter__(self):
        self.profile = tempfile.mkdtemp(prefix="tidemark-chromium-")
        to_read, to = os.pipe()
        back, back_write = os.pipe()

        def as_three_and_four():
            # Out of the way of each other first.
            a, b = os.dup(to_read), os.dup(back_write)
            os.dup2(a, 3)
            os.dup2(b, 4)

        self.process = subprocess.Popen(
            [self.path, "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run",
             f"--user-data-dir={self.profile}", "--remote-debugging-pipe", "about:blank"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, close_fds=False,
            preexec_fn=as_three_and_four)
        os.close(to_read)
        os.close(back_write)
        self.to, self.back = to, back
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")
        self.call("Emulation.setDeviceMetricsOverride", width=self.size[0], height=self.size[1], deviceScaleFactor=1, mobile=False)
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": self.scheme}])
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait(30)
        os.close(self.to)
        os.close(self.back)
        shutil.rmtree(self.profile, ignore_errors=True)

    def message(self):
        while b"\0" not in self.rest:
            more = os.read(self.back, 1 << 16)
            if not more:
                raise AssertionError("the browser has ended")
            self.rest += more
        one, _, self.rest = self.rest.partition(b"\0")
        return json.loads(one)

    def call(self, method, **params):
        self.number += 1
        session = {"sessionId": self.session} if hasattr(self, "session") else {}
        os.write(self.to, json.dumps({"id": self.number, "method": method, "params": params, **session}).encode() + b"\0")
        while True:
            message = self.message()
            if message.get("id") == self.number:
                if "error" in message:
                    raise AssertionError(f"{method}: {message['error']}")
                return message["result"]
            self.hear(message)

    def hear(self, message):
        what, params = message.get("method"), message.get("params", {})
        if what == "Runtime.exceptionThrown":
            details = params["exceptionDetails"]
            self.console.append(details.get("exception", {}).get("description") or details["text"])
        elif what == "Runtime.consoleAPICalled":
            self.console.append(" ".join(str(argument.get("value")) for argument in params["args"]))
        elif what == "Log.entryAdded":
            self.console.append(f"{params['entry']['text']} {params['entry'].get('url', '')}")

    def go(self, url):
        self.call("Page.navigate", url=url)

    def value(self, script):
        """Of an expression in the page."""
        found = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def wait(self, script, seconds=30):
        deadline = time.monotonic() + seconds
        while not self.value(f"!!({script})"):
            assert time.monotonic() < deadline, f"{script}\n{self.value('document.body.innerText')}\n{self.console}"
            time.sleep(0.1)

    def press(self, key, code=None, text=""):
        codes = {"Tab": 9, "Enter": 13, "ArrowDown": 40}
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=code or key, windowsVirtualKeyCode=codes.get(key, 0),
                      **({"text": text} if text and kind == "keyDown" else {}))

    def picture(self, path, whole=False):
        shot = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(shot["data"]))
