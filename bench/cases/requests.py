# SPDX-License-Identifier: BSD-3-Clause
"""G1 to G4 and the picture over depth: processor time per request."""

from suite import picture
from suite.report import Target
from suite.rounds import Table, turns

GET = ["--ratio", "1:0"]
SET = ["--ratio", "0:1"]
HOT = ["--dist", "hot"]
MANY = 10000000
MANY_MIB = 4096


class Case:
    """One load and who bears it."""

    def __init__(self, name, words, requests, peers="memcached dozo",
                 redis=None, keys=None):
        self.name = name
        self.words = words
        self.requests = requests
        self.peers = peers.split()
        self.redis = redis  # (command, depth) for redis-benchmark
        self.keys = keys


def servers_of(bench, case):
    """The servers of a case, populated; the floor repeats dozo."""
    servers = {}
    for name in case.peers:
        if name in bench.absent:
            bench.note(f"{name} is not installed, and left out")
        elif name == "floor":
            lines = 2 if "0:1" in case.words else 1
            servers[name] = bench.makers.floor(servers["dozo"], lines)
        elif case.keys:
            servers[name] = bench.populated(name, case.keys, MANY_MIB)
        else:
            servers[name] = bench.populated(name)
    return servers


def figure(bench, case, server, number):
    """CPU microseconds per request of one server in one round."""
    count = max(case.requests // bench.divide, 300)
    if server.name == "redis":
        command, depth = case.redis
        return bench.redis_load.cpu_us(server, command, depth, bench.keys,
                                       count)
    if server.name == "yrmcds":
        count = max(count // 4, 300)
    words = case.words + ["-k", case.keys or bench.keys, "--value-size", 100,
                          "--connections", 50]
    if server.name != "floor":
        return bench.load.cpu_us(server, words, number + 1, count)
    with server:  # a fresh one: it learns one reply in its life
        return bench.load.cpu_us(server, words, number + 1, count)


def measure(bench, case, rounds=None):
    servers = servers_of(bench, case)
    table = Table()
    few = ("redis", "yrmcds")
    for number, name in turns(list(servers), rounds or bench.rounds, few):
        cpu = figure(bench, case, servers[name], number)
        table.add(name, cpu)
        bench.note(f"{case.name}, round {number + 1}: {name} {cpu:.2f} us")
    return table


COLUMNS = ["floor", "memcached", "redis", "yrmcds", "dozo"]


def cells(name, table):
    """A row of the table of a part."""
    row = [name]
    for column in COLUMNS:
        row.append(f"{table.median(column):.2f}" if table.has(column)
                   else "-")
    ratios = table.ratios("dozo", "memcached")
    row.append(f"**{table.ratio('dozo', 'memcached'):.2f}**")
    row.append(f"{min(ratios):.2f} to {max(ratios):.2f}")
    row.append(f"{table.above('dozo', 'floor'):.2f}"
               if table.has("floor") else "-")
    return row


HEAD = ["case, CPU us per request", *COLUMNS, "dozo / memcached",
        "lowest to highest", "dozo above floor"]


def peers_text(table):
    return ", ".join(f"{name} {table.median(name):.2f}" for name in
                     ("floor", "memcached", "redis", "yrmcds")
                     if table.has(name)) + " us"


def judge_ratio(target, table, limit):
    ratio = table.ratio("dozo", "memcached")
    target.found(f"{table.median('dozo'):.2f} us", peers_text(table),
                 f"{ratio:.2f}", ratio, limit)


def judge_floor(target, table, limit):
    above = table.above("dozo", "floor")
    ratio = table.ratio("dozo", "memcached")
    target.found(f"{table.median('dozo'):.2f} us, floor + {above:.2f}",
                 peers_text(table), f"{ratio:.2f}", above, limit)


class Requests:
    """A part that is a list of cases with their targets."""

    CASES = []  # (case, judge or None, limit, row of the targets)

    @classmethod
    def targets(cls):
        return [Target(*row) for _, judge, _, row in cls.CASES if judge]

    @classmethod
    def run(cls, bench, section):
        judged = iter(section.targets)
        rows = []
        for case, judge, limit, _ in cls.CASES:
            table = measure(bench, case)
            rows.append(cells(case.name, table))
            if judge:
                judge(next(judged), table, limit)
        section.table(HEAD, rows)


ALL = "dozo memcached redis yrmcds"
REDIS_GET = ["get", "key:__rand_int__"]
REDIS_HOT = ["get", "key:000000000000"]
REDIS_SET = ["set", "key:__rand_int__", "x" * 100]


class G1(Requests):
    NAME = "g1"
    TITLE = "G1: get, one request in flight"
    SECONDS = 80
    CASES = [
        (Case("get, depth 1, one hot key", GET + HOT + ["-d", 1], 60000,
              "dozo memcached floor redis yrmcds", (REDIS_HOT, 1)),
         judge_floor, 0.25,
         ("G1", "get, depth 1, one hot key", "<= floor + 0.25 us")),
        (Case("get, depth 1, random over 1M", GET + ["-d", 1], 60000, ALL,
              (REDIS_GET, 1)),
         judge_ratio, 0.82,
         ("G1", "get, depth 1, random over 1M", "<= 0.82x memcached"))]


class G2(Requests):
    NAME = "g2"
    TITLE = "G2: get, many requests in flight"
    SECONDS = 70
    CASES = [
        (Case("get, depth 10, one hot key", GET + HOT + ["-d", 10], 300000,
              "dozo memcached floor redis yrmcds", (REDIS_HOT, 10)),
         judge_floor, 0.12,
         ("G2", "get, depth 10, one hot key", "<= floor + 0.12 us")),
        (Case("get, depth 50, one hot key", GET + HOT + ["-d", 50], 300000,
              "dozo memcached floor redis yrmcds", (REDIS_HOT, 50)),
         judge_floor, 0.12,
         ("G2", "get, depth 50, one hot key", "<= floor + 0.12 us")),
        (Case("get, depth 16, random over 1M", GET + ["-d", 16], 300000, ALL,
              (REDIS_GET, 16)),
         judge_ratio, 0.26,
         ("G2", "get, depth 16, random over 1M",
          "<= 0.26x memcached (0.5x of 1.6.45)"))]


class G3(Requests):
    NAME = "g3"
    TITLE = "G3: set"
    SECONDS = 150
    EVICTING_MIB = 256
    CASES = [
        (Case("set 100 B, depth 1, random over 1M", SET + ["-d", 1], 60000,
              ALL, (REDIS_SET, 1)),
         judge_ratio, 0.78,
         ("G3", "set 100 B, depth 1, random over 1M", "<= 0.78x memcached")),
        (Case("set 100 B, depth 16, random over 1M", SET + ["-d", 16],
              300000, ALL, (REDIS_SET, 16)),
         judge_ratio, 0.43,
         ("G3", "set 100 B, depth 16, random over 1M",
          "<= 0.43x memcached"))]
    EVICTING = [(1, 60000, 0.78), (16, 300000, 0.43)]

    @classmethod
    def targets(cls):
        return super().targets() + [
            Target("G3", f"the same at depth {depth} while evicting",
                   f"<= {limit}x memcached")
            for depth, _, limit in cls.EVICTING]

    @classmethod
    def run(cls, bench, section):
        super().run(bench, section)
        memory = 4 if bench.quick else cls.EVICTING_MIB
        keys = memory * 2 ** 20 // 116 * 4  # four times what fits
        judged = iter(section.targets[len(cls.CASES):])
        rows = []
        with bench.makers.cache("dozo", memory) as dozo, \
                bench.makers.cache("memcached", memory) as memcached:
            servers = {"dozo": dozo, "memcached": memcached}
            for name, server in servers.items():
                bench.load.populate(server, keys // 2,
                                    refused=name == "memcached")
            for depth, count, limit in cls.EVICTING:
                table = cls.evict(bench, servers, depth, count, keys)
                name = f"set 100 B, depth {depth}, while evicting"
                rows.append(cells(name, table))
                judge_ratio(next(judged), table, limit)
        section.text(f"While evicting: `-m {memory}`, random over {keys:,} "
                     "keys, four times what fits; evictions were counted. "
                     "memcached may refuse one set in a hundred: now and then "
                     "its evicting thread is behind.")
        section.table(HEAD, rows)

    @staticmethod
    def evict(bench, servers, depth, count, keys):
        table = Table()
        count = max(count // bench.divide, 1000)
        before = {n: int(s.stats()["evictions"]) for n, s in servers.items()}
        for number, name in turns(list(servers), bench.rounds):
            cpu = bench.load.cpu_us(
                servers[name], SET + ["-d", depth, "-k", keys,
                                      "--value-size", 100],
                number + 1, count, refused=name == "memcached")
            table.add(name, cpu)
            bench.note(f"set while evicting, depth {depth}, round "
                       f"{number + 1}: {name} {cpu:.2f} us")
        for name, server in servers.items():
            if int(server.stats()["evictions"]) <= before[name]:
                bench.fail(f"{name} evicted nothing")
        return table


class G4(Requests):
    NAME = "g4"
    TITLE = "G4: get of 100 keys"
    SECONDS = 150
    WORDS = GET + ["-d", 1, "--multiget", 100]
    REDIS = ["mget"] + ["key:__rand_int__"] * 100
    LIMIT = 0.43

    @classmethod
    def targets(cls):
        return [Target("G4", f"get of 100 keys, random over {n}, per key",
                       f"<= {cls.LIMIT}x memcached") for n in ("1M", "10M")]

    @classmethod
    def run(cls, bench, section):
        many = bench.keys * 2 if bench.quick else MANY
        cases = [
            Case("get of 100 keys, random over 1M", cls.WORDS, 8000,
                 ALL, (cls.REDIS, 1)),
            Case("get of 100 keys, random over 10M", cls.WORDS, 8000,
                 "dozo memcached", keys=many)]
        rows = []
        for case, target in zip(cases, section.targets):
            if case.keys:
                bench.drop_populated()
            table = measure(bench, case)
            for name in table.figures:
                table.figures[name] = [f / 100 for f in table.figures[name]]
            rows.append(cells(case.name, table))
            judge_ratio(target, table, cls.LIMIT)
        bench.drop_populated()
        section.text("Here the figures are per key, and not per request.")
        section.table(HEAD, rows)


class Depth(Requests):
    NAME = "depth"
    TITLE = "Cost of a get against the requests in flight"
    SECONDS = 150
    DEPTHS = [1, 2, 5, 10, 20, 50, 100]
    ROUNDS = 3
    CASES = []

    @classmethod
    def run(cls, bench, section):
        panels = []
        for what, words, peers, command in [
                ("one hot key", HOT, "dozo memcached floor redis",
                 REDIS_HOT),
                ("random over 1M", [], "dozo memcached redis", REDIS_GET)]:
            series = {}
            rows = []
            for depth in cls.DEPTHS[::3] if bench.quick else cls.DEPTHS:
                case = Case(f"get, depth {depth}, {what}",
                            GET + words + ["-d", depth],
                            min(30000 * depth, 300000), peers,
                            (command, depth))
                table = measure(bench, case,
                                rounds=min(cls.ROUNDS, bench.rounds))
                for name in table.figures:
                    series.setdefault(name, []).append(
                        (depth, table.median(name)))
                rows.append(cells(case.name, table))
            panel = picture.Panel(f"get, {what}",
                                  "requests in flight per connection",
                                  "CPU us per request", series, "xy")
            panel.x_values = True
            panels.append(panel)
            section.table(HEAD, rows)
        bench.draw("depth.svg", panels)
        section.picture("depth.svg", "CPU per request against depth")
