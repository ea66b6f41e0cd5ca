# SPDX-License-Identifier: BSD-3-Clause
"""G10: connections that come, do one command, and go."""

from suite.report import Target
from suite.rounds import Table, turns

NAME = "g10"
TITLE = "G10: connects and closes"
SECONDS = 40
CONNECTS = 20000
LIMIT = 1.0


def targets():
    return [Target("G10", "connects and closes per second, one command each",
                   f">= {LIMIT:.2f}x memcached")]


def run(bench, section):
    rate, cost = Table(), Table()
    keys = 1000
    count = CONNECTS // bench.divide * (10 if bench.quick else 1)
    with bench.makers.cache("dozo", 64) as dozo, \
            bench.makers.cache("memcached", 64) as memcached:
        servers = {"dozo": dozo, "memcached": memcached}
        for server in servers.values():
            bench.load.populate(server, keys)
        for number, name in turns(list(servers), bench.rounds):
            figures = bench.load.run(servers[name], [
                "--reconnect", 1, "-c", 20, "-d", 1, "--ratio", "1:0", "-k",
                keys, "--value-size", 100, "--requests", count, "--warmup",
                count // 10, "--seed", number + 1])
            rate.add(name, figures["requests_per_s"])
            cost.add(name, figures["cpu_us_per_request"])
            bench.note(f"connects: {name} {rate.figures[name][-1]:,.0f}/s, "
                       f"{cost.figures[name][-1]:.1f} us")
    ratio = rate.ratio("dozo", "memcached")
    section.text("20 connections at a time, each closed after one get and "
                 "opened again. The rate is wall-clock time, and the",
                 "load's processor is a limit of it, too; the server's CPU "
                 "per connection stands beside it.")
    section.table(["server", "connections per second",
                   "CPU us per connection"],
                  [[name, f"{rate.median(name):,.0f}",
                    f"{cost.median(name):.1f}"] for name in servers]
                  + [["dozo / memcached", f"**{ratio:.2f}**",
                      f"{cost.ratio('dozo', 'memcached'):.2f}"]])
    section.targets[0].found(
        f"{rate.median('dozo'):,.0f}/s",
        f"memcached {rate.median('memcached'):,.0f}/s", f"{ratio:.2f}",
        ratio, LIMIT, most=False)
