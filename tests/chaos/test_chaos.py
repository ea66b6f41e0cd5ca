# SPDX-License-Identifier: BSD-3-Clause
"""Ill-treats a running server with the programs of this folder.

Each test starts one server, lets one program at it, and ends the server,
which must have lived and must leave with status 0.  What a program demands
is told in the first comment of its source.

STORM_SECONDS, SOAK_SECONDS and RESETS lengthen the runs; CHAOS_SEED chooses
other ones; CHAOS_TARGET=memcached tries the programs on Debian's memcached.
"""

import contextlib
import ctypes
import os
import subprocess
import sys
import time

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "wire"))

import server  # noqa: E402  (the path is set above)

BIN = os.environ.get("CHAOS_BIN", os.path.join(
    ROOT, "build", "release", "tests", "chaos"))
# Both behaviours at the limit share the time.
STORM_S = int(os.environ.get("STORM_SECONDS", "50")) // 2
SOAK_S = int(os.environ.get("SOAK_SECONDS", "20"))
RESETS = int(os.environ.get("RESETS", "5000"))
SEED = os.environ.get("CHAOS_SEED", str(time.time_ns() % 1000000))

# The command line of the server that once ended silently; its limit of
# 40,720 connections is scaled to what an ordinary descriptor limit allows.
LIMIT = 2000
STORM_FLAGS = ("-u", "nobody", "-m", "16000", "-c", str(LIMIT), "-C",
               "-t", "4", "-b", "4096")


@contextlib.contextmanager
def no_huge_pages():
    """Processes that are started meanwhile get none, whatever the machine's
    settings are: memory that only seems to grow, since pages were made large
    of what was not in use, would be taken for a leak.  A kernel without them
    refuses, and that is as good."""
    prctl = ctypes.CDLL(None).prctl
    disable = 41  # PR_SET_THP_DISABLE
    prctl(disable, 1, 0, 0, 0)
    try:
        yield
    finally:
        prctl(disable, 0, 0, 0, 0)


def chaos(program, flags, timeout_s, **arguments):
    """Starts a server, runs a program against it, ends the server."""
    with no_huge_pages():
        one = server.Server(os.environ.get("CHAOS_TARGET", "dozo"), flags)
    try:
        words = [os.path.join(BIN, program), "--port", str(one.port),
                 "--pid", str(one.pid)]
        for name, value in arguments.items():
            words += ["--" + name.replace("_", "-"), str(value)]
        done = subprocess.run(words, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=timeout_s,
                              check=False)
        said = done.stdout.decode("utf-8", "backslashreplace")
        print(" ".join(words))
        print(said)
        one.check()
        assert done.returncode == 0, "status %d, %s" % (
            done.returncode,
            [line for line in said.splitlines() if "FAILED" in line])
        one.stop()
    finally:
        one.kill()


@pytest.mark.parametrize("behaviour", ["maxconns_fast", "no_maxconns_fast"])
def test_connection_storm(behaviour):
    chaos("storm", STORM_FLAGS + ("-o", behaviour), STORM_S + 200,
          seconds=STORM_S, limit=LIMIT, seed=SEED,
          wait=int(behaviour == "no_maxconns_fast"))


def test_resets_leave_no_spinning():
    chaos("reset", ("-c", "2000", "-m", "256"), 200 + RESETS // 20,
          resets=RESETS)


def test_slow_clients_are_not_felt():
    chaos("slow", ("-c", "2000", "-m", "64"), 300, seconds=8, limit_mb=64)


def test_soak():
    """A short run may end its warm-up not quite full."""
    chaos("soak", ("-c", "2000", "-m", "64"), SOAK_S + 300,
          seconds=SOAK_S, seed=SEED, growth=20 if SOAK_S < 120 else 10)
