# SPDX-License-Identifier: BSD-3-Clause
"""G7: what expired items still hold ten seconds later."""

import time

from suite.report import Target

NAME = "g7"
TITLE = "G7: memory that expired items hold"
SECONDS = 70
SIZES = "100"
LIMIT = 0.05
LIVES_S = (1, 10)
WAIT_S = 10
FULL = 0.8  # how full the memory is before anything expires


def targets():
    return [Target("G7", "dead bytes held by expired items 10 s after expiry",
                   "<= 5 % of memory")]


def store_until_eviction(bench, server, first, step):
    """New lasting items until a living one is evicted; how many."""
    count = 0
    before = int(server.stats()["evictions"])
    while int(server.stats()["evictions"]) == before:
        bench.fill(server, "set", first + count, step, 1, SIZES, 0)
        count += step
        if count > 10000 * step:
            bench.fail(f"{server.name}: it evicts nothing")
    return count


def capacity(bench, name, cpu, memory_mb, step):
    """What can be read of an empty server at its first eviction."""
    with bench.makers.cache(name, memory_mb, cpus=cpu) as server:
        count = store_until_eviction(bench, server, 0, step)
        return bench.fill(server, "get", 0, count, 1, SIZES)["hits"]


def reclaim(bench, name, cpu, memory_mb):
    """The shares of memory that the dead hold, seen in two ways."""
    lives = (1, 1) if bench.quick else LIVES_S
    wait = 1 if bench.quick else WAIT_S
    step = memory_mb * 2 ** 20 // 180 // (50 if bench.quick else 200)
    most = capacity(bench, name, cpu, memory_mb, step)
    count = int(most * FULL) // 2 * 2
    with bench.makers.cache(name, memory_mb, cpus=cpu) as server:
        cpu_ns = server.cpu_ns()
        bench.fill(server, "set", 0, count, 1, SIZES,
                   f"mixed:{lives[0]}-{lives[1]}")
        stored_ns = server.cpu_ns()
        time.sleep(lives[1] + wait + 1)
        idle_ns = server.cpu_ns() - stored_ns
        counted = int(server.stats()["curr_items"])
        added = store_until_eviction(bench, server, count, step)
        old = bench.fill(server, "get", 0, count // 2, 2, SIZES)["hits"]
        new = bench.fill(server, "get", count, added, 1, SIZES)["hits"]
        dead = bench.fill(server, "get", 1, count // 2, 2, SIZES)["hits"]
    if dead != 0:
        bench.fail(f"{name}: {dead} expired items were read")
    result = {"capacity": most, "stored": count, "counted": counted,
              "unswept": max(counted - count // 2, 0) / most,
              "readable": old + new,
              "held": max(1 - (old + new) / most, 0),
              "sweep_ms": idle_ns / 1e6,
              "store_ms": (stored_ns - cpu_ns) / 1e6}
    bench.note(f"expiry: {name}: {result}")
    return result


def run(bench, section):
    memory = 16 if bench.quick else 256
    results = bench.side_by_side(
        lambda name, cpu: reclaim(bench, name, cpu, memory))
    section.text(
        f"`-m {memory}`, keys of 16 bytes, values of 100. Capacity: the items "
        "that can be read of an empty server that",
        "was filled until its first eviction. A fresh one is filled to "
        f"{100 * FULL:.0f} % of that: every other item lives for",
        f"{LIVES_S[0]} to {LIVES_S[1]} s, the rest for ever. {WAIT_S} s after "
        "the last has expired, while nobody asks for anything, the items",
        "still counted are taken from `stats` (*unswept*: the dead among "
        "them, by the capacity). Then lasting items",
        "are added until the first eviction of a living one, and all are "
        "read. *Held*: the share of the capacity that",
        "was not to be had again. Sweeping: the server's CPU while it "
        "waited; beside it, what the storing took.",
        "The target is judged at the worse of the two shares.")
    section.table(["server", "capacity", "stored", "counted after",
                   "unswept", "readable in the end", "held", "sweeping, ms",
                   "storing, ms"],
                  [[name, f"{r['capacity']:,}", f"{r['stored']:,}",
                    f"{r['counted']:,}", f"**{100 * r['unswept']:.1f} %**",
                    f"{r['readable']:,}", f"**{100 * r['held']:.1f} %**",
                    f"{r['sweep_ms']:.0f}", f"{r['store_ms']:.0f}"]
                   for name, r in sorted(results.items())])
    dozo, memcached = results["dozo"], results["memcached"]
    worst = max(dozo["held"], dozo["unswept"])
    section.targets[0].found(
        f"{100 * worst:.1f} %",
        f"memcached {100 * max(memcached['held'], memcached['unswept']):.1f}"
        " %", "-", worst, LIMIT)
