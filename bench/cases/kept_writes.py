# SPDX-License-Identifier: BSD-3-Clause
"""G12 and G13: what it costs to keep what is written."""

import re
import subprocess
import threading
import time

from suite.datadirs import NO_SNAPSHOT, REDIS_NEVER, DataDirs, threads_ns
from suite.load import VALUE_BYTES
from suite.report import Target
from suite.rounds import Table, turns
from suite.servers import Failure

MEMORY_MIB = 1024
SET = ["--ratio", "0:1"]
REDIS_SET = ["set", "key:__rand_int__", "x" * VALUE_BYTES]
AOF = ["--appendonly", "yes", *REDIS_NEVER, "--appendfsync"]


class Snapshots:
    """A context in which one snapshot is taken behind the other."""

    def __init__(self, server):
        self.server = server
        self.begun = 0
        self.failure = None
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.work, daemon=True)

    def __enter__(self):
        self.before = int(self.server.stats()["snapshots"])
        self.ask()
        self.thread.start()
        return self

    def __exit__(self, kind, value, trace):
        self.over.set()
        self.thread.join()
        if kind is None and self.failure is not None:
            raise self.failure

    def ask(self):
        reply = self.server.ask(b"snapshot\r\n", b"\r\n")
        if not reply.startswith((b"OK", b"BUSY")):
            raise Failure(f"snapshot: {reply}")
        self.begun += reply.startswith(b"OK")

    def work(self):
        try:
            while not self.over.wait(0.01):
                self.ask()
        except (Failure, OSError) as e:
            self.failure = e

    def wait_end(self, seconds=240):
        """Waits until all that were begun are complete; how many."""
        deadline = time.monotonic() + seconds
        while True:
            stats = self.server.stats()
            if int(stats["snapshot_errors"]) != 0:
                raise Failure("a snapshot failed")
            taken = int(stats["snapshots"]) - self.before
            if stats["snapshot_running"] == "0" and taken >= self.begun:
                return taken
            if time.monotonic() > deadline:
                raise Failure("a snapshot does not end")
            time.sleep(0.02)


class G12:
    """The journal, synced each second, against no journal."""

    NAME = "g12"
    TITLE = "G12: what a journal costs that is synced each second"
    SECONDS = 120
    LIMIT = 1.15
    DEPTHS = {1: 60000, 16: 600000}
    BARE, KEPT, COPYING = "bare", "everysec", "with snapshots"
    REDIS = {"Redis bare": None, "Redis everysec": "everysec"}

    @classmethod
    def targets(cls):
        return [Target("G12", f"set 100 B, depth {depth}, random over 1M, "
                       "journal synced each second",
                       f"<= {cls.LIMIT}x bare dozo") for depth in cls.DEPTHS]

    @classmethod
    def run(cls, bench, section):
        with DataDirs(bench) as dirs:
            kind = dirs.file_system()
            servers = cls.servers(bench, dirs)
            found = {depth: cls.measure(bench, servers, depth, count)
                     for depth, count in cls.DEPTHS.items()}
            cls.check_kept(bench, servers[cls.KEPT])
            size = cls.snapshot_cost(bench, servers[cls.KEPT])
        cls.write(bench, section, found, kind, size)

    @classmethod
    def servers(cls, bench, dirs):
        servers = {
            cls.BARE: bench.makers.cache("dozo", MEMORY_MIB),
            cls.KEPT: dirs.dozo(MEMORY_MIB, ["--fsync", "everysec",
                                             *NO_SNAPSHOT])}
        if "redis" not in bench.absent:
            for name, when in cls.REDIS.items():
                servers[name] = bench.makers.redis(MEMORY_MIB) \
                    if when is None else dirs.redis(MEMORY_MIB, [*AOF, when])
        for name, server in servers.items():
            server.start()
            if name in cls.REDIS:
                bench.redis_load.populate(server, bench.keys)
            else:
                bench.load.populate(server, bench.keys)
        servers[cls.COPYING] = servers[cls.KEPT]
        return servers

    @classmethod
    def measure(cls, bench, servers, depth, count):
        count = max(count // bench.divide, 2000)
        total, journal, other = Table(), Table(), Table()
        for number, name in turns(list(servers), bench.rounds):
            server = servers[name]
            if name in cls.REDIS:
                total.add(name, bench.redis_load.cpu_us(
                    server, REDIS_SET, depth, bench.keys, count))
            elif name == cls.COPYING:
                with Snapshots(server) as taken:
                    parts = cls.figures(bench, server, depth, count, number)
                taken.wait_end()
                if taken.begun == 0:
                    raise Failure("no snapshot was begun")
            else:
                parts = cls.figures(bench, server, depth, count, number)
            if name not in cls.REDIS:
                for table, figure in zip((total, journal, other), parts):
                    table.add(name, figure)
            bench.note(f"set, depth {depth}, round {number + 1}: {name} "
                       f"{total.figures[name][-1]:.2f} us")
        return total, journal, other

    @staticmethod
    def figures(bench, server, depth, count, number):
        """CPU us per set: of the process, the journal's, the snapshots'.

        The journal's thread is the last that a server starts before it
        serves; what is no thread's, or a later one's, is a snapshot's.
        """
        threads = list(threads_ns(server))[:4]
        before, whole = threads_ns(server), server.cpu_ns()
        bench.load.run(server, SET + [
            "-d", depth, "-k", bench.keys, "--value-size", VALUE_BYTES,
            "--connections", 50, "--seed", number + 1, "--requests", count,
            "--warmup", 0])
        whole = server.cpu_ns() - whole
        after = threads_ns(server)
        spent = [after[t] - before[t] for t in threads]
        journal = spent[3] if len(spent) > 3 else 0
        return [ns / 1000 / count
                for ns in (whole, journal, whole - sum(spent))]

    @classmethod
    def check_kept(cls, bench, server):
        """All keys are there, and the journal has had no trouble."""
        bench.load.run(server, ["--ratio", "1:0", "-k", bench.keys,
                                "--value-size", VALUE_BYTES, "-d", 16,
                                "--requests", min(bench.keys, 100000)])
        stats = server.stats()
        if stats["read_only"] != "0" or stats["journal_errors"] != "0":
            raise Failure("the journal had trouble")

    @staticmethod
    def snapshot_cost(bench, server):
        """CPU us per item of one snapshot that nothing disturbs."""
        server.ask(b"set and_one_more 0 0 1\r\nx\r\n", b"STORED\r\n")
        before = server.cpu_ns()
        with Snapshots(server) as taken:
            taken.over.set()
        if taken.wait_end() < 1:
            raise Failure("no snapshot was taken")
        cost = (server.cpu_ns() - before) / 1000 / bench.keys
        bench.note(f"one snapshot: {cost:.2f} us per item")
        return cost

    @classmethod
    def write(cls, bench, section, found, kind, each):
        section.text(
            "CPU microseconds per set, over all threads. *everysec*: with a "
            "data directory and `--fsync everysec` (on",
            f"{kind}), and no snapshot; *with snapshots*: the same server, "
            "while one is taken behind the other, which no",
            "server does by itself. By default a snapshot comes when the "
            "journal has grown by as much as the last one",
            f"holds; undisturbed it took {each:.2f} us per item here, which "
            "so is the most that it adds to a set in the long run.",
            "Redis: `appendonly no` and `yes` with `appendfsync everysec`, "
            "without rewrites.")
        rows = []
        for depth, (total, journal, other) in found.items():
            for name in total.figures:
                base = "Redis bare" if name in cls.REDIS else cls.BARE
                rows.append([
                    depth, name, f"{total.median(name):.2f}",
                    f"{journal.median(name):.2f}"
                    if journal.has(name) else "-",
                    f"{other.median(name):.2f}"
                    if other.has(name) else "-",
                    f"**{total.ratio(name, base):.2f}**",
                    "{:.2f} to {:.2f}".format(
                        *cls.ends(total.ratios(name, base)))])
        section.table(["depth", "server", "CPU us per set",
                       "of it the journal's", "of it snapshots'",
                       "by its bare one", "lowest to highest"], rows)
        for target, (total, _, _) in zip(section.targets, found.values()):
            ratio = total.ratio(cls.KEPT, cls.BARE)
            peer = "no Redis" if not total.has("Redis bare") else \
                f"Redis {total.ratio('Redis everysec', 'Redis bare'):.2f}x"
            target.found(f"{total.median(cls.KEPT):.2f} us by "
                         f"{total.median(cls.BARE):.2f} us", peer,
                         f"{ratio:.2f}", ratio, cls.LIMIT)

    @staticmethod
    def ends(ratios):
        return min(ratios), max(ratios)


class G13:
    """Each set durable before its reply."""

    NAME = "g13"
    TITLE = "G13: each set on disk before its reply"
    SECONDS = 100
    LIMIT = 5.0
    CLIENTS = [64, 512]
    SETS = {64: 12000, 512: 60000}

    @classmethod
    def targets(cls):
        return [Target("G13", "sets per second of 64 clients, each on disk "
                       "before its reply",
                       f">= {cls.LIMIT:.0f}x Redis `appendfsync always`")]

    @classmethod
    def run(cls, bench, section):
        if "redis" in bench.absent:
            raise Failure("redis-server is not installed")
        rate, cost = {}, {}
        keys = min(bench.keys, 100000)
        with DataDirs(bench) as dirs:
            kind = dirs.file_system()
            one = dirs.sync_us(160, 50 if bench.quick else 300)
            with dirs.dozo(MEMORY_MIB, ["--fsync", "always", *NO_SNAPSHOT]
                           ) as dozo, \
                    dirs.redis(MEMORY_MIB, [*AOF, "always"]) as redis:
                servers = {"dozo": dozo, "redis": redis}
                for clients in cls.CLIENTS:
                    count = max(cls.SETS[clients] // bench.divide, 500)
                    rate[clients], cost[clients] = cls.measure(
                        bench, servers, clients, count, keys)
            many = dirs.sync_us(64 * 160, 50 if bench.quick else 300)
        cls.write(section, kind, one, many, rate, cost)

    @classmethod
    def measure(cls, bench, servers, clients, count, keys):
        rate, cost = Table(), Table()
        for number, name in turns(list(servers), bench.rounds):
            server = servers[name]
            if name == "redis":
                figures = redis_sets(bench, server, clients, count, keys)
            else:
                report = bench.load.run(server, SET + [
                    "-d", 1, "-k", keys, "--value-size", VALUE_BYTES,
                    "--connections", clients, "--seed", number + 1,
                    "--requests", count, "--warmup", clients])
                figures = (report["requests_per_s"],
                           report["cpu_us_per_request"])
            rate.add(name, figures[0])
            cost.add(name, figures[1])
            bench.note(f"always, {clients} clients, round {number + 1}: "
                       f"{name} {figures[0]:,.0f}/s, {figures[1]:.1f} us")
        return rate, cost

    @classmethod
    def write(cls, section, kind, one, many, rate, cost):
        ratio = rate[64].ratio("dozo", "redis")
        section.text(
            f"Each client has one set in flight; the directories are on "
            f"{kind}. There an append of 160 bytes with its",
            f"fdatasync() takes {one:.0f} us (median; before the servers "
            f"ran), one of 10 KiB {many:.0f} us (after them), by a",
            "process that does nothing else. Redis executes what has "
            "arrived, syncs once, and then replies to all of it: so",
            "it gathers, too, and its limit, like dozo's, is one sync for "
            "as many sets as there are clients. Rates are",
            "wall-clock time, and the disk is shared with whoever uses the "
            "machine.")
        section.table(
            ["clients", "server", "sets per second", "lowest to highest",
             "CPU us per set", "dozo / Redis, rate", "dozo / Redis, CPU"],
            [[n, name, f"{rate[n].median(name):,.0f}",
              f"{min(rate[n].figures[name]):,.0f} to "
              f"{max(rate[n].figures[name]):,.0f}",
              f"{cost[n].median(name):.1f}",
              f"**{rate[n].ratio('dozo', 'redis'):.2f}**",
              f"{cost[n].ratio('dozo', 'redis'):.2f}"]
             for n in cls.CLIENTS for name in ("dozo", "redis")])
        section.targets[0].found(
            f"{rate[64].median('dozo'):,.0f}/s",
            f"Redis {rate[64].median('redis'):,.0f}/s", f"{ratio:.2f}",
            ratio, cls.LIMIT, most=False)


def redis_sets(bench, server, clients, count, keys):
    """Sets per second by redis-benchmark, and CPU us of Redis per set."""
    line = ["taskset", "-c", "1", "redis-benchmark", "-p", str(server.port),
            "-c", str(clients), "-P", "1", "-n", str(count), "--csv", "-r",
            str(keys)] + REDIS_SET
    bench.remember(line)
    asked = int(server.info("stats")["total_commands_processed"])
    before = server.cpu_ns()
    done = subprocess.run(line, capture_output=True, text=True, timeout=120,
                          check=False)
    spent = server.cpu_ns() - before
    asked = int(server.info("stats")["total_commands_processed"]) - asked
    found = re.search(r'^"(?!test)[^"]*","([0-9.]+)"', done.stdout,
                      re.MULTILINE)
    if done.returncode != 0 or found is None or asked < count:
        raise Failure(f"redis-benchmark: {done.stderr}{done.stdout}")
    return float(found[1]), spent / 1000 / count
