# SPDX-License-Identifier: BSD-3-Clause
"""The test's side of failinject.c.

An Injector owns the control file of one server process: env() is what that
process is started with, arm() chooses the call that fails, disarm() says how
often it did.  The layout is struct fail_control of failinject.c; the names of
the calls come from the library.
"""

import mmap
import os
import struct
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
PAGE = 4096
CALL, ERROR, NTH, REPEAT, SEEN, FIRED = 0, 4, 8, 16, 24, 32
STUCK_PORT, STUCK_CLOSED, STUCK_REPORTS = 40, 44, 48
COUNTS, NAMES = 56, 312
CALLS_MAX, NAME_BYTES = 32, 16
DELAY_US = NAMES + CALLS_MAX * NAME_BYTES
ONLY, ONLY_BYTES = DELAY_US + 4, 32
ARMS = ONLY + ONLY_BYTES
FOREVER = 1 << 62
HOLD_US = 300 * 1000000


def library_path():
    """The built library: FAILINJECT, else where a plain build leaves it."""
    return os.environ.get("FAILINJECT", os.path.join(
        ROOT, "build", "release", "tests", "fault", "libfailinject.so"))


def preload_env():
    """Preloads the library; a sanitizer may not insist on being first."""
    path = library_path()
    assert os.path.exists(path), "no library at %s: set FAILINJECT" % path
    options = [o for o in [os.environ.get("ASAN_OPTIONS")] if o]
    options.append("verify_asan_link_order=0")
    return {"LD_PRELOAD": path, "ASAN_OPTIONS": ":".join(options)}


def startup_env(call, nth, error, repeat=1):
    """A failure armed from the first instruction of the server."""
    return dict(preload_env(), FAIL_CALL=call, FAIL_NTH=str(nth),
                FAIL_ERRNO=str(error), FAIL_REPEAT=str(repeat))


class Injector:
    def __init__(self):
        handle, self.path = tempfile.mkstemp(prefix="dozo-fault-")
        os.write(handle, bytes(PAGE))
        os.fchmod(handle, 0o666)
        self.page = mmap.mmap(handle, PAGE)
        os.close(handle)

    def close(self):
        self.page.close()
        os.unlink(self.path)

    def env(self):
        return dict(preload_env(), FAIL_CONTROL=self.path)

    def put(self, at, form, value):
        struct.pack_into(form, self.page, at, value)

    def get(self, at, form):
        return struct.unpack_from(form, self.page, at)[0]

    def number(self, call):
        for i in range(CALLS_MAX):
            raw = self.page[NAMES + i * NAME_BYTES:][:NAME_BYTES]
            if raw.rstrip(b"\0").decode() == call:
                return i
        raise KeyError("the library does not know %r" % call)

    def arm(self, call, nth, error, repeat=1, only="", delay_us=0):
        """only: files with that in their name; error 0: they are slow, for
        delay_us or until it is armed anew or disarmed."""
        self.put(CALL, "=I", 0)
        self.put(ONLY, "=%ds" % ONLY_BYTES, only.encode())
        self.put(DELAY_US, "=I", delay_us)
        self.put(ERROR, "=I", error)
        self.put(NTH, "=Q", nth)
        self.put(REPEAT, "=Q", repeat)
        self.put(SEEN, "=Q", 0)
        self.put(FIRED, "=Q", 0)
        self.put(ARMS, "=I", self.get(ARMS, "=I") + 1)
        self.put(CALL, "=I", self.number(call))

    def hold(self, call, only=""):
        """Each such call waits until it is let go: by disarm()."""
        self.arm(call, 1, 0, FOREVER, only, HOLD_US)

    def disarm(self):
        self.put(CALL, "=I", 0)
        return self.get(FIRED, "=Q")

    def count(self, call):
        return self.get(COUNTS + 8 * self.number(call), "=Q")

    def stick(self, port):
        """The next connection from this port joins its loop to be stuck."""
        self.put(STUCK_CLOSED, "=I", 0)
        self.put(STUCK_REPORTS, "=Q", 0)
        self.put(STUCK_PORT, "=I", port)

    def stuck(self):
        """(reports given, descriptor closed)"""
        return (self.get(STUCK_REPORTS, "=Q"), self.get(STUCK_CLOSED, "=I"))
