# SPDX-License-Identifier: BSD-3-Clause
"""G5: how many items a limit holds, for values of many sizes."""

from suite.report import Target

NAME = "g5"
TITLE = "G5: items in the same memory"
SECONDS = 260
MIX = "lognormal:230:1:8192"
SIZES = ["8", "32", "100", "300", "1000", "2000", "4000", "8192", MIX]
TTL_S = 86400
LARGE_MIB = 1024
OVERHEAD_LIMIT = 24
RATIO_LIMIT = 1.6
RESIDENT_LIMIT = 1.10
STEPS_LIMIT = 100


def targets():
    return [
        Target("G5", "overhead per item, 32-byte values, no expiry",
               f"<= {OVERHEAD_LIMIT} B"),
        Target("G5", "items of 16-byte keys and 32-byte values",
               f">= {RATIO_LIMIT}x memcached"),
        Target("G5", "items at every size, with and without TTL",
               "more than memcached at each"),
        Target("G5", "resident memory at full load", "<= 1.10x `-m`")]


def mean_size(sizes):
    return 380 if sizes == MIX else int(sizes)


def fill(bench, server, memory_mb, sizes, ttl):
    """Sets new keys until evictions keep the number of items level."""
    step = max(memory_mb * 2 ** 20 // (mean_size(sizes) + 40) // 6, 500)
    total = level = count = refused = steps = 0
    while level < 2:
        steps += 1
        if steps > STEPS_LIMIT:
            bench.fail(f"{server.name}: the count of items never levels")
        report = bench.fill(server, "set", total, step, 1, sizes, ttl)
        refused += report["sets"] - report["stored"]
        total += step
        stats = server.stats()
        before, count = count, int(stats["curr_items"])
        if int(stats["evictions"]) > 0 and \
                abs(count - before) <= 0.01 * count:
            level += 1
    return total, count, refused


def held(bench, name, cpu, memory_mb, sizes, ttl):
    """What one server holds when it is full."""
    with bench.makers.cache(name, memory_mb, cpus=cpu) as server:
        total, count, refused = fill(bench, server, memory_mb, sizes, ttl)
        found = bench.fill(server, "get", 0, total, 1, sizes)
        items = found["hits"]
        resident = server.resident_bytes()
        if abs(items - count) > 0.03 * count:
            bench.fail(f"{name}: curr_items {count}, but {items} were read")
    limit = memory_mb * 2 ** 20
    result = {"items": items, "refused": refused,
              "overhead": (limit - found["bytes"]) / max(items, 1),
              "share": found["bytes"] / limit,
              "resident": resident / limit}
    bench.note(f"-m {memory_mb}, values {sizes}, ttl {ttl}: {name} "
               f"{items:,} items, {result['overhead']:.1f} B over, resident "
               f"{result['resident']:.2f}")
    return result


def label(sizes):
    return "230, log-normal" if sizes == MIX else sizes


def run(bench, section):
    memory = 16 if bench.quick else 256
    jobs = [(memory, sizes, ttl) for sizes in
            (["32", MIX] if bench.quick else SIZES) for ttl in (0, TTL_S)]
    if not bench.quick:
        jobs.append((LARGE_MIB, MIX, 0))
    results = bench.side_by_side(
        lambda name, cpu: [held(bench, name, cpu, *job) for job in jobs])
    rows = []
    ratios = {}
    worst = 0
    for job, dozo, memcached in zip(jobs, results["dozo"],
                                    results["memcached"]):
        memory_mb, sizes, ttl = job
        ratios[job] = dozo["items"] / memcached["items"]
        worst = max(worst, dozo["resident"])
        rows.append([
            memory_mb, label(sizes), "a day" if ttl else "none",
            f"{memcached['items']:,}", f"{dozo['items']:,}",
            f"**{ratios[job]:.2f}**", f"{memcached['overhead']:.1f}",
            f"{dozo['overhead']:.1f}", f"{memcached['resident']:.2f}",
            f"{dozo['resident']:.2f}"])
        if dozo["refused"]:
            bench.fail(f"dozo refused {dozo['refused']} sets")
    section.text(
        "Keys of 16 bytes. New keys are set until evictions keep the number "
        "of items level;",
        "then every key that was ever set is asked for, and what comes back "
        "right is counted.",
        "Overhead: the limit less the keys and values that were read, per "
        "item. Resident: the",
        "process's memory at the end, the program itself included, by "
        "`-m`. memcached and dozo",
        "are filled at the same time, each on a processor of its own.")
    section.table(["-m, MiB", "value, B", "TTL", "memcached, items",
                   "dozo, items", "dozo / memcached",
                   "memcached, B over", "dozo, B over",
                   "memcached, resident", "dozo, resident"], rows)
    judge(section.targets, jobs, results, ratios, worst)


def judge(rows, jobs, results, ratios, worst):
    small = jobs.index((jobs[0][0], "32", 0))
    dozo, memcached = results["dozo"][small], results["memcached"][small]
    ratio = ratios[jobs[small]]
    least = min(ratios, key=ratios.get)
    rows[0].found(f"{dozo['overhead']:.1f} B",
                  f"memcached {memcached['overhead']:.1f} B",
                  f"{dozo['overhead'] / memcached['overhead']:.2f}",
                  dozo["overhead"], OVERHEAD_LIMIT)
    rows[1].found(f"{dozo['items']:,}", f"memcached {memcached['items']:,}",
                  f"{ratio:.2f}", ratio, RATIO_LIMIT, most=False)
    rows[2].found(f"least at {label(least[1])} B"
                  + (" with TTL" if least[2] else ""), "memcached 1",
                  f"{ratios[least]:.2f} to {max(ratios.values()):.2f}",
                  ratios[least], 1.0, most=False)
    rows[3].found(f"{worst:.2f}x at most",
                  "memcached "
                  f"{max(r['resident'] for r in results['memcached']):.2f}x",
                  "-", worst, RESIDENT_LIMIT)
