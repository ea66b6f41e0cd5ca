# SPDX-License-Identifier: BSD-3-Clause
"""Places that become unusable under a running server, and are mended.

The server gives up root, since root may write anywhere.
"""

import os
import pwd
import shutil
import signal

import pytest

import test_chaos  # sets the path
from test_chaos import server
import keepkit

READ_ONLY = b"SERVER_ERROR read-only"
FLAGS = ("-m", "64", "-M", "-t", "2", "-u", "nobody", "--fsync=always",
         "--journal-size=64k")

pytestmark = pytest.mark.skipif(
    os.getuid() != 0, reason="only root can become nobody")


def keep_of_nobody(**options):
    keep = keepkit.Keep(*FLAGS, **options)
    nobody = pwd.getpwnam("nobody")
    for path in filter(None, (keep.path, keep.archive)):
        os.chown(path, nobody.pw_uid, nobody.pw_gid)
    return keep


class Stored:
    """What was acknowledged."""

    def __init__(self):
        self.items = {}

    def more(self, one, count):
        """So many new keys; fewer if changes are refused, or the reply
        does not come since nobody knows whether it would be true."""
        with one.connect() as conn:
            for _ in range(count):
                key = b"k%d" % len(self.items)
                value = os.urandom(1000)
                conn.send(b"set %s 0 0 %d\r\n%s\r\n" % (
                    key, len(value), value))
                line = conn.line()
                if line != b"STORED\r\n":
                    assert line == b"" or line.startswith(READ_ONLY), line
                    return False
                self.items[key] = value
        return True

    def until_refused(self, one):
        while self.more(one, 100):
            assert len(self.items) < 5000, "never refused"
        keepkit.await_stat(one, "read_only", lambda on: on == 1)

    def check(self, one):
        keepkit.check_values(one, self.items)


def check_refused(one, stored, state, problem):
    with one.connect() as conn:
        assert conn.ask(b"delete k0\r\n").startswith(READ_ONLY)
        assert keepkit.mg(conn, b"k0")["v"] == stored.items[b"k0"]
        dozo = conn.stats("dozo")
        assert dozo["journal_state"] == state
        assert problem in dozo["journal_problem"]
    assert problem + "; changes are refused" in one.stderr()


def check_read_only(one, stored, problem):
    check_refused(one, stored, "read-only",
                  "the journal cannot be written: " + problem)


def test_a_directory_that_is_read_only_for_a_while():
    stored = Stored()
    with keep_of_nobody() as keep:
        one = keep.start()
        assert stored.more(one, 10)
        os.chmod(keep.path, 0o500)
        # The file that is open can be written to its end.
        assert stored.more(one, 10)
        stored.until_refused(one)
        check_read_only(one, stored, "Permission denied")
        os.chmod(keep.path, 0o700)
        keepkit.await_stat(one, "read_only", lambda on: on == 0)
        assert "the journal is written again" in one.stderr()
        assert stored.more(one, 200)
        stored.check(one)
        keep.kill()
        stored.check(keep.start())


def test_an_end_in_a_directory_that_is_read_only():
    """No snapshot, but the journal has it all: status 1, and a start that is
    refused until the directory can be written."""
    stored = Stored()
    with keep_of_nobody() as keep:
        one = keep.start()
        assert stored.more(one, 30)
        os.chmod(keep.path, 0o500)
        one.signal(signal.SIGTERM)
        assert one.wait(keepkit.WAIT_S) == 1, one.stderr()
        assert "the stop is not a clean one: the last snapshot failed: " \
            "Permission denied" in one.stderr()
        with pytest.raises(server.Died) as refused:
            keep.start()
        assert "ended with 71" in str(refused.value)
        assert "Permission denied" in str(refused.value)
        os.chmod(keep.path, 0o700)
        stored.check(keep.start())


def test_a_directory_that_is_moved():
    """It is the directory that is used, not its name."""
    stored = Stored()
    with keep_of_nobody() as keep:
        one = keep.start()
        assert stored.more(one, 10)
        os.rename(keep.path, keep.top + "/away")
        assert stored.more(one, 300)
        keepkit.take_snapshot(one)
        keep.stop()
        with pytest.raises(server.Died) as refused:
            keep.start()
        assert "No such file or directory" in str(refused.value)
        os.rename(keep.top + "/away", keep.path)
        stored.check(keep.start())


@pytest.mark.parametrize("fsync", ["always", "everysec", "never"])
def test_a_directory_that_is_removed(fsync):
    """The next sync says so, which comes with the next file at the latest:
    from then on changes are refused.  It is never taken for one to begin
    anew in."""
    stored = Stored()
    with keep_of_nobody() as keep:
        one = keep.start("--fsync=" + fsync)
        assert stored.more(one, 10)
        shutil.rmtree(keep.path)
        if fsync == "always":
            assert not stored.more(one, 1), "acknowledged, and nowhere"
        elif fsync == "everysec":
            stored.more(one, 1)
            keepkit.await_stat(one, "read_only", lambda on: on == 1)
        stored.until_refused(one)
        check_refused(one, stored, "distrust", "the journal could not be "
                      "synced: No such file or directory")
        one.signal(signal.SIGTERM)
        assert one.wait(keepkit.WAIT_S) == 1, one.stderr()
        assert "the stop is not a clean one" in one.stderr()
        with pytest.raises(server.Died) as refused:
            keep.start()
        assert "ended with 71" in str(refused.value)
        assert "No such file or directory" in str(refused.value)
        os.mkdir(keep.path)


def old_file_stays(one):
    keepkit.take_snapshot(one)
    keepkit.await_stat(one, "archive_errors", lambda n: n > 0)


def test_an_archive_that_is_removed():
    """Old files stay where they are; once it is there again, a start moves
    them."""
    stored = Stored()
    with keep_of_nobody(archive=True) as keep:
        one = keep.start()
        assert stored.more(one, 200)
        shutil.rmtree(keep.archive)
        old_file_stays(one)
        assert "old files stay: " in one.stderr()
        held = keep.names("journal-")
        assert len(held) > 2
        assert stored.more(one, 200)
        assert keepkit.stat(one, "read_only") == 0
        keep.stop()
        assert set(held) <= set(keep.names())
        with pytest.raises(server.Died) as refused:
            keep.start()
        assert "--archive-dir" in str(refused.value)
        os.mkdir(keep.archive)
        os.chmod(keep.archive, 0o777)
        one = keep.start()
        stored.check(one)
        assert stored.more(one, 1)
        keepkit.take_snapshot(one)
        keepkit.await_true("old files are archived", lambda: not (
            set(held) & set(keep.names())))
        assert set(held) <= set(os.listdir(keep.archive))


def test_an_archive_that_is_read_only_for_a_while():
    stored = Stored()
    with keep_of_nobody(archive=True) as keep:
        one = keep.start()
        assert stored.more(one, 200)
        os.chmod(keep.archive, 0o500)
        old_file_stays(one)
        assert "Permission denied" in one.stderr()
        held = keep.names("journal-")
        os.chmod(keep.archive, 0o700)
        assert stored.more(one, 10)
        keepkit.take_snapshot(one)
        keepkit.await_true("old files are archived", lambda: (
            held[0] not in keep.names()))
        assert held[0] in os.listdir(keep.archive)
        assert "old files are cleared away again" in one.stderr()
        keep.kill()
        stored.check(keep.start())
