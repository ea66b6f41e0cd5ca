# SPDX-License-Identifier: BSD-3-Clause
"""G6: misses at equal memory, by replay of real traces."""

import array
import math
import os
import random

from suite import picture, trace_files
from suite.report import Target

NAME = "g6"
TITLE = "G6: misses at equal memory"
SECONDS = 420
TENANTS = 8
SIZES = "lognormal:230:1:8192"
REQUESTS_MOST = 1200000
PARTS = [4, 10, 40]
MEAN_LIMIT = 0.85
KEPT_LIMIT = 1.10  # of -m in resident memory: what counts as equal
FOLDER = os.path.join(os.pardir, "shared", "traces")


def targets():
    return [Target("G6", "misses at equal `-m`, geometric mean of all traces "
                   "and sizes", f"<= {MEAN_LIMIT}x memcached"),
            Target("G6", "misses at equal `-m`, the worst trace and size",
                   "<= 1.00x memcached"),
            Target("G6", "misses at equal resident memory, geometric mean",
                   f"<= {MEAN_LIMIT}x memcached"),
            Target("G6", "misses at equal resident memory, the worst",
                   "<= 1.00x memcached")]


def quick_trace(bench):
    """A small made-up trace, for the test of the benchmark."""
    rng = random.Random(1)
    ids = [int(rng.paretovariate(0.8)) % 20000 for _ in range(20000)]
    return [("made-up", save(bench, "made-up", array.array("q", ids)))]


def save(bench, name, ids):
    path = os.path.join(bench.folder, name + ".ids")
    with open(path, "wb") as f:
        ids.tofile(f)
    return path


def real_traces(bench):
    folder = os.environ.get("TRACES") or os.path.join(bench.root, FOLDER)
    if not os.path.isdir(folder):
        return []
    found = []
    for name, path in trace_files.find(folder):
        ids = trace_files.read(name, path, REQUESTS_MOST)
        found.append((name, save(bench, name, ids)))
    return found


def replay(bench, name, cpu, path, memory_mb):
    """Misses of one server at one limit."""
    # Both refuse a limit below twice their largest item.
    extra = ["-I", "512k"] if memory_mb < 2 else []
    with bench.makers.cache(name, memory_mb, cpus=cpu, extra=extra) as server:
        empty = server.resident_bytes()
        report = bench.tool(["replay", server.port, path, TENANTS, SIZES],
                            cpu, seconds=400)
        report["over"] = (server.resident_bytes() - empty) / 2 ** 20 \
            / memory_mb
    report["share"] = report["misses"] / report["gets"]
    return report


def run_all(bench, name, cpu, jobs):
    results = []
    for trace, path, memory_mb, part in jobs:
        report = replay(bench, name, cpu, path, memory_mb)
        bench.note(f"{trace}, 1/{part}, -m {memory_mb}: {name} misses "
                   f"{100 * report['share']:.2f} %")
        results.append(report)
    return results


def geometric_mean(values):
    return math.exp(sum(math.log(v) for v in values) / len(values))


def run(bench, section):
    traces = quick_trace(bench) if bench.quick else real_traces(bench)
    if not traces:
        section.text("Skipped: no traces were found, neither in "
                     "`shared/traces` beside the repository nor where TRACES "
                     "says.")
        return
    jobs = []
    whole = []
    for name, path in traces:
        print_of = bench.tool(["replay", "footprint", path, TENANTS, SIZES],
                              "1")
        whole.append([name, f"{print_of['requests']:,}",
                      f"{print_of['distinct']:,}",
                      f"{print_of['bytes'] / 2 ** 20:.1f}"])
        jobs += [(name, path, max(1, round(print_of["bytes"] / part / 2 ** 20
                                           )), part) for part in PARTS]
    results = bench.side_by_side(
        lambda name, cpu: run_all(bench, name, cpu, jobs))
    results["equal"] = run_equal(bench, jobs, results)
    write(section, jobs, whole, results)
    draw(bench, section, jobs, results)


def run_equal(bench, jobs, results):
    """dozo again, given what memcached took where that is beyond -m."""
    equal = list(results["dozo"])
    again = []
    for number, (job, taken) in enumerate(zip(jobs, results["memcached"])):
        trace, path, memory_mb, part = job
        if taken["over"] > KEPT_LIMIT:
            grown_mb = int(taken["over"] * memory_mb)
            again.append((number, (trace, path, grown_mb, part)))

    def work(cpu):
        for number, job in again[int(cpu)::2]:
            equal[number] = run_all(bench, "dozo", cpu, [job])[0]

    bench.at_once([lambda: work("0"), lambda: work("1")])
    return equal


def write(section, jobs, whole, results):
    section.text(
        f"Look-aside replay (`bench/replay.c`): each request asks for one key "
        f"of each of {TENANTS} tenants in",
        "one get, and sets what is missing. Keys of 16 bytes; the size of a "
        "value follows from its key:",
        "log-normal, median 230 bytes, sigma 1.0, from 1 to 8,192. The first "
        f"{REQUESTS_MOST:,} requests of",
        "a trace. Values are checked. Both servers run at the same time, each "
        "on its own processor.",
        "memcached does not keep to a small `-m`, since each of its size "
        "classes takes a page: so dozo is run once",
        "more with what memcached's resident memory had grown by, where that "
        f"is more than {KEPT_LIMIT:.2f} of `-m`.")
    section.table(["trace", "requests", "distinct keys",
                   "their bytes, MiB"], whole)
    rows = []
    ratios = {"dozo": {}, "equal": {}}
    for job, dozo, memcached, equal in zip(
            jobs, results["dozo"], results["memcached"], results["equal"]):
        trace, _, memory_mb, part = job
        for kind, result in (("dozo", dozo), ("equal", equal)):
            ratios[kind][f"{trace} at {memory_mb} MiB"] = \
                result["misses"] / memcached["misses"]
        rows.append([
            trace, f"1/{part}", memory_mb,
            f"{100 * memcached['share']:.2f} %",
            f"{100 * dozo['share']:.2f} %",
            f"**{dozo['misses'] / memcached['misses']:.3f}**",
            f"{memcached['over']:.2f}", f"{dozo['over']:.2f}",
            f"{100 * equal['share']:.2f} %",
            f"**{equal['misses'] / memcached['misses']:.3f}**",
            f"{memcached['refused']:,}", f"{dozo['refused']:,}"])
    section.table(["trace", "memory / data", "-m, MiB", "memcached, misses",
                   "dozo, misses", "dozo / memcached",
                   "memcached, grown by, of -m", "dozo, grown by, of -m",
                   "dozo in memcached's memory", "ratio in it",
                   "memcached, refused", "dozo, refused"], rows)
    for kind, judged in (("dozo", section.targets[:2]),
                         ("equal", section.targets[2:])):
        mean = geometric_mean(ratios[kind].values())
        worst = max(ratios[kind], key=ratios[kind].get)
        judged[0].found(f"{len(jobs)} replays", "memcached 1",
                        f"{mean:.3f}", mean, MEAN_LIMIT)
        judged[1].found(worst, "memcached 1", f"{ratios[kind][worst]:.3f}",
                        ratios[kind][worst], 1.0)


def draw(bench, section, jobs, results):
    panels = []
    for trace in dict.fromkeys(job[0] for job in jobs):
        series = {}
        for name in ("memcached", "dozo"):
            series[name] = [(job[2], 100 * result["share"]) for job, result
                            in zip(jobs, results[name]) if job[0] == trace]
        panel = picture.Panel(trace, "-m, MiB", "misses, % of gets", series,
                              "x")
        panel.x_values = True
        panels.append(panel)
    bench.draw("misses.svg", panels)
    section.picture("misses.svg", "misses against memory")
