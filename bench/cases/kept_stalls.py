# SPDX-License-Identifier: BSD-3-Clause
"""G11 with a data directory: what a probe feels while snapshots are taken."""

import statistics
import threading

from suite.datadirs import NO_SNAPSHOT, DataDirs
from suite.load import VALUE_BYTES
from suite.report import Target
from suite.rounds import turns
from suite.servers import Failure

from . import stalls
from .kept_writes import Snapshots

NAME = "snapshot"
TITLE = "G11: stalls and memory while snapshots are taken"
SECONDS = 90
SECONDS_EACH = 6
REPEATS = 5
KEYS = 1000000
MEMORY_MIB = 512
RATE = 30000
RATIO_LIMIT = 2.0
STALL_LIMIT_US = 20000
GROWTH_LIMIT = 0.05
CPUS = "0,1"
QUIET, COPYING = "quiet", "snapshots"


def targets():
    return [Target("G11", "p99.9 of a probe while snapshots are taken",
                   f"<= {RATIO_LIMIT:.0f}x quiet"),
            Target("G11", "longest stall of the probe then", "<= 20 ms"),
            Target("-", "growth of resident memory then",
                   f"<= {100 * GROWTH_LIMIT:.0f} %")]


class Memory:
    """A context that keeps the most resident memory seen within it."""

    def __init__(self, server):
        self.path = f"/proc/{server.pid}/statm"
        self.most = 0
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.work, daemon=True)

    def __enter__(self):
        self.look()
        self.thread.start()
        return self

    def __exit__(self, kind, value, trace):
        self.over.set()
        self.thread.join()

    def look(self):
        # smaps_rollup would be exact, and hold up the server's page faults.
        with open(self.path) as f:
            self.most = max(self.most, int(f.read().split()[1]) * 4096)

    def work(self):
        while not self.over.wait(0.02):
            self.look()


def run_phase(bench, server, phase, seconds, seed):
    """One run of the probe beside its load, quiet or not."""
    load = bench.load.start(server, [
        "--ratio", "1:1", "-k", bench.keys, "-c", 16, "-d", 8,
        "--value-size", VALUE_BYTES, "--rate", RATE, "--seed", seed,
        "--duration", 1.1 * seconds, "--warmup", 0])
    with Memory(server) as memory:
        probe = stalls.probe(bench, server, seconds, 1)
        if phase == QUIET:
            report = bench.load.finish(server, probe, seconds=90)
            taken = 0
        else:
            with Snapshots(server) as snapshots:
                report = bench.load.finish(server, probe, seconds=90)
            taken = snapshots.wait_end()
    loaded = bench.load.finish(server, load, seconds=90)
    if any(r["misses"] for r in report["rounds"] + loaded["rounds"]):
        raise Failure("keys that were stored have been missed")
    if phase == COPYING and taken == 0:
        raise Failure("no snapshot was completed")
    return {"latency": report["rounds"][0]["latency_us"], "taken": taken,
            "memory": memory.most,
            "rate": loaded["rounds"][0]["requests_per_s"]}


def combine(runs):
    """Medians of the runs' percentiles, and the most of the rest."""
    result = {p: statistics.median(r["latency"][p] for r in runs)
              for p in ("p50", "p99", "p99.9")}
    result["max"] = max(r["latency"]["max"] for r in runs)
    result["maxima"] = sorted(r["latency"]["max"] for r in runs)
    result["rate"] = statistics.median(r["rate"] for r in runs)
    result["taken"] = sum(r["taken"] for r in runs)
    result["memory"] = max(r["memory"] for r in runs)
    return result


def run(bench, section):
    seconds = 0.5 if bench.quick else SECONDS_EACH
    repeats = 1 if bench.quick else REPEATS
    runs = {QUIET: [], COPYING: []}
    with DataDirs(bench) as dirs:
        kind = dirs.file_system()
        with dirs.dozo(MEMORY_MIB, NO_SNAPSHOT, CPUS) as server:
            bench.load.populate(server, bench.keys)
            run_phase(bench, server, QUIET, seconds, 1)  # a warm-up
            for number, phase in turns(list(runs), repeats):
                r = run_phase(bench, server, phase, seconds, number + 2)
                runs[phase].append(r)
                x = r["latency"]
                bench.note(f"{phase}: p50 {x['p50']:.0f}, p99.9 "
                           f"{x['p99.9']:.0f}, max {x['max']:.0f} us; "
                           f"{r['taken']} snapshots, "
                           f"{r['memory'] / 2 ** 20:.1f} MiB")
    found = {phase: combine(of) for phase, of in runs.items()}
    write(bench, section, kind, seconds, repeats, found)


def write(bench, section, kind, seconds, repeats, found):
    section.text(
        f"A probe as in G11, {seconds} s a run, {repeats} runs each in turns, "
        f"on one server with a data directory ({kind}, `--fsync",
        f"everysec`, `-m {MEMORY_MIB}`) and {bench.keys:,} keys. The load "
        f"beside it: {RATE:,} requests a second, half of them sets.",
        "*snapshots*: one is taken behind the other. Percentiles are the "
        "runs' medians, the longest is of all runs. The server",
        f"may use processors {CPUS}, and shares the second with probe and "
        "load. Memory is the most that was seen resident.")
    section.table(
        ["while", "p50, us", "p99, us", "p99.9, us", "longest of each run, ms",
         "load, requests/s", "snapshots", "resident, MiB"],
        [[phase] + [f"{r[p]:.0f}" for p in ("p50", "p99", "p99.9")]
         + [", ".join(f"{m / 1000:.1f}" for m in r["maxima"]),
            f"{r['rate']:,.0f}", r["taken"],
            f"{r['memory'] / 2 ** 20:.1f}"]
         for phase, r in found.items()])
    quiet, copying = found[QUIET], found[COPYING]
    ratio = copying["p99.9"] / quiet["p99.9"]
    section.targets[0].found(
        f"{copying['p99.9']:.0f} us by {quiet['p99.9']:.0f} us", "-",
        f"{ratio:.2f}", ratio, RATIO_LIMIT)
    section.targets[1].found(
        f"{copying['max'] / 1000:.1f} ms (quiet "
        f"{quiet['max'] / 1000:.1f} ms)", "-", "-", copying["max"],
        STALL_LIMIT_US)
    growth = copying["memory"] / quiet["memory"] - 1
    section.targets[2].found(
        f"{copying['memory'] / 2 ** 20:.1f} MiB by "
        f"{quiet['memory'] / 2 ** 20:.1f} MiB", "-",
        f"{100 * growth:+.1f} %", growth, GROWTH_LIMIT)
