# SPDX-License-Identifier: BSD-3-Clause
"""The load: `dozo bench`, and redis-benchmark for Redis.

Every reply that `dozo bench` gets is checked by it, byte for byte.
"""

import json
import shlex
import subprocess

from .servers import Failure

KEY_BYTES = 16
VALUE_BYTES = 100
CONNECTIONS = 50


def few_refused(out):
    """Was nothing wrong but one request in a hundred that was refused?"""
    server = json.loads(out)["servers"][0]
    figures = (server["rounds"] or [server["populate"]])[0]
    wrong = {kind for kind, n in figures["errors"].items() if n}
    return wrong == {"refused"} and \
        figures["errors"]["refused"] * 100 <= figures["requests"]


class Load:
    """Runs the load generators on their own processor."""

    def __init__(self, bench, dozo):
        self.bench = bench
        self.dozo = dozo
        self.requests = 0

    def command(self, server, words, cpus="1"):
        return [self.dozo, "bench", f"127.0.0.1:{server.port}", "--pid",
                str(server.pid), "--cpu", cpus, "-o", "json", "-q",
                "--key-size", str(KEY_BYTES)] + [str(w) for w in words]

    def start(self, server, words, cpus="1", prefix=()):
        """Starts a load that the caller ends with finish()."""
        command = list(prefix) + self.command(server, words, cpus)
        self.bench.remember(command)
        return subprocess.Popen(command, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True)

    def finish(self, server, process, expect=0, seconds=120, refused=False):
        """The report of a load, or what it complained of."""
        try:
            out, err = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired as e:
            process.kill()
            process.communicate()
            raise Failure(f"{server.name}: the load does not end") from e
        few = refused and process.returncode == 1 and few_refused(out)
        if process.returncode != expect and not few:
            raise Failure(f"{server.name}: {shlex.join(process.args)}: exit "
                          f"{process.returncode} instead of {expect}: "
                          f"{err[-800:]}{out[-800:]}")
        if expect != 0:
            return out + err
        report = json.loads(out)["servers"][0]
        self.requests += sum(r["requests"] for r in report["rounds"])
        return report

    def run(self, server, words, cpus="1", misses=False, seconds=120,
            refused=False):
        """The figures of one round; misses and refusals only if allowed."""
        report = self.finish(server, self.start(server, words, cpus),
                             seconds=seconds, refused=refused)
        figures = report["rounds"][0]
        if figures["misses"] != 0 and not misses:
            raise Failure(f"{server.name}: {figures['misses']} misses of "
                          "keys that were stored")
        if figures["requests"] == 0:
            raise Failure(f"{server.name}: no requests were made")
        return figures

    def cpu_us(self, server, words, seed, requests, **more):
        """CPU microseconds of the server per request."""
        figures = self.run(server, [
            *words, "--seed", seed, "--requests", requests, "--warmup",
            requests // 10], **more)
        return figures["cpu_us_per_request"]

    def populate(self, server, keys, words=(), refused=False):
        self.finish(server, self.start(server, [
            "--populate-only", "-k", keys, "--value-size", VALUE_BYTES,
            *words]), seconds=240, refused=refused)


class RedisLoad:
    """redis-benchmark, which checks no reply: hits are counted instead."""

    def __init__(self, bench):
        self.bench = bench

    def populate(self, server, keys, seconds=120):
        """Sets all of redis-benchmark's own keys."""
        value = "x" * VALUE_BYTES
        process = subprocess.Popen(
            ["redis-cli", "-p", str(server.port), "--pipe"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        rows = (f"SET key:{n:012d} {value}\n" for n in range(keys))
        process.stdin.writelines(rows)
        out, _ = process.communicate(timeout=seconds)
        if f"errors: 0, replies: {keys}" not in out:
            raise Failure(f"redis-cli --pipe: {out}")

    def cpu_us(self, server, command, depth, keys, requests):
        """CPU microseconds of the server per request."""
        line = ["taskset", "-c", "1", "redis-benchmark", "-p",
                str(server.port), "-c", str(CONNECTIONS), "-P", str(depth),
                "-n", str(requests), "-q", "-d", str(VALUE_BYTES),
                "-r", str(keys)] + command
        self.bench.remember(line)
        before = server.cpu_ns()
        stats = server.info("stats")
        done = subprocess.run(line, capture_output=True, text=True,
                              timeout=120)
        spent = server.cpu_ns() - before
        after = server.info("stats")
        if done.returncode != 0:
            raise Failure(f"redis-benchmark: {done.stderr}{done.stdout}")
        missed = int(after["keyspace_misses"]) - int(
            stats["keyspace_misses"])
        asked = int(after["total_commands_processed"]) - int(
            stats["total_commands_processed"])
        if missed != 0 or asked < requests:
            raise Failure(f"redis: {missed} misses, {asked} commands of "
                          f"{requests}")
        return spent / 1000 / requests
