# SPDX-License-Identifier: BSD-3-Clause
"""G11: what a probe feels while the server does more than answer."""

import statistics
import subprocess

from suite import picture
from suite.report import Target
from suite.rounds import turns

NAME = "g11"
TITLE = "G11: stalls"
SECONDS = 170
SECONDS_EACH = 5
REPEATS = 3
INTERVALS = 20  # of a phase, in the picture
PROBE_RATE = 1000
WRITE_RATE = 50000
KEYS = 2000000
CROWD = 600000
PROBED = 1000
MEMORY_MIB = 1024
TIGHT_MIB = 64
RATIO_LIMIT = 2.0
STALL_LIMIT_US = 20000


class Phase:
    """A load beside the probe: what the server has to do meanwhile."""

    def __init__(self, name, what, words, memory_mb, misses=False):
        self.name = name
        self.what = what
        self.words = words
        self.memory_mb = memory_mb
        self.misses = misses  # whether the probe's keys may be gone


PHASES = [
    Phase("quiet", "gets at the same rate", ["--ratio", "1:0", "-k", PROBED],
          MEMORY_MIB),
    Phase("growing", "sets of new keys: the tables grow from empty",
          ["--ratio", "0:1", "-k", KEYS], MEMORY_MIB),
    Phase("cleaning", "overwriting and evicting: segments are cleaned",
          ["--ratio", "0:1", "-k", CROWD], TIGHT_MIB, misses=True),
    Phase("expiring", "sets that live for 2 s", [
        "--ratio", "0:1", "-k", KEYS, "--ttl", 2], MEMORY_MIB, misses=True),
]


def targets():
    return [Target("G11", "p99.9 of a probe while tables grow, segments are "
                   "cleaned, items expire",
                   f"<= {RATIO_LIMIT:.0f}x quiet"),
            Target("G11", "longest stall of the probe", "<= 20 ms")]


def realtime():
    """Words before a probe's command: first on its processor, if it may."""
    words = ["chrt", "-f", "10"]
    done = subprocess.run(words + ["true"], capture_output=True, check=False)
    return words if done.returncode == 0 else []


def probe(bench, server, seconds, rounds):
    return bench.load.start(server, [
        "-c", 1, "-d", 1, "--ratio", "1:0", "-k", PROBED, "--value-size",
        100, "--rate", PROBE_RATE, "--duration", seconds, "--rounds", rounds,
        "--warmup", 0], prefix=realtime())


def run_phase(bench, name, phase, seconds):
    """Latencies of one run of a phase, and of each part of it."""
    with bench.makers.cache(name, phase.memory_mb) as server:
        bench.load.populate(server, PROBED)
        if phase.name == "cleaning":
            bench.load.populate(server, CROWD // bench.divide)
        load = bench.load.start(server, phase.words + [
            "-c", 16, "-d", 8, "--value-size", 100, "--rate", WRITE_RATE,
            "--duration", 1.1 * seconds, "--warmup", 0])
        whole = probe(bench, server, seconds, 1)
        each = probe(bench, server, seconds / INTERVALS, INTERVALS)
        reports = [bench.load.finish(server, p, seconds=90)
                   for p in (whole, each, load)]
        stats = server.stats()
    if not phase.misses and any(r["misses"] for r in reports[0]["rounds"]):
        bench.fail(f"{name}: the probe missed")
    return {"latency": reports[0]["rounds"][0]["latency_us"],
            "series": [r["latency_us"] for r in reports[1]["rounds"]],
            "rate": reports[2]["rounds"][0]["requests_per_s"],
            "items": int(stats["curr_items"]),
            "evictions": int(stats["evictions"])}


def combine(runs):
    """Medians of the runs' percentiles, and the longest of all."""
    result = dict(runs[0])
    result["latency"] = {
        p: statistics.median(r["latency"][p] for r in runs)
        for p in ("p50", "p99", "p99.9")}
    result["latency"]["max"] = max(r["latency"]["max"] for r in runs)
    result["rate"] = statistics.median(r["rate"] for r in runs)
    return result


def run_all(bench, seconds, repeats):
    """The combined runs, by server and phase."""
    found = {}
    for phase in PHASES:
        runs = {}
        for _, name in turns(["memcached", "dozo"], repeats):
            runs.setdefault(name, []).append(
                run_phase(bench, name, phase, seconds))
        for name, list_of in runs.items():
            r = found[name, phase.name] = combine(list_of)
            x = r["latency"]
            bench.note(f"stalls, {phase.name}: {name} p50 {x['p50']:.0f}, "
                       f"p99.9 {x['p99.9']:.0f}, max {x['max']:.0f} us; "
                       f"{r['rate']:,.0f}/s, {r['evictions']:,} evicted")
    return found


def run(bench, section):
    seconds = 0.5 if bench.quick else SECONDS_EACH
    repeats = 1 if bench.quick else REPEATS
    found = run_all(bench, seconds, repeats)
    section.text(
        f"A probe of one connection asks for one key at a time, at intended "
        f"times, {PROBE_RATE} a second, for {seconds} s; a latency",
        "counts from the intended time, so that a stall counts for all that "
        f"it delays. Beside it goes a load of {WRITE_RATE:,}",
        "requests a second on 16 connections, at depth up to 8, values of "
        "100 bytes:",
        "; ".join(f"*{p.name}*: {p.what} (`-m {p.memory_mb}`)"
                  for p in PHASES) + ".",
        f"Each is run {repeats} times with a fresh server; percentiles are "
        "the runs' medians, the longest is of all runs.",
        "Probe and load share processor 1"
        + (", the probe with real-time priority." if realtime() else
           " as equals, since real-time priority was refused."))
    rows = []
    for (name, phase), r in found.items():
        rows.append([name, phase]
                    + [f"{r['latency'][p]:.0f}" for p in (
                        "p50", "p99", "p99.9", "max")]
                    + [f"{r['rate']:,.0f}", f"{r['items']:,}",
                       f"{r['evictions']:,}"])
    section.table(["server", "while", "p50, us", "p99, us", "p99.9, us",
                   "max, us", "load, requests/s", "items at the end",
                   "evicted"], rows)
    judge(section.targets, found)
    draw(bench, section, found, seconds)


def draw(bench, section, found, seconds):
    """The first run of each phase, over time."""
    panels = []
    for phase in PHASES:
        series = {}
        for name in ("memcached", "dozo"):
            points = found[name, phase.name]["series"]
            for what in ("p99", "max"):
                series[f"{name} {what}"] = [
                    ((i + 1) * seconds / INTERVALS, p[what])
                    for i, p in enumerate(points)]
        panels.append(picture.Panel(phase.name, "seconds",
                                    "latency of a get, us", series, "y"))
    bench.draw("stalls.svg", panels)
    section.picture("stalls.svg", "latency over time while the table grows, "
                    "segments are cleaned and items expire")


def judge(rows, found):
    busy = [phase.name for phase in PHASES[1:]]

    def worst(name, what):
        return max(found[name, phase]["latency"][what] for phase in busy)

    quiet = found["dozo", "quiet"]["latency"]["p99.9"]
    ratio = worst("dozo", "p99.9") / quiet
    peer = worst("memcached", "p99.9")
    peer_quiet = found["memcached", "quiet"]["latency"]["p99.9"]
    rows[0].found(f"{worst('dozo', 'p99.9'):.0f} us by {quiet:.0f} us",
                  f"memcached {peer:.0f} us by {peer_quiet:.0f} us",
                  f"{ratio:.2f} (memcached {peer / peer_quiet:.2f})", ratio,
                  RATIO_LIMIT)
    rows[1].found(f"{worst('dozo', 'max') / 1000:.1f} ms",
                  f"memcached {worst('memcached', 'max') / 1000:.1f} ms",
                  "-", worst("dozo", "max"), STALL_LIMIT_US)
