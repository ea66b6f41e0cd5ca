# SPDX-License-Identifier: BSD-3-Clause
"""A client's own record of what it was told, to hold a server to.

For each key the ledger keeps every state that it may be in: after a reply
there is one, as a rule.  A request that was sent and not answered may have
been executed or not; a flush_all that another connection has under way may
come before or behind it.  A reply or a read that no such state explains is a
Wrong.

Each key belongs to one connection, so its requests are executed in the order
they were sent in.  After a crash that must show, too: of the requests of a
connection that were not answered the first few are done, and none behind.

A request without a reply is followed by a set that has one: that set's reply
vouches for it.
"""

import collections
import random
import re
import time

EXPTIME_SLACK_S = 4

# exp is unix time, 0 for none; token None if it was never told.
Item = collections.namedtuple("Item", "value flags exp token")
ABSENT = None

Reply = collections.namedtuple("Reply", "word token item")

WORDS = {True: ("HD", "NS", "EX", "NF", "HD", "HD"),
         False: ("STORED", "NOT_STORED", "EXISTS", "NOT_FOUND", "DELETED",
                 "TOUCHED")}


class Wrong(AssertionError):
    """The server has said or lost what it must not."""


class Request:
    """One request: its bytes, and what it may make of a state."""

    def __init__(self, key, data, outcomes, silent=False):
        self.key = key
        self.data = data
        self.outcomes = outcomes  # state -> [(word of the reply, state)]
        self.silent = silent
        self.sent = 0


class Key:
    def __init__(self):
        self.states = {ABSENT}
        self.pending = 0
        self.answered = 0


def same(item, state):
    """Is what was read this state of the ledger?"""
    if item is ABSENT or state is ABSENT:
        return item is state
    return (item.value == state.value and item.flags == state.flags
            and (state.token is None or item.token == state.token)
            and (item.exp == 0) == (state.exp == 0)
            and abs(item.exp - state.exp) <= EXPTIME_SLACK_S)


class Ledger:
    def __init__(self, seed, key_count=320):
        self.dice = random.Random(seed)
        self.keys = {}
        for number in range(key_count):
            kind = b"n" if number // 8 % 8 == 0 else b"v"
            self.keys[b"%s-%04d" % (kind, number)] = Key()
        self.tokens = {}
        self.tick = 0
        self.flushing = 0
        self.flushed = 0
        self.acknowledged = 0
        self.serial = 0

    # ---- tokens -------------------------------------------------------------

    def note_token(self, key, item):
        """No token stands for two things, in all lives together."""
        what = (key, item.value, item.flags)
        old = self.tokens.setdefault(item.token, what)
        if old != what:
            raise Wrong("token %d of %s is used again: %.80r, then %.80r" % (
                item.token, key.decode(), old, what))

    # ---- what is asked ------------------------------------------------------

    def value(self):
        self.serial += 1
        size = self.dice.choice((0, 8, 40, 150))
        if self.dice.random() < 0.01:
            size = self.dice.randrange(5000, 60000)
        return b"%d:%s" % (self.serial, b"x" * size)

    def exptime(self):
        if self.dice.random() < 0.7:
            return 0
        return int(time.time()) + self.dice.randrange(4000, 100000)

    def store(self, key, mode, value, meta, token=None):
        """set, add, replace, append, prepend, cas."""
        flags = self.dice.randrange(0, 1 << 32)
        exp = self.exptime()
        stored, not_stored, exists, not_found = WORDS[meta][:4]
        new = Item(value, flags, exp, None)

        def outcomes(state):
            if mode == "add":
                return [(stored, new) if state is ABSENT
                        else (not_stored, state)]
            if mode == "cas":
                if state is ABSENT:
                    return [(not_found, state)]
                if state.token is None:
                    return [(stored, new), (exists, state)]
                return [(stored, new) if state.token == token
                        else (exists, state)]
            if mode == "set":
                return [(stored, new)]
            if state is ABSENT:
                return [(not_stored, state)]
            if mode == "replace":
                return [(stored, new)]
            joined = (state.value + value if mode == "append"
                      else value + state.value)
            return [(stored, Item(joined, state.flags, state.exp, None))]

        if meta:
            letter = {"add": b"ME", "replace": b"MR", "append": b"MA",
                      "prepend": b"MP", "set": b"MS",
                      "cas": b"C%d" % (token or 0)}[mode]
            data = b"ms %s %d c F%d T%d %s\r\n%s\r\n" % (
                key, len(value), flags, self.ttl(exp), letter, value)
        else:
            more = b" %d" % token if mode == "cas" else b""
            data = b"%s %s %d %d %d%s\r\n%s\r\n" % (
                mode.encode(), key, flags, exp, len(value), more, value)
        return Request(key, data, outcomes)

    @staticmethod
    def ttl(exp):
        """For meta commands, whose T is seconds from now."""
        return exp - int(time.time()) if exp else 0

    def silent_set(self, key):
        one = self.store(key, "set", self.value(), False)
        line, _, value = one.data.partition(b"\r\n")
        one.data = line + b" noreply\r\n" + value
        one.silent = True
        return one

    def count(self, key):
        step = self.dice.randrange(1, 1000)
        up = self.dice.random() < 0.6

        def outcomes(state):
            if state is ABSENT:
                return [("NOT_FOUND", state)]
            number = b"%d" % (int(state.value) + (step if up else -step))
            return [(number.decode(), state._replace(
                value=number, token=None))]

        return Request(key, b"%s %s %d\r\n" % (
            b"incr" if up else b"decr", key, step), outcomes)

    def delete(self, key, meta):
        _, _, _, not_found, deleted, _ = WORDS[meta]
        return Request(
            key, (b"md %s\r\n" if meta else b"delete %s\r\n") % key,
            lambda state: [(not_found, state) if state is ABSENT
                           else (deleted, ABSENT)])

    def touch(self, key):
        exp = self.exptime()
        return Request(
            key, b"touch %s %d\r\n" % (key, exp),
            lambda state: [("NOT_FOUND", state) if state is ABSENT
                           else ("TOUCHED", state._replace(exp=exp))])

    @staticmethod
    def read(key):
        return Request(key, b"mg %s v f c t\r\n" % key, None)

    @staticmethod
    def flush():
        return Request(None, b"flush_all\r\n", None)

    def draw(self, keys):
        """A request, or two, on one of these keys."""
        dice = self.dice.random()
        key = self.dice.choice(keys)
        meta = self.dice.random() < 0.5
        if dice < 0.0004:
            return [self.flush()]
        if key.startswith(b"n"):
            if dice < 0.3:
                return [self.store(key, self.dice.choice(("add", "set")),
                                   b"%d" % 5000000000, meta)]
            if dice < 0.35:
                return [self.read(key)]
            return [self.count(key)]
        if dice < 0.15:
            return [self.read(key)]
        if dice < 0.25:
            return [self.delete(key, meta)]
        if dice < 0.32:
            return [self.touch(key)]
        if dice < 0.42:
            return [self.silent_set(key), self.store(
                self.dice.choice([k for k in keys if k[:1] == b"v"]), "set",
                self.value(), meta)]
        states = [s for s in self.keys[key].states if s is not ABSENT]
        if dice < 0.55 and states and states[0].token is not None:
            token = states[0].token - (self.dice.random() < 0.2)
            return [self.store(key, "cas", self.value(), meta, token)]
        mode = self.dice.choice(("set", "set", "set", "add", "replace",
                                 "append", "prepend"))
        if mode in ("append", "prepend") and any(
                len(s.value) > 100000 for s in states):
            mode = "set"
        return [self.store(key, mode, self.value(), meta)]

    # ---- sent and answered --------------------------------------------------

    def on_sent(self, request):
        self.tick += 1
        request.sent = self.tick
        if request.key is not None:
            self.keys[request.key].pending += 1
            return
        self.flushing += 1
        for key in self.keys.values():
            key.states.add(ABSENT)

    def beside_flush(self, request):
        return self.flushing > 0 or self.flushed > request.sent

    def on_reply(self, request, reply):
        """reply is None behind a silent one."""
        self.tick += 1
        if request.key is None:
            if reply.word != "OK":
                raise Wrong("flush_all: %r" % (reply,))
            self.flushing -= 1
            self.flushed = self.tick
            for key in self.keys.values():
                if key.pending == 0 and key.answered < request.sent:
                    key.states = {ABSENT}
            self.acknowledged += 1
            return
        key = self.keys[request.key]
        key.pending -= 1
        key.answered = self.tick
        new = self.after(request, key.states, reply)
        if not new:
            raise Wrong("%.100r: %.200r; it was one of %.400r" % (
                request.data, reply, key.states))
        found = [s for s in new if s is not ABSENT]
        if len(found) == 1 and found[0].token is not None:
            self.note_token(request.key, found[0])
        if self.beside_flush(request):
            new.add(ABSENT)
        key.states = new
        self.acknowledged += reply is not None

    def after(self, request, states, reply):
        """What the states become by a request that got this reply; None:
        that got none, and was executed."""
        new = set()
        for state in states:
            if request.outcomes is None:
                if reply is None:
                    new.add(state)
                elif same(reply.item, state):
                    new.add(state if state is ABSENT else state._replace(
                        token=reply.item.token))
                continue
            for word, then in request.outcomes(state):
                if reply is None or word == reply.word:
                    if reply is not None and reply.token is not None:
                        then = then._replace(token=reply.token)
                    new.add(then)
        return new

    # ---- after a crash ------------------------------------------------------

    def check_connection(self, keys, queue, found):
        """found: what was read behind the crash, {key: Item or ABSENT}."""
        states = {key: set(self.keys[key].states) for key in keys}
        missing = self.misses(states, found)
        done = 0
        while missing and done < len(queue):
            request = queue[done]
            done += 1
            if request.key is None:
                continue
            new = self.after(request, states[request.key], None)
            if self.beside_flush(request):
                new.add(ABSENT)
            states[request.key] = new
            missing.discard(request.key)
            missing |= self.misses({request.key: new}, found)
        if missing:
            self.explain(keys, queue, found)

    @staticmethod
    def misses(states, found):
        return {key for key, some in states.items()
                if not any(same(found[key], state) for state in some)}

    def explain(self, keys, queue, found):
        lines = []
        for key in keys:
            if self.misses({key: self.keys[key].states}, found):
                lines.append("%s: found %.120r\n  told %.400r\n  open %r" % (
                    key.decode(), found[key], self.keys[key].states,
                    [r.data[:80] for r in queue if r.key == key]))
        raise Wrong("no prefix of what was open explains:\n"
                    + "\n".join(lines))

    def adopt(self, found):
        """What was found is what there is."""
        for name, item in found.items():
            key = self.keys[name]
            key.states = {item}
            key.pending = 0
            key.answered = self.tick
            if item is not ABSENT:
                self.note_token(name, item)
        self.flushing = 0


def read_reply(buf, at):
    """The reply at buf[at:] as (Reply, where it ends); None if it is not all
    there."""
    end = buf.find(b"\r\n", at)
    if end < 0:
        return None
    words = bytes(buf[at:end]).split(b" ")
    word = words[0].decode("ascii", "replace")
    end += 2
    if word == "EN":
        return Reply("EN", None, ABSENT), end
    if word == "HD":
        token = int(words[1][1:]) if len(words) > 1 else None
        return Reply("HD", token, ABSENT), end
    if word != "VA":
        if re.search("ERROR", word):
            raise Wrong("the server answers %r" % b" ".join(words))
        return Reply(word, None, ABSENT), end
    size = int(words[1])
    if len(buf) < end + size + 2:
        return None
    flags = {chr(w[0]): int(w[1:]) for w in words[2:]}
    ttl = flags["t"]
    item = Item(bytes(buf[end:end + size]), flags["f"],
                0 if ttl < 0 else int(time.time()) + ttl, flags["c"])
    return Reply("VA", None, item), end + size + 2
