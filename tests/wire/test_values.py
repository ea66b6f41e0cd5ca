# SPDX-License-Identifier: BSD-3-Clause
"""Values of all sizes, in pieces, many at once, and more than fit."""

import hashlib
import random
import threading
import time

import pytest

MIB = 1 << 20
LARGEST = MIB - 59 - 1


def content(key, size):
    """Bytes that depend on key and size, cheap to make again."""
    seed = hashlib.sha256(b"%s %d" % (key, size)).digest()
    return (seed * (size // len(seed) + 1))[:size]


def store(conn, key, data, flags=0):
    conn.send(b"set %s %d 0 %d\r\n" % (key, flags, len(data)))
    conn.send(data)
    return conn.ask(b"\r\n")


def fetch(conn, key):
    """The value, or None."""
    conn.send(b"get %s\r\n" % key)
    line = conn.line()
    if line == b"END\r\n":
        return None
    words = line.split()
    assert words[:2] == [b"VALUE", key], line
    data = conn.read(int(words[3]))
    assert conn.read(7) == b"\r\nEND\r\n"
    return data


SIZES = sorted({0, 1, 2, 3, 7, 8, 9, 63, 64, 65, LARGEST, LARGEST - 1}
               | {1 << shift for shift in range(4, 20)}
               | {(1 << shift) - 1 for shift in range(4, 21)}
               - {MIB - 1}
               | {(1 << shift) + 1 for shift in range(4, 20)}
               | {2048, 4095, 16383, 100000, 262143, 262145, 999999})


def test_every_size(dozo):
    one = dozo("-m", "256")
    with one.connect() as conn:
        for size in SIZES:
            key = b"v%d" % size
            if size == LARGEST:
                key = b"v"
            elif size > LARGEST - 16:
                continue
            assert store(conn, key, content(key, size)) == b"STORED\r\n", size
            assert fetch(conn, key) == content(key, size), size
        for size in SIZES:
            key = b"v%d" % size
            if size <= LARGEST - 16:
                assert fetch(conn, key) == content(key, size), size


def test_overwrite_with_other_sizes(dozo):
    one = dozo()
    rng = random.Random(11)
    with one.connect() as conn:
        for _ in range(300):
            size = rng.choice(SIZES[:-2])
            if size > LARGEST - 16:
                continue
            assert store(conn, b"k", content(b"k", size), size) == \
                b"STORED\r\n"
            assert fetch(conn, b"k") == content(b"k", size)


def test_append_across_sizes(dozo):
    one = dozo("-m", "128")
    whole = b""
    with one.connect() as conn:
        assert store(conn, b"k", b"") == b"STORED\r\n"
        for number, size in enumerate([1, 10, 500, 3000, 20000, 200000,
                                       400000]):
            piece = content(b"%d" % number, size)
            verb = b"append" if number % 2 else b"prepend"
            conn.send(b"%s k 0 0 %d\r\n%s\r\n" % (verb, size, piece))
            assert conn.line() == b"STORED\r\n"
            whole = whole + piece if number % 2 else piece + whole
            assert fetch(conn, b"k") == whole


@pytest.mark.parametrize("size", [0, 1, 3, 100, 5000, 70000, 1000000])
def test_split_delivery(dozo, size):
    """A request cut into random pieces, the borders of line, data and end
    among them."""
    one = dozo()
    rng = random.Random(size)
    data = content(b"k", size)
    request = b"set k 9 0 %d\r\n%s\r\nget k\r\n" % (size, data)
    with one.connect() as conn:
        for _ in range(8):
            borders = {rng.randrange(len(request) + 1) for _ in range(10)}
            borders |= {len(request) - size - 9, len(request) - 9,
                        len(request) - 8, len(request) - 7}
            at = 0
            for border in sorted(borders) + [len(request)]:
                if border > at:
                    conn.send(request[at:border])
                    at = border
            assert conn.line() == b"STORED\r\n"
            assert conn.line() == b"VALUE k 9 %d\r\n" % size
            assert conn.read(size) == data
            assert conn.read(7) == b"\r\nEND\r\n"


def test_a_thousand_keys_in_one_get(dozo):
    one = dozo()
    keys = [b"key-%d" % number for number in range(1000)]
    with one.connect() as conn:
        for key in keys:
            conn.send(b"set %s 0 0 %d noreply\r\n%s\r\n" % (
                key, len(key) * 10, content(key, len(key) * 10)))
        assert conn.ask(b"mn\r\n") == b"MN\r\n"
        for verb in (b"get", b"gets"):
            wanted = keys[:]
            random.Random(3).shuffle(wanted)
            for at in range(0, len(wanted), 10):
                wanted.insert(at, b"missing-%d" % at)
            conn.send(verb + b" " + b" ".join(wanted) + b"\r\n")
            for key in wanted:
                if key.startswith(b"missing"):
                    continue
                words = conn.line().split()
                size = len(key) * 10
                assert words[:4] == [b"VALUE", key, b"0", b"%d" % size]
                assert conn.read(size + 2) == content(key, size) + b"\r\n"
            assert conn.line() == b"END\r\n"


def test_large_values_in_one_get(dozo):
    """More reply than any buffer, read late."""
    one = dozo("-m", "128")
    with one.connect() as conn:
        for number in range(20):
            key = b"big%d" % number
            assert store(conn, key, content(key, 900000)) == b"STORED\r\n"
        keys = [b"big%d" % (number % 20) for number in range(60)]
        conn.send(b"get %s\r\n" % b" ".join(keys))
        with one.connect() as other:
            assert other.ask(b"mn\r\n") == b"MN\r\n"
        for key in keys:
            assert conn.line() == b"VALUE %s 0 900000\r\n" % key
            assert conn.read(900002) == content(key, 900000) + b"\r\n"
        assert conn.line() == b"END\r\n"


def test_pipeline_with_a_late_reader(dozo):
    """10,000 commands are sent before the first reply is read."""
    one = dozo()
    request, reply = [], []
    for number in range(10000):
        key = b"p%d" % (number % 997)
        data = b"%d" % number * 20
        request.append(b"set %s 0 0 %d\r\n%s\r\nget %s\r\n" % (
            key, len(data), data, key))
        reply.append(b"STORED\r\nVALUE %s 0 %d\r\n%s\r\nEND\r\n" % (
            key, len(data), data))
    reply = b"".join(reply)
    with one.connect(60) as conn:
        sender = threading.Thread(target=conn.send,
                                  args=(b"".join(request),))
        sender.start()
        with one.connect() as other:
            # Others are served while this one does not read.
            deadline = time.monotonic() + 60
            while int(other.stats()["cmd_set"]) < 100:
                assert time.monotonic() < deadline
        assert conn.read(len(reply)) == reply
        sender.join(60)
        assert not sender.is_alive()


def test_a_reader_who_never_reads_stops_nobody(dozo):
    one = dozo("-m", "64")
    with one.connect() as writer:
        assert store(writer, b"big", content(b"big", 1000000)) == \
            b"STORED\r\n"
        deaf = one.connect(2)
        try:
            deaf.sock.setblocking(False)
            sent, request = 0, b"get big\r\n" * 100
            try:
                while sent < 50 * MIB:
                    sent += deaf.sock.send(request)
            except BlockingIOError:
                pass
            for _ in range(100):
                assert writer.ask(b"mn\r\n") == b"MN\r\n"
            assert fetch(writer, b"big") == content(b"big", 1000000)
        finally:
            deaf.close()
        assert writer.ask(b"mn\r\n") == b"MN\r\n"


@pytest.mark.parametrize("size", [2 * MIB, 10 * MIB, 40 * MIB])
def test_large_items(dozo, size):
    one = dozo("-I", "64m", "-m", "256")
    with one.connect(60) as conn:
        data = content(b"huge", size)
        assert store(conn, b"huge", data, 5) == b"STORED\r\n"
        assert fetch(conn, b"huge") == data
        assert conn.ask(b"mg huge s f\r\n") == b"HD s%d f5\r\n" % size
        assert store(conn, b"small", b"x") == b"STORED\r\n"
        other = content(b"other", size)
        assert store(conn, b"huge", other) == b"STORED\r\n"
        assert fetch(conn, b"huge") == other
        assert fetch(conn, b"small") == b"x"
        assert conn.ask(b"delete huge\r\n") == b"DELETED\r\n"


@pytest.mark.parametrize("limit", [8, 16, 64])
@pytest.mark.parametrize("size", [100, 4000, 100000])
def test_eviction_keeps_serving(dozo, limit, size):
    """Three times what fits: every set is stored, the latest is there, what
    is there is right, and the limit holds."""
    one = dozo("-m", "%d" % limit)
    count = min(3 * limit * MIB // (size + 100), 60000)
    with one.connect(60) as conn:
        for at in range(0, count, 100):
            batch = []
            for number in range(at, min(at + 100, count)):
                key = b"e%d" % number
                batch.append(b"set %s 0 0 %d\r\n%s\r\n" % (
                    key, size, content(key, size)))
            conn.send(b"".join(batch))
            wanted = b"STORED\r\n" * len(batch)
            assert conn.read(len(wanted)) == wanted
            newest = b"e%d" % (min(at + 100, count) - 1)
            assert fetch(conn, newest) == content(newest, size)
        there = 0
        for number in random.Random(1).sample(range(count), 500
                                              if count > 500 else count):
            key = b"e%d" % number
            data = fetch(conn, key)
            if data is not None:
                there += 1
                assert data == content(key, size)
        assert there > 0
        stats = conn.stats()
        if count * size > limit * MIB:
            assert int(stats["evictions"]) > 0
        assert int(stats["bytes"]) <= limit * MIB
        assert int(stats["curr_items"]) <= count


def test_without_eviction_what_is_stored_stays(dozo):
    """-M: stores until the error, and then everything stored is there."""
    one = dozo("-M", "-m", "16")
    size, stored = 5000, 0
    with one.connect(60) as conn:
        while True:
            key = b"m%d" % stored
            reply = store(conn, key, content(key, size))
            if reply != b"STORED\r\n":
                break
            stored += 1
            assert stored < 10000
        assert reply == b"SERVER_ERROR out of memory storing object\r\n"
        assert stored * size > 4 * MIB
        for number in range(stored):
            key = b"m%d" % number
            assert fetch(conn, key) == content(key, size)
        stats = conn.stats()
        assert int(stats["evictions"]) == 0
        assert int(stats["curr_items"]) == stored
        assert int(stats["store_no_memory"]) >= 1
        assert conn.stats("settings")["evictions"] == "off"


def test_a_hit_without_memory_for_its_time_is_no_miss(dozo):
    """-M, and no room for items that have a time to live as well."""
    one = dozo("-M", "-m", "8")
    no_memory = b"SERVER_ERROR out of memory\r\n"
    value = b"x" * 100
    with one.connect(60) as conn:
        for first in range(0, 90000, 1000):
            conn.send(b"".join(
                b"set m%05d 0 0 100 noreply\r\n%s\r\n" % (number, value)
                for number in range(first, first + 1000)))
        assert conn.ask(b"mn\r\n", timeout_s=60).endswith(b"MN\r\n")
        assert int(conn.stats()["store_no_memory"]) > 0
        for number in range(200):
            key = b"m%05d" % number
            assert conn.ask(b"touch %s 1000\r\n" % key) == no_memory
            assert conn.ask(b"gat 1000 %s none\r\n" % key) == no_memory
            assert conn.ask(b"gats 1000 none %s\r\n" % key) == no_memory
            assert fetch(conn, key) == value
        assert conn.ask(b"gat 1000 none\r\n") == b"END\r\n"


def test_without_eviction_a_refused_set_deletes(dozo):
    """No memory: set deletes the old item, add and replace leave it."""
    one = dozo("-M", "-m", "16")
    with one.connect(60) as conn:
        assert store(conn, b"old", b"x") == b"STORED\r\n"
        assert store(conn, b"kept", b"x") == b"STORED\r\n"
        number, data = 0, content(b"f", 500000)
        while store(conn, b"f%d" % number, data) == b"STORED\r\n":
            number += 1
            assert number < 100
        for verb in (b"replace", b"append"):
            conn.send(b"%s kept 0 0 500000\r\n%s\r\n" % (verb, data))
            assert conn.line() == \
                b"SERVER_ERROR out of memory storing object\r\n"
        assert fetch(conn, b"kept") == b"x"
        assert store(conn, b"old", content(b"o", 500000)) == \
            b"SERVER_ERROR out of memory storing object\r\n"
        assert fetch(conn, b"old") is None
        assert conn.ask(b"flush_all\r\n") == b"OK\r\n"
        deadline = time.monotonic() + 60
        while store(conn, b"new", content(b"n", 5000)) != b"STORED\r\n":
            assert time.monotonic() < deadline


def test_memory_limit_at_run_time(dozo):
    """cache_memlimit down makes room, up lets more in."""
    one = dozo("-m", "64")
    size = 10000

    def fill(conn, tag, count):
        for at in range(0, count, 50):
            conn.send(b"".join(b"set %s%d 0 0 %d noreply\r\n%s\r\n" % (
                tag, number, size, content(tag, size))
                for number in range(at, at + 50)))
        assert conn.ask(b"mn\r\n") == b"MN\r\n"

    with one.connect(60) as conn:
        fill(conn, b"a", 8000)
        assert int(conn.stats()["bytes"]) > 30 * MIB
        assert conn.ask(b"cache_memlimit 16\r\n") == b"OK\r\n"
        fill(conn, b"b", 2000)
        assert store(conn, b"last", b"x") == b"STORED\r\n"
        assert fetch(conn, b"last") == b"x"
        assert conn.stats()["limit_maxbytes"] == "%d" % (16 * MIB)
        assert conn.ask(b"cache_memlimit 128\r\n") == b"OK\r\n"
        fill(conn, b"c", 11000)
        stats = conn.stats()
        assert 64 * MIB < int(stats["bytes"]) <= 128 * MIB


def test_many_connections_at_once(dozo):
    """Writers and readers side by side; each reads its own writes."""
    one = dozo("-m", "64")
    errors = []

    def work(tag):
        rng = random.Random(tag)
        try:
            with one.connect(30) as conn:
                for number in range(400):
                    key = b"w%d-%d" % (tag, number % 20)
                    size = rng.choice([0, 10, 1000, 30000])
                    assert store(conn, key, content(key, size)) == \
                        b"STORED\r\n"
                    assert fetch(conn, key) == content(key, size)
                    conn.ask(b"incr shared 1\r\n")
        except (AssertionError, OSError, TimeoutError) as error:
            errors.append((tag, repr(error)[:300]))

    with one.connect() as conn:
        assert store(conn, b"shared", b"0") == b"STORED\r\n"
        threads = [threading.Thread(target=work, args=(tag,))
                   for tag in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(120)
        assert not errors, errors
        assert fetch(conn, b"shared").strip() == b"3200"
