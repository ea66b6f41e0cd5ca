# SPDX-License-Identifier: BSD-3-Clause
"""G14: from a kill to the first hit."""

import contextlib
import mmap
import os
import socket
import time

from suite.datadirs import DataDirs
from suite.load import VALUE_BYTES
from suite.report import Target
from suite.rounds import Table, turns
from suite.servers import Failure

from .kept_writes import Snapshots

NAME = "g14"
TITLE = "G14: from a kill to the first hit"
SECONDS = 350
ITEMS = 5000000
MEMORY_MIB = 2048
REPEATS = 3
LIMIT = 5.0
WAIT_S = 120
LOST_S = 1.5  # what nobody has to keep that syncs each second
CPUS = "0,1"
# More than any of them takes; and how long memory that was given back is at
# least as good as new.
TOUCH_MIB = 1536
TOUCHED_S = 2.0
KEY, VALUE = b"the-first-hit-16", b"here"
APPEND = ["--appendonly", "yes", "--appendfsync", "everysec"]
NO_APPEND = ["--appendonly", "no", "--save", ""]

# The states of the files: (server, state).
LOADED = [("dozo", "as loading left it"), ("redis", "AOF, as loading left it")]
WHOLE = [("dozo", "all in a snapshot"), ("redis", "AOF, all in its preamble"),
         ("redis", "RDB")]


def targets():
    return [Target("G14", f"from `kill -9` to the first hit, 5M items, {what}",
                   f">= {LIMIT:.0f}x faster than Redis")
            for what in ("as loading left the files", "all in a snapshot")]


def make(dirs, name, path, state):
    """A server on the files at `path`; not started."""
    if name == "dozo":
        return dirs.dozo(MEMORY_MIB, [], CPUS, path)
    return dirs.redis(MEMORY_MIB, NO_APPEND if state == "RDB" else APPEND,
                      CPUS, path)


def wait_until(what, done):
    deadline = time.monotonic() + WAIT_S
    while not done():
        if time.monotonic() > deadline:
            raise Failure(f"{what}: it takes too long")
        time.sleep(0.05)


def is_written(stats):
    return int(stats["journal_written_lsn"]) >= int(stats["lsn"])


def settle(server):
    """Waits until nothing is written by itself, and all else is durable."""
    time.sleep(LOST_S)
    if server.name == "dozo":
        wait_until("the journal", lambda: is_written(server.stats("dozo")))
        wait_until("a snapshot",
                   lambda: server.stats()["snapshot_running"] == "0")
    else:
        wait_until("a rewrite", lambda: server.info("persistence")[
            "aof_rewrite_in_progress"] == "0")


def load(bench, server, items):
    if server.name == "dozo":
        bench.load.populate(server, items)
        server.ask(b"set %s 0 0 %d\r\n%s\r\n" % (KEY, len(VALUE), VALUE),
                   b"STORED\r\n")
    else:
        bench.redis_load.populate(server, items, seconds=WAIT_S)
        server.ask(b"SET %s %s\r\n" % (KEY, VALUE), b"+OK\r\n")


def count(server):
    if server.name == "dozo":
        return int(server.stats()["curr_items"])
    return int(server.ask(b"DBSIZE\r\n", b"\r\n")[1:])


def write_whole(server):
    """Everything into a snapshot, or a preamble and an RDB file."""
    if server.name == "dozo":
        server.ask(b"set %s 0 0 %d\r\n%s\r\n" % (KEY, len(VALUE), VALUE),
                   b"STORED\r\n")
        with Snapshots(server) as taken:
            taken.over.set()
        if taken.wait_end(WAIT_S) < 1:
            raise Failure("no snapshot was taken")
        return
    server.ask(b"BGREWRITEAOF\r\n", b"\r\n")
    wait_until("a rewrite", lambda: server.info("persistence")[
        "aof_rewrite_in_progress"] == "0")
    server.ask(b"BGSAVE\r\n", b"\r\n")
    wait_until("a dump", lambda: server.info("persistence")[
        "rdb_bgsave_in_progress"] == "0")
    said = server.info("persistence")
    if said["aof_last_bgrewrite_status"] != "ok" or \
            said["rdb_last_bgsave_status"] != "ok":
        raise Failure("redis could not write its files")


def has_hit(server):
    """Asks for one key by a connection of its own."""
    request, hit = (b"get %s\r\n" % KEY, b"VALUE ") \
        if server.name == "dozo" else (b"GET %s\r\n" % KEY, b"$4\r\n")
    try:
        with socket.create_connection(("127.0.0.1", server.port), 5) as s:
            s.sendall(request)
            reply = s.recv(64)
    except OSError:
        return False
    if not reply.startswith((hit, b"-LOADING")):
        raise Failure(f"{server.name}: {reply} instead of a hit")
    return reply.startswith(hit)


def touch_memory(mib):
    """Makes sure that memory which the system has to give is really there.

    A hypervisor may take what is free, and give it back at the first touch,
    page by page, for longer than a server takes to do its work with it.
    """
    with mmap.mmap(-1, mib << 20, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as m:
        with contextlib.suppress(OSError):
            m.madvise(mmap.MADV_HUGEPAGE)
        for at in range(0, len(m), mmap.PAGESIZE):
            m[at] = 1


def restart_s(server, touch_mib):
    """Seconds, and CPU seconds, from the start to the first hit."""
    touch_memory(touch_mib)
    began = touched = time.monotonic()
    server.launch()
    while not has_hit(server):
        now = time.monotonic()
        if server.process.poll() is not None or now > began + WAIT_S:
            raise Failure(f"{server.name}: no hit: {server.said()}")
        if now > touched + TOUCHED_S:
            touch_memory(touch_mib)
            touched = time.monotonic()
        time.sleep(0.002)
    took = time.monotonic() - began
    return took, server.cpu_ns() / 1e9


def check(bench, server, items):
    """Is everything there?"""
    if count(server) != items + 1:
        raise Failure(f"{server.name}: {count(server):,} items instead of "
                      f"{items + 1:,}")
    if server.name == "dozo":
        bench.load.run(server, [
            "--ratio", "1:0", "-k", items, "--value-size", VALUE_BYTES, "-d",
            16, "--requests", min(items, 200000)])


def bytes_of(path):
    return sum(os.path.getsize(os.path.join(folder, name))
               for folder, _, names in os.walk(path) for name in names)


class Figures:
    """What was found of each pair of a server and a state."""

    def __init__(self):
        self.wall, self.cpu, self.size = Table(), Table(), {}


def measure(bench, dirs, paths, states, items, found):
    """Kills and starts in turns; the last start of each is looked at."""
    repeats = 1 if bench.quick else REPEATS
    for number, (name, state) in turns(states, repeats):
        found.size[name, state] = bytes_of(paths[name])
        server = make(dirs, name, paths[name], state)
        try:
            wall, cpu = restart_s(server, TOUCH_MIB // bench.divide)
            if number == repeats - 1:
                check(bench, server, items)
        finally:
            server.kill()
        found.wall.add((name, state), wall)
        found.cpu.add((name, state), cpu)
        bench.note(f"{items:,} items, {name}, {state}: {wall:.2f} s to the "
                   f"first hit, {cpu:.2f} s of CPU")


def run(bench, section):
    if "redis" in bench.absent:
        raise Failure("redis-server is not installed")
    items = ITEMS // bench.divide
    found = Figures()
    with DataDirs(bench) as dirs:
        kind = dirs.file_system()
        paths = {name: dirs.new(name) for name, _ in LOADED}
        for name, state in LOADED:
            with_files(bench, make(dirs, name, paths[name], state),
                       lambda server: load(bench, server, items))
        measure(bench, dirs, paths, LOADED, items, found)
        for name, state in LOADED:
            with_files(bench, make(dirs, name, paths[name], state),
                       write_whole)
        measure(bench, dirs, paths, WHOLE, items, found)
    write(section, kind, items, found)


def with_files(bench, server, work):
    """Starts a server, works with it, and kills it."""
    server.start(ready_s=WAIT_S)
    work(server)
    settle(server)
    bench.note(f"{server.name}: {count(server):,} items are kept")
    server.kill()


def write(section, kind, items, found):
    section.text(
        f"{items:,} items with keys of 16 bytes and values of 100, `-m "
        f"{MEMORY_MIB}`, default settings (Redis: `appendonly yes`), on",
        f"{kind}. The server is killed when it has nothing left to write, "
        "and started again; seconds are from the start of the",
        "process to the first hit of a client that asks every 2 ms. Both may "
        f"use processors {CPUS}; the files are in the page",
        "cache. The last start of each is looked at: the number of items, "
        "and of dozo's 200,000 drawn at random, byte for byte.",
        "The time is wall-clock time, and the CPU time beside it says how "
        "much of it was work. Before each start, and every",
        f"{TOUCHED_S:.0f} s until the hit, the benchmark touches "
        f"{TOUCH_MIB * items // ITEMS} MiB of free memory: a hypervisor gives "
        "what was free for a while",
        "back page by page, which may take longer than the rest.")
    section.table(
        ["server", "files", "MiB", "seconds to the first hit",
         "lowest to highest", "seconds of CPU"],
        [[name, state, f"{found.size[name, state] / 2 ** 20:.0f}",
          f"**{found.wall.median((name, state)):.2f}**",
          f"{min(found.wall.figures[name, state]):.2f} to "
          f"{max(found.wall.figures[name, state]):.2f}",
          f"{found.cpu.median((name, state)):.2f}"]
         for name, state in LOADED + WHOLE])
    for target, ours, peers in zip(section.targets, (LOADED[0], WHOLE[0]),
                                   (LOADED[1:], WHOLE[1:])):
        best = min(peers, key=found.wall.median)
        ratio = found.wall.ratio(best, ours)
        target.found(
            f"{found.wall.median(ours):.2f} s",
            "Redis " + ", ".join(f"{found.wall.median(p):.2f} s ({p[1]})"
                                 for p in peers),
            f"{ratio:.2f}", ratio, LIMIT, most=False)
