# SPDX-License-Identifier: BSD-3-Clause
"""Files that fail or are slow, under a server that keeps its data.

The calls are made to fail by failinject.c inside of the server; holdback.c
makes what was not synced go with the process, so that a kill shows what a
loss of power would.

With KILLS above 20 (`make kills`) more of the calls fail, one after the other.
"""

import errno
import os
import signal
import sys
import threading
import time

import pytest

import test_chaos  # sets the path
import keepkit

sys.path.insert(0, os.path.join(test_chaos.ROOT, "tests", "fault"))

import injector  # noqa: E402  (the path is set above)

KILLS = int(os.environ.get("KILLS", "20"))
FLAGS = ("-m", "64", "-M", "-t", "2")
READ_ONLY = b"SERVER_ERROR read-only"
NTHS = (1,) if KILLS <= 20 else (1, 2, 3, 4, 6, 9, 13)


class Faulty(keepkit.Keep):
    """A Keep whose servers have the injector in them."""

    def __init__(self, *flags, hold=False, **options):
        super().__init__(*FLAGS, *flags, **options)
        self.hold = hold
        self.injector = None

    def start(self, *flags, **options):
        self.release()
        self.injector = injector.Injector()
        env = self.injector.env()
        if self.hold:
            env["LD_PRELOAD"] += ":" + os.path.join(os.path.dirname(
                injector.library_path()), "libholdback.so")
        return super().start(*flags, env=env, **options)

    def release(self):
        if self.injector is not None:
            self.injector.close()
            self.injector = None

    def __exit__(self, *arguments):
        try:
            if self.injector is not None:
                self.injector.disarm()
            super().__exit__(*arguments)
        finally:
            self.release()

    def arm(self, *arguments, **options):
        self.injector.arm(*arguments, **options)


class Writer:
    """Stores one key after the other; knows what was acknowledged."""

    def __init__(self, prefix=b"w"):
        self.prefix = prefix
        self.stored = {}
        self.number = 0
        self.refused = self.closed = 0
        self.conn = None

    def step(self, one):
        """One set: True if it is acknowledged."""
        self.number += 1
        key = b"%s%06d" % (self.prefix, self.number)
        value = b"%d:%s" % (self.number, b"x" * 200)
        if self.conn is None:
            self.conn = one.connect()
        self.conn.send(b"set %s 0 0 %d\r\n%s\r\n" % (key, len(value), value))
        line = self.conn.line()
        if line == b"STORED\r\n":
            self.stored[key] = value
            return True
        if line == b"":
            self.closed += 1
            self.conn.close()
            self.conn = None
        else:
            assert line.startswith(READ_ONLY), line
            self.refused += 1
        return False

    def steps(self, one, count):
        """So many that are acknowledged, whatever happens in between."""
        deadline = time.monotonic() + keepkit.WAIT_S
        done = 0
        while done < count:
            assert time.monotonic() < deadline, "%d stored, %d closed" % (
                done, self.closed)
            if self.step(one):
                done += 1
            else:
                time.sleep(0.01)  # not to spin while it is read-only

    def check(self, one):
        keepkit.check_values(one, self.stored)
        if self.conn is not None:
            self.conn.close()
            self.conn = None


def running(one):
    keepkit.await_stat(one, "journal_state", lambda s: s == "running", "dozo")
    keepkit.await_stat(one, "read_only", lambda on: on == 0)


# ---- calls that fail --------------------------------------------------------

# What fails, with what, which files, and whether a client may notice.
FAILURES = [
    ("pwrite", errno.EIO, "journal-"),
    ("pwrite", errno.ENOSPC, "journal-"),
    ("pwrite", errno.EIO, "snapshot-"),
    ("fdatasync", errno.EIO, "journal-"),
    ("fdatasync", errno.EIO, "snapshot-"),
    ("fdatasync", errno.ENOSPC, "journal-"),
    ("openat", errno.EMFILE, "journal-"),
    ("openat", errno.ENOSPC, "snapshot-"),
    ("rename", errno.EIO, "journal-"),
    ("rename", errno.EIO, "snapshot-"),
    ("fsync", errno.EIO, ""),
    ("unlink", errno.EIO, ""),
]


def name_of(case):
    return "%s-%s-%s" % (case[0], errno.errorcode[case[1]], case[2] or "any")


def snapshots_told(one):
    """How many have been taken or have failed."""
    with one.connect() as conn:
        stats = conn.stats()
    return int(stats["snapshots"]) + int(stats["snapshot_errors"])


def ask_snapshot(one):
    """And waits for its end, if it begins: it may fail, or not begin."""
    before = snapshots_told(one)
    with one.connect() as conn:
        reply = conn.ask(b"snapshot\r\n")
    assert reply[:4] in (b"OK\r\n", b"BUSY"), reply
    if reply[:2] == b"OK":
        keepkit.await_true("a snapshot ends", lambda: (
            snapshots_told(one) > before))


def fail_once(keep, writer, case, nth):
    """One life: the nth call fails under load.  How often it did."""
    call, error, only = case
    one = keep.start()
    writer.steps(one, 20)
    keep.arm(call, nth, error, only=only)
    for _ in range(2):
        writer.steps(one, 200)
        ask_snapshot(one)
    writer.steps(one, 200)
    fired = keep.injector.disarm()
    running(one)
    last = keepkit.stat(one, "lsn", "dozo")
    if "--fsync=everysec" in keep.flags:
        # What the journal had not synced may be lost by policy.
        keepkit.await_stat(one, "journal_synced_lsn",
                           lambda lsn: lsn >= last, "dozo")
    writer.check(one)
    keep.kill()
    return fired


@pytest.mark.parametrize("fsync, case", [
    ("always", case) for case in FAILURES] + [
    ("everysec", case) for case in FAILURES[:1] + FAILURES[3:4]],
    ids=lambda value: value if isinstance(value, str) else name_of(value))
def test_nth_call_fails(fsync, case):
    """The n-th call of a kind fails, once: with `always` nothing
    acknowledged is lost by a loss of power right behind it, and in any case
    the server goes on by itself."""
    writer = Writer()
    with Faulty("--fsync=" + fsync, "--journal-size=64k", hold=True) as keep:
        fired = sum(fail_once(keep, writer, case, nth) for nth in NTHS)
        one = keep.start()
        writer.check(one)
        writer.steps(one, 20)
        keep.stop()
    print("%s: %d failures, %d closed, %d refused, %d stored" % (
        name_of(case), fired, writer.closed, writer.refused,
        len(writer.stored)))
    assert fired > 0


def test_a_sync_that_failed_is_final():
    """With `always`: no reply is ever sent for what such a sync was to make
    durable; its connection ends.  Writes are refused until a snapshot stands,
    reads are answered, and then all goes on."""
    with Faulty("--fsync=always", hold=True) as keep:
        one = keep.start()
        writer = Writer()
        writer.steps(one, 50)
        snapshots = keepkit.stat(one, "snapshots")
        keep.arm("fdatasync", 1, errno.EIO, repeat=injector.FOREVER)
        assert writer.step(one) is False
        assert writer.closed == 1
        keepkit.await_stat(one, "journal_state", lambda s: s == "distrust",
                           "dozo")
        with one.connect() as conn:
            assert conn.stats()["read_only"] == "1"
            assert conn.ask(b"set a 0 0 1\r\nx\r\n").startswith(READ_ONLY)
            assert keepkit.mg(conn, b"w000001") is not None
            errors = int(conn.stats()["journal_errors"])
        keepkit.await_stat(one, "journal_errors", lambda n: n > errors)
        assert keep.injector.disarm() > 1
        running(one)
        assert keepkit.stat(one, "snapshots") > snapshots
        writer.steps(one, 50)
        writer.check(one)
        keep.kill()
        writer.check(keep.start())


def test_an_unacknowledged_write_may_be_there():
    """It was executed and its reply was never sent: after the recovery of
    the journal it is durable like everything else, or gone, but the same
    before and after a crash once it was read."""
    with Faulty("--fsync=always", hold=True) as keep:
        one = keep.start()
        Writer().steps(one, 5)
        keep.arm("fdatasync", 1, errno.EIO, only="journal-")
        with one.connect() as conn:
            conn.send(b"set unsure 0 0 1\r\nx\r\n")
            assert conn.line() == b""
        keep.injector.disarm()
        running(one)
        with one.connect() as conn:
            before = keepkit.mg(conn, b"unsure")
        keep.kill()
        with keep.start().connect() as conn:
            after = keepkit.mg(conn, b"unsure")
        assert (before is None) == (after is None)


# ---- group commit -----------------------------------------------------------

def execute_all(one, conns, sets):
    """A set on each; waits until all have been executed, so many by then."""
    for at, conn in enumerate(conns):
        conn.send(b"set c%d 0 0 10\r\n%010d\r\n" % (at, sets))
    keepkit.await_stat(one, "cmd_set", lambda now: now >= sets)


def stored_all(conns):
    for conn in conns:
        assert conn.line() == b"STORED\r\n"


def syncs_since(one, before, least):
    """How many, once there are so many: a sync is counted when it is told."""
    return keepkit.await_stat(one, "journal_syncs",
                              lambda now: now >= before + least,
                              "dozo") - before


def test_group_commit():
    """64 connections that each wait for their reply share the syncs; one
    that is alone has each to itself."""
    many, rounds, alone = 64, 10, 60
    with Faulty("--fsync=always", "-t", "4", hold=True) as keep:
        one = keep.start()
        conns = [one.connect() for _ in range(many)]
        before = keepkit.stat(one, "journal_syncs", "dozo")
        for number in range(rounds):
            # The first is synced by itself; it is held up till all are there.
            keep.injector.hold("fdatasync", only="journal-")
            execute_all(one, conns, (number + 1) * many)
            assert conns[-1].quiet()
            keep.injector.disarm()
            stored_all(conns)
        syncs = syncs_since(one, before, rounds)
        print("64 connections: %d writes, %d syncs" % (many * rounds, syncs))
        assert syncs <= 4 * rounds
        before += syncs
        for number in range(alone):
            conns[0].send(b"set c 0 0 1\r\nx\r\n")
            stored_all(conns[:1])
        # The last of the rounds may have been counted late.
        syncs = syncs_since(one, before, alone)
        assert syncs <= alone + 20, syncs
        for conn in conns:
            conn.close()


def served(one, number=20):
    """All workers have turned, so that what was sent before has arrived."""
    for _ in range(number):
        with one.connect() as conn:
            assert conn.ask(b"mn\r\n") == b"MN\r\n"


def test_reads_do_not_wait_for_syncs():
    """A sync is held up; what depends on nothing of it is answered, and what
    does is not."""
    with Faulty("--fsync=always") as keep:
        one = keep.start()
        with one.connect() as writer, one.connect() as reader, \
                one.connect() as other:
            keepkit.ms(writer, b"old", b"x")
            keep.injector.hold("fdatasync")
            writer.send(b"set new 0 0 1\r\nx\r\n")
            for _ in range(200):
                assert keepkit.mg(reader, b"old")["v"] == b"x"
                assert keepkit.mg(reader, b"none") is None
            keepkit.await_true("it is executed", lambda: keepkit.stat(
                one, "cmd_set") >= 2)
            # Who sees the new value waits until it is durable (R2).
            other.send(b"mg new v\r\n")
            served(one)
            assert writer.quiet() and other.quiet()
            assert keepkit.mg(reader, b"old")["v"] == b"x"
            keep.injector.disarm()
            assert writer.line() == b"STORED\r\n"
            assert other.line() + other.line() == b"VA 1\r\nx\r\n"
            # And so does who sees that it is gone.
            keep.injector.hold("fdatasync")
            writer.send(b"delete new\r\n")
            keepkit.await_true("it is executed", lambda: keepkit.stat(
                one, "delete_hits") == 1)
            other.send(b"mg new v\r\n")
            served(one)
            assert writer.quiet() and other.quiet()
            assert keepkit.mg(reader, b"old")["v"] == b"x"
            keep.injector.disarm()
            assert writer.line() == b"DELETED\r\n"
            assert other.line() == b"EN\r\n"


# ---- a slow disk ------------------------------------------------------------

class Senders:
    """Sets from four connections, sent by a thread for each, since a server
    that waits for its disk takes no more."""

    def __init__(self, one, count, size):
        self.each = count // 4
        self.conns = [one.connect(keepkit.WAIT_S) for _ in range(4)]
        self.threads = [threading.Thread(target=self.send,
                                         args=(at, size), daemon=True)
                        for at in range(4)]
        for thread in self.threads:
            thread.start()

    def send(self, at, size):
        for number in range(self.each):
            self.conns[at].send(b"set k%d-%d 0 0 %d\r\n%s\r\n" % (
                at, number, size, b"v" * size))

    def finish(self):
        for conn in self.conns:
            for _ in range(self.each):
                assert conn.line() == b"STORED\r\n"
        for thread in self.threads:
            thread.join()
        for conn in self.conns:
            conn.close()


@pytest.mark.parametrize("fsync", ["always", "everysec", "never"])
def test_writers_wait_for_a_slow_disk_and_readers_do_not(fsync):
    """No write ends, and more comes than the window of 1 MiB holds: readers
    go on.  Then each takes 100 ms: memory does not grow, and in the end all
    is there."""
    size, count = 50000, 400
    with Faulty("--fsync=" + fsync, "--log-window=1m") as keep:
        one = keep.start("-t", "4")
        with one.connect() as reader:
            keepkit.ms(reader, b"old", b"x")
            keep.injector.hold("pwrite")
            senders = Senders(one, count, size)
            keepkit.await_stat(one, "log_waits", lambda n: n > 0, "dozo")
            held = keepkit.stat(one, "cmd_set")
            for _ in range(200):
                assert keepkit.mg(reader, b"old") is not None
            keep.arm("pwrite", 1, 0, injector.FOREVER, delay_us=100000)
            began = time.monotonic()
            highest = 0
            while keepkit.stat(one, "cmd_set") <= count:
                highest = max(highest, keepkit.stat(
                    one, "log_waiting_bytes", "dozo"))
                assert keepkit.mg(reader, b"old") is not None
                assert time.monotonic() < began + keepkit.WAIT_S
        senders.finish()
        spent = time.monotonic() - began
        keep.injector.disarm()
        print("%.1f s, %d sets while it was held up, %d bytes waiting at "
              "most" % (spent, held, highest))
        assert held * size <= 2 * 1048576 + size
        assert 0 < highest <= 2 * 1048576 + size
        assert spent > size * (count - held) / 2 / 1048576 * 0.1
        last = keepkit.stat(one, "lsn", "dozo")
        keepkit.await_stat(one, "journal_written_lsn",
                           lambda lsn: lsn >= last, "dozo")
        keep.kill()
        with keep.start().connect() as conn:
            assert int(conn.stats()["curr_items"]) == count + 1


def test_an_end_while_writers_wait():
    """SIGTERM with a full window and a slow disk: an orderly end."""
    with Faulty("--fsync=everysec", "--log-window=1m") as keep:
        one = keep.start()
        keep.arm("pwrite", 1, 0, injector.FOREVER, delay_us=50000)
        conn = one.connect(timeout_s=keepkit.WAIT_S)
        for number in range(100):
            conn.send(b"set k%d 0 0 50000\r\n%s\r\n" % (
                number, b"v" * 50000))
        keepkit.await_stat(one, "log_waits", lambda n: n > 0, "dozo")
        one.signal(signal.SIGTERM)
        acknowledged = conn.rest().count(b"STORED\r\n")
        conn.close()
        code = one.wait(keepkit.WAIT_S)
        assert code == 0, one.stderr()
        with keep.start().connect() as conn:
            assert acknowledged > 0
            for number in range(acknowledged):
                assert keepkit.mg(conn, b"k%d" % number) is not None


def test_an_end_waits_for_the_sync_that_runs():
    """SIGTERM while a sync is held up: who waits for it gets the reply when
    it is true, what has come since is not begun, and the end is clean."""
    with Faulty("--fsync=always") as keep:
        one = keep.start()
        conns = [one.connect() for _ in range(4)]
        keep.injector.hold("fdatasync", only="journal-")
        for number, conn in enumerate(conns):
            conn.send(b"set k%d 0 0 1\r\nx\r\n" % number)
        keepkit.await_true("all are executed", lambda: keepkit.stat(
            one, "cmd_set") == 4)
        one.signal(signal.SIGTERM)
        # Both workers say so once they stop; before, a late set is not late.
        keepkit.await_true("its workers stop", lambda: one.stderr().count(
            "wait until their changes are on disk") == 2)
        for number, conn in enumerate(conns):
            # It may be cut off from both sides by then.
            conn.send(b"set late%d 0 0 1\r\nx\r\n" % number)
        assert all(conn.quiet() for conn in conns)
        keep.injector.disarm()
        for conn in conns:
            assert conn.rest() == b"STORED\r\n"
            conn.close()
        assert one.wait(keepkit.WAIT_S) == 0, one.stderr()
        with keep.start().connect() as conn:
            assert int(conn.stats()["curr_items"]) == 4


@pytest.mark.parametrize("words", [
    ["-s", "socket", "-p", "0", "-U", "0", "-e"],
    ["restore", "--to-lsn", "1", "--archive", ".", "--into"]],
    ids=["server", "restore"])
def test_a_directory_that_may_not_last_is_not_made(
        words, tmp_path, monkeypatch):
    """Its name cannot be synced: nothing is kept in it."""
    monkeypatch.chdir(tmp_path)
    path = str(tmp_path / "new")
    status, said = keepkit.run(
        *words, path, env=injector.startup_env("fsync", 1, errno.EIO))
    assert status != 0
    assert path + ": Input/output error" in said
    assert not os.path.exists(path)


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2,
                    reason="one processor: it recovers without threads")
@pytest.mark.parametrize("nth, repeat", [(1, 1), (1, 2), (3, 2)])
def test_a_recovery_whose_threads_are_refused(nth, repeat):
    """Two read the snapshot, then two the journals; some cannot be had."""
    with keepkit.Keep(*FLAGS, "--fsync=always") as keep:
        writer = Writer()
        one = keep.start()
        writer.steps(one, 100)
        keepkit.take_snapshot(one)
        writer.steps(one, 100)
        keep.kill()
        env = injector.startup_env("thread", nth, errno.EAGAIN, repeat)
        writer.conn = None
        writer.check(keep.start(env=env))
