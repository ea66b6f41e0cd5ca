# SPDX-License-Identifier: BSD-3-Clause
"""G9: what an idle connection keeps resident."""

import resource
import socket

from suite.report import Target

NAME = "g9"
TITLE = "G9: memory of idle connections"
SECONDS = 20
CONNECTIONS = 10000
FIRST = 100  # before the first reading: what a server takes once for all
SPARE = 200
KEY = b"idle"
VALUE = b"v" * 100
LIMIT = 0.5


def targets():
    return [Target("G9", "resident memory per idle connection",
                   f"<= {LIMIT}x memcached")]


def connect(server, count, kept):
    """Opens connections that each do one get, and checks the reply."""
    right = b"VALUE %s 0 %d\r\n%s\r\nEND\r\n" % (KEY, len(VALUE), VALUE)
    for _ in range(count):
        s = socket.create_connection(("127.0.0.1", server.port), 10)
        kept.append(s)
        s.sendall(b"get %s\r\n" % KEY)
        data = b""
        while len(data) < len(right):
            part = s.recv(4096)
            if not part:
                break
            data += part
        if data != right:
            return False
    return True


def per_connection(bench, name, count):
    extra = ["-c", str(count + FIRST + SPARE)]
    kept = []
    with bench.makers.cache(name, 64, extra=extra) as server:
        server.ask(b"set %s 0 0 %d\r\n%s\r\n" % (KEY, len(VALUE), VALUE),
                   b"STORED\r\n")
        try:
            right = connect(server, FIRST, kept)
            before = server.resident_bytes()
            right = right and connect(server, count, kept)
            after = server.resident_bytes()
            open_now = int(server.stats()["curr_connections"])
        finally:
            for s in kept:
                s.close()
        if not right or open_now < count + FIRST:
            bench.fail(f"{name}: a wrong reply, or connections were lost")
    bench.note(f"idle: {name} {(after - before) / count:.0f} B")
    return (after - before) / count


def run(bench, section):
    count = 1000 if bench.quick else CONNECTIONS
    wanted = count + FIRST + SPARE
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard != resource.RLIM_INFINITY and hard < wanted:
        bench.fail(f"{wanted} descriptors are needed, {hard} are allowed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    found = {name: per_connection(bench, name, count)
             for name in ("memcached", "dozo")}
    ratio = found["dozo"] / found["memcached"]
    section.text(f"{count:,} connections that each did one get of 100 bytes "
                 "and then stay silent: the growth of resident",
                 f"memory (`smaps_rollup`) over {FIRST} connections, by "
                 "their number. The kernel's own memory is not in it.")
    section.table(["server", "bytes per connection"],
                  [[name, f"{value:.0f}"] for name, value in found.items()])
    section.targets[0].found(f"{found['dozo']:.0f} B",
                             f"memcached {found['memcached']:.0f} B",
                             f"{ratio:.2f}", ratio, LIMIT)
