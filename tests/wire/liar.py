# SPDX-License-Identifier: BSD-3-Clause
"""A server of the text protocol that can be told to lie.

It stores what it is given and answers gets truthfully, unless it was given a
function that makes another reply.  One thread for each connection; it ends
with the with block.
"""

import socket
import threading


def truth(key, value):
    """The right reply to a get of one key; value None for a miss."""
    if value is None:
        return b"END\r\n"
    return b"VALUE %s 0 %d\r\n%s\r\nEND\r\n" % (key, len(value), value)


class Liar:
    """answer(key, value) gives the reply to a get: bytes, b"" for silence, or
    None to close; stored is the reply to a set."""

    def __init__(self, answer=truth, stored=b"STORED\r\n"):
        self.answer = answer
        self.stored = stored
        self.items = {}
        self.gets = 0
        self.sockets = []
        self.threads = []
        self.lock = threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self.listener.getsockname()[1]

    def __enter__(self):
        self.start(self.accept)
        return self

    def __exit__(self, *unused):
        # A shutdown wakes who waits in accept or recv.
        self.listener.shutdown(socket.SHUT_RDWR)
        with self.lock:
            sockets = list(self.sockets)
        for one in sockets:
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        for thread in self.threads:
            thread.join(10)
        self.listener.close()

    def start(self, function, *arguments):
        thread = threading.Thread(target=function, args=arguments,
                                  daemon=True)
        self.threads.append(thread)
        thread.start()

    def accept(self):
        while True:
            try:
                one = self.listener.accept()[0]
            except OSError:
                return
            with self.lock:
                self.sockets.append(one)
            self.start(self.serve, one)

    def serve(self, one):
        try:
            with one, one.makefile("rb") as file:
                while self.request(one, file):
                    pass
        except OSError:
            pass

    def request(self, one, file):
        words = file.readline().split()
        if not words:
            return False
        if words[0] == b"set":
            self.items[words[1]] = file.read(int(words[4]) + 2)[:-2]
            one.sendall(self.stored)
            return True
        self.gets += 1
        reply = self.answer(words[1], self.items.get(words[1]))
        if reply is None:
            return False
        one.sendall(reply)
        return True
