# SPDX-License-Identifier: BSD-3-Clause
"""The servers that are measured: start, readiness, figures, end.

A server is a process with one address on loopback, used as a context: it
runs inside the block, and one that ends by itself within it is a failure.
"""

import os
import random
import shlex
import socket
import subprocess
import time

READY_S = REPLY_S = END_S = 60  # only a failure waits as long as that
PORTS = range(10000, 32768)


class Failure(Exception):
    """A measurement could not be made, or a server was wrong."""


def free_port():
    """A port that nobody has, and that the kernel, as it mostly is set, gives
    to nobody before the server binds it."""
    while True:
        with socket.socket() as s:
            port = random.choice(PORTS)
            try:
                s.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


class Server:
    """A process that answers at self.port, pinned to processors."""

    def __init__(self, name, command, port, cpus, folder):
        self.name = name
        self.port = port
        self.cpus = cpus
        self.command = ["taskset", "-c", cpus] + command
        self.log = os.path.join(folder, f"{name}-{port or 'free'}.log")
        self.process = None
        self.pid = None

    def __enter__(self):
        return self.start()

    def __exit__(self, kind, value, trace):
        self.stop(complain=kind is None)

    def start(self, ready_s=READY_S):
        self.launch()
        try:
            self.wait_ready(ready_s)
        except BaseException:
            self.stop(complain=False)
            raise
        return self

    def launch(self):
        """Starts the process, and does not wait for it."""
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                self.command, stdin=subprocess.DEVNULL, stdout=log,
                stderr=subprocess.STDOUT, cwd="/")
        self.pid = self.process.pid

    def kill(self):
        """Ends it as a crash would; it must have been alive."""
        alive = self.process.poll() is None
        self.process.kill()
        self.process.wait()
        if not alive:
            raise Failure(f"{self.name} had ended: {self.said()}")

    def stop(self, complain=True):
        alive = self.process.poll() is None
        self.process.terminate()
        try:
            self.process.wait(timeout=END_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            alive = False
        if complain and not alive:
            raise Failure(f"{self.name} did not run and end as it should: "
                          f"{self.said()}")

    def said(self):
        """The end of what it wrote."""
        with open(self.log, errors="replace") as f:
            return f.read()[-500:]

    def ready(self):
        """Whether it answers; raises OSError if there is no connection."""
        return int(self.stats()["pid"]) == self.pid

    def wait_ready(self, ready_s):
        deadline = time.monotonic() + ready_s
        while True:
            try:
                if not self.ready():
                    raise Failure(f"port {self.port}: another server")
                return
            except OSError as e:
                if self.process.poll() is not None:
                    raise Failure(f"{shlex.join(self.command)}: "
                                  f"{self.said()}") from e
                if time.monotonic() > deadline:
                    raise Failure(f"{self.name} does not listen") from e
                time.sleep(0.02)

    def ask(self, request, end):
        """Sends bytes, and reads until the reply ends as told."""
        with socket.create_connection(("127.0.0.1", self.port),
                                      REPLY_S) as s:
            s.sendall(request)
            data = b""
            while not data.endswith(end):
                part = s.recv(65536)
                if not part:
                    raise Failure(f"{self.name}: the reply broke off")
                data += part
        return data

    def stats(self, words=""):
        request = b"stats" + (b" " + words.encode() if words else b"")
        data = self.ask(request + b"\r\n", b"END\r\n")
        rows = [line.split(" ", 2) for line in data.decode().split("\r\n")]
        return {row[1]: row[2] for row in rows if row[0] == "STAT"}

    def resident_bytes(self):
        """Resident memory, exactly (VmRSS lags behind on many threads)."""
        with open(f"/proc/{self.pid}/smaps_rollup") as f:
            for line in f:
                if line.startswith("Rss:"):
                    return int(line.split()[1]) * 1024
        raise Failure("no Rss in smaps_rollup")

    def cpu_ns(self):
        """Processor time so far, that of threads which ended included."""
        return time.clock_gettime_ns((~self.pid << 3) | 2)


class Redis(Server):
    """redis-server, which speaks its own protocol."""

    def ready(self):
        reply = self.ask(b"PING\r\n", b"\r\n")
        if reply.startswith(b"-LOADING"):
            raise OSError("not yet")
        return reply == b"+PONG\r\n"

    def info(self, section):
        data = self.ask(f"INFO {section}\r\nPING\r\n".encode(), b"+PONG\r\n")
        rows = [line.split(":", 1) for line in data.decode().split("\r\n")]
        return {row[0]: row[1] for row in rows if len(row) == 2}


class Yrmcds(Server):
    """yrmcdsd, whose `stats` is not like memcached's."""

    def ready(self):
        return self.ask(b"version\r\n", b"\r\n").startswith(b"VERSION")


class Floor(Server):
    """The zero-work server, which says at which port it listens."""

    def ready(self):
        with open(self.log) as f:
            line = f.readline()
        if not line.endswith("\n"):
            raise OSError("not yet")
        self.port = int(line.split()[1])
        return True


class Makers:
    """Makes servers of every kind."""

    def __init__(self, dozo, memcached, floor, folder, remember):
        self.binary = {"dozo": dozo, "memcached": memcached, "floor": floor}
        self.folder = folder
        self.remember = remember  # told each command
        self.all = []

    def made(self, server):
        self.remember(server.command)
        self.all.append(server)
        return server

    def stop_all(self):
        """Ends whatever still runs, after a failure or at the end."""
        for server in self.all:
            if server.process is not None and server.process.poll() is None:
                server.stop(complain=False)
        self.all.clear()

    def cache(self, name, memory_mb, threads=1, cpus="0", extra=()):
        """dozo or memcached."""
        port = free_port()
        command = [self.binary[name], "-t", str(threads), "-l", "127.0.0.1",
                   "-p", str(port), "-m", str(memory_mb), *extra]
        if os.geteuid() == 0:
            command += ["-u", "root"]
        return self.made(Server(name, command, port, cpus, self.folder))

    def floor(self, real, lines):
        """The zero-work server that repeats a reply of the real one."""
        return self.made(Floor("floor", [
            self.binary["floor"], str(real.port), str(lines)], None, "0",
            self.folder))

    def redis(self, memory_mb, cpus="0", extra=None):
        """redis-server; without `extra` nothing is kept."""
        port = free_port()
        extra = extra or ["--save", "", "--appendonly", "no", "--dir",
                          self.folder]
        return self.made(Redis("redis", [
            "redis-server", "--bind", "127.0.0.1", "--port", str(port),
            "--maxmemory", f"{memory_mb}mb", *extra], port, cpus,
            self.folder))

    def yrmcds(self, memory_mb):
        port = free_port()
        path = os.path.join(self.folder, "yrmcds.conf")
        with open(path, "w") as f:
            f.write(f"virtual_ip = 127.0.0.1\nport = {port}\n"
                    f"repl_port = {free_port()}\nmax_connections = 1000\n"
                    f"temp_dir = \"{self.folder}\"\nbuckets = 1000000\n"
                    f"memory_limit = {memory_mb}M\nworkers = 1\n")
        return self.made(Yrmcds("yrmcds", ["yrmcdsd", "-f", path], port,
                                "0", self.folder))
