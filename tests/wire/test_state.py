# SPDX-License-Identifier: BSD-3-Clause
"""What depends on the state of connections: stats conns, watchers, and who
may connect."""

import base64
import pathlib
import shutil
import signal
import tempfile
import time

import pytest

import server


def by_descriptor(pairs):
    """stats conns as {descriptor: {name: value}}."""
    found = {}
    for name, value in pairs:
        number, _, rest = name.partition(":")
        found.setdefault(int(number), {})[rest] = value
    return found


def await_conns(asker, wanted, deadline_s=server.REPLY_S):
    """Asks for stats conns until wanted(conns) is true."""
    deadline = time.monotonic() + deadline_s
    while True:
        conns = by_descriptor(asker.pair(b"stats conns\r\n"))
        if wanted(conns):
            return conns
        assert time.monotonic() < deadline, conns


def states(conns):
    return sorted(conn["state"] for conn in conns.values())


def test_stats_conns(dozo):
    one = dozo()
    with one.connect() as asker, one.connect() as idle, \
            one.connect() as busy:
        assert idle.ask(b"mn\r\n") == b"MN\r\n"
        busy.send(b"set a 0 0 10\r\nabc")
        conns = await_conns(asker, lambda conns: (
            states(conns).count("conn_nread") == 1
            and states(conns).count("conn_parse_cmd") == 1))
        port = one.port
        assert len(conns) == 4
        listeners = [conn for conn in conns.values()
                     if conn["state"] == "conn_listening"]
        assert len(listeners) == 1
        assert listeners[0]["addr"] == "tcp:127.0.0.1:%d" % port
        assert set(listeners[0]) == {"addr", "state", "secs_since_last_cmd"}
        clients = {conn["addr"]: conn for conn in conns.values()
                   if conn["state"] != "conn_listening"}
        for conn, state in ((asker, "conn_parse_cmd"), (busy, "conn_nread"),
                            (idle, None)):
            found = clients["tcp:127.0.0.1:%d" % conn.sock.getsockname()[1]]
            assert found["listen_addr"] == "tcp:127.0.0.1:%d" % port
            assert int(found["secs_since_last_cmd"]) >= 0
            if state is None:
                assert found["state"] in (
                    "conn_new_cmd", "conn_read", "conn_waiting")
            else:
                assert found["state"] == state
        assert busy.ask(b"1234567\r\n") == b"STORED\r\n"


def test_a_closed_connection_leaves(dozo):
    one = dozo()
    with one.connect() as asker:
        other = one.connect()
        assert other.ask(b"mn\r\n") == b"MN\r\n"
        assert asker.stats()["curr_connections"] == "2"
        other.close()
        await_conns(asker, lambda conns: len(conns) == 2)
        deadline = time.monotonic() + server.REPLY_S
        while asker.stats()["curr_connections"] != "1":
            assert time.monotonic() < deadline


def test_watcher_shows_as_watcher(dozo):
    one = dozo()
    with one.connect() as asker, one.connect() as watcher:
        assert watcher.ask(b"watch\r\n") == b"OK\r\n"
        await_conns(asker, lambda conns: "conn_watch" in states(conns))
        assert asker.stats()["log_watchers"] == "1"


def test_watchers_are_limited(dozo):
    one = dozo()
    watchers = []
    try:
        for _ in range(20):
            watchers.append(one.connect())
            assert watchers[-1].ask(b"watch fetchers\r\n") == b"OK\r\n"
        watchers.append(one.connect())
        assert watchers[-1].ask(b"watch fetchers\r\n") == \
            b"WATCHER_TOO_MANY log watcher limit reached\r\n"
        watchers[0].close()
        with one.connect() as asker:
            deadline = time.monotonic() + server.REPLY_S
            while asker.stats()["log_watchers"] != "19":
                assert time.monotonic() < deadline
        assert watchers[-1].ask(b"watch fetchers\r\n") == b"OK\r\n"
    finally:
        for watcher in watchers:
            watcher.close()


def resident_kib(pid):
    with open("/proc/%d/status" % pid, encoding="ascii") as file:
        for line in file:
            if line.startswith("VmRSS:"):
                return int(line.split()[1])
    raise AssertionError("no VmRSS")


def test_slow_watcher_loses_lines_and_blocks_nobody(dozo):
    """A watcher that does not read is told what it missed; the server
    neither waits for it nor grows."""
    one = dozo()
    with one.connect() as watcher, one.connect() as client:
        assert watcher.ask(b"watch fetchers\r\n") == b"OK\r\n"
        batch = b"get %s\r\n" % b" ".join(
            b"key-that-is-long-%d-%s" % (number, b"l" * 150)
            for number in range(50))
        client.ask(batch, b"END\r\n")
        before = resident_kib(one.pid)
        deadline = time.monotonic() + 2 * server.REPLY_S
        while client.stats()["log_watcher_skipped"] == "0":
            assert time.monotonic() < deadline, "nothing is skipped"
            for _ in range(20):
                assert client.ask(batch, b"END\r\n") == b"END\r\n"
        assert resident_kib(one.pid) < before + 16 * 1024
        while b"skipped=" not in watcher.buf:
            # What was kept is read away; the notice comes with a later line.
            watcher.take(max(0, len(watcher.buf) - 20))
            client.ask(b"get one\r\n", b"END\r\n")
            watcher.fill(deadline + server.REPLY_S)


def test_evictions_are_watched(dozo):
    one = dozo("-m", "8")
    with one.connect() as watcher, one.connect() as client:
        assert watcher.ask(b"watch evictions\r\n") == b"OK\r\n"
        value = b"v" * 10000
        for number in range(2000):
            client.send(b"set e%d 0 0 10000 noreply\r\n%s\r\n"
                        % (number, value))
        assert client.ask(b"mn\r\n") == b"MN\r\n"
        line = watcher.line()
        while line.startswith(b"skipped="):
            line = watcher.line()
        words = dict(word.split(b"=", 1) for word in line.split())
        assert words[b"type"] == b"eviction"
        assert words[b"key"].startswith(b"e")
        assert words[b"fetch"] == b"no" and words[b"ttl"] == b"-1"
        assert set(words) == {b"ts", b"gid", b"type", b"key", b"fetch",
                              b"ttl", b"la", b"clsid", b"size"}


def fill_to_the_limit(one, limit):
    """Connections until one is not served any more: those that are, and the
    one that is not with what it was told (None for nothing)."""
    conns = []
    for _ in range(limit + 1):
        conn = one.connect()
        conn.send(b"mn\r\n")
        reply = line_or_full(conn, conns)
        if reply != b"MN\r\n":
            return conns, conn, reply
        conns.append(conn)
    raise AssertionError("no limit at %d" % limit)


def line_or_full(conn, conns):
    """What a new connection is told, or None once the others are told that
    no more are accepted."""
    deadline = time.monotonic() + server.REPLY_S
    while True:
        full = conns and conns[0].stats()["accepting_conns"] == "0"
        try:
            return conn.line(0.02)
        except TimeoutError:
            if full:
                return None
            assert time.monotonic() < deadline


def close_all(conns):
    for conn in conns:
        conn.close()


def test_too_many_connections_are_told(dozo):
    one = dozo("-c", "64")
    conns, extra, reply = fill_to_the_limit(one, 64)
    assert len(conns) >= 32
    assert reply == b"ERROR Too many open connections\r\n"
    assert extra.at_eof()
    stats = conns[0].stats()
    assert int(stats["rejected_connections"]) >= 1
    assert stats["accepting_conns"] == "1"
    conns.pop().close()
    deadline = time.monotonic() + server.REPLY_S
    while True:
        with one.connect() as again:
            if again.ask(b"mn\r\n") == b"MN\r\n":
                break
        assert time.monotonic() < deadline
    close_all(conns + [extra])


def test_too_many_connections_wait(dozo):
    one = dozo("-c", "64", "-o", "no_maxconns_fast")
    conns, waiting, reply = fill_to_the_limit(one, 64)
    assert len(conns) >= 32
    assert reply is None
    stats = conns[0].stats()
    assert int(stats["listen_disabled_num"]) >= 1
    assert "rejected_connections" not in stats
    conns.pop().close()
    conns.pop().close()
    assert waiting.line() == b"MN\r\n"
    deadline = time.monotonic() + server.REPLY_S
    while conns[0].stats()["accepting_conns"] != "1":
        assert time.monotonic() < deadline
    close_all(conns + [waiting])


def test_idle_connections_are_closed(debug_dozo):
    one = debug_dozo("-o", "idle_timeout=5")
    with one.connect() as idle, one.connect() as asker:
        assert idle.ask(b"mn\r\n") == b"MN\r\n"
        assert asker.ask(b"debugtime 20\r\n") == b"OK\r\n"
        assert idle.at_eof(15)
        with one.connect() as other:
            assert int(other.stats()["idle_kicks"]) >= 1


def test_idle_timeout_is_for_the_idle(debug_dozo):
    """A watcher, a client in the middle of a value and one that still has to
    be sent to are not idle."""
    one = debug_dozo("-o", "idle_timeout=5", "-t", "1")
    with one.connect() as watcher, one.connect() as sender, \
            one.connect() as idle:
        assert watcher.ask(b"watch fetchers\r\n") == b"OK\r\n"
        sender.send(b"set a 0 0 10\r\nabc")
        assert idle.ask(b"mn\r\n") == b"MN\r\n"
        with one.connect() as asker:
            await_conns(asker, lambda conns: (
                "conn_nread" in states(conns)
                and "conn_watch" in states(conns)))
            assert asker.ask(b"debugtime 20\r\n") == b"OK\r\n"
        assert idle.at_eof(15)
        assert sender.ask(b"1234567\r\n") == b"STORED\r\n"
        with one.connect() as asker:
            assert asker.ask(b"get a\r\n", b"END\r\n") != b""
        assert b"key=a" in watcher.line()


def test_stats_conns_of_many(dozo):
    """All connections on one worker: the list is longer than any buffer."""
    one = dozo("-t", "1", "-c", "1100")
    conns = [one.connect() for _ in range(900)]
    try:
        for conn in (conns[0], conns[-1]):
            assert conn.ask(b"mn\r\n") == b"MN\r\n"
        listed = await_conns(conns[0], lambda conns: len(conns) == 901)
        assert states(listed).count("conn_listening") == 1
        with one.connect() as other:
            assert other.ask(b"mn\r\n") == b"MN\r\n"
    finally:
        close_all(conns)


def test_binary_keys_put_no_lines_into_listings(dozo):
    """A key may hold any byte in base64; what lists keys stays readable."""
    one = dozo("-D", ":")
    key = b"a\r\nEND\r\nVALUE x:b"
    encoded = base64.b64encode(key)
    with one.connect() as conn:
        assert conn.ask(b"ms %s 1 b\r\nx\r\n" % encoded) == b"HD\r\n"
        assert conn.ask(b"set plain:key 0 0 1\r\nx\r\n") == b"STORED\r\n"
        for number in range(1, 64):
            conn.send(b"stats cachedump %d 0\r\nmn\r\n" % number)
            lines = conn.until(b"MN\r\n").split(b"\r\n")
            assert lines[-3:] == [b"END", b"MN", b""]
            for line in lines[:-3]:
                assert line.startswith(b"ITEM "), lines
        conn.send(b"stats detail dump\r\nmn\r\n")
        lines = conn.until(b"MN\r\n").split(b"\r\n")
        assert lines[-3:] == [b"END", b"MN", b""]
        assert all(line.startswith(b"PREFIX ") for line in lines[:-3])
        conn.send(b"lru_crawler metadump all\r\n")
        dump = conn.until(b"END\r\n")
        assert dump.count(b"\n") == 4, dump
        conn.send(b"lru_crawler mgdump all\r\n")
        assert b"mg %s b\r\n" % encoded in conn.until(b"EN\r\n")


def test_turns_are_bounded(dozo):
    """-R: a long pipeline gives way to others, and that is counted."""
    one = dozo("-t", "1", "-R", "5")
    with one.connect() as busy, one.connect() as other:
        assert busy.ask(b"mn\r\n") == b"MN\r\n"
        busy.send(b"get a\r\n" * 5000)
        assert other.ask(b"mn\r\n") == b"MN\r\n"
        assert busy.read(5 * 5000) == b"END\r\n" * 5000
        assert int(other.stats()["conn_yields"]) > 0


def test_binary_is_closed_politely(dozo):
    """The first byte chooses; the binary protocol is not served yet."""
    one = dozo()
    with one.connect() as conn:
        conn.send(b"\x80\x0a" + b"\0" * 22)
        conn.rest()
        assert conn.closed
    with one.connect() as conn:
        assert conn.ask(b"mn\r\n") == b"MN\r\n"


def test_binary_byte_is_text_with_B_ascii(dozo):
    one = dozo("-B", "ascii")
    with one.connect() as conn:
        assert conn.ask(b"\x80\x0a\r\n").startswith((b"CLIENT_ERROR",
                                                     b"ERROR"))


@pytest.fixture
def auth_file():
    """Without a final newline, and where a server without root reads it."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="dozo-wire-"))
    folder.chmod(0o755)
    path = folder / "users"
    path.write_bytes(b"alice:secret\nbob:hunter2")
    yield path
    shutil.rmtree(folder)


@pytest.fixture
def auth(dozo, auth_file):
    return dozo("-Y", str(auth_file))


def login(conn, text, length=None):
    return conn.ask(b"set any 0 0 %d\r\n%s\r\n" % (
        len(text) if length is None else length, text))


def test_without_authentication_nothing_runs(auth):
    with auth.connect() as conn:
        for request in (b"get abc\r\n", b"version\r\n", b"flush_all\r\n",
                        b"mg abcdef v\r\n", b"bogus command\r\n"):
            assert conn.ask(request) == b"CLIENT_ERROR unauthenticated\r\n"


@pytest.mark.parametrize("text", [b"alice secret", b"bob hunter2"])
def test_authentication(auth, text):
    with auth.connect() as conn:
        assert login(conn, text) == b"STORED\r\n"
        assert conn.ask(b"get any\r\n") == b"END\r\n"
        assert conn.ask(b"set a 0 0 1\r\nx\r\n") == b"STORED\r\n"
        stats = conn.stats()
        assert (stats["auth_cmds"], stats["auth_errors"]) == ("1", "0")
        settings = conn.stats("settings")
        assert settings["auth_enabled_ascii"].endswith("users")
    with auth.connect() as conn:
        assert conn.ask(b"get a\r\n") == b"CLIENT_ERROR unauthenticated\r\n" \
            or conn.closed


def test_wrong_authentication(auth):
    with auth.connect() as conn:
        for text in (b"alice wrong", b"alice secretx", b"alice secre",
                     b"carol secret", b"alice hunter2"):
            assert login(conn, text) == \
                b"CLIENT_ERROR authentication failure\r\n"
        assert login(conn, b"alicesecret") == \
            b"CLIENT_ERROR bad authentication token format\r\n"
    with auth.connect() as conn:
        # One byte less than there is, so an empty line is left, which closes.
        assert login(conn, b"alice secret", 11) == \
            b"CLIENT_ERROR bad command line termination\r\n"
    with auth.connect() as conn:
        assert login(conn, b"x", 16385) == \
            b"CLIENT_ERROR auth token too long\r\n"
    with auth.connect() as conn:
        assert login(conn, b"bob hunter2") == b"STORED\r\n"
        stats = conn.stats()
        assert (stats["auth_cmds"], stats["auth_errors"]) == ("6", "5")


def test_short_lines_close_before_authentication(auth):
    with auth.connect() as conn:
        conn.send(b"mn\r\n")
        assert conn.at_eof()


def test_authentication_byte_by_byte(auth):
    with auth.connect() as conn:
        for byte in b"set a 0 0 12\r\nalice secret\r\n":
            conn.send(bytes([byte]))
        assert conn.line() == b"STORED\r\n"
        assert conn.ask(b"mn\r\n") == b"MN\r\n"


def test_authentication_is_reloaded(auth, auth_file):
    auth_file.write_bytes(b"carol:new\n")
    auth.signal(signal.SIGHUP)
    deadline = time.monotonic() + server.STOP_S
    while True:
        with auth.connect() as conn:
            if login(conn, b"carol new") == b"STORED\r\n":
                break
        assert time.monotonic() < deadline
    with auth.connect() as conn:
        assert login(conn, b"alice secret") == \
            b"CLIENT_ERROR authentication failure\r\n"
