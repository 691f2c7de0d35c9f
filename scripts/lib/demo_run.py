"""What the demos share: what they print as they go, and how they end. Uses the harness of tests/e2e/lib."""

import signal
import sys
import time

from stack import Stack


class Steps:
    """Prints what is being done and how long it took."""

    def __init__(self):
        self.began = time.monotonic()

    def say(self, text):
        print(f"[{time.monotonic() - self.began:6.1f} s] {text}", flush=True)


def run(demo):
    """demo(stack, steps) on a stack of its own, which is stopped and removed whatever happens. Where it isn't true, or fails,
    the process ends with 1."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # ended from outside, it still stops what it started
    steps, held = Steps(), False
    with Stack() as stack:
        try:
            held = demo(stack, steps)
        except KeyboardInterrupt:
            print("\ninterrupted", file=sys.stderr)
        except Exception as error:  # whatever it is: say it, with the logs
            print(f"\n{error}\n{stack.logs()}", file=sys.stderr)
    if not held:
        sys.exit(1)
    steps.say("all stopped and removed")
