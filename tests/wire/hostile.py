# SPDX-License-Identifier: BSD-3-Clause
"""Random requests: valid, nearly valid and hostile, from a seed.

A Request is what is sent in one go: one command with its data block, or a few
that belong together. clean() makes requests on which memcached 1.6.18 and
later versions agree, so that any stream of them can be compared as a whole;
hostile() makes anything.

Two things are kept out on purpose. Whether incr and decr change an item in
place or make a new one depends, in memcached itself, on what else holds the
item at that moment: padding with spaces, the marks of leases, h and the T of
ma then differ. So a request that makes a number shorter is followed by a
delete of its key, and numbers live in keys whose marks nobody asks for. And
times are far from now, so that nothing expires between the two servers.
"""

import base64

PLAIN = [b"a", b"b", b"key", b"longer_key_name", b"k" * 250,
         b"tab\there", b"\xc3\xa9\xff\x01", b"noreply", b"0", b"n:m:o"]
NUMBERS = [b"n1", b"n2", b"n3"]
BINARY = [b"foo", b"\0\1 \r\n", b"x" * 100, b"bin"]
COUNTS = [b"5000000", b"7500", b"12345678901"]
TEXTS = [b"x", b"", b"hello world", b"a\r\nb\r\n", b"END\r\n", b"VALUE a 0 1",
         b"y" * 2048, b"x\0\0", b"1.5", b"12a", b"z" * 300,
         b"18446744073709551616"]
TTLS = [b"0", b"0", b"100", b"5000", b"2592000"]
LETTERS = b"kfvstchluqOPL"
BAD_NUMBERS = [b"x", b"1x", b"0x10", b"--1", b"1.5", b"-", b"1e3", b"\xff"]
HUGE = b"18446744073709551616"
DATA = b"data?not-a-command"


class Request:
    def __init__(self, line, data=None, end=b"\r\n", tail=b"", cas_of=None):
        self.line, self.data = line, data
        self.end, self.tail = end, tail
        self.cas_of = cas_of

    def bytes(self, cas=None):
        line = self.line
        if self.cas_of is not None:
            line = line.replace(b"@CAS@", cas or b"7777777777777")
        out = line + self.end
        if self.data is not None:
            out += self.data + b"\r\n"
        return out + self.tail

    def words(self):
        return [word for word in self.line.split(b" ") if word]


class Maker:
    """Makes requests from one random source."""

    def __init__(self, random):
        self.random = random
        self.opaque = 0

    def pick(self, choices):
        return self.random.choice(choices)

    def chance(self, share):
        return self.random.random() < share

    def key(self):
        return self.pick(NUMBERS if self.chance(0.3) else PLAIN)

    def noreply(self):
        return b" noreply" if self.chance(0.15) else b""

    def value(self, key):
        return self.pick(COUNTS if key in NUMBERS else TEXTS)

    # ------------------------------------------------------------- clean

    def clean(self):
        make = self.pick([
            self.store, self.store, self.store, self.fetch, self.fetch,
            self.arithmetic, self.other, self.meta_get, self.meta_get,
            self.meta_set, self.meta_set, self.meta_delete,
            self.meta_arithmetic, self.agreed_error, self.spaced])
        return make()

    def store(self):
        verb = self.pick([b"set", b"set", b"add", b"replace", b"append",
                          b"prepend", b"cas"])
        key = self.key()
        data = self.value(key)
        flags = self.pick([b"0", b"0", b"1", b"4294967295", b"4294967296"])
        ttl = self.pick(TTLS + [b"-1", b"2592001", b"2147483648"])
        words = [verb, key, flags, ttl, b"%d" % len(data)]
        if verb == b"cas":
            words.append(self.pick([b"0", b"7777777777777",
                                    b"18446744073709551615"]))
        return Request(b" ".join(words) + self.noreply(), data)

    def fetch(self):
        verb = self.pick([b"get", b"get", b"gets", b"gat", b"gats"])
        words = [verb]
        if verb in (b"gat", b"gats"):
            words.append(self.pick(TTLS))
        words += [self.key() for _ in range(self.pick([1, 1, 2, 5, 30]))]
        return Request(b" ".join(words))

    def arithmetic(self):
        key = self.key()
        verb = self.pick([b"incr", b"decr"])
        if self.chance(0.1):
            delta = self.pick([b"18446744073709551615", b"99999999999999"])
            return Request(b"%s %s %s" % (verb, key, delta),
                           tail=b"delete %s\r\n" % key)
        delta = self.pick([b"0", b"1", b"2"])
        return Request(b"%s %s %s%s" % (verb, key, delta, self.noreply()))

    def other(self):
        key = self.key()
        return Request(self.pick([
            b"delete " + key, b"delete %s 0" % key,
            b"delete %s noreply" % key, b"touch %s 100" % key,
            b"touch %s 0" % key, b"touch %s -1" % key,
            b"touch %s 5000 noreply" % key, b"version", b"mn",
            b"verbosity 0", b"verbosity 0 noreply", b"flush_all",
            b"flush_all 0", b"flush_all noreply", b"flush_all -1"]))

    def flags(self, letters, most=5):
        """Distinct flags without a fault."""
        count = self.random.randint(0, most)
        out = []
        for letter in self.random.sample(sorted(set(letters)), min(
                count, len(set(letters)))):
            flag = bytes([letter])
            if flag == b"O":
                self.opaque += 1
                flag += b"o%d" % self.opaque
            elif flag in (b"P", b"L"):
                flag += b"/route"
            elif flag in (b"T", b"N"):
                flag += self.pick(TTLS)
            elif flag == b"R":
                flag += self.pick([b"30", b"200", b"2592000"])
            elif flag == b"F":
                flag += self.pick([b"0", b"7", b"4294967295"])
            elif flag == b"C":
                flag += self.pick([b"0", b"7777777777777"])
            out.append(flag)
        return out

    def meta_key(self):
        """The key word and the flags that belong to it."""
        if self.chance(0.2):
            return base64.b64encode(self.pick(BINARY)), [b"b"]
        return self.pick(PLAIN), []

    def meta(self, verb, extra, flags, data=None, where=None):
        key, more = where or self.meta_key()
        flags = flags + more
        self.random.shuffle(flags)
        return Request(b" ".join([verb, key] + extra + flags), data)

    def meta_get(self):
        if self.chance(0.2):
            # memcached forgets of such an item that its key was in base64.
            return self.meta(b"mg", [], self.flags(LETTERS + b"TRN"),
                             where=(self.pick(PLAIN), []))
        if self.chance(0.2):
            return self.meta(b"mg", [], self.flags(b"kfvstcuqOPLT"),
                             where=(self.pick(NUMBERS), []))
        return self.meta(b"mg", [], self.flags(LETTERS + b"TR"))

    def meta_set(self):
        where = self.meta_key()
        if self.chance(0.3):
            where = (self.pick(NUMBERS), [])
        data = self.value(where[0])
        flags = self.flags(b"kqOPLcTFI", 4)
        if self.chance(0.3):
            flags.append(self.pick([b"C0", b"C7777777777777",
                                    b"C18446744073709551615"]))
        if self.chance(0.3):
            # In memcached append forgets that the key was in base64.
            flags.append(b"M" + self.pick([b"S", b"E", b"R"] + (
                [] if where[1] else [b"A", b"P"])))
        return self.meta(b"ms", [b"%d" % len(data)], flags, data, where)

    def meta_delete(self):
        if self.chance(0.2):
            return self.meta(b"md", [], self.flags(b"kqOPL", 3),
                             where=(self.pick(NUMBERS), []))
        flags = self.flags(b"kqOPLI", 3)
        if self.chance(0.3):
            flags.append(self.pick([b"T100", b"T5000"]))
        if self.chance(0.2):
            flags.append(b"C7777777777777")
        return self.meta(b"md", [], flags)

    def meta_arithmetic(self):
        flags = self.flags(b"kOPLvtcq", 4)
        if self.chance(0.3):
            flags.append(b"M" + self.pick([b"I", b"D", b"+", b"-"]))
        if self.chance(0.3):
            flags.append(b"D" + self.pick([b"0", b"1", b"2"]))
        if self.chance(0.6):
            if b"q" not in flags:
                flags += [b"N" + self.pick(TTLS), b"J" + self.pick(COUNTS)]
            return self.meta(b"ma", [], flags,
                             where=(self.pick(NUMBERS), []))
        return self.meta(b"ma", [], flags)

    def agreed_error(self):
        """Errors that all versions answer alike."""
        long_key = b"L" * self.pick([251, 300, 1000])
        number = self.pick(BAD_NUMBERS)
        return self.pick([
            Request(self.pick([b"bogus", b"GET a", b"gett a", b"foo bar"])),
            Request(b"delete " + long_key),
            Request(b"incr %s 1" % long_key),
            Request(b"touch %s 1" % long_key),
            Request(b"mg %s v" % long_key),
            Request(b"md " + long_key),
            Request(b"set a 0 0 %s" % number, DATA),
            Request(b"add a 0 0 2147483646", DATA),
            Request(b"ms a %s T0" % number, DATA),
            Request(b"incr n1 %s" % number),
            Request(b"decr n1 -1"),
            Request(b"incr n1 " + HUGE),
            Request(b"touch a %s" % number),
            Request(b"gat %s a" % number),
            Request(b"delete a foo"),
            Request(b"delete a 1"),
            Request(b"delete a 0 foo"),
            Request(b"mg a v v"),
            Request(b"mg a k !"),
            Request(b"mg a T%s" % number),
            Request(b"ms a 1 F%s" % number, b"x"),
            Request(b"ms a 1 C" + HUGE, b"x"),
            Request(b"ms a 1 MX", b"x"),
            Request(b"ms a 1 Me", b"x"),
            Request(b"ms a 1 q q", b"x"),
            Request(b"ma n1 D%s" % number),
            Request(b"ma n1 MX"),
            Request(b"ma n1 z"),
            Request(b"set a 0 0 3", b"abcdeERRORS"),
            Request(b"set a 0 0 26",
                    b"short\r\nget a\r\nget a\r\nget a, b, c"),
            Request(b"set big 0 0 1048577", b"B" * 1048577),
            Request(b"ms big 1048577", b"B" * 1048577),
        ])

    def spaced(self):
        """A clean request with more spaces or a bare newline."""
        one = self.pick([self.fetch, self.other, self.meta_get,
                         self.store])()
        if len(one.line) < 1000:
            if self.chance(0.5):
                one.line = one.line.replace(b" ", b" " * self.pick([2, 5]))
            if self.chance(0.5):
                one.line += b" " * self.pick([1, 3])
        if self.chance(0.5) and len(one.line) > 2:
            one.end = b"\n"
        return one

    # ----------------------------------------------------------- hostile

    def hostile(self):
        make = self.pick([
            self.clean, self.clean, self.few_words, self.many_words,
            self.mutated, self.mutated, self.bad_header, self.bad_meta,
            self.odd_line, self.with_cas, self.later_flags, self.me,
            self.timed_arithmetic])
        return make()

    def few_words(self):
        words = self.pick([self.store, self.fetch, self.arithmetic,
                           self.other, self.meta_get, self.meta_set,
                           self.meta_delete])().words()
        return Request(b" ".join(words[:self.random.randint(1, len(words))]))

    def many_words(self):
        one = self.pick([self.store, self.arithmetic])()
        one.line += b" extra" * self.random.randint(1, 4)
        if self.chance(0.3):
            one.line += b" noreply"
        return one

    def mutated(self):
        """A clean request with one byte of its line changed."""
        one = self.clean()
        if len(one.line) > 600 or one.tail or (
                one.data is not None and len(one.data) > 2000):
            # A rest of the block would be a line so long that it matters
            # how it is cut on its way.
            return one
        line = bytearray(one.line)
        at = self.random.randrange(len(line))
        what = self.pick(b"\t\0 !+-09azAZ\x80\xff\r")
        if self.chance(0.5):
            line[at] = what
        else:
            line.insert(at, what)
        one.line = bytes(line)
        if one.data is not None:
            one.data = one.data if len(one.data) > 100 else DATA
        return one

    def bad_header(self):
        """A storage command with one bad field and a block of that length."""
        verb = self.pick([b"set", b"add", b"replace", b"append", b"prepend",
                          b"cas"])
        fields = [self.key(), b"0", b"0", b"%d" % len(DATA)]
        if verb == b"cas" and self.chance(0.8):
            fields.append(b"7777777777777")
        at = self.random.randrange(len(fields))
        bad = {0: [b"L" * 251], 3: BAD_NUMBERS + [
            b"-1", b"+18", b"2147483646", b"4294967296"]}
        fields[at] = self.pick(bad.get(at, BAD_NUMBERS))
        return Request(b" ".join([verb] + fields) + self.noreply(), DATA)

    def bad_meta(self):
        verb = self.pick([b"mg", b"ms", b"md", b"ma"])
        number = self.pick(BAD_NUMBERS + [b"+5", b"\t1", HUGE,
                                          b"4294967296"])
        flag = self.pick([b"T", b"N", b"R", b"C", b"F", b"E"]) + number
        if self.chance(0.4):
            flag = self.pick([b"!", b"z", b"Q", b"5", b"k k", b"MX", b"MEE",
                              b"M", b"O" + b"o" * 40, b"noreply"])
        extra, data = [], None
        if verb == b"ms":
            extra, data = [b"%d" % len(DATA)], DATA
        flags = self.flags(b"fvtq", 2) + [flag]
        self.random.shuffle(flags)
        return Request(b" ".join([verb, self.key()] + extra + flags), data)

    def odd_line(self):
        """Lines by themselves. 1.6.18 forgets replies that are pending when
        a get with a too long key comes, so that one is no part of streams."""
        return Request(self.pick([
            b"get a " + b"L" * 251, b"gets " + b"L" * 300,
            b"flush_all x", b"mg a O" + b"o" * 32,
            b"", b" ", b"   ", b"x", b"\0", b"\t\t", b" get a", b"  mn",
            b"bogus noreply", b"bogus a noreply", b"get a\0b", b"\xff\xfe",
            b"get " + b"q " * 400, b"stats bogus",
            b"verbosity", b"verbosity x", b"mn a b c", b"touch a 2147483648",
            b"gat 2147483648 a", b"shutdown", b"shutdown now",
            b"lru_crawler", b"slabs reassign 1 1", b"slabs automove x",
            b"cache_memlimit 1", b"cache_memlimit x", b"watch bogus",
            b"delete %s foo" % (b"L" * 251), b"flush_all a noreply",
            b"lru_crawler sleep 1000001", b"misbehave", b"debugtime 1",
            b"stats cachedump 1", b"stats detail foo", b"lru mode foo"]),
            end=self.pick([b"\r\n", b"\r\n", b"\n"]))

    def with_cas(self):
        """A command that carries the cas its key really has."""
        key = self.key()
        data = self.value(key)
        line = self.pick([
            b"cas %s 0 0 %d @CAS@" % (key, len(data)),
            b"ms %s %d C@CAS@ c" % (key, len(data)),
            b"ms %s %d C@CAS@ I" % (key, len(data)),
            b"md %s C@CAS@" % key, b"md %s I C@CAS@" % key,
            b"ma %s C@CAS@ v" % key, b"mg %s C@CAS@ v k" % key])
        if line.split()[0] not in (b"cas", b"ms"):
            data = None
        return Request(line, data, cas_of=key)

    def timed_arithmetic(self):
        flags = [b"T" + self.pick(TTLS), b"t", b"v"]
        if self.chance(0.5):
            flags += [b"N" + self.pick(TTLS), b"J" + self.pick(COUNTS)]
        return self.meta(b"ma", [], flags, where=(self.pick(NUMBERS), []))

    def later_flags(self):
        """Flags that 1.6.18 does not know, or knows otherwise."""
        data = b"7500"
        return self.pick([
            Request(b"ms %s 4 s" % self.key(), data),
            Request(b"ms %s 4 MA N100 k" % self.key(), data),
            Request(b"ms %s 4 E1234567890123 c" % self.key(), data),
            Request(b"md %s x T100" % self.key()),
            Request(b"md %s x I T100" % self.key()),
            Request(b"mg %s N100 E1234567890124 c" % self.key()),
            Request(b"ms %s 4 MEE" % self.key(), data),
            Request(b"mg %s T-1 t" % self.key()),
            Request(b"ma new1 N0 J7500 q v", tail=b"delete new1\r\n"),
            Request(b"mg Zm9v b N100 k"), Request(b"mg Zm9v! b v"),
            Request(b"mg Zm9v= b k"),
            Request(b"mg zzz b k"), Request(b"mg a=== b k"),
        ])

    def me(self):
        return Request(b"me " + self.key())
