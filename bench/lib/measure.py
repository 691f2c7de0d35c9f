"""What one process costs: its wall time, processor time, memory and reads from disk.

CPU is what the kernel charges to the process when it has ended (wait4, user + sys, the children it waited for included).
RSS is VmHWM as last seen in /proc: ru_maxrss won't do, as a new process inherits the peak of the one it was forked from.
"""

import contextlib
import dataclasses
import os
import pathlib
import signal
import subprocess
import time

from stack import Failure, tail

TICKS = os.sysconf("SC_CLK_TCK")
LOOK_SECONDS = 0.02


@dataclasses.dataclass
class Usage:
    wall_s: float = 0.0
    cpu_s: float = 0.0
    max_rss_mb: float = 0.0
    disk_read_mb: float = 0.0


def cpu_seconds(pid):
    """User + sys of a process that runs; 0 once it is gone."""
    with contextlib.suppress(OSError):
        # The name in brackets may hold anything, blanks included.
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS
    return 0.0


def proc_number(pid, file, name):
    """The number behind `name:` in /proc/PID/file, or None once the process is gone."""
    with contextlib.suppress(OSError):
        for line in pathlib.Path(f"/proc/{pid}/{file}").read_text().splitlines():
            if line.startswith(name + ":"):
                return int(line.split()[1])
    return None


class Process:
    """A process under measurement, with its output in a file. Its numbers stand still once it has ended."""

    def __init__(self, name, command, log, env=None):
        self.name, self.log, self.command = name, pathlib.Path(log), [str(word) for word in command]
        self.usage, self.code = Usage(), None
        with open(self.log, "wb") as out:
            out.write(f"--- {' '.join(self.command)}\n".encode())
            out.flush()
            self.began = time.monotonic()
            # A session of its own: a Ctrl-C reaches the harness, which ends its processes itself.
            self.process = subprocess.Popen(self.command, stdout=out, stderr=subprocess.STDOUT, env=env,
                                            stdin=subprocess.DEVNULL, start_new_session=True)

    @property
    def pid(self):
        return self.process.pid

    def look(self):
        """Takes down what /proc says now; whether the process still runs."""
        if self.code is not None:
            return False
        for name, file, field, unit in (("max_rss_mb", "status", "VmHWM", 1 / 1024),
                                        ("disk_read_mb", "io", "read_bytes", 1 / (1 << 20))):
            number = proc_number(self.pid, file, field)
            if number is not None:
                setattr(self.usage, name, number * unit)
        ended, status, used = os.wait4(self.pid, os.WNOHANG)
        if ended == 0:
            return True
        self.usage.wall_s = time.monotonic() - self.began
        self.usage.cpu_s = used.ru_utime + used.ru_stime
        self.code = self.process.returncode = os.waitstatus_to_exitcode(status)
        return False

    def cpu_now(self):
        return self.usage.cpu_s if self.code is not None else cpu_seconds(self.pid)

    def finish(self, seconds):
        """Waits for exit code 0; what the process used."""
        deadline = time.monotonic() + seconds
        while self.look():
            if time.monotonic() > deadline:
                self.kill()
                raise Failure(f"{self.name} had not ended after {seconds} s\n{self.seen()}")
            time.sleep(LOOK_SECONDS)
        if self.code != 0:
            raise Failure(f"{self.name} ended with {self.code}\n{self.seen()}")
        return self.usage

    def stop(self, seconds=30):
        """SIGTERM, and SIGKILL where that takes too long."""
        self._end(signal.SIGTERM, seconds)
        self.kill()

    def kill(self):
        self._end(signal.SIGKILL, 30)

    def _end(self, number, seconds):
        if not self.look():
            return
        os.kill(self.pid, number)
        deadline = time.monotonic() + seconds
        while self.look() and time.monotonic() < deadline:
            time.sleep(LOOK_SECONDS)

    def output(self):
        return self.log.read_text(errors="replace")

    def seen(self):
        return f"--- {self.log}\n{tail(self.log)}"


def finish_all(processes, seconds):
    """Process.finish of several that run at once: all are looked at meanwhile, as /proc has nothing of one that has ended."""
    deadline = time.monotonic() + seconds
    while any([process.look() for process in processes]) and time.monotonic() < deadline:
        time.sleep(LOOK_SECONDS)
    return [process.finish(max(deadline - time.monotonic(), 0)) for process in processes]
