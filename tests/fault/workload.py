# SPDX-License-Identifier: BSD-3-Clause
"""A scripted client that knows what each reply may be while calls fail.

Every command runs once, in a fixed order.  A reply is right, or a defined
error, or the connection is closed; anything else, and silence, is a failure
of the server.  After a command whose outcome is unknown, a key may hold the
old value, the new one, or nothing; from then on only those are accepted.
"""

import os
import socket
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))), "wire"))

import server  # noqa: E402  (the path is set above)

DEADLINE_S = 60.0  # only a failure waits as long as that
SMALL = b"small value"
MIDDLE = bytes(97 + i % 26 for i in range(100 * 1024))
LARGE = bytes(65 + i % 26 for i in range(1000 * 1000))
ADMIN_ERRORS = (b"ERROR ", b"WATCHER_FAILED ", b"BUSY ")


class Wrong(AssertionError):
    """A reply that may not be."""


class Closed(Exception):
    """The server closed the connection before the reply was complete."""


class Refused(Exception):
    """The reply was a defined error."""


class Workload:
    """evicts: for want of memory an item may be gone.
    starved: there may be want of memory, which append calls NOT_STORED."""

    def __init__(self, address, evicts=False, starved=False):
        self.address = address
        self.evicts = evicts
        self.starved = starved
        self.conn = None
        self.may = {}      # key -> values that it may hold; None is a miss
        self.errors = 0    # defined errors
        self.closes = 0    # connections that the server closed

    # ---- the connection -------------------------------------------------

    def connect(self):
        """A connection; it may be refused or reset while calls fail."""
        deadline = time.monotonic() + DEADLINE_S
        while True:
            try:
                return server.Conn(self.address, DEADLINE_S)
            except (ConnectionResetError, ConnectionRefusedError):
                if time.monotonic() > deadline:
                    raise
            time.sleep(0.01)

    def close(self):
        if self.conn is not None:
            self.conn.close()
            self.conn = None

    def run(self, request, reader):
        """The reply, or None when the command failed in a defined way."""
        if self.conn is None:
            self.conn = self.connect()
        try:
            self.conn.send(request)
            return reader(self.conn)
        except Refused:
            self.errors += 1
        except Closed:
            self.closes += 1
            self.close()
        except TimeoutError as lost:
            raise Wrong("neither reply nor close in %g s: %r: %s" % (
                DEADLINE_S, request[:60], lost)) from None
        return None

    # ---- readers of replies ---------------------------------------------

    @staticmethod
    def line(conn, admin=False):
        line = conn.line()
        if not line.endswith(b"\n"):
            raise Closed()
        line = line.rstrip(b"\r\n")
        if line.startswith(b"SERVER_ERROR ") or (
                admin and line.startswith(ADMIN_ERRORS)):
            raise Refused(line)
        return line

    def one_of(self, *wanted):
        def read(conn):
            line = self.line(conn)
            if line not in wanted:
                raise Wrong("got %r, not one of %r" % (line, wanted))
            return line
        return read

    def body(self, conn, size):
        data = conn.read(size + 2)
        if len(data) < size + 2:
            raise Closed()
        if data[-2:] != b"\r\n":
            raise Wrong("value not closed: %r" % data[-20:])
        return data[:-2]

    def values(self, conn):
        """The hits of a get, {key: (value, cas or None)}."""
        hits = {}
        while True:
            words = self.line(conn).split()
            if words == [b"END"]:
                return hits
            if len(words) not in (4, 5) or words[0] != b"VALUE":
                raise Wrong("not a hit: %r" % words)
            cas = int(words[4]) if len(words) == 5 else None
            hits[words[1]] = (self.body(conn, int(words[3])), cas)

    def meta_value(self, conn):
        """(value,) of an mg or ma, (None,) for a miss."""
        words = self.line(conn).split()
        if words[0] in (b"EN", b"NF"):
            return (None,)
        if words[0] != b"VA":
            raise Wrong("not a meta hit: %r" % words)
        return (self.body(conn, int(words[1])),)

    def meta_number(self, conn):
        return self.meta_value(conn)[0] or b"NF"

    def until(self, end, admin=False):
        def read(conn):
            lines = []
            while True:
                line = self.line(conn, admin)
                if line == end:
                    return lines
                lines.append(line)
        return read

    # ---- keys and what they may hold ------------------------------------

    def check(self, key, value):
        if value is None and self.evicts:
            return
        if value not in self.may.get(key, {None}):
            raise Wrong("%r holds %r, allowed are %r" % (
                key, value if value is None else value[:40],
                [v if v is None else v[:40] for v in self.may.get(key, [])]))

    def changed(self, key, after, reply, done):
        """Notes what a key may hold behind a change to `after`."""
        if reply is None:
            self.may[key] = self.may.get(key, {None}) | {after, None}
        elif reply == done:
            self.may[key] = {after}

    def store(self, key, value):
        reply = self.run(b"set %s 0 0 %d\r\n%s\r\n" % (
            key, len(value), value), self.one_of(b"STORED"))
        self.changed(key, value, reply, b"STORED")

    def append(self, key, more):
        reply = self.run(b"append %s 0 0 %d\r\n%s\r\n" % (
            key, len(more), more), self.one_of(b"STORED", b"NOT_STORED"))
        old = self.may.get(key, {None})
        new = {v + more for v in old if v is not None}
        if reply == b"STORED":
            self.may[key] = new
        elif reply is None:
            self.may[key] = old | new | {None}
        elif not self.starved:
            self.check(key, None)

    def number(self, request, key, change, reader):
        """incr and the like on a key that holds a number."""
        reply = self.run(request, reader)
        old = self.may.get(key, {None})
        new = {b"%d" % (int(v) + change) for v in old if v is not None}
        if reply is None:
            self.may[key] = old | new | {None}
        elif reply in (b"NOT_FOUND", b"NF"):
            self.check(key, None)
        elif reply not in new:
            raise Wrong("%r gave %r, allowed %r" % (request, reply, new))
        else:
            self.may[key] = {reply}

    def fetch(self, *keys):
        hits = self.run(b"get " + b" ".join(keys) + b"\r\n", self.values)
        if hits is not None:
            for key in keys:
                self.check(key, hits.get(key, (None, 0))[0])

    def delete(self, key, request, done, miss):
        reply = self.run(request, self.one_of(done, miss))
        if reply == miss:
            self.check(key, None)
        self.changed(key, None, reply, done)

    # ---- the script ------------------------------------------------------

    def classic(self):
        self.run(b"version\r\n", self.line)
        self.store(b"a", SMALL)
        self.fetch(b"a")
        self.store(b"middle", MIDDLE)
        self.store(b"large", LARGE)
        self.fetch(b"middle")
        self.fetch(b"large")
        self.append(b"a", b" and more")
        self.append(b"middle", b"!")
        self.store(b"n", b"20")
        self.number(b"incr n 5\r\n", b"n", 5, self.line)
        self.number(b"decr n 2\r\n", b"n", -2, self.line)
        self.fetch(b"a", b"none", b"n", b"middle")
        self.delete(b"a", b"delete a\r\n", b"DELETED", b"NOT_FOUND")
        self.fetch(b"a")
        self.run(b"touch n 100\r\n", self.one_of(b"TOUCHED", b"NOT_FOUND"))
        self.run(b"gat 100 n\r\n", self.values)

    def check_and_set(self):
        hits = self.run(b"gets n\r\n", self.values)
        if not hits:
            return
        cas = hits[b"n"][1]
        reply = self.run(b"cas n 0 0 2 %d\r\n77\r\n" % cas,
                         self.one_of(b"STORED", b"EXISTS", b"NOT_FOUND"))
        self.changed(b"n", b"77", reply, b"STORED")
        if reply == b"EXISTS":
            raise Wrong("cas of the only writer: %r" % reply)
        if reply == b"NOT_FOUND":
            self.check(b"n", None)

    def meta(self):
        reply = self.run(b"ms m 5 T100\r\nhello\r\n", self.one_of(b"HD"))
        self.changed(b"m", b"hello", reply, b"HD")
        found = self.run(b"mg m v\r\n", self.meta_value)
        if found is not None:
            self.check(b"m", found[0])
        self.number(b"ma n v D3\r\n", b"n", 3, self.meta_number)
        self.delete(b"m", b"md m\r\n", b"HD", b"NF")
        self.run(b"mn\r\n", self.one_of(b"MN"))
        self.run(b"me n\r\n", self.line)

    def pipeline(self):
        """Many commands in one packet: all answers or a close."""
        self.store(b"p", b"pipelined")
        if self.may[b"p"] != {b"pipelined"}:
            return

        def read(conn):
            for _ in range(50):
                hits = self.values(conn)
                self.check(b"p", hits.get(b"p", (None, 0))[0])
            return True
        self.run(b"get p\r\n" * 50, read)

    def admin(self):
        for what in (b"stats", b"stats settings", b"stats items",
                     b"stats slabs", b"stats conns"):
            self.run(what + b"\r\n", self.until(b"END"))
        self.run(b"lru_crawler metadump all\r\n",
                 self.until(b"END", admin=True))

    def watch(self):
        """A watcher gets a line about a get, or is told or closed."""
        with self.connect() as watcher:
            watcher.send(b"watch fetchers\r\n")
            try:
                if self.line(watcher, admin=True) != b"OK":
                    raise Wrong("watch")
            except Refused:
                self.errors += 1
                return
            except Closed:
                self.closes += 1
                return
            deadline = time.monotonic() + DEADLINE_S
            while time.monotonic() < deadline:
                self.fetch(b"n")
                try:
                    if watcher.until(b"\n", 0.2) == b"":
                        self.closes += 1
                    return
                except TimeoutError:
                    continue
        raise Wrong("a watcher got neither lines nor a close")

    def flush(self):
        reply = self.run(b"flush_all\r\n", self.one_of(b"OK"))
        for key in list(self.may):
            self.changed(key, None, reply, b"OK")
        self.fetch(b"n", b"middle", b"large", b"p")

    def quit(self):
        if self.conn is None:
            self.conn = self.connect()
        self.conn.send(b"quit\r\n")
        if self.conn.rest(DEADLINE_S) != b"":
            raise Wrong("an answer to quit")
        self.close()

    def whole(self):
        try:
            self.classic()
            self.check_and_set()
            self.meta()
            self.pipeline()
            self.admin()
            self.watch()
            self.flush()
            self.quit()
        finally:
            self.close()
        return self


def source_socket():
    """A bound client socket that is not connected yet, and its port."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    sock.settimeout(DEADLINE_S)
    sock.bind(("127.0.0.1", 0))
    return sock, sock.getsockname()[1]
