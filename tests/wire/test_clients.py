# SPDX-License-Identifier: BSD-3-Clause
"""Real clients from Debian's packages against dozo."""

import os
import random
import re
import shutil
import subprocess

import memcache
import pylibmc
import pymemcache.test
import pytest
from pymemcache.client.base import Client

PYMEMCACHE_TESTS = 46
MEMCCAPABLE_TESTS = 27


def test_pymemcache_integration(dozo):
    """pymemcache's own integration tests, all of them but TLS."""
    one = dozo()
    path = os.path.join(os.path.dirname(pymemcache.test.__file__),
                        "test_integration.py")
    done = subprocess.run(
        ["/usr/bin/python3", "-m", "pytest", "-q", "-p", "no:cacheprovider",
         path, "--server", "127.0.0.1", "--port", str(one.port),
         "-k", "not tls"],
        cwd=one.dir, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout[-6000:]
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed and int(passed.group(1)) == PYMEMCACHE_TESTS, \
        done.stdout[-6000:]


def test_memccapable(dozo):
    """libmemcached's test of what a server can do, the text half."""
    if shutil.which("memccapable") is None:
        pytest.fail("no memccapable (Debian: libmemcached-tools)")
    one = dozo()
    done = subprocess.run(
        ["memccapable", "-a", "-h", "127.0.0.1", "-p", str(one.port)],
        capture_output=True, text=True, timeout=300)
    lines = done.stdout.splitlines()
    passed = [line for line in lines if line.endswith("[pass]")]
    assert done.returncode == 0 and len(passed) == MEMCCAPABLE_TESTS, \
        done.stdout + done.stderr


class Pymemcache:
    def __init__(self, port):
        self.client = Client(("127.0.0.1", port), timeout=60)

    def set(self, key, value, ttl=0):
        return self.client.set(key, value, expire=ttl, noreply=False)

    def get(self, key):
        return self.client.get(key)

    def get_multi(self, keys):
        return self.client.get_many(keys)

    def set_multi(self, pairs):
        assert self.client.set_many(pairs, noreply=False) == []

    def incr(self, key, delta):
        return self.client.incr(key, delta)

    def decr(self, key, delta):
        return self.client.decr(key, delta)

    def append(self, key, value):
        return self.client.append(key, value, noreply=False)

    def prepend(self, key, value):
        return self.client.prepend(key, value, noreply=False)

    def touch(self, key, ttl):
        return self.client.touch(key, ttl, noreply=False)

    def delete(self, key):
        return self.client.delete(key, noreply=False)

    def add(self, key, value):
        return self.client.add(key, value, noreply=False)

    def replace(self, key, value):
        return self.client.replace(key, value, noreply=False)

    def cas(self, key, change):
        value, unique = self.client.gets(key)
        change()
        return self.client.cas(key, value + b"!", unique, noreply=False)

    def flush(self):
        return self.client.flush_all(noreply=False)

    def items(self):
        return self.client.stats()[b"curr_items"]


class Memcache:
    """The names that both of the next two clients have, with a `client`."""

    def set(self, key, value, ttl=0):
        return self.client.set(key, value, time=ttl)

    def get(self, key):
        return self.client.get(key)

    def get_multi(self, keys):
        return self.client.get_multi(keys)

    def set_multi(self, pairs):
        assert self.client.set_multi(pairs) == []

    def incr(self, key, delta):
        return self.client.incr(key, delta)

    def decr(self, key, delta):
        return self.client.decr(key, delta)

    def append(self, key, value):
        return self.client.append(key, value)

    def prepend(self, key, value):
        return self.client.prepend(key, value)

    def touch(self, key, ttl):
        return self.client.touch(key, ttl)

    def add(self, key, value):
        return self.client.add(key, value)

    def replace(self, key, value):
        return self.client.replace(key, value)

    def items(self):
        return int(self.client.get_stats()[0][1]["curr_items"])


class Pylibmc(Memcache):
    def __init__(self, port):
        self.client = pylibmc.Client(
            ["127.0.0.1:%d" % port],
            behaviors={"cas": True, "receive_timeout": 6 * 10 ** 7,
                       "send_timeout": 6 * 10 ** 7})

    def delete(self, key):
        return self.client.delete(key)

    def cas(self, key, change):
        value, unique = self.client.gets(key)
        change()
        return self.client.cas(key, value + b"!", unique)

    def flush(self):
        return self.client.flush_all()


class PythonMemcached(Memcache):
    def __init__(self, port):
        self.client = memcache.Client(["127.0.0.1:%d" % port],
                                      socket_timeout=60, cache_cas=True)

    def delete(self, key):
        return self.get(key) is not None and bool(self.client.delete(key))

    def cas(self, key, change):
        value = self.client.gets(key)
        change()
        return bool(self.client.cas(key, value + b"!"))

    def flush(self):
        self.client.flush_all()
        return True


def use(client, other):
    """What an application does with a cache; other changes things meanwhile
    on a connection of its own."""
    assert client.get("no") is None
    assert client.set("a", b"one")
    assert client.get("a") == b"one"
    assert not client.add("a", b"two")
    assert client.replace("a", b"two")
    assert not client.replace("no", b"two")
    assert client.append("a", b"++") and client.prepend("a", b"--")
    assert client.get("a") == b"--two++"
    assert client.touch("a", 1000)
    assert client.cas("a", lambda: None)
    assert client.get("a") == b"--two++!"
    assert not client.cas("a", lambda: other.set("a", b"other"))
    assert client.get("a") == b"other"
    assert client.delete("a")
    assert not client.delete("a")
    assert client.get("a") is None
    assert client.set("n", b"10")
    assert client.incr("n", 5) == 15
    assert client.decr("n", 20) == 0


def use_many(client):
    pairs = {"key%d" % number: b"value %d" % number for number in range(1000)}
    client.set_multi(pairs)
    assert client.get_multi(list(pairs)) == pairs
    assert client.get_multi(["key1", "no", "key2"]) == {
        "key1": b"value 1", "key2": b"value 2"}
    assert int(client.items()) >= 1000


def use_large(client):
    rng = random.Random(5)
    for size in (1, 1000, 2048, 65536, 300000, 1000000):
        data = rng.randbytes(size)
        assert client.set("large", data)
        assert client.get("large") == data


@pytest.mark.parametrize("make", [Pymemcache, Pylibmc, PythonMemcached])
def test_client(dozo, make):
    one = dozo()
    client, other = make(one.port), Pymemcache(one.port)
    use(client, other)
    use_many(client)
    use_large(client)
    assert client.flush()
    assert client.get("key1") is None


def test_clients_together(dozo):
    """What one client stores, every other reads and changes."""
    one = dozo()
    clients = [make(one.port)
               for make in (Pymemcache, Pylibmc, PythonMemcached)]
    for writer in clients:
        assert writer.set("shared", b"by %d" % id(writer))
        assert writer.set("number", b"100")
        for reader in clients:
            assert reader.get("shared") == b"by %d" % id(writer)
            reader.incr("number", 1)
        assert writer.get("number") == b"103"
    for client in clients:
        assert client.flush()
        assert all(other.get("shared") is None for other in clients)
        assert client.set("shared", b"again")


def test_libmemcached_tools(dozo, tmp_path):
    """memccp, memccat, memcrm, memcstat, memcflush as an operator types
    them."""
    one = dozo()
    servers = "--servers=127.0.0.1:%d" % one.port
    file = tmp_path / "page"
    file.write_bytes(b"text of a page")

    def run(*words):
        return subprocess.run(words, capture_output=True, timeout=60)

    assert run("memccp", servers, str(file)).returncode == 0
    assert run("memccat", servers, "page").stdout.strip() == \
        b"text of a page"
    assert b"curr_items: 1" in run("memcstat", servers).stdout
    assert run("memcrm", servers, "page").returncode == 0
    assert run("memccat", servers, "page").stdout.strip() == b""
    assert run("memcflush", servers).returncode == 0
