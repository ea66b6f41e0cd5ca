# SPDX-License-Identifier: BSD-3-Clause
"""Before anything is measured: do the benchmark's programs see what is wrong?

Each is sent to a server that lies (one byte of a value is changed on its way)
or that lacks the keys, and must complain.
"""

import array
import os
import socket
import threading

from suite.servers import Failure

from . import idle

NAME = "checks"
TITLE = "Do the benches see wrong answers?"
SECONDS = 15
KEYS = 1000


def targets():
    return []


class Liar:
    """A proxy that changes one byte of the first value of what it passes."""

    def __init__(self, server):
        self.name = "liar"
        self.pid = server.pid
        self.cpus = "1"
        self.real = server.port
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def close(self):
        self.listener.close()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
                server = socket.create_connection(("127.0.0.1", self.real))
            except OSError:
                return
            for source, sink, change in [(client, server, bytes),
                                         (server, client, self.lie)]:
                threading.Thread(target=self.carry, daemon=True,
                                 args=(source, sink, change)).start()

    @staticmethod
    def lie(data):
        start = data.find(b"\r\n", max(data.find(b"VALUE "), 0)) + 2
        if not data.startswith(b"VALUE ") or start >= len(data):
            return data
        return data[:start] + bytes([data[start] ^ 1]) + data[start + 1:]

    @staticmethod
    def carry(source, sink, change):
        try:
            while data := source.recv(65536):
                sink.sendall(change(data))
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            source.close()
            sink.close()


def ids_file(bench):
    """A trace that asks for everything twice."""
    path = os.path.join(bench.folder, "checks.ids")
    with open(path, "wb") as f:
        array.array("q", list(range(KEYS, KEYS + 100)) * 2).tofile(f)
    return path


def must_fail(bench, what, function):
    """The function must complain with Failure."""
    try:
        function()
    except Failure as e:
        bench.note(f"{what}: seen ({str(e)[-70:].strip()})")
        return what
    raise Failure(f"{what}: not seen")


def lies(bench, server, liar):
    """What must be seen when values are wrong."""
    words = ["--ratio", "1:0", "-k", KEYS, "--value-size", 100, "--requests",
             KEYS, "-c", 2]
    bench.load.populate(server, KEYS)
    bench.load.run(server, words)
    yield must_fail(bench, "a wrong value, by dozo bench",
                    lambda: bench.load.run(liar, words))
    bench.fill(server, "set", 0, KEYS, 1, "100", 0)
    bench.fill(server, "get", 0, KEYS, 1, "100")
    yield must_fail(bench, "a wrong value, by fill", lambda: bench.fill(
        liar, "get", 0, KEYS, 1, "100"))
    trace = [ids_file(bench), 2, "100"]
    report = bench.tool(["replay", server.port, *trace], "1")
    if (report["misses"], report["hits"]) != (200, 200):
        raise Failure(f"replay of 100 ids twice, by two: {report}")
    yield must_fail(bench, "a wrong value, by replay", lambda: bench.tool(
        ["replay", liar.port, *trace], "1"))
    server.ask(b"set %s 0 0 %d\r\n%s\r\n" % (idle.KEY, len(idle.VALUE),
                                             idle.VALUE), b"STORED\r\n")
    if not idle.connect(server, 1, []) or idle.connect(liar, 1, []):
        raise Failure("the check of idle connections is wrong")
    yield "a wrong value, by the idle connections"


def losses(bench, server):
    """What must be seen when keys are not there."""
    yield must_fail(bench, "missing keys, by dozo bench",
                    lambda: bench.load.run(server, [
                        "--ratio", "1:0", "-k", 9 * KEYS, "--value-size",
                        100, "--requests", KEYS]))
    report = bench.fill(server, "get", 10 * KEYS, KEYS, 1, "100")
    if report["hits"] != 0:
        raise Failure(f"fill read what was never stored: {report}")
    yield "missing keys, by fill"
    if "redis" in bench.absent:
        return
    with bench.makers.redis(64) as redis:
        yield must_fail(bench, "missing keys, with Redis",
                        lambda: bench.redis_load.cpu_us(
                            redis, ["get", "key:__rand_int__"], 1, KEYS,
                            KEYS))


def run(bench, section):
    with bench.makers.cache("memcached", 64) as server:
        liar = Liar(server)
        try:
            seen = list(lies(bench, server, liar))
        finally:
            liar.close()
        seen += list(losses(bench, server))
    section.commands.clear()
    section.text("One byte of a value was changed on its way, or the keys "
                 "were not there. Seen: " + "; ".join(seen) + ".")
