# SPDX-License-Identifier: BSD-3-Clause
"""The fixed mix of requests whose instructions are counted.

Each kind is a number of requests of one sort, sent over one connection, so
many at a time (the depth); every reply is checked.  The keys are drawn from
KEYS keys of 16 bytes by dice that always fall the same way.  The kinds
run in the order of the table, since some leave behind what others need.
"""

import collections
import os
import random
import shutil

from callgrind import CountedServer

KEYS = 20000
VALUE = b"v" * 100
NUMBERS = 5000  # more keys, for incr
FIRST_NUMBER = 1000000
REQUESTS = 3000
MULTI = 100   # keys of one get
MULTI_GETS = 100
DEPTHS = (1, 16)

# What a kind's counts are divided by, and the slice of the worker.
Count = collections.namedtuple("Count", "requests slice")


def name(prefix, number):
    return b"%s%0*d" % (prefix, 16 - len(prefix), number)


def get_hit(key):
    return b"get %s\r\n" % key, b"VALUE %s 0 100\r\n%s\r\nEND\r\n" % (
        key, VALUE)


def get_miss(key):
    return b"get no%s\r\n" % key[2:], b"END\r\n"


def store(key):
    return b"set %s 0 0 100\r\n%s\r\n" % (key, VALUE), b"STORED\r\n"


def delete(key):
    return b"delete %s\r\n" % key, b"DELETED\r\n"


def meta_get(key):
    return b"mg %s v\r\n" % key, b"VA 100\r\n%s\r\n" % VALUE


def meta_set(key):
    return b"ms %s 100\r\n%s\r\n" % (key, VALUE), b"HD\r\n"


def number_key(number):
    return name(b"number", number % NUMBERS)


class Counters:
    """incr of keys that hold numbers; it knows the answers."""

    def __init__(self):
        self.values = {}

    def __call__(self, key):
        key = number_key(int(key[-10:]))
        self.values[key] = self.values.get(key, FIRST_NUMBER) + 1
        return b"incr %s 1\r\n" % key, b"%d\r\n" % self.values[key]


# The kinds, and for which keys: drawn from those that are stored, or one
# after the other from those that are not.
KINDS = (
    ("get-hit", get_hit, "stored"),
    ("get-miss", get_miss, "stored"),
    ("mg-hit", meta_get, "stored"),
    ("set-over", store, "stored"),
    ("ms-over", meta_set, "stored"),
    ("incr", None, "stored"),  # a Counters for each server
    ("set-new", store, "new"),
    ("delete", delete, "new"),
)


def send(counted, pairs, depth):
    """All pairs of request and reply, `depth` at a time."""
    for at in range(0, len(pairs), depth):
        batch = pairs[at:at + depth]
        counted.exchange(b"".join(one[0] for one in batch),
                         b"".join(one[1] for one in batch))


def keys_of(kind, dice, depth):
    if kind == "new":
        return [name(b"new%d-" % depth, number)
                for number in range(REQUESTS)]
    return [name(b"key", dice.randrange(KEYS)) for _ in range(REQUESTS)]


def count_multi_gets(counted, dice):
    """Gets of many keys; what is counted is the keys."""
    pairs = []
    for _ in range(MULTI_GETS):
        keys = [name(b"key", dice.randrange(KEYS)) for _ in range(MULTI)]
        reply = b"".join(b"VALUE %s 0 100\r\n%s\r\n" % (key, VALUE)
                         for key in keys)
        pairs.append((b"get %s\r\n" % b" ".join(keys), reply + b"END\r\n"))
    counted.cut()
    send(counted, pairs, 1)
    return Count(MULTI_GETS * MULTI, counted.cut())


def count_with_room(folder):
    """Every kind on a server that has memory enough."""
    counts = {}
    with CountedServer(("-m", "64"), folder) as counted:
        dice = random.Random(1)
        send(counted, [store(name(b"key", number))
                       for number in range(KEYS)], 50)
        send(counted, [(b"set %s 0 0 7\r\n%d\r\n" % (
            number_key(number), FIRST_NUMBER), b"STORED\r\n")
            for number in range(NUMBERS)], 50)
        increment = Counters()
        for kind, make, which in KINDS:
            for depth in DEPTHS:
                pairs = [(make or increment)(key)
                         for key in keys_of(which, dice, depth)]
                counted.cut()
                send(counted, pairs, depth)
                counts["%s-%d" % (kind, depth)] = Count(
                    REQUESTS, counted.cut())
        counts["get-of-%d" % MULTI] = count_multi_gets(counted, dice)
        counted.server.stop()
    return counts


def count_evicting(folder):
    """Sets on a server that has to evict for each."""
    with CountedServer(("-m", "8"), folder) as counted:
        sets = [store(name(b"evict", number)) for number in range(90000)]
        send(counted, sets, 100)
        counted.cut()
        send(counted, sets[:10 * REQUESTS], 16)
        count = Count(10 * REQUESTS, counted.cut())
        evictions = int(counted.conn.stats()["evictions"])
        if evictions < 10 * REQUESTS:
            raise AssertionError("only %d evictions" % evictions)
        counted.server.stop()
    return {"set-evicting-16": count}


def count_kept(folder):
    """Sets on a server that keeps a journal: the worker's part of it."""
    counts = {}
    data = os.path.join(folder, "data")
    shutil.rmtree(data, ignore_errors=True)
    os.makedirs(data)
    flags = ("-m", "64", "--data-dir", data, "--fsync", "never")
    with CountedServer(flags, folder) as counted:
        dice = random.Random(2)
        send(counted, [store(name(b"key", number))
                       for number in range(KEYS)], 50)
        for depth in DEPTHS:
            pairs = [store(name(b"key", dice.randrange(KEYS)))
                     for _ in range(REQUESTS)]
            counted.cut()
            send(counted, pairs, depth)
            counts["set-kept-%d" % depth] = Count(REQUESTS, counted.cut())
        if int(counted.conn.stats()["journal_bytes"]) < KEYS * len(VALUE):
            raise AssertionError("there is no journal")
        counted.server.stop()
    shutil.rmtree(data)
    return counts
