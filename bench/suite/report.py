# SPDX-License-Identifier: BSD-3-Clause
"""What a part found out, and the page that all parts make together."""

import datetime
import os
import platform
import subprocess


class Target:
    """One row of the first table."""

    def __init__(self, name, what, target):
        self.name = name
        self.what = what
        self.target = target
        self.dozo = self.peers = self.ratio = "-"
        self.met = "not measured"

    def found(self, dozo, peers, ratio, value, limit, most=True):
        """Judges a figure that may be `limit` at most (or at least)."""
        self.dozo, self.peers, self.ratio = dozo, peers, ratio
        good = value <= limit if most else value >= limit
        by = abs(value - limit) / abs(limit)
        self.met = "yes" if good else f"**no**, by {100 * by:.0f} %"

    def row(self):
        return (f"| {self.name} | {self.what} | {self.target} | {self.dozo} "
                f"| {self.peers} | {self.ratio} | {self.met} |")


class Section:
    """What one part writes: targets, text, pictures, commands."""

    def __init__(self, title, targets):
        self.title = title
        self.targets = targets
        self.lines = []
        self.commands = []
        self.failure = None
        self.seconds = 0.0

    def text(self, *lines):
        self.lines += list(lines) + [""]

    def table(self, head, rows):
        """A table; `head` and each row are lists of cells."""
        self.lines.append("| " + " | ".join(head) + " |")
        self.lines.append("|" + "---|" * len(head))
        for row in rows:
            self.lines.append("| " + " | ".join(str(c) for c in row) + " |")
        self.lines.append("")

    def picture(self, name, what):
        self.text(f"![{what}]({name})")

    def markdown(self):
        lines = [f"## {self.title}", ""]
        if self.failure:
            lines += [f"**This part failed:** {self.failure}", ""]
        lines += self.lines
        if self.commands:
            lines += ["<details><summary>commands</summary>", "", "```",
                      *self.commands, "```", "", "</details>", ""]
        lines += [f"It took {self.seconds:.0f} s.", ""]
        return lines


def output_of(command, folder):
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder,
                          check=False)
    return done.stdout.strip()


def machine():
    with open("/proc/cpuinfo") as f:
        model = [line.split(":")[1].strip() for line in f
                 if line.startswith("model name")]
    with open("/proc/meminfo") as f:
        memory_gb = int(f.readline().split()[1]) / 1024 / 1024
    return (f"{os.cpu_count()} x {model[0] if model else 'unknown'}, "
            f"{memory_gb:.0f} GiB, Linux {platform.release()}")


def commit(root):
    git = ["git", "-c", "safe.directory=*"]
    name = output_of(git + ["rev-parse", "--short=12", "HEAD"], root)
    changed = output_of(git + ["status", "--porcelain", "--", "src"], root)
    return name + (" with uncommitted changes in src" if changed else "")


def version(command):
    try:
        said = subprocess.run(command, capture_output=True, text=True,
                              check=False)
    except OSError:
        return "not found"
    text = (said.stdout + said.stderr).strip()
    return text.split("\n")[0] if text else "unknown"


def page(bench, sections, load_before):
    """The whole of RESULTS.md."""
    lines = [
        "# Results", "",
        f"Written by `{bench.words}`; do not edit.", "",
        f"- date: {datetime.datetime.now().strftime('%Y-%m-%d %H:%M')}",
        f"- commit: {commit(bench.root)}",
        f"- machine: {machine()}",
        f"- dozo: {version([bench.dozo, '-V'])}; memcached: "
        f"{version([bench.memcached, '-V'])}; "
        f"{version(['redis-server', '--version']).split(' sha=')[0]}; "
        f"yrmcds: {version(['dpkg-query', '-W', 'yrmcds'])}",
        f"- load averages before and after: {load_before}; "
        + " ".join(f"{x:.2f}" for x in os.getloadavg()), ""]
    if bench.incomplete:
        lines += ["**The run was broken off; what follows is a part.**", ""]
    lines += ["## Targets", "",
              "| # | what | target | dozo | peers | ratio | met |",
              "|---|---|---|---|---|---|---|"]
    for section in sections:
        lines += [target.row() for target in section.targets]
    lines += ["", *METHOD, ""]
    for section in sections:
        lines += section.markdown()
    return "\n".join(lines).rstrip("\n") + "\n"


METHOD = """Ratios are dozo's figure by memcached's, in this run. The targets
were set against memcached 1.6.18, but for G2's half of memcached 1.6.45, which
pipelines better: against 1.6.18 that is 0.26, and so it is judged.

CPU is the time of the server's process, user and system, over all threads,
by the kernel's count (`schedstat`), divided by the requests. Unless a part
says otherwise: the server has one worker (`-t 1`) on processor 0, the load
50 connections on processor 1; keys of 16 bytes, values of 100; "random" is
uniform over all keys. The servers take turns within a round, in an order
that moves on from round to round; figures are medians over the rounds,
ratios the medians of the rounds' own ratios. Redis and yrmcds take part in
two rounds only. Every reply is checked byte for byte, but for Redis, whose
benchmark does not: there hits are counted. The floor is a server that does no
work and repeats one true reply (`bench/floor.c`).""".split("\n")
