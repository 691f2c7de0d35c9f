"""Ports for the servers that tests start, which have to be told theirs before they bind it."""

import random
import re
import socket

TRIES = 3  # to start a server whose port somebody took in the meantime
TAKEN = re.compile(rb"already in use|in use by another|already bound")  # as Java, moto and Quarkus say it


def free_port():
    """From below the range that the kernel hands to outgoing connections, so that nobody is given it before the server has
    started."""
    while True:
        port = random.randint(15000, 31999)
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue


class Start:
    """The starts of one server, which writes to that log: a port for each, and whether another is worth it."""

    def __init__(self, log):
        self.log, self._tries, self._begins = log, 0, 0

    def port(self):
        """For the start that follows."""
        self._tries += 1
        self._begins = self.log.stat().st_size if self.log.exists() else 0
        return free_port()

    def again(self):
        """Whether the server, which has ended, is worth another try: only where it said that its port was taken."""
        with open(self.log, "rb") as log:
            log.seek(self._begins)
            return self._tries < TRIES and TAKEN.search(log.read()) is not None

    def anew(self):
        """It has run before: this time has all tries again."""
        self._tries = 0
