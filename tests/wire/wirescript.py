# SPDX-License-Identifier: BSD-3-Clause
"""Wire scripts: bytes in, bytes out.

A script is a text file of cases.  What stands before the first case holds for
all of them.

    server: FLAGS       flags of the server (default none)
    == NAME             a case begins: new connections, an empty cache
    fresh               the case has a server of its own
    debug               the case moves the clock: needs debug commands
    # text              a comment

In a case, in order:

    ? REQUEST => REPLY  sends REQUEST and a closing mn; exactly REPLY comes
    > BYTES             sends (lines that follow each other go in one piece)
    < BYTES             exactly these bytes come next
    <eof                the server closes, with nothing more said
    >eof                we close our sending side
    >split BYTES        sends one byte at a time
    >wait               ends a piece: what follows is sent by itself
    close               we close
    until BYTES         reads up to these bytes and forgets them
    unordered BYTES     reads lines up to this one; they match, in any order,
    * BYTES             these patterns, one each
    stats [ARGUMENTS]   sends stats and reads the pairs
    = NAME REGEX        the value of one pair
    =absent NAME...     pairs that must not be there
    =names NAME...      the names of all pairs in order (may be repeated)

`1>`, `1<`, `1?` and so on act on connection 1 instead of 0.  Escapes are \\r
\\n \\t \\0 \\s (space) \\xHH \\\\ \\{.  In braces:

    {3*text}            text three times
    {now} {now+N} {now-N}  Unix time
    {num} {num:x}       (reply) digits; remembered as x
    {x}                 what was remembered
    {5..7}              (reply) a number in that range; it tells of time, so
                        that a case which was held up for more than a second
                        has as much more room
    {any} {line}        (reply) a word; anything up to the end of the line
    {re:REGEX}          (reply) a regular expression

At the end of a case each connection that is still open answers mn with MN
and nothing else, so a reply too many is seen.
"""

import re
import time

import server

ESCAPES = {"r": b"\r", "n": b"\n", "t": b"\t", "0": b"\0", "s": b" ",
           "\\": b"\\", "{": b"{"}


class Syntax(Exception):
    pass


def pieces(text):
    """Splits text into bytes (literal) and str (what stands in braces)."""
    found, at = [b""], 0
    while at < len(text):
        char = text[at]
        if char == "\\":
            code = text[at + 1]
            if code == "x":
                found[-1] += bytes([int(text[at + 2:at + 4], 16)])
                at += 4
                continue
            if code not in ESCAPES:
                raise Syntax("unknown escape \\%s in %s" % (code, text))
            found[-1] += ESCAPES[code]
            at += 2
        elif char == "{":
            end = text.index("}", at)
            inner = text[at + 1:end]
            times = re.fullmatch(r"(\d+)\*(.*)", inner)
            if times:
                unit = pieces(times.group(2))[0]
                found[-1] += unit * int(times.group(1))
            else:
                found += [inner, b""]
            at = end + 1
        else:
            found[-1] += char.encode("utf-8")
            at += 1
    return found


def moment(inner):
    match = re.fullmatch(r"now(?:([+-])(\d+))?", inner)
    if not match:
        return None
    shift = int(match.group(2) or 0)
    if match.group(1) == "-":
        shift = -shift
    return b"%d" % (int(time.time()) + shift)


def render(text, memory):
    """The bytes to send."""
    data = b""
    for piece in pieces(text):
        if isinstance(piece, bytes):
            data += piece
        elif moment(piece) is not None:
            data += moment(piece)
        else:
            data += memory[piece]
    return data


class Pattern:
    """What is expected: a regular expression with checks behind it."""

    def __init__(self, text, memory, late_s=0):
        self.text = text
        self.memory = memory
        self.late_s = late_s
        self.names, self.ranges = {}, {}
        self.newlines = 0
        self.size = 0
        regex = b""
        for number, piece in enumerate(pieces(text)):
            if isinstance(piece, bytes):
                regex += re.escape(piece)
                self.newlines += piece.count(b"\n")
                self.size += len(piece)
            else:
                regex += self.special(piece, "g%d" % number)
        self.plain = not self.special_seen
        self.regex = re.compile(regex, re.DOTALL)

    special_seen = False

    def special(self, piece, group):
        head = b"(?P<%s>" % group.encode()
        bounds = re.fullmatch(r"(\d+)\.\.(\d+)", piece)
        if bounds:
            self.ranges[group] = (int(bounds.group(1)), int(bounds.group(2)))
            self.special_seen = True
            return head + rb"\d+)"
        if piece in self.memory:
            self.size += len(self.memory[piece])
            return re.escape(self.memory[piece])
        self.special_seen = True
        if piece == "num" or piece.startswith("num:"):
            if ":" in piece:
                self.names[group] = piece[4:]
            return head + rb"\d+)"
        if piece == "any":
            return rb"[^ \r\n]+"
        if piece == "line":
            return rb"[^\r\n]*"
        if piece.startswith("re:"):
            return b"(?:" + piece[3:].encode() + b")"
        raise Syntax("nothing is known of {%s}" % piece)

    def match(self, data):
        found = self.regex.fullmatch(data)
        if not found:
            return False
        for group, (low, high) in self.ranges.items():
            number = int(found.group(group))
            if not low - self.late_s <= number <= high + self.late_s:
                return False
        for group, name in self.names.items():
            self.memory[name] = found.group(group)
        return True

    def take(self, conn, timeout_s):
        """Reads as much as the pattern has: by length, else by lines."""
        if self.plain and self.newlines == 0:
            return conn.read(self.size, timeout_s)
        data = b""
        deadline = time.monotonic() + timeout_s
        for _ in range(self.newlines):
            left = max(0.01, deadline - time.monotonic())
            piece = conn.until(b"\n", left)
            data += piece
            if not piece.endswith(b"\n"):
                break
        return data


def show(data, limit=240):
    """Bytes as they would stand in a script."""
    text = ""
    for byte in data[:limit]:
        char = chr(byte)
        if char in "\\{":
            text += "\\" + char
        elif char == "\r":
            text += "\\r"
        elif char == "\n":
            text += "\\n"
        elif 32 <= byte < 127:
            text += char
        else:
            text += "\\x%02x" % byte
    return text + ("..." if len(data) > limit else "")


class Case:
    def __init__(self, script, name, line):
        self.script, self.name, self.line = script, name, line
        self.flags, self.fresh, self.debug = [], False, False
        self.steps = []


STEP = re.compile(r"(\d*)(\?|>eof|>split|>wait|<eof|>|<|close|until|unordered"
                  r"|stats|\*|=names|=absent|=)(?: (.*))?")


def parse(path, name):
    """The cases of one script."""
    cases, flags = [], []
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            line = line.rstrip("\n")
            if not line.strip() or line.startswith("#"):
                continue
            case = cases[-1] if cases else None
            if line.startswith("== "):
                case = Case(name, line[3:].strip(), number)
                case.flags = flags
                cases.append(case)
            elif line.startswith("server:"):
                if case:
                    case.flags = line[7:].split()
                else:
                    flags = line[7:].split()
            elif line in ("fresh", "debug") and case:
                setattr(case, line, True)
            else:
                match = STEP.fullmatch(line)
                if not match or not case:
                    raise Syntax("%s:%d: %s" % (path, number, line))
                case.steps.append((number, int(match.group(1) or 0),
                                   match.group(2), match.group(3) or ""))
    names = [case.name for case in cases]
    if len(set(names)) != len(names):
        raise Syntax("%s: a case name is used twice" % path)
    return cases


class Failure:
    """One expectation that was not met: unit names it in the case."""

    def __init__(self, line, unit, wanted, got):
        self.line, self.unit = line, unit
        self.wanted, self.got = wanted, got

    def __str__(self):
        return "line %d: %s\n    wanted %s\n    got    %s" % (
            self.line, self.unit, self.wanted, self.got)


class Abort(Exception):
    pass


class Run:
    """One case against one server."""

    def __init__(self, case, one, timeout_s):
        self.case, self.server, self.timeout_s = case, one, timeout_s
        self.memory, self.conns, self.out = {}, {}, {}
        self.failures, self.pairs, self.seen = [], [], {}
        self.names = None
        self.lines = None
        self.began = time.monotonic()

    def late_s(self):
        """Whole seconds that the case has taken, but for the first."""
        return max(0, int(time.monotonic() - self.began))

    def pattern(self, text):
        return Pattern(text, self.memory, self.late_s())

    def conn(self, number):
        if number not in self.conns:
            self.conns[number] = self.server.connect(self.timeout_s)
        return self.conns[number]

    def unit(self, text):
        count = self.seen[text] = self.seen.get(text, 0) + 1
        return text if count == 1 else "%s #%d" % (text, count)

    def fail(self, line, unit, wanted, got):
        self.failures.append(Failure(line, unit, wanted, got))

    def resync(self, number):
        """After a mismatch: a connection whose next reply is a new one."""
        self.conn(number).close()
        del self.conns[number]

    def flush(self):
        for number, data in self.out.items():
            self.conn(number).send(data)
        self.out = {}

    def go(self):
        try:
            for step in self.case.steps:
                self.step(*step)
            self.flush()
            self.end_names()
            self.end_lines()
            for number in list(self.conns):
                self.ending(number)
        except Abort:
            pass
        finally:
            for conn in self.conns.values():
                conn.close()
        return self.failures

    def ending(self, number):
        conn = self.conns[number]
        if conn.closed:
            return
        got = self.sentinel(conn)
        if got != b"":
            self.fail(self.case.line, self.unit("(end)"), "nothing more",
                      show(got))

    def sentinel(self, conn):
        """What comes before the answer to mn."""
        conn.send(b"mn\r\n")
        data = b""
        while True:
            try:
                data += conn.until(b"\n", self.timeout_s)
            except TimeoutError:
                return data + conn.take(len(conn.buf)) + b"(silence)"
            if data.endswith(b"MN\r\n"):
                return data[:-4]
            if conn.closed:
                return data + b"(closed)"

    def step(self, line, number, verb, text):
        if verb != "*":
            self.end_lines()
        if verb != "=names":
            self.end_names()
        if verb == ">":
            self.out[number] = self.out.get(number, b"") + render(
                text, self.memory)
            return
        self.flush()
        if verb != ">wait":
            getattr(self, self.VERBS[verb])(line, number, text)

    VERBS = {"?": "do_ask", "<": "do_expect", "<eof": "do_eof",
             ">eof": "do_half", ">split": "do_split", "close": "do_close",
             "until": "do_until", "unordered": "do_unordered",
             "*": "do_member", "stats": "do_stats", "=": "do_value",
             "=absent": "do_absent", "=names": "do_names"}

    def do_ask(self, line, number, text):
        request, _, reply = text.rpartition(" => ")
        if not request and text.startswith("=> "):
            raise Syntax("line %d: no request" % line)
        reply = "" if reply == "nothing" else reply
        unit = self.unit(request)
        conn = self.conn(number)
        conn.send(render(request, self.memory))
        got = self.sentinel(conn)
        if not self.pattern(reply).match(got):
            self.fail(line, unit, reply or "nothing", show(got))
            self.resync(number)

    def do_expect(self, line, number, text):
        conn = self.conn(number)
        unit = self.unit("< " + text)
        pattern = Pattern(text, self.memory)
        try:
            got = pattern.take(conn, self.timeout_s)
        except TimeoutError:
            self.fail(line, unit, text,
                      show(conn.take(len(conn.buf))) + "(silence)")
            raise Abort from None
        pattern.late_s = self.late_s()
        if not pattern.match(got):
            closed = "(closed)" if conn.closed else ""
            self.fail(line, unit, text, show(got) + closed)
            raise Abort

    def do_eof(self, line, number, unused):
        conn = self.conn(number)
        try:
            if conn.at_eof(self.timeout_s):
                return
            got = show(conn.buf)
        except TimeoutError:
            got = "(silence)"
        self.fail(line, self.unit("<eof"), "(closed)", got)
        raise Abort

    def do_half(self, unused, number, text):
        self.conn(number).sock.shutdown(1)

    def do_split(self, unused, number, text):
        for byte in render(text, self.memory):
            self.conn(number).send(bytes([byte]))

    def do_close(self, unused, number, text):
        self.conn(number).close()
        del self.conns[number]

    def do_until(self, line, number, text):
        end = render(text, self.memory)
        conn = self.conn(number)
        try:
            got = conn.until(end, self.timeout_s)
        except TimeoutError:
            got = conn.take(len(conn.buf)) + b"(silence)"
        if not got.endswith(end):
            self.fail(line, self.unit("until " + text), text, show(got))
            raise Abort

    def do_unordered(self, line, number, text):
        end = render(text, self.memory)
        conn = self.conn(number)
        lines = []
        while True:
            try:
                got = conn.until(b"\n", self.timeout_s)
            except TimeoutError:
                got = conn.take(len(conn.buf)) + b"(silence)"
            if got == end:
                break
            lines.append(got)
            if not got.endswith(b"\n"):
                self.fail(line, self.unit("unordered " + text), text,
                          show(b"".join(lines)))
                raise Abort
        self.lines = (line, lines)

    def do_member(self, line, number, text):
        pattern = self.pattern(text)
        for got in self.lines[1]:
            if pattern.match(got):
                self.lines[1].remove(got)
                return
        self.fail(line, self.unit("* " + text), text,
                  "not among " + show(b"".join(self.lines[1])))

    def end_lines(self):
        if self.lines is not None:
            if self.lines[1]:
                self.fail(self.lines[0], self.unit("(lines)"),
                          "no other line", show(b"".join(self.lines[1])))
            self.lines = None

    def do_stats(self, line, number, text):
        request = ("stats " + text).strip().encode() + b"\r\n"
        try:
            self.pairs = self.conn(number).pair(request)
        except (AssertionError, TimeoutError) as error:
            self.fail(line, self.unit("stats " + text), "pairs", str(error))
            raise Abort from None

    def do_value(self, line, unused, text):
        name, _, regex = text.partition(" ")
        values = [value for key, value in self.pairs if key == name]
        if len(values) != 1 or not re.fullmatch(regex, values[0]):
            self.fail(line, self.unit("= " + text), regex, repr(values))

    def do_absent(self, line, unused, text):
        names = {key for key, _ in self.pairs}
        there = [name for name in text.split() if name in names]
        if there:
            self.fail(line, self.unit("=absent " + text), "none of them",
                      " ".join(there))

    def do_names(self, line, unused, text):
        if self.names is None:
            self.names = (line, [])
        self.names[1].extend(text.split())

    def end_names(self):
        if self.names is None:
            return
        line, wanted = self.names
        self.names = None
        got = [name for name, _ in self.pairs]
        if got != wanted:
            missing = [name for name in wanted if name not in got]
            extra = [name for name in got if name not in wanted]
            self.fail(line, self.unit("=names"), "%d names" % len(wanted),
                      "%d names, missing [%s], extra [%s]%s" % (
                          len(got), " ".join(missing), " ".join(extra),
                          "" if missing or extra else ", other order"))
