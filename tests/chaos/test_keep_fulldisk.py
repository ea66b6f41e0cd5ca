# SPDX-License-Identifier: BSD-3-Clause
"""A disk that is full, and then is not.

The data directory, or the archive, lies in a tmpfs of 16 MiB, mounted where
only this process and the servers it starts see it (a mount namespace of its
own), so root is needed; without that right the tests are skipped.
"""

import ctypes
import os
import shutil
import signal
import tempfile
import time

import pytest

from test_chaos import server  # sets the path
import keepkit

CLONE_NEWNS = 0x00020000
MS_REMOUNT, MS_REC, MS_PRIVATE = 32, 0x4000, 1 << 18
MIB = 1 << 20
FLAGS = ("-m", "64", "-M", "-t", "2", "--journal-size=1m",
         "--log-window=1m")
READ_ONLY = b"SERVER_ERROR read-only"

libc = ctypes.CDLL(None, use_errno=True)


def system(name, *arguments):
    if getattr(libc, name)(*arguments) != 0:
        error = ctypes.get_errno()
        raise OSError(error, "%s: %s" % (name, os.strerror(error)))


@pytest.fixture(scope="module")
def namespace():
    try:
        system("unshare", CLONE_NEWNS)
        system("mount", b"none", b"/", None, MS_REC | MS_PRIVATE, None)
    except OSError as error:
        pytest.skip("no mount namespace of our own: %s" % error)


@pytest.fixture
def disk(namespace):
    """The path of an empty file system of 16 MiB."""
    assert namespace is None
    path = tempfile.mkdtemp(prefix="dozo-disk-")
    system("mount", b"tmpfs", path.encode(), b"tmpfs", 0,
           b"size=16m,mode=755")
    yield path
    system("umount2", path.encode(), 2)
    os.rmdir(path)


class Ballast:
    """A file that takes room until it is freed."""

    def __init__(self, disk):
        self.path = os.path.join(disk, "ballast")

    def take(self, leave_bytes):
        """All of what is free but that."""
        found = os.statvfs(os.path.dirname(self.path))
        room = found.f_bavail * found.f_frsize - leave_bytes
        with open(self.path, "ab") as file:
            file.write(b"b" * max(0, room))

    def free(self):
        os.unlink(self.path)


def keep_on(disk, fsync, **options):
    keep = keepkit.Keep("--fsync=" + fsync, *FLAGS, parent=disk, **options)
    os.chmod(keep.top, 0o755)
    return keep


def fill_until_refused(conn, stored, limit_s=keepkit.WAIT_S):
    """Sets new keys until the server says that it is read-only.  A close is
    the end, too: with `always`, what waited will never be answered."""
    deadline = time.monotonic() + limit_s
    number = len(stored)
    while True:
        assert time.monotonic() < deadline, "never read-only"
        key = b"k%06d" % number
        value = b"%d:%s" % (number, os.urandom(1000))
        if not conn.send(b"set %s 0 0 %d\r\n%s\r\n" % (
                key, len(value), value)):
            return "closed"
        line = conn.line()
        if line == b"":
            return "closed"
        if line.startswith(READ_ONLY):
            return "refused"
        assert line == b"STORED\r\n", line
        stored[key] = value
        number += 1


def check_all(one, stored, every=1):
    keepkit.check_values(one, stored, every, timeout_s=keepkit.WAIT_S)


def writable(conn):
    return conn.ask(b"set probe 0 0 1\r\nx\r\n") == b"STORED\r\n"


def fill_the_disk(keep, ballast, stored):
    """Until the server is read-only."""
    with keep.one.connect() as conn:
        fill_until_refused(conn, stored)
    keepkit.await_stat(keep.one, "read_only", lambda on: on == 1)
    return keep.one


@pytest.mark.parametrize("fsync", ["always", "everysec"])
def test_full_disk(disk, fsync):
    """Reads go on, writes are refused, and when there is room they resume
    by themselves; nothing that was acknowledged is lost."""
    ballast = Ballast(disk)
    stored = {}
    with keep_on(disk, fsync) as keep:
        one = keep.start()
        ballast.take(4 * MIB)
        fill_the_disk(keep, ballast, stored)
        assert len(stored) > 500
        check_all(one, stored, 7)
        with one.connect() as conn:
            for request in (b"set k 0 0 1\r\nx\r\n", b"delete k000001\r\n",
                            b"incr k000001 1\r\n", b"flush_all\r\n",
                            b"touch k000001 10\r\n", b"ms k 1\r\nx\r\n",
                            b"append k 0 0 1\r\nx\r\n"):
                assert conn.ask(request).startswith(READ_ONLY), request
            assert keepkit.mg(conn, b"k000001")["v"] == stored[b"k000001"]
            stats = conn.stats()
            assert stats["read_only"] == "1"
            assert int(stats["journal_errors"]) > 0
            dozo = conn.stats("dozo")
            assert dozo["journal_state"] == "read-only"
            assert "No space left on device" in dozo["journal_problem"]
        assert "No space left on device" in one.stderr()
        lines = len(one.stderr().splitlines())
        errors = keepkit.stat(one, "journal_errors")
        keepkit.await_stat(one, "journal_errors", lambda n: n > errors + 1)
        assert len(one.stderr().splitlines()) <= lines + 1, one.stderr()
        ballast.free()
        keepkit.await_stat(one, "read_only", lambda on: on == 0)
        with one.connect() as conn:
            assert writable(conn)
            assert conn.stats("dozo")["journal_problem"] == "none"
        with one.connect() as conn:
            for number in range(200):
                key = b"after%d" % number
                keepkit.ms(conn, key, b"x" * 500)
                stored[key] = b"x" * 500
        check_all(one, stored)
        if fsync == "always":
            keep.kill()
        else:
            keep.stop()
        check_all(keep.start(), stored)


class Names(Ballast):
    """Takes the names that a disk has room for: its inodes."""

    def take(self, leave):
        os.mkdir(self.path)
        for number in range(os.statvfs(self.path).f_ffree - leave):
            with open(os.path.join(self.path, str(number)), "wb"):
                pass

    def free(self):
        shutil.rmtree(self.path)


def test_no_more_inodes(disk):
    """There is room, but no new file can be made: as with a full disk."""
    system("mount", b"tmpfs", disk.encode(), b"tmpfs", MS_REMOUNT,
           b"size=16m,nr_inodes=100,mode=755")
    names = Names(disk)
    stored = {}
    with keep_on(disk, "always") as keep:
        one = keep.start()
        names.take(0)
        one = fill_the_disk(keep, names, stored)
        # That was not before the file that was there had its full size.
        assert 500 < len(stored) < 2000
        check_all(one, stored, 7)
        assert "the journal cannot be written: No space left on device" in \
            one.stderr()
        errors = keepkit.stat(one, "snapshot_errors")
        with one.connect() as conn:
            assert conn.ask(b"snapshot\r\n") == b"OK\r\n"
        keepkit.await_stat(one, "snapshot_errors", lambda n: n > errors)
        names.free()
        keepkit.await_stat(one, "read_only", lambda on: on == 0)
        with one.connect() as conn:
            assert writable(conn)
        keepkit.take_snapshot(one)
        check_all(one, stored)
        names.take(0)
        one.signal(signal.SIGTERM)
        assert one.wait(keepkit.WAIT_S) == 1, one.stderr()
        with pytest.raises(server.Died) as refused:
            keep.start()
        assert "No space left on device" in str(refused.value)
        names.free()
        check_all(keep.start(), stored)


@pytest.mark.parametrize("fsync", ["always", "everysec"])
def test_killed_while_full(disk, fsync):
    """With `always` nothing acknowledged is lost; with everysec what had
    been written before the disk was full is there."""
    ballast = Ballast(disk)
    stored = {}
    with keep_on(disk, fsync) as keep:
        keep.start()
        ballast.take(4 * MIB)
        fill_the_disk(keep, ballast, stored)
        written = keepkit.stat(keep.one, "journal_written_lsn", "dozo")
        tokens = {}
        with keep.one.connect() as conn:
            for key in stored:
                tokens[key] = int(keepkit.mg(conn, key, b"c")["c"])
        keep.kill()
        ballast.free()
        if fsync == "everysec":
            stored = {key: value for key, value in stored.items()
                      if tokens[key] <= written}
            assert stored
        check_all(keep.start(), stored)


def test_a_start_without_room(disk):
    """It cannot begin a journal: refused, and later it starts."""
    ballast = Ballast(disk)
    stored = {}
    with keep_on(disk, "always") as keep:
        with keep.start().connect() as conn:
            for number in range(100):
                key = b"k%d" % number
                keepkit.ms(conn, key, b"x" * 100)
                stored[key] = b"x" * 100
        keep.kill()
        ballast.take(0)
        with pytest.raises(server.Died) as refused:
            keep.start()
        assert "ended with 71" in str(refused.value)
        assert "No space left on device" in str(refused.value)
        ballast.free()
        check_all(keep.start(), stored)


def test_a_stop_without_room(disk):
    """The snapshot of an orderly end does not fit: status 1, and nothing is
    lost, since the journal has it all."""
    ballast = Ballast(disk)
    stored = {}
    with keep_on(disk, "everysec") as keep:
        one = keep.start()
        with one.connect() as conn:
            for number in range(3000):
                key = b"k%d" % number
                stored[key] = os.urandom(600)
                keepkit.ms(conn, key, stored[key])
        last = keepkit.stat(one, "lsn", "dozo")
        keepkit.await_stat(one, "journal_written_lsn",
                           lambda lsn: lsn >= last, "dozo")
        ballast.take(256 * 1024)
        one.signal(signal.SIGTERM)
        code = one.wait(keepkit.WAIT_S)
        assert code == 1, one.stderr()
        assert "the stop is not a clean one" in one.stderr()
        ballast.free()
        check_all(keep.start(), stored)
        assert not [name for name in keep.names() if ".part" in name]


@pytest.mark.parametrize("fsync", ["always", "everysec"])
def test_full_archive(disk, fsync):
    """The archive is on the full disk: serving goes on, the files stay, and
    when there is room they go."""
    ballast = Ballast(disk)
    stored = {}
    with keepkit.Keep("--fsync=" + fsync, *FLAGS,
                      "--snapshot-size=2m") as keep:
        keep.archive = os.path.join(disk, "archive")
        os.mkdir(keep.archive)
        ballast.take(64 * 1024)
        one = keep.start()
        with one.connect(timeout_s=keepkit.WAIT_S) as conn:
            number = 0
            deadline = time.monotonic() + keepkit.WAIT_S
            while keepkit.stat(one, "archive_errors") == 0:
                assert time.monotonic() < deadline
                for _ in range(200):
                    key = b"k%d" % number
                    stored[key] = os.urandom(3000)
                    keepkit.ms(conn, key, stored[key])
                    number += 1
            for _ in range(200):
                keepkit.ms(conn, b"more", b"x" * 1000)
            assert conn.stats()["read_only"] == "0"
        assert "No space left on device" in one.stderr()
        assert not [name for name in os.listdir(keep.archive)
                    if not name.endswith(".part")
                    and os.path.getsize(os.path.join(
                        keep.archive, name)) < 64]
        held = keep.names("journal-")
        ballast.free()
        keepkit.take_snapshot(one)
        keepkit.await_true("old files are archived", lambda: (
            held[0] not in keep.names()), 30)
        assert held[0] in os.listdir(keep.archive)
        assert not [name for name in os.listdir(keep.archive)
                    if name.endswith(".part")]
        check_all(one, stored)
        keep.kill()
        check_all(keep.start(), stored)
        shutil.rmtree(keep.archive)
        os.mkdir(keep.archive)
