# SPDX-License-Identifier: BSD-3-Clause
"""G8: what more workers cost per request."""

import os

from suite.report import Target
from suite.rounds import Table, turns

NAME = "g8"
TITLE = "G8: two and four workers against one"
SECONDS = 120
WORKERS = [1, 2, 4]
DEPTHS = {1: 40000, 16: 150000}
KINDS = {"random": (["--dist", "uniform"], 1.10),
         "one key": (["--dist", "hot"], 1.30)}


def targets():
    return [Target("G8", f"CPU of {n} workers by one, 9:1, {kind}",
                   f"<= {limit:.2f}x one worker")
            for kind, (_, limit) in KINDS.items() for n in WORKERS[1:]]


def measure(bench, name, cpus):
    """Tables of CPU per request, one for each kind and depth."""
    servers = {}
    tables = {}
    try:
        for n in WORKERS:
            servers[str(n)] = bench.makers.cache(name, 1024, threads=n,
                                                 cpus=cpus).start()
            bench.load.populate(servers[str(n)], bench.keys)
        for kind, (words, _) in KINDS.items():
            for depth, count in DEPTHS.items():
                table = tables[kind, depth] = Table()
                for number, n in turns(list(servers), bench.rounds):
                    cpu = bench.load.cpu_us(
                        servers[n], words + [
                            "--ratio", "9:1", "-d", depth, "-t", 2, "-k",
                            bench.keys, "--value-size", 100],
                        number + 1, max(count // bench.divide, 500),
                        cpus=cpus)
                    table.add(n, cpu)
                bench.note(f"workers, {kind}, depth {depth}: {name} " + ", "
                           .join(f"{n}: {table.median(n):.2f} us"
                                 for n in servers))
    finally:
        for server in servers.values():
            server.stop(complain=False)
    return tables


def run(bench, section):
    cpus = "0,1"
    found = {name: measure(bench, name, cpus)
             for name in ("dozo", "memcached")}
    rows = []
    for name, tables in found.items():
        for (kind, depth), table in tables.items():
            rows.append([name, kind, depth]
                        + [f"{table.median(str(n)):.2f}" for n in WORKERS]
                        + [f"**{table.ratio(str(n), '1'):.2f}**"
                           for n in WORKERS[1:]])
    section.text(
        "9 gets to 1 set, 50 connections, the load with two threads. This "
        f"machine has {os.cpu_count()} processors, and",
        "servers and load share both: two workers do run at the same time, "
        "but only when the load does not, and four",
        "never do. So this shows what locks, shared counters and wake-ups "
        "cost, and not how far the server scales. The",
        "target is judged at the worse of the two depths.")
    section.table(["server", "keys", "depth"]
                  + [f"{n} worker{'s' * (n > 1)}, us" for n in WORKERS]
                  + [f"{n} / 1" for n in WORKERS[1:]], rows)
    judged = iter(section.targets)
    for kind, (_, limit) in KINDS.items():
        for n in WORKERS[1:]:
            worst = max(DEPTHS, key=lambda d, k=kind, w=n:
                        found["dozo"][k, d].ratio(str(w), "1"))
            dozo = found["dozo"][kind, worst]
            ratio = dozo.ratio(str(n), "1")
            peer = found["memcached"][kind, worst].ratio(str(n), "1")
            next(judged).found(
                f"{dozo.median(str(n)):.2f} us by {dozo.median('1'):.2f} us "
                f"at depth {worst}", f"memcached {peer:.2f}x",
                f"{ratio:.2f}", ratio, limit)
