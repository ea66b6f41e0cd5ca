# SPDX-License-Identifier: BSD-3-Clause
"""The n-th call fails, for every n, until a run passes without a failure.

While a call fails each reply is right, or a defined error, or the connection
is closed; no session is left without either.  Afterwards the server is what
it was: it serves a fresh client, its descriptors and curr_connections are
back where they began.
"""

import errno
import os
import socket
import time

import pytest

import injector
import server
import workload

SETTLE_S = 60.0  # only a failure waits as long as that
# A sweep tries every n up to here, then each step grows by an eighth.
EVERY = int(os.environ.get("SWEEP_EVERY", "40"))
FLAGS = ("-t", "2", "-m", "64")


def steps(every=EVERY):
    n = 1
    while True:
        yield n
        n += 1 if n < every else max(1, n // 8)


def settled(target):
    """Waits until nothing of the last run is left, or says what is."""
    deadline = time.monotonic() + SETTLE_S
    while True:
        target.server.check()
        found = (target.stat("curr_connections"), target.count_descriptors())
        if found == (target.connections, target.descriptors):
            return
        if time.monotonic() > deadline:
            raise AssertionError(
                "connections %d -> %d, descriptors %d -> %d" % (
                    target.connections, found[0], target.descriptors,
                    found[1]))
        time.sleep(0.005)


def sweep(target, call, error, repeat=1, strict=False, every=EVERY,
          evicts=False):
    """Runs the workload for each n; the number of n that failed something.

    strict: the failure is one that no client may notice.
    evicts: for want of memory the server may have given up other items.
    """
    address = target.server.address
    starved = call in ("alloc", "mmap")
    for passes, n in enumerate(steps(every)):
        target.injector.arm(call, n, error, repeat)
        where = "%s number %d of %s" % (errno.errorcode[error], n, call)
        try:
            work = workload.Workload(address, evicts, starved).whole()
        except (AssertionError, OSError) as wrong:
            target.injector.disarm()
            target.server.check()
            raise AssertionError("%s: %s" % (where, wrong)) from wrong
        fired = target.injector.disarm()
        try:
            settled(target)
            calm = workload.Workload(address).whole()
        except (AssertionError, OSError) as wrong:
            raise AssertionError("after %s: %s" % (where, wrong)) from wrong
        assert calm.errors + calm.closes == 0, "after %s" % where
        if strict or fired == 0:
            assert work.errors + work.closes == 0, where
        if fired == 0:
            return passes
    raise AssertionError("unreachable")


# Failures of calls that a session may answer with an error or a close.
LOUD = [
    ("alloc", errno.ENOMEM, 1),
    ("alloc", errno.ENOMEM, injector.FOREVER),
    ("mmap", errno.ENOMEM, 1),
    ("recv", errno.ECONNRESET, 1),
    ("recv", errno.ENOMEM, 1),
    ("send", errno.EPIPE, 1),
    ("send", errno.ECONNRESET, 2),
    ("send", errno.ENOBUFS, 1),
    ("epoll_ctl", errno.ENOSPC, 1),
    ("epoll_ctl", errno.ENOMEM, 1),
    ("socket", errno.EMFILE, 1),
]

# Failures that pass by without a client noticing.
QUIET = [
    ("recv", errno.EINTR, 1),
    ("send", errno.EINTR, 1),
    ("epoll_wait", errno.EINTR, 1),
    ("accept", errno.EMFILE, 1),
    ("accept", errno.ENFILE, 1),
    ("accept", errno.ENOMEM, 1),
    ("accept", errno.ENOBUFS, 1),
    ("accept", errno.ECONNABORTED, 1),
    ("accept", errno.EPROTO, 1),
    ("accept", errno.EINTR, 1),
    ("accept", errno.EPERM, 1),
]

# Without these the sweep would have tried nothing.
SURE = {"recv", "send", "epoll_wait", "accept", "epoll_ctl"}


def name_of(case):
    call, error, repeat = case
    return "%s-%s%s" % (call, errno.errorcode[error],
                        "" if repeat == 1 else "-%s" % (
                            "on" if repeat == injector.FOREVER else repeat))


@pytest.mark.parametrize("case", LOUD, ids=name_of)
def test_defined_answer_or_close(target, case):
    call, error, repeat = case
    tried = sweep(target(*FLAGS), call, error, repeat,
                  evicts=call in ("alloc", "mmap"))
    assert tried > 0 or call not in SURE


@pytest.mark.parametrize("call", ["alloc", "mmap"])
def test_without_eviction_what_is_stored_stays(target, call):
    """-M: want of memory is an error to the one, never a loss to another."""
    sweep(target("-M", *FLAGS), call, errno.ENOMEM)


@pytest.mark.parametrize("case", QUIET, ids=name_of)
def test_no_client_notices(target, case):
    call, error, repeat = case
    tried = sweep(target(*FLAGS), call, error, repeat, strict=True)
    assert tried > 0 or call not in SURE


# ---- under the address sanitizer: errors leak what is tested least --------

@pytest.mark.parametrize("call, error", [
    ("alloc", errno.ENOMEM), ("recv", errno.ECONNRESET),
    ("send", errno.EPIPE), ("epoll_ctl", errno.ENOSPC)])
def test_no_leak_on_error_paths(target, call, error):
    """The graceful end of the server (by the fixture) looks for leaks."""
    binary = os.environ.get("DOZO_ASAN")
    assert binary, "DOZO_ASAN names the build with the address sanitizer"
    tried = sweep(target(*FLAGS, binary=binary), call, error, every=10)
    assert tried > 0 or call not in SURE


# ---- failures at start ------------------------------------------------------

STARTUP = [
    ("alloc", errno.ENOMEM), ("mmap", errno.ENOMEM),
    ("socket", errno.EMFILE), ("bind", errno.EACCES),
    ("listen", errno.EACCES), ("epoll_create", errno.EMFILE),
    ("epoll_ctl", errno.ENOMEM), ("eventfd", errno.EMFILE),
    ("timerfd", errno.EMFILE), ("thread", errno.EAGAIN),
    ("signalfd", errno.EMFILE), ("getrandom", errno.ENOSYS)]


def serves(one):
    """An answer, sooner or later; or the process ends.  The first client may
    be the one that pays for the failure."""
    deadline = time.monotonic() + server.STOP_S
    while one.running() and time.monotonic() < deadline:
        try:
            with one.connect() as conn:
                if conn.ask(b"version\r\n").startswith(b"VERSION "):
                    return True
        except ConnectionError:
            pass
        time.sleep(0.01)
    return False


def start_once(env):
    """(exit status or None if it serves, what it said)"""
    one = server.Server(os.environ.get("FAULT_TARGET", "dozo"), FLAGS,
                        env=env, wait=False)
    try:
        try:
            one.ready()
        except server.Died:
            return one.process.returncode, one.stderr()
        if not serves(one):
            return one.wait(), one.stderr()
        one.stop()
        return None, one.stderr()
    finally:
        one.kill()


@pytest.mark.parametrize("call, error", STARTUP, ids=lambda v: str(v))
def test_start_fails_with_a_word_or_serves(target, call, error):
    """Either it ends with a status and a reason, or it serves: no hang, no
    signal, no silence."""
    last = target(*FLAGS).injector.count(call)
    refused = 0
    for n in steps(12):
        if n > last:
            break
        status, said = start_once(injector.startup_env(call, n, error))
        where = "%s number %d of %d at start" % (call, n, last)
        if status is None:
            continue
        refused += 1
        assert status > 0, "%s: ended with %d: %s" % (where, status, said)
        assert said.strip(), "%s: status %d without a word" % (where, status)
    if call in ("socket", "bind", "listen", "epoll_create", "thread"):
        assert refused > 0, "of %d none mattered" % last


# ---- descriptors run out ----------------------------------------------------

def turns_of(one):
    """How often it has asked the kernel for something to do."""
    return sum(map(one.injector.count, ("epoll_wait", "accept")))


@pytest.mark.parametrize("error", [errno.EMFILE, errno.ENFILE],
                         ids=["EMFILE", "ENFILE"])
def test_accept_out_of_descriptors_does_not_spin(target, error):
    """A second without descriptors: clients wait, the processor rests, the
    ones already connected are served, and then all are."""
    one = target(*FLAGS)
    with one.server.connect() as old:
        assert old.ask(b"version\r\n").startswith(b"VERSION ")
        one.injector.arm("accept", 1, error, injector.FOREVER)
        with one.server.connect() as waiting:
            waiting.send(b"version\r\n")
            began, turns = time.monotonic(), turns_of(one)
            while time.monotonic() - began < 1.0:
                assert old.ask(b"mn\r\n") == b"MN\r\n"
                time.sleep(0.05)
            rate = (turns_of(one) - turns) / (time.monotonic() - began)
            assert one.injector.disarm() > 0
            assert rate < 1000, "%.0f turns a second" % rate
            assert waiting.until(b"\r\n").startswith(b"VERSION ")
    settled(one)


# ---- a descriptor that always reports an error ------------------------------

def test_stuck_descriptor_is_closed_by_the_guard(target):
    one = target(*FLAGS)
    before = one.stat("loop_guard_closed", "dozo")
    sock, port = workload.source_socket()
    with sock:
        one.injector.stick(port)
        sock.connect(one.server.address)
        assert sock.recv(100) == b"", "closed without a word"
    reports, closed = one.injector.stuck()
    assert reports > 0 and closed == 1
    assert one.stat("loop_guard_closed", "dozo") == before + 1
    settled(one)


def test_injector_is_inside(target):
    """The sweeps mean something: the server's calls go through the library."""
    one = target(*FLAGS)
    workload.Workload(one.server.address).whole()
    for call in SURE | {"alloc", "socket", "bind", "listen", "thread"}:
        assert one.injector.count(call) > 0, call


def test_workload_sees_silence():
    """The workload itself: a server that never answers is found."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(8)
        work = workload.Workload(listener.getsockname())
        old, workload.DEADLINE_S = workload.DEADLINE_S, 0.2
        try:
            with pytest.raises(workload.Wrong):
                work.whole()
        finally:
            workload.DEADLINE_S = old
