# SPDX-License-Identifier: BSD-3-Clause
"""Directories for servers that keep their data, and servers that do.

The directories lie on a real file system: a sync in memory costs nothing, and
tells nothing. What a sync costs where they lie is measured beside the servers.
"""

import os
import shutil
import statistics
import subprocess
import tempfile
import time

from .servers import Failure

# To Redis: no snapshot and no new file by itself.
REDIS_NEVER = ["--save", "", "--auto-aof-rewrite-percentage", "0"]
# To dozo: as much journal before a snapshot as no part writes.
NO_SNAPSHOT = ["--snapshot-size", "512g"]


class DataDirs:
    """A context: directories that are removed at its end."""

    def __init__(self, bench):
        self.bench = bench
        self.folder = None

    def __enter__(self):
        place = os.environ.get("BENCH_DATA", self.bench.folder)
        self.folder = tempfile.mkdtemp(prefix="data-", dir=place)
        return self

    def __exit__(self, kind, value, trace):
        self.bench.makers.stop_all()
        shutil.rmtree(self.folder, ignore_errors=True)

    def new(self, name):
        path = tempfile.mkdtemp(prefix=name + "-", dir=self.folder)
        return path

    def dozo(self, memory_mb, words, cpus="0", path=None):
        """dozo with a data directory, and what `words` say."""
        path = path or self.new("dozo")
        return self.bench.makers.cache("dozo", memory_mb, cpus=cpus, extra=[
            "--data-dir", path, *words])

    def redis(self, memory_mb, words, cpus="0", path=None):
        path = path or self.new("redis")
        return self.bench.makers.redis(memory_mb, cpus=cpus, extra=[
            "--dir", path, *words])

    def file_system(self):
        """Its type; one that is memory only is refused."""
        done = subprocess.run(["df", "--output=fstype", self.folder],
                              capture_output=True, text=True, check=True)
        kind = done.stdout.split()[-1]
        if kind in ("tmpfs", "ramfs") and not self.bench.quick:
            raise Failure(f"{self.folder} is on {kind}: a sync costs nothing "
                          "there (BENCH_DATA names another place)")
        return kind

    def sync_us(self, size, times):
        """What an append of so many bytes and an fdatasync() take."""
        path = os.path.join(self.folder, "sync")
        took = []
        file = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
        try:
            for _ in range(times):
                began = time.perf_counter()
                os.write(file, b"s" * size)
                os.fdatasync(file)
                took.append((time.perf_counter() - began) * 1e6)
        finally:
            os.close(file)
            os.unlink(path)
        return statistics.median(took)


def threads_ns(server):
    """Processor time so far of each thread, by its number, in order."""
    found = {}
    for task in sorted(int(t) for t in os.listdir(
            f"/proc/{server.pid}/task")):
        try:
            with open(f"/proc/{server.pid}/task/{task}/schedstat") as f:
                found[task] = int(f.read().split()[0])
        except OSError:
            continue  # it has ended meanwhile
    return found
