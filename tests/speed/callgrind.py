# SPDX-License-Identifier: BSD-3-Clause
"""A server under valgrind's callgrind, and the reading of what it counted.

The counters are per thread.  callgrind writes those of a thread to a file and
sets them to 0 each time that thread enters handle_version(), so a client that
asks for the version cuts the work of its worker into slices, at the same
instruction each time; no signal and no second process is needed for that.

A Slice holds the instructions that the worker executed in user space, by
function, the C library's included.  callgrind_annotate takes the whole of a
thread's file for the thread's first function, therefore the files are read
here.  Their format is told in valgrind's manual, "Callgrind Format
Specification".
"""

import glob
import os
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "wire"))

import server  # noqa: E402  (the path is set above)

CUT_AT = "handle_version"

# What the C library copies and searches with depends on the processor. Of
# these it shall use none, so that a count holds for every x86-64.
SAME_ON_ALL = "glibc.cpu.hwcaps=" + ",".join("-" + name for name in (
    "AVX", "AVX2", "AVX512F", "AVX512VL", "AVX512BW", "BMI1", "BMI2", "ERMS",
    "FSRM", "MOVBE", "LZCNT", "POPCNT", "SSSE3", "SSE4_1", "SSE4_2", "RTM",
    "AVX_Fast_Unaligned_Load", "Fast_Unaligned_Copy"))

NAMED = re.compile(r"\((\d+)\)(?: (.*))?$")


class Slice:
    """What one thread did between two cuts: {function: instructions}."""

    def __init__(self, path):
        self.functions = {}
        self.total = 0
        names = {}
        function = None
        inclusive = False
        with open(path, encoding="utf-8", errors="replace") as file:
            for line in file:
                if line.startswith(("fn=", "cfn=")):
                    number, name = NAMED.search(line.strip()).groups()
                    if name is not None:
                        names[number] = name
                    if line[0] == "f":
                        function = names[number]
                elif line.startswith("calls="):
                    inclusive = True  # the next line counts for the callee
                elif line.startswith("totals: "):
                    self.total = int(line.split()[1])
                elif line[0] in "+-*0123456789":
                    if not inclusive:
                        cost = int(line.split()[1])
                        self.functions[function] = \
                            self.functions.get(function, 0) + cost
                    inclusive = False
        if self.total != sum(self.functions.values()):
            raise AssertionError("%s: %d instructions in all, %d read" % (
                path, self.total, sum(self.functions.values())))

    def top(self, count):
        """The most expensive functions, dearest first."""
        return sorted(self.functions.items(), key=lambda one: -one[1])[:count]


class CountedServer:
    """One dozo with one worker under callgrind, and one connection to it."""

    def __init__(self, flags, folder):
        os.makedirs(folder, exist_ok=True)
        for old in glob.glob(os.path.join(folder, "out*")):
            os.unlink(old)
        self.out = os.path.join(folder, "out")
        self.cuts = 0
        wrapper = os.path.join(folder, "dozo")
        with open(wrapper, "w", encoding="ascii") as file:
            file.write(
                "#!/bin/sh\nexec valgrind -q --tool=callgrind"
                " --separate-threads=yes --dump-before=%s"
                " --callgrind-out-file='%s' '%s' \"$@\"\n"
                % (CUT_AT, self.out, server.dozo_path()))
        os.chmod(wrapper, 0o755)
        self.server = server.Server(
            "dozo", ("-t", "1") + tuple(flags),
            binary=wrapper, env={"GLIBC_TUNABLES": SAME_ON_ALL})
        self.conn = self.server.connect(timeout_s=60)

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.conn.close()
        self.server.kill()

    def exchange(self, request, expected):
        """One send, and exactly the expected reply."""
        self.conn.sock.sendall(request)
        got = self.conn.read(len(expected))
        if got != expected:
            raise AssertionError("%r was answered %r and not %r" % (
                request[:100], got[:200], expected[:200]))

    def cut(self):
        """Ends a slice and begins the next one; what it held."""
        self.conn.ask(b"version\r\n")
        self.cuts += 1
        found = glob.glob("%s.%d-*" % (self.out, self.cuts))
        if len(found) != 1:
            raise AssertionError(
                "callgrind has not seen %s() being entered: %d files"
                % (CUT_AT, len(found)))
        return Slice(found[0])
