# SPDX-License-Identifier: BSD-3-Clause
"""What was there before the end of a server is there behind its next start:
after an orderly end, after kill -9, and with the real clients."""

import base64
import fcntl
import os
import re
import signal
import socket
import subprocess
import time

import memcache
import pylibmc
import pymemcache
import pytest

import keepkit
import server

ALWAYS = "--fsync=always"
BINARY_KEY = base64.b64encode(b"bin\r\nary\0key")


def shut_down(keep, words=b"shutdown"):
    with keep.one.connect() as conn:
        conn.send(words + b"\r\n")
        code = keep.one.wait(keepkit.WAIT_S)
    assert code == 0, keep.one.stderr()


# How a server ends, and whether that is an orderly end.
ENDS = {
    "SIGTERM": lambda keep: keep.stop(),
    "SIGINT": lambda keep: keep.stop(signal.SIGINT),
    "SIGUSR1": lambda keep: keep.stop(signal.SIGUSR1),
    "shutdown": shut_down,
    "graceful": lambda keep: shut_down(keep, b"shutdown graceful"),
    "kill": lambda keep: keep.kill(),
}


def every_end(test):
    return pytest.mark.parametrize("end", ENDS.values(), ids=ENDS.keys())(test)


def fill(conn):
    """An item of every kind.  {key: flags of the mg that shows it}"""
    def ask(request, reply):
        assert conn.ask(request) == reply, request

    keepkit.ms(conn, b"plain", b"value")
    keepkit.ms(conn, b"empty", b"")
    keepkit.ms(conn, b"flags", b"x", b"F4294967295")
    keepkit.ms(conn, b"large", b"L" * 700000)
    keepkit.ms(conn, b"timed", b"t", b"T500 F7")
    ask(b"set counter 3 0 3\r\n998\r\n", b"STORED\r\n")
    ask(b"incr counter 7\r\n", b"1005\r\n")
    ask(b"set joined 5 0 3\r\nmid\r\n", b"STORED\r\n")
    ask(b"append joined 0 0 4\r\n-end\r\n", b"STORED\r\n")
    ask(b"prepend joined 0 0 6\r\nfirst-\r\n", b"STORED\r\n")
    ask(b"set touched 1 100 2\r\nxy\r\n", b"STORED\r\n")
    ask(b"touch touched 5000\r\n", b"TOUCHED\r\n")
    ask(b"set gat 1 100 2\r\nxy\r\n", b"STORED\r\n")
    assert conn.ask(b"gat 9000 gat\r\n", b"END\r\n").startswith(b"VALUE")
    ask(b"set gone 0 0 1\r\nx\r\n", b"STORED\r\n")
    ask(b"delete gone\r\n", b"DELETED\r\n")
    ask(b"ms own-cas 1 E1234567\r\nx\r\n", b"HD\r\n")
    ask(b"ms stale 5 T300\r\nstale\r\n", b"HD\r\n")
    ask(b"md stale I T200\r\n", b"HD\r\n")
    ask(b"ms %s 3 b\r\nbin\r\n" % BINARY_KEY, b"HD\r\n")
    ask(b"mg vivid N600 t\r\n", b"HD t600 W\r\n")
    ask(b"ma auto N400 J41\r\n", b"HD\r\n")
    ask(b"ma auto D2\r\n", b"HD\r\n")
    ask(b"ms removed-value 4\r\nkept\r\n", b"HD\r\n")
    ask(b"md removed-value x\r\n", b"HD\r\n")


# The second mg of a stale item would take the win, so it is looked at last.
KEYS = (b"plain", b"empty", b"flags", b"large", b"timed", b"counter",
        b"joined", b"touched", b"gat", b"gone", b"own-cas", b"vivid", b"auto",
        b"removed-value")


class Seen(dict):
    """{key: what was there}, since when."""


def look(conn):
    found = Seen()
    found.since = time.monotonic()
    for key in KEYS:
        found[key] = keepkit.mg(conn, key, b"v f c t s")
    found[BINARY_KEY] = keepkit.mg(conn, BINARY_KEY, b"b v f c t k")
    return found


def same(before, after):
    """The time to live may have got shorter, everything else may not."""
    passed_s = 1 + time.monotonic() - before.since
    assert before.keys() == after.keys()
    for key, old in before.items():
        new = after[key]
        if old is None or new is None:
            assert old is new, (key, old, new)
            continue
        left, now_left = int(old.pop("t")), int(new.pop("t"))
        assert old == new, key
        assert (left == -1) == (now_left == -1), key
        if left != -1:
            assert left - passed_s <= now_left <= left, key
        old["t"], new["t"] = left, now_left


@every_end
def test_everything_is_as_it_was(end):
    with keepkit.Keep(ALWAYS, "-A") as keep:
        with keep.start().connect() as conn:
            filled = time.monotonic()
            fill(conn)
            before = look(conn)
            assert before[b"gone"] is None
            assert before[b"counter"]["v"] == b"1005"
            assert before[b"joined"]["v"] == b"first-mid-end"
            assert before[b"own-cas"]["c"] == b"1234567"
            assert before[b"auto"]["v"] == b"43"
            tokens = {int(item["c"]) for key, item in before.items()
                      if item and key != b"own-cas"}
            highest = max(tokens)
        end(keep)
        with keep.start().connect() as conn:
            after = look(conn)
            same(before, after)
            # Somebody has the win of this one, nobody that of the stale one.
            assert conn.ask(b"mg vivid\r\n") == b"HD Z\r\n"
            assert conn.ask(b"mg stale v\r\n", b"stale\r\n") == \
                b"VA 5 X W\r\nstale\r\n"
            assert 198 - (time.monotonic() - filled) <= int(
                keepkit.mg(conn, b"stale", b"t")["t"]) <= 200
            for key in (b"plain", b"counter", b"large", b"touched"):
                token = int(after[key]["c"])
                assert conn.ask(b"cas %s 0 0 3 %d\r\nnew\r\n" % (
                    key, token)) == b"STORED\r\n", key
                assert conn.ask(b"cas %s 0 0 3 %d\r\nold\r\n" % (
                    key, token)) == b"EXISTS\r\n", key
            assert keepkit.ms(conn, b"after", b"x") > highest
            assert int(conn.stats()["curr_items"]) == len(KEYS) - 1 + 3


def test_won_survives_an_orderly_end():
    with keepkit.Keep() as keep:
        with keep.start().connect() as conn:
            assert conn.ask(b"ms low 1 T90\r\nx\r\n") == b"HD\r\n"
            assert conn.ask(b"mg low R100\r\n") == b"HD W\r\n"
        with keep.again().connect() as conn:
            assert conn.ask(b"mg low R100\r\n") == b"HD Z\r\n"


@every_end
def test_a_flush_is_for_ever(end):
    with keepkit.Keep(ALWAYS, "-A") as keep:
        with keep.start().connect() as conn:
            old = keepkit.ms(conn, b"old", b"x")
            assert conn.ask(b"flush_all\r\n") == b"OK\r\n"
            keepkit.ms(conn, b"new", b"y")
        end(keep)
        with keep.start().connect() as conn:
            assert keepkit.mg(conn, b"old") is None
            assert keepkit.mg(conn, b"new")["v"] == b"y"
            assert conn.ask(b"cas old 0 0 1 %d\r\nz\r\n" % old) == \
                b"NOT_FOUND\r\n"


@every_end
def test_a_flush_of_everything_stands_alone(end):
    """There is nothing behind the barrier but the barrier."""
    with keepkit.Keep(ALWAYS, "-A") as keep:
        with keep.start().connect() as conn:
            for number in range(100):
                keepkit.ms(conn, b"k%d" % number, b"x")
            assert conn.ask(b"flush_all\r\n") == b"OK\r\n"
        end(keep)
        with keep.start().connect() as conn:
            for number in range(100):
                assert keepkit.mg(conn, b"k%d" % number) is None


@pytest.fixture
def debug_binary():
    if server.debug_path() is None:
        pytest.skip(server.NO_DEBUG)
    return server.debug_path()


@every_end
def test_a_flush_that_is_to_come(end, debug_binary):
    """What was asked for is done by the next server, and once."""
    with keepkit.Keep(ALWAYS, "-A", binary=debug_binary) as keep:
        with keep.start().connect() as conn:
            keepkit.ms(conn, b"old", b"x")
            assert conn.ask(b"flush_all 300\r\n") == b"OK\r\n"
            assert keepkit.mg(conn, b"old") is not None
        end(keep)
        with keep.start().connect() as conn:
            keepkit.ms(conn, b"between", b"x")
            assert conn.ask(b"debugtime 250\r\n") == b"OK\r\n"
            assert keepkit.mg(conn, b"old") is not None
            assert conn.ask(b"debugtime 310\r\n") == b"OK\r\n"
            keepkit.await_true("it fires", lambda: keepkit.mg(
                conn, b"old") is None)
            assert keepkit.mg(conn, b"between") is None
            keepkit.ms(conn, b"new", b"y")
        end(keep)
        with keep.start().connect() as conn:
            assert conn.ask(b"debugtime 1000\r\n") == b"OK\r\n"
            assert keepkit.mg(conn, b"old") is None
            assert keepkit.mg(conn, b"new")["v"] == b"y"


@every_end
def test_a_flush_that_was_withdrawn(end, debug_binary):
    with keepkit.Keep(ALWAYS, "-A", binary=debug_binary) as keep:
        with keep.start().connect() as conn:
            assert conn.ask(b"flush_all 300\r\n") == b"OK\r\n"
            assert conn.ask(b"flush_all 0\r\n") == b"OK\r\n"
            keepkit.ms(conn, b"new", b"y")
        end(keep)
        with keep.start().connect() as conn:
            assert conn.ask(b"debugtime 1000\r\n") == b"OK\r\n"
            keepkit.ms(conn, b"later", b"y")
            assert keepkit.mg(conn, b"new")["v"] == b"y"


@every_end
def test_time_does_not_go_back(end, debug_binary):
    """The clock of the first server was moved on: a later one starts from
    the highest time in its files, and what had expired stays so."""
    with keepkit.Keep(ALWAYS, "-A", binary=debug_binary) as keep:
        with keep.start().connect() as conn:
            began = time.monotonic()
            keepkit.ms(conn, b"short", b"x", b"T100")
            keepkit.ms(conn, b"long", b"x", b"T1000")
            assert conn.ask(b"debugtime 400\r\n") == b"OK\r\n"
            keepkit.ms(conn, b"late", b"x", b"T50")
            assert keepkit.mg(conn, b"short") is None
        end(keep)
        with keep.start().connect() as conn:
            assert keepkit.mg(conn, b"short") is None
            left = [int(keepkit.mg(conn, key)["t"])
                    for key in (b"long", b"late")]
            passed_s = 2 + time.monotonic() - began
            assert 600 - passed_s <= left[0] <= 600
            assert 50 - passed_s <= left[1] <= 50
            assert int(conn.stats()["curr_items"]) == 2


@pytest.mark.parametrize("end", [ENDS["SIGTERM"], ENDS["kill"]],
                         ids=["SIGTERM", "kill"])
def test_what_expires_meanwhile_is_gone(end):
    with keepkit.Keep(ALWAYS) as keep:
        with keep.start().connect() as conn:
            keepkit.ms(conn, b"soon", b"x", b"T2")
            keepkit.ms(conn, b"later", b"x", b"T1000")
            stored = time.monotonic()
        end(keep)
        while time.monotonic() < stored + 3.1:
            time.sleep(0.1)
        with keep.start().connect() as conn:
            assert keepkit.mg(conn, b"soon") is None
            left = int(keepkit.mg(conn, b"later")["t"])
            assert 998 - (time.monotonic() - stored) <= left <= 997
            assert int(conn.stats()["curr_items"]) == 1


def test_statistics_of_an_orderly_restart():
    with keepkit.Keep() as keep:
        with keep.start().connect() as conn:
            for number in range(2000):
                conn.send(b"ms k%d 10 q\r\n0123456789\r\n" % number)
            assert conn.ask(b"mn\r\n") == b"MN\r\n"
            stats = conn.stats()
            assert stats["read_only"] == "0"
            assert stats["curr_items"] == "2000"
        said = keep.stop()
        assert "is complete, after" in said, said
        began = time.monotonic()
        one = keep.start()
        took_ms = (time.monotonic() - began) * 1000
        assert "recovered 2000 items from %s in " % keep.path in one.stderr()
        assert "the last stop was a clean one" in one.stderr()
        with one.connect() as conn:
            stats = conn.stats()
            assert stats["curr_items"] == "2000"
            assert stats["cmd_set"] == "0"
            dozo = conn.stats("dozo")
            assert dozo["recovered_items"] == "2000"
            assert int(dozo["recovery_ms"]) <= took_ms
            assert dozo["journal_state"] == "running"
            settings = conn.stats("settings")
            assert settings["data_dir"] == keep.path
            assert settings["fsync"] == "everysec"


def test_a_first_start_says_so():
    with keepkit.Keep() as keep:
        assert "is a new data directory" in keep.start().stderr()


def test_many_orderly_restarts_change_nothing():
    with keepkit.Keep() as keep:
        with keep.start().connect() as conn:
            fill(conn)
            before = look(conn)
        seen = []
        for _ in range(5):
            with keep.again().connect() as conn:
                same(before, look(conn))
                seen.append(keepkit.ms(conn, b"token", b"x"))
        assert seen == sorted(set(seen))
        assert len(keep.names("snapshot-")) == 1
        assert len(keep.names("journal-")) <= 2, keep.names()


def test_without_data_dir_nothing_is_kept(dozo):
    one = dozo()
    with one.connect() as conn:
        assert conn.ask(b"snapshot\r\n").startswith(b"CLIENT_ERROR ")
        assert "read_only" not in conn.stats()


def test_everysec_loses_nothing_after_a_quiet_second():
    with keepkit.Keep("--fsync=everysec") as keep:
        one = keep.start()
        with one.connect() as conn:
            for number in range(5000):
                conn.send(b"set k%d 0 0 4 noreply\r\nabcd\r\n" % number)
            assert conn.ask(b"mn\r\n") == b"MN\r\n"
            last = keepkit.ms(conn, b"last", b"x")
            keepkit.await_stat(one, "journal_synced_lsn",
                               lambda lsn: lsn >= last, "dozo")
        keep.kill()
        with keep.start().connect() as conn:
            assert conn.stats()["curr_items"] == "5001"
            assert int(keepkit.mg(conn, b"last")["c"]) == last


def test_never_writes_all_the_same():
    """Killed, not powered off: the kernel has it all."""
    with keepkit.Keep("--fsync=never") as keep:
        one = keep.start()
        with one.connect() as conn:
            last = keepkit.ms(conn, b"last", b"x")
            keepkit.await_stat(one, "journal_written_lsn",
                               lambda lsn: lsn >= last, "dozo")
        keep.kill()
        with keep.start().connect() as conn:
            assert int(keepkit.mg(conn, b"last")["c"]) == last


def test_the_real_clients():
    with keepkit.Keep(ALWAYS) as keep:
        one = keep.start()
        first = pymemcache.Client(("127.0.0.1", one.port))
        second = pylibmc.Client(["127.0.0.1:%d" % one.port], binary=False)
        third = memcache.Client(["127.0.0.1:%d" % one.port])
        assert first.set("one", b"of pymemcache", expire=900)
        assert second.set("two", {"of": "pylibmc"}, time=900)
        assert third.set("three", ["of", "python-memcached"], time=900)
        _, token = first.gets("one")
        for client in (first, second):
            getattr(client, "close", client.disconnect_all)()
        third.disconnect_all()
        keep.kill()
        port = keep.start().port
        first = pymemcache.Client(("127.0.0.1", port))
        second = pylibmc.Client(["127.0.0.1:%d" % port], binary=False)
        third = memcache.Client(["127.0.0.1:%d" % port])
        assert first.get("one") == b"of pymemcache"
        assert second.get("two") == {"of": "pylibmc"}
        assert third.get("three") == ["of", "python-memcached"]
        assert first.cas("one", b"again", token) is True
        first.close()
        second.disconnect_all()
        third.disconnect_all()


# ---- eviction ---------------------------------------------------------------

@pytest.mark.parametrize("end", [ENDS["SIGTERM"], ENDS["kill"]],
                         ids=["SIGTERM", "kill"])
def test_what_was_evicted_never_comes_back_older(end):
    """Many more items than fit, each written again and again: whatever is
    there behind the restart is the last that was written for its key."""
    keys, rounds, size = 6000, 4, 4000
    last = {}
    with keepkit.Keep(ALWAYS, "-m", "8", "--journal-size=1m",
                      "--snapshot-size=4m") as keep:
        one = keep.start()
        with one.connect(timeout_s=60) as conn:
            for number in range(rounds):
                step = (1, 3, 2, 7)[number]
                for at in range(0, keys, step):
                    key = b"e%d" % (at * 7 % keys)
                    last[key] = b"%d." % number
                    conn.send(b"ms %s %d q\r\n%s%s\r\n" % (
                        key, size, last[key], b"v" * (size - 2)))
                    if at % 31 == 0:
                        conn.send(b"md %s q\r\n" % key)
                        last[key] = None
                assert conn.ask(b"mn\r\n", timeout_s=60) == b"MN\r\n"
            marker = keepkit.ms(conn, b"marker", b"m")
            assert int(conn.stats()["evictions"]) > 1000
            was = int(conn.stats()["curr_items"])
        end(keep)
        with keep.start().connect() as conn:
            assert int(keepkit.mg(conn, b"marker")["c"]) == marker
            there = 0
            for key, value in last.items():
                found = keepkit.mg(conn, key)
                if found is not None:
                    assert value is not None, "%r was deleted" % key
                    assert found["v"][:2] == value, key
                    there += 1
        assert there > was // 2, "%d of %d are there" % (there, was)


# ---- nobody connects before it is ready -------------------------------------

def refused(address):
    family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
    with socket.socket(family) as sock:
        sock.settimeout(5)
        try:
            sock.connect(address)
        except ConnectionRefusedError:
            return True
        except FileNotFoundError:
            return None
        return False


def big_keep(keep, mib):
    """A directory with so many MiB in its snapshot and journals."""
    with keep.start().connect(timeout_s=60) as conn:
        for number in range(mib * 16):
            conn.send(b"ms b%d 65536 q\r\n%s\r\n" % (
                number, os.urandom(65536)))
        assert conn.ask(b"mn\r\n", timeout_s=60) == b"MN\r\n"
        assert conn.stats()["curr_items"] == str(mib * 16)
    keep.stop()


def slow_reads(ms):
    """The environment of a server whose every read of a file takes ms."""
    library = os.environ.get("FAILINJECT", os.path.join(
        server.ROOT, "build", "release", "tests", "fault",
        "libfailinject.so"))
    if not os.path.exists(library):
        pytest.skip("no library that slows reads: FAILINJECT")
    return {"LD_PRELOAD": library, "FAIL_CALL": "pread", "FAIL_NTH": "1",
            "FAIL_REPEAT": "1000000000", "FAIL_ERRNO": "0",
            "FAIL_DELAY_US": str(ms * 1000)}


@pytest.mark.parametrize("unix", [False, True], ids=["tcp", "unix"])
def test_connections_are_refused_while_it_recovers(unix):
    """A disk on which every read takes 40 ms; the first answer is a hit."""
    with keepkit.Keep("-m", "256", "--fsync=never") as keep:
        big_keep(keep, 8)
        port = server.free_port()
        path = os.path.join(keep.top, "socket")
        address = path if unix else ("127.0.0.1", port)
        where = ("-s", path) if unix else (
            "-l", "127.0.0.1", "-p", str(port), "-U", "0")
        one = keep.start(*where, listen=False, address=address, wait=False,
                         env=slow_reads(40))
        tried = 0
        began = time.monotonic()
        while True:
            answer = refused(address)
            if answer is False:
                break
            one.check()
            tried += answer is True
            assert time.monotonic() < began + keepkit.WAIT_S, one.stderr()
            time.sleep(0.002)
        waited = time.monotonic() - began
        with one.connect() as conn:
            assert len(keepkit.mg(conn, b"b0")["v"]) == 65536
            assert conn.stats()["curr_items"] == str(8 * 16)
        print("%.1f s, %d refused" % (waited, tried))
        assert waited > 1.0 and tried > 10


def test_sigterm_ends_a_recovery():
    """Reads are so slow that it is not over; the files stay as they are."""
    with keepkit.Keep("-m", "256", "--fsync=never") as keep:
        big_keep(keep, 24)
        names = keep.names()
        one = keep.start(wait=False, env=slow_reads(50))
        keepkit.await_true("a lock", lambda: (
            one.check() or is_locked(os.path.join(keep.path, "lock"))))
        one.signal(signal.SIGTERM)
        assert one.wait(keepkit.WAIT_S) == 71, one.stderr()
        assert "told to stop before all was read" in one.stderr()
        assert keep.names() == names


def is_locked(path):
    with open(path, "rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def test_progress_is_told_in_the_log():
    """Every five seconds; reads are so slow that it takes longer."""
    with keepkit.Keep("-m", "256", "--fsync=never") as keep:
        big_keep(keep, 24)
        one = keep.start(wait=False, env=slow_reads(70))
        keepkit.await_true("recovery", lambda: (
            one.check() or "recover" in one.stderr()))
        line = one.stderr().splitlines()[0]
        assert re.search(
            r"recovery: \d+ items, \d+ of \d+ MiB, \d+ %, \d+ s left$",
            line), one.stderr()
        one.kill()


def test_progress_is_told_on_a_terminal():
    master, slave = os.openpty()
    try:
        with keepkit.Keep("-m", "256", "--fsync=never") as keep:
            big_keep(keep, 6)
            process = subprocess.Popen(
                [server.dozo_path(), "-m", "256", "--data-dir", keep.path,
                 "-s", os.path.join(keep.top, "socket")],
                stdin=subprocess.DEVNULL, stderr=slave, stdout=slave,
                env=dict(os.environ, **slow_reads(40)))
            os.close(slave)
            slave = -1
            said = b""
            try:
                while b"recovered " not in said:
                    said += os.read(master, 65536)
            finally:
                process.kill()
                process.wait()
            parts = [part for part in said.split(b"\r")
                     if part.startswith(b"recovery: ")]
            assert len(parts) > 2, said
            assert b" MiB, " in parts[-1] and b" s left" in parts[-1]
    finally:
        os.close(master)
        if slave >= 0:
            os.close(slave)
