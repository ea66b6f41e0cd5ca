# SPDX-License-Identifier: BSD-3-Clause
"""Fixtures of the fault tests: a server that has the injector in it.

FAULT_TARGET=memcached points the tests at Debian's memcached instead, to try
the tests themselves; they are written for dozo.
"""

import os
import sys

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "wire"))

import injector  # noqa: E402  (the paths are set above)
import server  # noqa: E402


class Target:
    """One server process and the injector inside of it."""

    def __init__(self, binary, flags):
        self.injector = injector.Injector()
        try:
            self.server = server.Server(
                os.environ.get("FAULT_TARGET", "dozo"), flags, binary=binary,
                env=self.injector.env())
        except BaseException:
            self.injector.close()
            raise
        self.connections = self.stat("curr_connections")
        self.descriptors = self.count_descriptors()

    def stat(self, name, what=""):
        with self.server.connect() as conn:
            return int(conn.stats(what)[name])

    def count_descriptors(self):
        return len(os.listdir("/proc/%d/fd" % self.server.pid))

    def stop(self):
        try:
            self.injector.disarm()
            self.server.stop()
        finally:
            self.server.kill()
            self.injector.close()


@pytest.fixture
def target():
    """Starts a server with the injector: target(*flags, binary=None)."""
    started = []

    def start(*flags, binary=None):
        one = Target(binary, flags)
        started.append(one)
        return one

    yield start
    for one in started:
        one.stop()
