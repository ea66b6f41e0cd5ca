# SPDX-License-Identifier: BSD-3-Clause
"""Speed must not be lost unnoticed: instructions for each kind of request.

A machine's noise hides a loss of a few per cent in any figure of time; the
number of instructions that the worker executes in user space is nearly the
same in every run.  What is left is the seed of the hash, which decides what
collides: most kinds move by less than one per cent, the evicting one by two.
So where anything differs from the baseline by more than a third of TOLERANCE,
the median of three runs is what counts, and a kind for which that differs by
more than TOLERANCE has been changed.  System calls
count as one instruction, and cache misses as nothing: `make bench` is for
them.

The baseline belongs to a compiler and a C library.  With others the counts are
only compared with each other, and the comparison with the baseline is
skipped.  `make speed ACCEPT=1` writes the median of three runs as the new
baseline of the tools at hand.  A count that is too low fails like one that is
too high, or the next loss would hide behind the gain: accept it.
"""

import os
import platform
import re

import pytest

import callgrind
import requestmix

HERE = os.path.dirname(os.path.abspath(__file__))
BASELINE = os.path.join(HERE, "baseline.txt")
FOLDER = os.path.join(callgrind.ROOT, "build", "speed")
TOLERANCE = 0.03
ACCEPT = os.environ.get("ACCEPT") == "1"
NAMES = ["%s-%d" % (kind, depth) for kind, _, _ in requestmix.KINDS
         for depth in requestmix.DEPTHS] + ["get-of-100", "set-evicting-16"] + [
             "set-kept-%d" % depth for depth in requestmix.DEPTHS]

# For each of these, the first costs less than the second, whoever compiled.
CHEAPER = [(kind + "-16", kind + "-1") for kind in (
    "get-hit", "get-miss", "mg-hit", "set-over", "ms-over")] + [
    ("get-of-100", "get-hit-16"), ("get-miss-1", "get-hit-1"),
    ("set-over-1", "set-kept-1"), ("set-over-16", "set-kept-16")]


def toolchain():
    """The compiler of the server, the C library, the machine."""
    with open(callgrind.server.dozo_path(), "rb") as file:
        found = re.search(rb"GCC: \([^)]*\) ([0-9.]+)|clang version ([0-9.]+)",
                          file.read())
    compiler = "gcc-%s" % found.group(1).decode() if found.group(1) else \
        "clang-%s" % found.group(2).decode()
    return "%s %s-%s %s" % ((compiler,) + platform.libc_ver() +
                            (platform.machine(),))


def read_baseline():
    """{toolchain: {kind: instructions for one request}}."""
    found = {}
    with open(BASELINE, encoding="ascii") as file:
        for line in file:
            if line.startswith("["):
                section = found.setdefault(line.strip()[1:-1], {})
            elif line.strip() and not line.startswith("#"):
                kind, count = line.split()
                section[kind] = float(count)
    return found


def write_baseline(baseline):
    with open(BASELINE, "w", encoding="ascii") as file:
        file.write("# Instructions for one request (get-of-100: one key);"
                   " see test_speed.py.\n"
                   "# Written by: make speed ACCEPT=1\n")
        for tools in sorted(baseline):
            file.write("\n[%s]\n" % tools)
            for kind in NAMES:
                file.write("%-16s %7.1f\n" % (kind, baseline[tools][kind]))


def measure():
    """{kind: Count}."""
    counts = requestmix.count_with_room(os.path.join(FOLDER, "room"))
    counts.update(requestmix.count_evicting(os.path.join(FOLDER, "full")))
    counts.update(requestmix.count_kept(os.path.join(FOLDER, "kept")))
    return counts


def per_request(count):
    return count.slice.total / count.requests


def profile(count):
    """Where the instructions went."""
    lines = ["%9.1f  %s" % (cost / count.requests, function)
             for function, cost in count.slice.top(20)]
    return "instructions for one request, by function:\n" + "\n".join(lines)


def write_table(counts, baseline):
    """What tools/check shows behind the tests."""
    with open(os.path.join(FOLDER, "table.txt"), "w",
              encoding="ascii") as file:
        file.write("%-16s instructions  baseline  change\n" % "request")
        for kind in NAMES:
            now = per_request(counts[kind])
            file.write("%-16s %12.1f" % (kind, now))
            if baseline is not None:
                file.write(" %9.1f %+6.1f %%" % (
                    baseline[kind], 100 * (now / baseline[kind] - 1)))
            file.write("\n")


def is_near(counts, baseline):
    """So near that other seeds would hardly bring one beyond TOLERANCE."""
    return baseline is None or all(
        abs(per_request(counts[kind]) / baseline[kind] - 1) <= TOLERANCE / 3
        for kind in NAMES)


@pytest.fixture(scope="session", name="counts")
def counts_fixture():
    """Of one run, or for each kind that of the median of three."""
    runs = [measure()]
    assert sorted(runs[0]) == sorted(NAMES)
    if ACCEPT or not is_near(runs[0], read_baseline().get(toolchain())):
        runs += [measure(), measure()]
    counts = {kind: sorted((run[kind] for run in runs),
                           key=per_request)[len(runs) // 2]
              for kind in NAMES}
    if ACCEPT:
        baseline = read_baseline()
        baseline[toolchain()] = {kind: per_request(counts[kind])
                                 for kind in NAMES}
        write_baseline(baseline)
    write_table(counts, read_baseline().get(toolchain()))
    return counts


@pytest.fixture(scope="session", name="baseline")
def baseline_fixture(counts):
    """Of these tools, as it is once `counts` may have written it."""
    assert counts
    found = read_baseline().get(toolchain())
    if found is None:
        pytest.skip("no baseline for %s (make speed ACCEPT=1 writes one)"
                    % toolchain())
    return found


@pytest.mark.parametrize("kind", NAMES)
def test_instructions(kind, counts, baseline):
    now = per_request(counts[kind])
    change = now / baseline[kind] - 1
    said = "%s: %.1f instructions, the baseline is %.1f: %+.1f %%" % (
        kind, now, baseline[kind], 100 * change)
    print(said)
    if change > TOLERANCE:
        pytest.fail("%s\n%s" % (said, profile(counts[kind])), pytrace=False)
    if change < -TOLERANCE:
        pytest.fail(said + "\nfaster: keep it with make speed ACCEPT=1",
                    pytrace=False)


@pytest.mark.parametrize("less,more", CHEAPER)
def test_cheaper(less, more, counts):
    assert per_request(counts[less]) < per_request(counts[more]), \
        profile(counts[less])
