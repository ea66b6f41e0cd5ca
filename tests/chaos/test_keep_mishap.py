# SPDX-License-Identifier: BSD-3-Clause
"""flush_all by mistake, and back to the second before.

MISHAP_WRITES says after how many writes (a million).
"""

import os
import re
import time

from test_chaos import server  # sets the path
import keepkit

WRITES = int(os.environ.get("MISHAP_WRITES", "1000000"))
KEYS = 200000
BATCH = 2000


def value_of(number):
    return b"value %d" % number


def write_all(one):
    """Every key several times; what each holds in the end."""
    assert WRITES % BATCH == 0 and WRITES >= KEYS, "MISHAP_WRITES"
    last = {}
    with one.connect(timeout_s=120) as conn:
        for at in range(0, WRITES, BATCH):
            lines = []
            for number in range(at, at + BATCH):
                key = b"key-%06d" % (number * 7 % KEYS)
                last[key] = number
                value = value_of(number)
                lines.append(b"ms %s %d q\r\n%s\r\n" % (
                    key, len(value), value))
            conn.sock.sendall(b"".join(lines))
        assert conn.ask(b"mn\r\n", timeout_s=120) == b"MN\r\n"
    return last


def check_all(one, last):
    """All of it is there; the highest token."""
    highest = 0
    with one.connect(timeout_s=60) as conn:
        assert int(conn.stats()["curr_items"]) == len(last)
        keys = list(last)
        for at in range(0, len(keys), BATCH):
            part = keys[at:at + BATCH]
            conn.sock.sendall(b"gets %s\r\n" % b" ".join(part))
            lines = conn.until(b"END\r\n").split(b"\r\n")
            assert len(lines) == 2 * len(part) + 2, "some are gone"
            for place, key in enumerate(part):
                words = lines[2 * place].split()
                assert words[1] == key
                assert lines[2 * place + 1] == value_of(last[key])
                highest = max(highest, int(words[4]))
    return highest


def next_second(one):
    """Waits until the server's clock, which its records tell, shows another
    second; the one before."""
    now = keepkit.stat(one, "time")
    keepkit.await_stat(one, "time", lambda then: then > now)
    return now


def restore(keep, *point, into):
    code, said = keepkit.run(
        "restore", "--archive", keep.archive, "--archive", keep.path,
        *point, "--into", into, timeout_s=keepkit.WAIT_S)
    print(said)
    assert code == 0, said
    return said


def test_flush_all_by_mistake():
    began = time.monotonic()
    flags = ("-m", "256", "-M", "--journal-size=16m", "--snapshot-size=32m")
    with keepkit.Keep(*flags, archive=True) as keep:
        one = keep.start()
        last = write_all(one)
        highest = check_all(one, last)
        lsn = keepkit.stat(one, "lsn", "dozo")
        written = time.monotonic()
        before = next_second(one)
        with one.connect() as conn:
            assert conn.ask(b"flush_all\r\n") == b"OK\r\n"
            token = keepkit.ms(conn, b"afterwards", b"x")
            assert token > highest
        keep.stop()
        assert os.listdir(keep.archive)
        stopped = time.monotonic()

        by_time = os.path.join(keep.top, "by-time")
        restore(keep, "--to-time", str(before), into=by_time)
        restored = time.monotonic()
        check_restored(by_time, last, token)

        # By LSN, and into an empty directory that is there.
        by_lsn = os.path.join(keep.top, "by-lsn")
        os.mkdir(by_lsn)
        restore(keep, "--to-lsn", str(lsn), into=by_lsn)
        check_restored(by_lsn, last, token)

        # The mistake itself, as the newest state, was not touched.
        with keep.start().connect() as conn:
            assert keepkit.mg(conn, b"key-000000") is None
            assert keepkit.mg(conn, b"afterwards")["v"] == b"x"
    print("%d writes in %.1f s, flushed and stopped %.1f s, restored in "
          "%.1f s, in all %.1f s" % (
              WRITES, written - began, stopped - written, restored - stopped,
              time.monotonic() - began))


def check_restored(path, last, token):
    """A server on the restored directory has all of it, and no token that
    was drawn before the mishap is drawn again."""
    one = server.Server("dozo", (
        "-m", "256", "-M", "--data-dir", path))
    try:
        check_all(one, last)
        with one.connect() as conn:
            assert keepkit.mg(conn, b"afterwards") is None
            fresh = keepkit.ms(conn, b"fresh", b"x")
            assert fresh > token, "tokens are used again"
        one.stop()
    finally:
        one.kill()


def test_halfway(tmp_path):
    """Points in the middle: each restores exactly what was there then."""
    with keepkit.Keep("--journal-size=64k", "--snapshot-size=256k",
                      archive=True) as keep:
        one = keep.start()
        points = []
        with one.connect() as conn:
            for number in range(4000):
                conn.send(b"ms k%d 60 q\r\n%060d\r\n" % (
                    number % 500, number))
                if number % 400 == 399:
                    conn.send(b"md k%d q\r\n" % (number % 500))
                    assert conn.ask(b"mn\r\n") == b"MN\r\n"
                    lsn = keepkit.stat(one, "lsn", "dozo")
                    points.append((lsn, picture(one)))
        keep.stop()
        for number in (0, 3, 6, 9):
            lsn, wanted = points[number]
            into = str(tmp_path / ("to-%d" % number))
            said = restore(keep, "--to-lsn", str(lsn), into=into)
            assert re.search(r"\d+ items", said), said
            other = server.Server("dozo", ("--data-dir", into))
            try:
                assert picture(other) == wanted
                other.stop()
            finally:
                other.kill()


def picture(one):
    with one.connect() as conn:
        found = {}
        for number in range(500):
            item = keepkit.mg(conn, b"k%d" % number, b"v c")
            found[number] = item and (item["v"], item["c"])
    return found


def test_a_point_that_is_out_of_reach(tmp_path):
    """Journals of the archive are gone: refused, with what is missing."""
    with keepkit.Keep("--journal-size=64k", "--snapshot-size=256k",
                      archive=True) as keep:
        one = keep.start()
        with one.connect() as conn:
            for number in range(4000):
                conn.send(b"ms k%d 60 q\r\n%060d\r\n" % (number, number))
            assert conn.ask(b"mn\r\n") == b"MN\r\n"
        lsn = keepkit.stat(one, "lsn", "dozo")
        keep.stop()
        journals = sorted(name for name in os.listdir(keep.archive)
                          if name.startswith("journal-"))
        assert len(journals) > 2
        os.unlink(os.path.join(keep.archive, journals[1]))
        for name in os.listdir(keep.archive):
            if name.startswith("snapshot-"):
                os.unlink(os.path.join(keep.archive, name))
        into = str(tmp_path / "into")
        code, said = keepkit.run(
            "restore", "--archive", keep.archive, "--to-lsn", str(lsn - 100),
            "--into", into)
        assert code != 0, said
        assert "journal-" in said, said
        assert not os.path.exists(os.path.join(into, "dozo"))
