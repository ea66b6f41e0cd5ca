# SPDX-License-Identifier: BSD-3-Clause
"""The clock of the machine is another one at the next start.

A build with debug commands moves the first server's clock, so that the
second, with the true one, starts as if the clock had been set back or forward
while nothing ran (CONSISTENCY L6: a clock starts at the highest time seen).
"""

import time

import pytest

import keepkit
import server

YEAR_S = 365 * 86400
ENDS = {"SIGTERM": keepkit.Keep.stop, "kill": keepkit.Keep.kill}


@pytest.fixture(params=ENDS.values(), ids=ENDS.keys())
def end(request):
    return request.param


@pytest.fixture
def keep():
    if server.debug_path() is None:
        pytest.skip(server.NO_DEBUG)
    with keepkit.Keep("--fsync=always", binary=server.debug_path()) as one:
        yield one


def move(conn, seconds):
    assert conn.ask(b"debugtime %d\r\n" % seconds) == b"OK\r\n"


def now_of(conn):
    """The server's clock."""
    return int(conn.stats()["time"])


def left(conn, key):
    """Seconds that an item has to live, -1 for ever, or None."""
    found = keepkit.mg(conn, key, b"t")
    return found and int(found["t"])


def fill(conn):
    """What has no end, what has one soon, and what is given a later one."""
    now = now_of(conn)
    keepkit.ms(conn, b"forever", b"x")
    keepkit.ms(conn, b"timed", b"x", b"T500")
    keepkit.ms(conn, b"touched", b"x", b"T500")
    keepkit.ms(conn, b"freed", b"x", b"T500")
    for request, reply in (
            (b"set until 0 %d 1\r\nx\r\n" % (now + 700), b"STORED\r\n"),
            (b"touch touched %d\r\n" % (now + 2 * YEAR_S), b"TOUCHED\r\n"),
            (b"touch freed 0\r\n", b"TOUCHED\r\n")):
        assert conn.ask(request) == reply
    return now


def test_set_back_by_a_year(keep, end):
    """Times to live go on from where they were, and end when they are due;
    the clock of the machine is not believed until it is there."""
    with keep.start().connect() as conn:
        move(conn, YEAR_S)
        now = fill(conn)
        assert now > time.time() + YEAR_S - 10
        keepkit.ms(conn, b"short", b"x", b"T30")
        move(conn, 40)
        token = keepkit.ms(conn, b"last", b"x")
        assert left(conn, b"short") is None
    end(keep)
    one = keep.start()
    assert "the clock is 3153" in one.stderr()
    with one.connect() as conn:
        assert now + 40 <= now_of(conn) <= now + 70
        assert left(conn, b"short") is None
        assert left(conn, b"forever") == left(conn, b"freed") == -1
        assert 430 <= left(conn, b"timed") <= 460
        assert 630 <= left(conn, b"until") <= 660
        assert 2 * YEAR_S - 70 <= left(conn, b"touched") <= 2 * YEAR_S - 40
        assert keepkit.ms(conn, b"last", b"x") > token
        # Unix time is that of the clock that was seen.
        assert conn.ask(b"set past 0 %d 1\r\nx\r\n" % (
            time.time() + 1000)) == b"STORED\r\n"
        assert left(conn, b"past") is None
        move(conn, 461)
        assert left(conn, b"timed") is None
        assert left(conn, b"until") > 100
        keepkit.ms(conn, b"last", b"y")
    end(keep)
    with keep.start().connect() as conn:
        assert now + 500 <= now_of(conn) <= now + 560
        assert left(conn, b"timed") is left(conn, b"past") is None
        assert left(conn, b"forever") == left(conn, b"last") == -1


def test_set_forward_by_a_year(keep, end):
    """What has no end is there, and what has one is gone."""
    with keep.start().connect() as conn:
        move(conn, -YEAR_S)
        now = fill(conn)
        assert now < time.time() - YEAR_S + 10
    end(keep)
    one = keep.start()
    assert "the clock is" not in one.stderr()
    with one.connect() as conn:
        assert int(conn.stats()["curr_items"]) == 3
        assert left(conn, b"forever") == left(conn, b"freed") == -1
        assert left(conn, b"timed") is left(conn, b"until") is None
        assert YEAR_S - 60 <= left(conn, b"touched") <= YEAR_S
        keepkit.ms(conn, b"timed", b"x", b"T500")
    end(keep)
    with keep.start().connect() as conn:
        assert 470 <= left(conn, b"timed") <= 500
        assert int(conn.stats()["curr_items"]) == 4


def test_a_flush_to_come_and_a_clock_set_back(keep, end):
    with keep.start().connect() as conn:
        move(conn, YEAR_S)
        fill(conn)
        assert conn.ask(b"flush_all 300\r\n") == b"OK\r\n"
    end(keep)
    with keep.start().connect() as conn:
        move(conn, 240)
        assert left(conn, b"forever") == -1
        keepkit.ms(conn, b"last", b"x")
    end(keep)
    with keep.start().connect() as conn:
        assert left(conn, b"forever") == -1
        move(conn, 61)
        keepkit.await_true("it fires", lambda: left(
            conn, b"forever") is None)
        assert left(conn, b"last") is None
        keepkit.ms(conn, b"last", b"x")
    end(keep)
    with keep.start().connect() as conn:
        move(conn, YEAR_S)
        assert left(conn, b"last") == -1
        assert int(conn.stats()["curr_items"]) == 1


def test_a_flush_to_come_and_a_clock_set_forward(keep, end):
    """It was due while nothing ran: nothing older is ever seen."""
    with keep.start().connect() as conn:
        move(conn, -YEAR_S)
        fill(conn)
        assert conn.ask(b"flush_all 300\r\n") == b"OK\r\n"
        keepkit.ms(conn, b"behind", b"x")
    end(keep)
    with keep.start().connect() as conn:
        for key in (b"forever", b"freed", b"touched", b"behind"):
            assert left(conn, key) is None, key
        keepkit.ms(conn, b"new", b"x")
    end(keep)
    with keep.start().connect() as conn:
        move(conn, 1000)
        assert left(conn, b"new") == -1
        assert int(conn.stats()["curr_items"]) == 1
