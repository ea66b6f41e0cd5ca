# SPDX-License-Identifier: BSD-3-Clause
"""kill -9 under load, again and again on one data directory.

The server runs with --fsync=always and with journals and snapshots so small
that one or the other is always under way.  Connections that each keep many
requests open hold it to what keepledger.py writes down: what was acknowledged
is there after the crash, nothing is there that was never sent, and no cas
token ever stands for two things.

Every second life ends in a loss of power: holdback.c keeps what was written
from the kernel until it is synced, so what the process had not synced dies
with it.

KILLS says how many lives (20; `make kills`: 100), CHAOS_SEED repeats choices.
"""

import collections
import os
import selectors
import socket
import subprocess
import sys
import time

import pytest

import test_chaos  # sets the path
import keepkit
import keepledger

sys.path.insert(0, os.path.join(test_chaos.ROOT, "tests", "fault"))

import injector  # noqa: E402  (the path is set above)

KILLS = int(os.environ.get("KILLS", "20"))
CONNECTIONS = 8
DEPTH = 24
LIFE_S = 120  # only a failure takes as long as that
FLAGS = ("--fsync=always", "-m", "256", "-M", "-t", "4",
         "--journal-size=64k", "--snapshot-size=256k")


def power_env():
    """A server whose death is a loss of power."""
    path = os.path.join(os.path.dirname(injector.library_path()),
                        "libholdback.so")
    assert os.path.exists(path), path
    return dict(injector.preload_env(), LD_PRELOAD=path)


class Client:
    """A connection that keeps DEPTH requests open."""

    def __init__(self, ledger, keys, address):
        self.ledger = ledger
        self.keys = keys
        self.queue = collections.deque()
        self.out = bytearray()
        self.buf = bytearray()
        self.sock = socket.socket()
        self.sock.connect(address)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock.setblocking(False)

    def fill(self):
        while len(self.queue) < DEPTH:
            for request in self.ledger.draw(self.keys):
                self.ledger.on_sent(request)
                self.queue.append(request)
                self.out += request.data
        self.send()

    def send(self):
        try:
            while self.out:
                del self.out[:self.sock.send(self.out)]
        except BlockingIOError:
            pass

    def receive(self):
        """False at the end of the stream."""
        try:
            data = self.sock.recv(1 << 18)
        except BlockingIOError:
            return True
        except ConnectionResetError:
            return False
        self.buf += data
        at = 0
        while True:
            found = keepledger.read_reply(self.buf, at)
            if found is None:
                break
            reply, at = found
            request = self.queue.popleft()
            while request.silent:
                self.ledger.on_reply(request, None)
                request = self.queue.popleft()
            self.ledger.on_reply(request, reply)
        del self.buf[:at]
        return bool(data)

    def drain(self):
        """What was on its way when the server died was acknowledged."""
        self.sock.settimeout(LIFE_S)
        while self.receive():
            pass
        self.sock.close()


class Life:
    """One server, from its start to its violent end."""

    def __init__(self, keep, ledger, env):
        self.ledger = ledger
        self.one = keep.start(env=env)
        names = list(ledger.keys)
        self.clients = [Client(ledger, names[at::CONNECTIONS],
                               self.one.address)
                        for at in range(CONNECTIONS)]

    def load(self, replies):
        """Until so many more were received."""
        wanted = self.ledger.acknowledged + replies
        deadline = time.monotonic() + LIFE_S
        with selectors.DefaultSelector() as selector:
            for client in self.clients:
                selector.register(client.sock, selectors.EVENT_READ, client)
            while self.ledger.acknowledged < wanted:
                assert time.monotonic() < deadline, "too slow"
                for client in self.clients:
                    client.fill()
                for key, _ in selector.select(1):
                    if not key.data.receive():
                        self.one.check()
                        raise AssertionError("a connection was closed")

    def snapshots(self):
        return keepkit.stat(self.one, "snapshots")

    def end(self):
        for client in self.clients:
            client.drain()


def read_all(one, ledger):
    """Every key as it is now, and every key that the server lists."""
    found = {}
    with one.connect() as conn:
        conn.send(b"".join(b"mg %s v f c t\r\n" % key for key in ledger.keys))
        for name in ledger.keys:
            while True:
                got = keepledger.read_reply(conn.buf, 0)
                if got is not None:
                    break
                assert conn.fill(time.monotonic() + LIFE_S)
            reply, end = got
            conn.take(end)
            found[name] = reply.item
        conn.send(b"lru_crawler metadump all\r\n")
        listed = {line.split(b" ")[0][4:]
                  for line in conn.until(b"END\r\n").splitlines()[:-1]
                  if line.startswith(b"key=")}
    there = {name for name, item in found.items() if item is not None}
    assert listed == there, "listed and not there, or the reverse: %r" % (
        listed ^ there)
    return found


def check_life(one, ledger, clients):
    found = read_all(one, ledger)
    for client in clients:
        ledger.check_connection(client.keys, list(client.queue), found)
    ledger.adopt(found)
    return found


def use_old_tokens(one, ledger, count=20):
    """A cas with the last token that was told succeeds."""
    used = 0
    with one.connect() as conn:
        for name, key in ledger.keys.items():
            (state,) = key.states
            if used == count or state is None or name.startswith(b"n"):
                continue
            request = ledger.store(name, "cas", ledger.value(), True,
                                   state.token)
            ledger.on_sent(request)
            assert conn.send(request.data)
            while keepledger.read_reply(conn.buf, 0) is None:
                assert conn.fill(time.monotonic() + LIFE_S)
            reply, end = keepledger.read_reply(conn.buf, 0)
            conn.take(end)
            assert reply.word == "HD", "%r: %r" % (name, reply)
            ledger.on_reply(request, reply)
            used += 1
    return used


def test_kills_lose_nothing_acknowledged():
    began = time.monotonic()
    ledger = keepledger.Ledger(test_chaos.SEED)
    print("CHAOS_SEED=%s" % test_chaos.SEED)
    snapshots = used = recovery_ms = 0
    with keepkit.Keep(*FLAGS) as keep:
        clients = []
        for number in range(KILLS):
            life = Life(keep, ledger, power_env() if number % 2 else None)
            check_life(life.one, ledger, clients)
            recovery_ms = max(recovery_ms, keepkit.stat(
                life.one, "recovery_ms", "dozo"))
            used += use_old_tokens(life.one, ledger)
            life.load(ledger.dice.randrange(1500, 3500))
            snapshots += life.snapshots()
            life.load(ledger.dice.randrange(200, 1500))
            keep.kill()
            life.end()
            clients = life.clients
        one = keep.start()
        found = check_life(one, ledger, clients)
        keep.stop()
        again = read_all(keep.start(), ledger)
        assert {k: v and v[:2] for k, v in found.items()} == \
            {k: v and v[:2] for k, v in again.items()}
    print("%d kills, %d acknowledged, %d tokens, %d of them used after a "
          "crash, %d snapshots, recovery %d ms at most, in %.1f s" % (
              KILLS, ledger.acknowledged, len(ledger.tokens), used,
              snapshots, recovery_ms, time.monotonic() - began))
    assert ledger.acknowledged >= 1700 * KILLS
    assert snapshots >= KILLS // 4
    assert used > 0


@pytest.mark.parametrize("fsync", ["everysec", "never"])
def test_tokens_of_what_was_lost_are_not_used_again(fsync):
    """Without `always` a loss of power takes changes whose cas tokens were
    told.  Who kept such a token must not change with it what came later."""
    told = {}
    lost = 0
    with keepkit.Keep("--fsync=" + fsync, "--journal-size=64k") as keep:
        for life in range(6):
            with keep.start(env=power_env()).connect() as conn:
                for key, token in list(told.items())[-50:]:
                    reply = conn.ask(b"cas %s 0 0 1 %d\r\nx\r\n" % (
                        key, token))
                    assert reply in (b"STORED\r\n", b"NOT_FOUND\r\n")
                    lost += reply == b"NOT_FOUND\r\n"
                for number in range(500):
                    key = b"k%d-%d" % (life, number)
                    told[key] = keepkit.ms(conn, key, b"x" * 100)
            assert len(set(told.values())) == len(told), "life %d" % life
            keep.kill()
    print("%d tokens told, %d of 250 were lost" % (len(told), lost))
    assert lost > 0


def test_ledger_sees_a_loss():
    """What the tests above rest on: a ledger that is told lies says so."""
    ledger = keepledger.Ledger(1, 16)
    names = list(ledger.keys)
    stored = ledger.store(b"v-0008", "set", b"one", True)
    ledger.on_sent(stored)
    ledger.on_reply(stored, keepledger.Reply("HD", 7, None))
    there = keepledger.Item(b"one", stored.outcomes(None)[0][1].flags,
                            stored.outcomes(None)[0][1].exp, 7)
    good = dict.fromkeys(names)
    good[b"v-0008"] = there
    ledger.check_connection(names, [], good)
    open_set = ledger.store(b"v-0008", "set", b"two", True)
    open_add = ledger.store(b"v-0009", "add", b"behind", True)
    for request in (open_set, open_add):
        ledger.on_sent(request)
    queue = [open_set, open_add]
    ledger.check_connection(names, queue, good)
    behind = dict(good)
    behind[b"v-0009"] = open_add.outcomes(None)[0][1]._replace(token=9)
    for bad in (dict.fromkeys(names), behind,
                {**good, b"v-0008": there._replace(value=b"on")},
                {**good, b"v-0008": there._replace(token=8)},
                {**good, b"v-0010": there}):
        try:
            ledger.check_connection(names, queue, bad)
        except keepledger.Wrong:
            continue
        raise AssertionError("not seen: %r" % bad)
    try:
        ledger.note_token(b"v-0010", there)
    except keepledger.Wrong:
            return
    raise AssertionError("a token used twice is not seen")


def test_holdback_is_a_loss_of_power(tmp_path):
    """What is not synced is not there, and dies with its process."""
    path = tmp_path / "file"
    path.write_bytes(b"")
    script = """
import os, sys
file = os.open(sys.argv[1], os.O_RDWR)
for step in (b"one", b"two"):
    os.pwrite(file, step, os.fstat(file).st_size)
    print("written", flush=True)
    sys.stdin.readline()
    if step == b"one":
        os.fdatasync(file)
        print("synced", flush=True)
        sys.stdin.readline()
"""
    with subprocess.Popen(
            [sys.executable, "-c", script, str(path)], text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            env=dict(os.environ, **power_env())) as child:
        said = []
        for expected in (b"", b"one", b"one"):
            said.append(child.stdout.readline())
            assert path.read_bytes() == expected
            if len(said) < 3:
                child.stdin.write("\n")
                child.stdin.flush()
        child.kill()
    assert said == ["written\n", "synced\n", "written\n"]
    assert path.read_bytes() == b"one"
