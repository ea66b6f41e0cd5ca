# SPDX-License-Identifier: BSD-3-Clause
"""dozo and Debian's memcached get the same random requests, byte for byte,
and must answer the same.

Streams: many requests on which all versions of memcached agree, sent as one
piece, in random pieces or byte by byte; the replies are compared as a whole,
and the counters of `stats` behind them.

Steps: hostile requests one by one, each with a question behind it that shows
whether both servers still stand at the same place of the stream. Here the
versions differ in known ways. Each way is a rule below, named and reasoned in
differences.txt: it tells from the request that it applies, and checks dozo's
reply against what the protocol says. Any other difference fails, with the
seed and the shortest stream that shows it.

DIFF_SECONDS (40) is the time for all of it, DIFF_SEEDS a list of seeds, or
`random`; the seeds are printed.
"""

import base64
import os
import random
import re
import time

import pytest

import differences
import hostile as wire
import server
import wirescript

SECONDS = float(os.environ.get("DIFF_SECONDS", "40"))
FIRST_SEED = 20230101
STREAMS, STEPS = 1500, 200  # seeds
CLIENT_ERROR = rb"CLIENT_ERROR bad command line format\r\n"
EARLY_ERROR = re.compile(rb"^(CLIENT|SERVER)_ERROR [^\r]*\r\n(?=\(closed\))")
COUNTERS = ("cmd_get cmd_set cmd_touch cmd_flush cmd_meta get_hits get_misses"
            " delete_hits delete_misses incr_hits incr_misses decr_hits"
            " decr_misses cas_hits cas_misses cas_badval touch_hits"
            " touch_misses store_too_large").split()
CLOCK_S = 2
# How long an answer is waited for where there may be none. One that comes
# later is a complaint first, and then is asked for again (steadily()).
ORACLE_S = 0.15
DOZO_S = 3.0


def seeds(most):
    """Not more than have been tried, however fast the machine: others are
    looked for with DIFF_SEEDS=random, and not by chance."""
    text = os.environ.get("DIFF_SEEDS", "")
    if text == "random":
        first = random.SystemRandom().randrange(10 ** 9)
        return iter(range(first, first + 10 ** 9))
    if text:
        return iter([int(word) for word in text.split(",")])
    return iter(range(FIRST_SEED, FIRST_SEED + most))


# ------------------------------------------------------------ comparison

LINE = re.compile(rb"(VALUE [^ \n]+ \d+ \d+ )(\d+)(?=\r\n)"
                  rb"|^((?:HD|VA \d+|EN|NF|NS|EX)(?: [^\n]*?)?)(?=\r\n)"
                  rb"|^(ME [^ \n]+ )([^\n]*?)(?=\r\n)"
                  rb"|^VERSION [^\r\n]*", re.MULTILINE)


class Shape:
    """A reply with what may differ taken out: cas numbers become the order
    of their first appearance, times are put aside."""

    def __init__(self, cas, reply):
        self.cas, self.times = cas, []
        self.text = LINE.sub(self.change, reply)

    def number(self, cas):
        if cas == b"0":
            return b"0"
        return b"#%d" % self.cas.setdefault(cas, len(self.cas))

    def change(self, match):
        if match.group(1):
            return match.group(1) + self.number(match.group(2))
        if match.group(3):
            words = match.group(3).split(b" ")
            return b" ".join(words[:1] + [self.flag(word)
                                          for word in words[1:]])
        if match.group(4):
            return match.group(4) + self.me(match.group(5))
        return b"VERSION"

    def flag(self, word):
        if re.fullmatch(rb"c\d+", word):
            return b"c" + self.number(word[1:])
        if re.fullmatch(rb"[tl]\d+", word):
            self.times.append(int(word[1:]))
            return word[:1]
        return word

    def me(self, text):
        exp = re.search(rb"exp=(-?\d+)", text)
        if exp and exp.group(1) != b"-1":
            self.times.append(abs(int(exp.group(1))))
            text = text.replace(exp.group(), b"exp=T")
        text = re.sub(rb"cas=(\d+)", lambda found: b"cas=" + self.number(
            found.group(1)), text)
        return re.sub(rb"(la|cls|size)=\d+", rb"\1=", text)

    def same(self, other):
        return (self.text == other.text
                and len(self.times) == len(other.times)
                and all(abs(mine - yours) <= CLOCK_S for mine, yours
                        in zip(self.times, other.times)))


# ----------------------------------------------------------------- rules
# A rule gets the request and the reply of both; it answers None if it does
# not apply, else whether dozo's reply is what the protocol says.

STORAGE = {b"set": 5, b"add": 5, b"replace": 5, b"append": 5, b"prepend": 5,
           b"cas": 5}
LEAST = dict(STORAGE, get=2, gets=2, gat=3, gats=3, delete=2, incr=3, decr=3,
             touch=3, mg=2, ms=3, md=2, ma=2, me=2, verbosity=2)
LEAST = {(name if isinstance(name, bytes) else name.encode()): count
         for name, count in LEAST.items()}
STORED = rb"(STORED|NOT_STORED|EXISTS|NOT_FOUND)\r\n"


def silent(request):
    return request.words()[-1:] == [b"noreply"]


def is_reply(regex, request, reply):
    """reply is regex, or nothing where noreply stands at the end."""
    return re.fullmatch(regex, reply, re.DOTALL) is not None or (
        silent(request) and reply == b"")


def plain(word, bits=64):
    return word.isdigit() and int(word) < 1 << bits


def is_length(word):
    return word.isdigit() and int(word) <= 2147483645


def flags_of(request):
    words = request.words()
    if words[0] in (b"mg", b"md", b"ma", b"me"):
        return words[2:]
    return words[3:] if words[0] == b"ms" else []


def rule_nul(request, dozo, unused):
    """Two different requests, so all that can be asked is that there is a
    reply, unless it may be quiet."""
    if b"\0" not in request.line:
        return None
    return dozo != b"" or silent(request) or b"q" in request.words()


def rule_short_line(request, dozo, memcached):
    words = request.words()
    if words and request.data is None and (
            words[0] == b"ms" or words[0] in STORAGE):
        # The question was taken for data, and a rest of it for a line.
        return dozo.split(b"\r\n")[0] == memcached.split(b"\r\n")[0]
    whole = len(request.line + request.end)
    if whole >= 4 and words and len(words[0]) > 1:
        return None
    if words and len(words[0]) == 1 and (len(words) > 1 or
                                         request.line[:1] == b" "):
        return re.match(rb"(CLIENT_)?ERROR|$", dozo) is not None
    return re.match(CLIENT_ERROR, dozo) is not None


def rule_leading_space(request, dozo, unused):
    if request.line[:1] != b" " or not request.words():
        return None
    return re.match(rb"ERROR\r\n", dozo) is not None or silent(request)


def rule_too_few_words(request, dozo, unused):
    words = request.words()
    if not words or len(words) >= LEAST.get(words[0], 0):
        return None
    return is_reply(CLIENT_ERROR + rb".*", request, dozo)


def rule_swallow(request, dozo, unused):
    """The length can be read, another field cannot."""
    words = request.words()
    if words[0] == b"ms" and len(words) > 2 and is_length(words[2]):
        if len(words[1]) <= 250:
            return None
        return re.fullmatch(CLIENT_ERROR, dozo) is not None
    if words[0] not in STORAGE or len(words) < 5:
        return None
    if not is_length(words[4]):
        if words[0] == b"cas" and len(words) == 5:
            return is_reply(CLIENT_ERROR + rb".*", request, dozo)
        return None
    if words[0] == b"cas" and (len(words) < 6 or not plain(words[5])):
        bad = True
    else:
        bad = (len(words[1]) > 250 or not plain(words[2])
               or not re.fullmatch(rb"-?\d+", words[3]))
    if not bad:
        return None
    if request.data is None or len(request.data) != int(words[4]):
        return re.match(CLIENT_ERROR + rb"|", dozo) is not None
    return is_reply(CLIENT_ERROR, request, dozo)


def rule_extra_words(request, dozo, unused):
    words = request.words()
    most = 7 if words[0] == b"cas" else 6
    if words[0] in STORAGE and len(words) > most:
        if silent(request) and words[4] != b"%d" % len(request.data or b""):
            # Only what is left of the block is answered.
            return True
        return is_reply(STORED + rb"|" + CLIENT_ERROR
                        + rb"|SERVER_ERROR object too large for cache\r\n"
                        + rb"|CLIENT_ERROR bad data chunk\r\n.*"
                        + rb"|\(closed\)",
                        request, dozo)
    if words[0] in (b"incr", b"decr", b"touch") and len(words) > 4:
        return is_reply(rb"(\d+|NOT_FOUND|TOUCHED|CLIENT_ERROR [^\r]*)\r\n"
                        rb"(DELETED\r\n|NOT_FOUND\r\n)?", request, dozo)
    if words[0] == b"delete" and len(words) > 4:
        return re.match(rb"CLIENT_ERROR|ERROR", dozo) is not None or \
            silent(request)
    if words[0] in (b"verbosity", b"flush_all") and len(words) > 3:
        return True
    return None


def rule_plus_sign(request, dozo, unused):
    """A plus sign or a tab with a number, or a minus sign with 0."""
    words = request.words()
    number = re.compile(rb"[A-Z]?((?=.*[+\t\v\f\r])[+\t\v\f\r\d-]*\d"
                        rb"([\t\v\f\r].*)?|-0+)", re.DOTALL)
    if not any(number.fullmatch(word) for word in words[2:]) \
            and not (words[0] in (b"gat", b"gats", b"flush_all", b"verbosity",
                                  b"cache_memlimit")
                     and words[1:2] and number.fullmatch(words[1])):
        return None
    if words[0] in (b"incr", b"decr") and number.fullmatch(words[2]):
        return is_reply(rb"CLIENT_ERROR invalid numeric delta argument\r\n"
                        rb"(DELETED\r\n|NOT_FOUND\r\n)?", request, dozo)
    if words[0] in STORAGE and words[4:] and number.fullmatch(words[4]):
        return is_reply(CLIENT_ERROR + rb".*", request, dozo)
    if flags_of(request):
        return re.match(rb"CLIENT_ERROR ", dozo) is not None
    return True


def rule_range(request, dozo, unused):
    """Times above 31 and numbers above 32 bits in meta and touching."""
    words = request.words()
    for flag in flags_of(request):
        if flag[:1] in b"TNR" and flag[1:].isdigit() and \
                int(flag[1:]) >= 1 << 31:
            return re.match(rb"CLIENT_ERROR ", dozo) is not None
        if flag[:1] == b"F" and flag[1:].isdigit() and \
                int(flag[1:]) >= 1 << 32:
            return re.match(rb"CLIENT_ERROR ", dozo) is not None
    if words[0] == b"ms" and words[2:] and words[2].isdigit() and \
            int(words[2]) >= 1 << 31:
        return re.match(CLIENT_ERROR, dozo) is not None
    time_word = {b"touch": 2, b"gat": 1, b"gats": 1}.get(words[0])
    if time_word and words[time_word:] and words[time_word].isdigit() and \
            int(words[time_word]) >= 1 << 31:
        return is_reply(rb"CLIENT_ERROR invalid exptime argument\r\n",
                        request, dozo)
    if words[0] in STORAGE and words[4:]:
        if words[4].isdigit() and int(words[4]) >= 1 << 32:
            return is_reply(CLIENT_ERROR + rb".*", request, dozo)
        return True if any(len(word) > 10 for word in words[2:4]) else None
    return None


def rule_flush_back(request, dozo, unused):
    """A flush with a delay: in 1.6.18 it takes an earlier one back."""
    words = request.words()
    if words[0] != b"flush_all" or not words[1:] or not plain(words[1]) or \
            int(words[1]) == 0:
        return None
    return is_reply(rb"OK\r\n", request, dozo)


def rule_noreply_length(request, dozo, unused):
    """noreply behind a length that cannot be read."""
    words = request.words()
    if words[0] not in STORAGE or len(words) < 5 or not silent(request) or \
            is_length(words[4]):
        return None
    return re.match(CLIENT_ERROR + rb"|ERROR|$", dozo) is not None


def rule_md_errors(request, dozo, memcached):
    if request.words()[0] != b"md" or not memcached.startswith(
            b"CLIENT_ERROR invalid or duplicate flag"):
        return None
    return re.match(rb"CLIENT_ERROR |HD|NF|EX", dozo) is not None


def rule_ma_errors(request, dozo, memcached):
    words = request.words()
    if words[0] != b"ma" or not memcached.startswith(b"CLIENT_ERROR") or \
            memcached.startswith(b"CLIENT_ERROR cannot"):
        return None
    return re.match(rb"CLIENT_ERROR (invalid or duplicate flag"
                    rb"|invalid mode for ma M token"
                    rb"|opaque token too long)\r\n", dozo) is not None


def rule_noreply_unknown(request, dozo, unused):
    words = request.words()
    if words[-1] != b"noreply" or words[0] in LEAST:
        return None
    return dozo == b"" or request.data is not None and re.match(
        rb"(CLIENT_)?ERROR", dozo) is not None


def rule_later_flags(request, dozo, unused):
    """E and x are new; they are not called invalid any more."""
    if not any(flag[:1] in b"Ex" for flag in flags_of(request)):
        return None
    if any(flag[:1] == b"E" and not plain(flag[1:])
           for flag in flags_of(request)):
        return re.match(rb"CLIENT_ERROR ", dozo) is not None
    return b"invalid flag" not in dozo or any(
        flag[:1] not in b"bkOqPLcCEfFstTvhluNRIxMDJ"
        for flag in flags_of(request))


def rule_ms_size(request, dozo, memcached):
    if request.words()[0] != b"ms" or b"s" not in flags_of(request):
        return None
    return re.sub(rb" s\d+", b"", dozo) == memcached


def rule_append_new(request, dozo, unused):
    flags = flags_of(request)
    if request.words()[0] != b"ms" or not any(
            flag[:1] == b"N" for flag in flags) or not any(
            flag[:2] in (b"MA", b"MP") for flag in flags):
        return None
    return re.match(rb"HD", dozo) is not None


def rule_mode_letter(request, dozo, unused):
    """More or less than one letter behind the M."""
    if not any(flag[:1] == b"M" and len(flag) != 2
               for flag in flags_of(request)):
        return None
    return b"incorrect length" not in dozo


def rule_mg_cas(request, dozo, memcached):
    """mg with the right cas: the value is left out."""
    if request.words()[0] != b"mg" or not any(
            flag[:1] == b"C" for flag in flags_of(request)):
        return None
    head = re.match(rb"VA \d+([^\r]*\r\n)", memcached)
    return head is not None and dozo == b"HD" + head.group(1)


def rule_quiet_create(request, dozo, unused):
    """A quiet ma that creates: memcached shows it, by its text it is quiet."""
    flags = flags_of(request)
    if request.words()[0] != b"ma" or b"q" not in flags or not any(
            flag[:1] == b"N" for flag in flags):
        return None
    return re.match(rb"(VA|HD|DELETED|NOT_FOUND|$)", dozo) is not None


def rule_negative_time(request, dozo, unused):
    """An item that expires by this very request has a time below zero."""
    flags = flags_of(request)
    if not any(flag[:2] in (b"T-", b"N-") for flag in flags) or not any(
            flag == b"t" for flag in flags):
        return None
    return b"t42949" not in dozo


def is_base64(word):
    """As an encoder writes it, so without bits left over at the end."""
    try:
        return base64.b64encode(base64.b64decode(word, validate=True)) == word
    except ValueError:
        return False


def rule_base64(request, dozo, memcached):
    """What is no base64 is refused, not skipped."""
    if b"b" not in flags_of(request) or memcached.startswith(
            (b"CLIENT_ERROR error", b"CLIENT_ERROR invalid")):
        return None
    if is_base64(request.words()[1]):
        return None
    return re.match(rb"CLIENT_ERROR (error decoding key"
                    rb"|invalid or duplicate flag)\r\n", dozo) is not None


def rule_vivified_key(request, dozo, unused):
    """The key of an item that N makes, asked for in base64."""
    flags = flags_of(request)
    if request.words()[0] != b"mg" or b"b" not in flags or not any(
            flag[:1] == b"N" for flag in flags):
        return None
    return b"k" not in flags or b" b" in dozo


def rule_delete_number(request, dozo, unused):
    words = request.words()
    if words[0] != b"delete" or len(words) < 3 or words[-1] != b"noreply" \
            and len(words[1]) <= 250:
        return None
    return re.match(rb"(CLIENT_ERROR [^\r]*\r\n)?$", dozo) is not None


def rule_administration(request, dozo, unused):
    """Commands of slabs and crawler, whose state is another one."""
    words = request.words()
    if words[0] not in (b"slabs", b"lru", b"lru_crawler", b"shutdown",
                        b"stats", b"verbosity", b"cache_memlimit",
                        b"debugtime", b"watch", b"refresh_certs"):
        return None
    return dozo.endswith(b"\r\n") or silent(request)


RULES = {name[5:].replace("_", "-"): rule
         for name, rule in list(globals().items())
         if name.startswith("rule_")}


def explained(request, dozo, memcached):
    """The rules that apply and the one that is content with the reply."""
    applied = []
    for name, rule in RULES.items():
        if not request.words() and name not in ("nul", "short-line"):
            continue
        verdict = rule(request, dozo, memcached)
        if verdict is not None:
            applied.append(name)
            if verdict:
                return name, applied
    return None, applied


# ----------------------------------------------------------------- pairs

class Pair:
    """dozo and memcached side by side, with one connection each."""

    NAMES = ("dozo", "memcached")

    def __init__(self, dozo, memcached):
        self.servers = (dozo, memcached)
        self.conns = None
        self.count = 0
        self.fresh()

    def connect(self):
        if self.conns:
            for conn in self.conns:
                conn.close()
        self.conns = [one.connect() for one in self.servers]
        self.cas = ({}, {})
        self.last_cas = ({}, {})

    def fresh(self):
        """Empty caches, counters at 0, new connections."""
        self.connect()
        for conn in self.conns:
            assert conn.ask(b"flush_all\r\n") == b"OK\r\n"
            assert conn.ask(b"stats reset\r\n") == b"RESET\r\n"

    def close(self):
        for conn in self.conns:
            conn.close()

    def send(self, number, pieces):
        for piece in pieces:
            self.conns[number].send(piece)

    def answer(self, number, question, timeout_s=server.REPLY_S):
        """What comes before the answer to question, or all until the close;
        None if neither comes."""
        conn = self.conns[number]
        conn.send(question)
        end = b"EN k%s\r\n" % question.split()[1]
        try:
            reply = conn.until(end, timeout_s)
        except TimeoutError:
            return None
        if reply.endswith(end):
            return reply[:-len(end)]
        return reply + b"(closed)"

    def question(self):
        self.count += 1
        return b"mg zz-question-%d k\r\n" % self.count

    def counters(self):
        found = []
        for conn in self.conns:
            stats = conn.stats()
            found.append({name: int(stats[name]) for name in COUNTERS})
        return found


def cut(rng, data, way):
    """data in pieces."""
    if way == "whole":
        return [data]
    if way == "bytes" and len(data) <= 3000:
        return [data[at:at + 1] for at in range(len(data))]
    pieces, at = [], 0
    while at < len(data):
        size = rng.choice([1, 2, 7, 100, 1500, 20000])
        pieces.append(data[at:at + size])
        at += size
    return pieces


def can_be_cut(request):
    """A line beyond 2048 bytes must come as a whole."""
    return len(request.line) < 2000


def steadily(run, times=4):
    """The complaint of run, if it comes every time.

    Some replies of memcached depend on whether another thread of it holds
    the item just then (h, and whether incr changes an item in place). What
    dozo answers never does, so a fault of dozo's comes each time.
    """
    complaint = None
    for _ in range(times):
        complaint = run()
        if not complaint:
            return None
    return complaint


def run_stream(pair, requests, seed, way):
    """The complaint about one stream, or None."""
    pair.fresh()
    data = b"".join(one.bytes() for one in requests)
    question = pair.question()
    replies = []
    for number in (0, 1):
        pair.send(number, cut(random.Random(seed), data, way))
        replies.append(pair.answer(number, question))
    if None in replies:
        return "silence: dozo %s, memcached %s" % tuple(
            "(nothing)" if reply is None else wirescript.show(reply)
            for reply in replies)
    shapes = [Shape({}, reply) for reply in replies]
    if not shapes[0].same(shapes[1]):
        return first_difference(*replies)
    if replies[0].endswith(b"(closed)"):
        return None
    mine, yours = pair.counters()
    if mine != yours:
        return "counters: " + ", ".join(
            "%s dozo %d memcached %d" % (name, mine[name], yours[name])
            for name in COUNTERS if mine[name] != yours[name])
    return None


def first_difference(mine, yours):
    shapes = Shape({}, mine), Shape({}, yours)
    texts = [shape.text.split(b"\n") for shape in shapes]
    for at in range(max(map(len, texts))):
        lines = [text[at] if at < len(text) else b"(nothing)"
                 for text in texts]
        if lines[0] != lines[1]:
            return "reply line %d\n  dozo      %s\n  memcached %s" % (
                at + 1, wirescript.show(lines[0]), wirescript.show(lines[1]))
    return "times: dozo %s memcached %s" % (shapes[0].times[:20],
                                            shapes[1].times[:20])


def shrink(fails, requests, budget_s=20.0):
    """The shortest part of requests, found in time, that still fails."""
    deadline = time.monotonic() + budget_s
    size = max(1, len(requests) // 2)
    while size >= 1:
        at = 0
        while at < len(requests):
            if time.monotonic() > deadline:
                return requests
            fewer = requests[:at] + requests[at + size:]
            if fewer and fails(fewer):
                requests = fewer
            else:
                at += size
        size //= 2
    return requests


def listing(requests, cas=b"7777777777777"):
    return "\n".join("  > " + wirescript.show(one.bytes(cas), 400)
                     for one in requests)


# ----------------------------------------------------------------- steps

CAS_SEEN = re.compile(rb"VALUE ([^ \n]+) \d+ \d+ (\d+)\r\n")


class Steps:
    """Hostile requests one by one on a pair."""

    def __init__(self, pair, rng):
        self.pair, self.rng = pair, rng
        self.history = []
        self.applied = {}

    def learn(self, key):
        """Asks both for the cas of key."""
        found = []
        for number in (0, 1):
            self.pair.conns[number].send(b"gets %s\r\n" % key)
            reply = self.pair.conns[number].until(b"END\r\n")
            match = CAS_SEEN.match(reply)
            found.append(match.group(2) if match else None)
        return found

    def restart(self):
        self.pair.fresh()
        self.history = []

    def step(self, request):
        """The complaint about one request, or None."""
        cas = [None, None]
        if request.cas_of is not None:
            cas = self.learn(request.cas_of)
        self.history.append(request)
        way = "whole"
        if can_be_cut(request):
            way = self.rng.choice(["whole", "random", "bytes"])
        question = self.pair.question()
        seed = self.rng.random()
        for number in (0, 1):
            self.pair.send(number, cut(random.Random(seed),
                                       request.bytes(cas[number]), way))
        yours = self.pair.answer(1, question, ORACLE_S)
        if yours is None:
            # It took the question for data. So should dozo: no time is lost
            # on waiting, the end of the stream shows what it made of it.
            # Whether an error is told before the block that is swallowed has
            # come whole is all the same.
            self.pair.conns[0].send(question)
            return self.judge(request, *[
                EARLY_ERROR.sub(b"", self.drain(number))
                for number in (0, 1)])
        mine = self.pair.answer(0, question, DOZO_S)
        if mine is None:
            mine = self.drain(0)
        return self.judge(request, mine, yours)

    def drain(self, number):
        """Says that nothing more comes; what the server still answers."""
        conn = self.pair.conns[number]
        try:
            conn.sock.shutdown(1)
        except OSError:
            pass
        return conn.rest() + b"(closed)"

    def judge(self, request, mine, yours):
        if Shape(self.pair.cas[0], mine).same(
                Shape(self.pair.cas[1], yours)):
            # Where a rule applies the states may differ from here on.
            if mine.endswith(b"(closed)") or \
                    explained(request, mine, yours)[1]:
                self.restart()
            return None
        name, applied = explained(request, mine, yours)
        if name is not None:
            self.applied[name] = self.applied.get(name, 0) + 1
            self.restart()
            return None
        return ("rules that apply, but not to this reply: %s\n"
                "  dozo      %s\n  memcached %s" % (
                    " ".join(applied) or "none", wirescript.show(mine),
                    wirescript.show(yours)))


def replay(pair, requests):
    steps = Steps(pair, random.Random(1))
    steps.restart()
    for request in requests:
        complaint = steps.step(request)
        if complaint:
            return complaint
    return None


# ----------------------------------------------------------------- tests

@pytest.fixture(scope="module")
def pair():
    if server.memcached_path() is None:
        pytest.skip(server.NO_ORACLE)
    kind = os.environ.get("DIFF_AGAINST", "dozo")
    dozo = server.Server(kind)
    memcached = server.Server("memcached")
    both = Pair(dozo, memcached)
    yield both
    both.close()
    memcached.stop()
    dozo.stop()


def report(kind, seed, requests, complaint):
    return "%s, seed %d (DIFF_SEEDS=%d):\n%s\n%s" % (
        kind, seed, seed, listing(requests), complaint)


def test_streams(pair):
    deadline = time.monotonic() + SECONDS / 2
    count = 0
    for seed in seeds(STREAMS):
        rng = random.Random(seed)
        maker = wire.Maker(rng)
        way = rng.choice(["whole", "random", "bytes"])
        size = rng.choice([5, 40, 200]) if way != "bytes" else 8
        requests = [maker.clean() for _ in range(size)]
        if way != "whole":
            requests = list(filter(can_be_cut, requests))
        count += len(requests)

        def fails(some):
            return steadily(lambda: run_stream(pair, some, seed, way))

        if fails(requests):
            requests = shrink(fails, requests)
            complaint = fails(requests)
            pytest.fail(report("sent " + way, seed, requests, complaint),
                        pytrace=False)
        if time.monotonic() > deadline:
            break
    print("%d requests in streams up to seed %d" % (count, seed))
    assert count > 0


def test_steps(pair):
    deadline = time.monotonic() + SECONDS / 2
    count, applied = 0, {}

    def fails(some):
        return steadily(lambda: replay(pair, some))

    for seed in seeds(STEPS):
        rng = random.Random(seed)
        maker = wire.Maker(rng)
        steps = Steps(pair, rng)
        steps.restart()
        for _ in range(60):
            count += 1
            request = maker.hostile()
            complaint = steps.step(request)
            if complaint:
                history = list(steps.history)
                if fails(history):
                    history = shrink(fails, history)
                    pytest.fail(report("step by step", seed, history,
                                       fails(history)), pytrace=False)
                steps.restart()
        for name, times in steps.applied.items():
            applied[name] = applied.get(name, 0) + times
        if time.monotonic() > deadline:
            break
    print("%d requests step by step up to seed %d; rules: %s" % (
        count, seed, applied))
    assert count > 0


def witnesses():
    return [(rule.name, text, sure) for rule in differences.load().values()
            for text, sure in rule.witnesses]


@pytest.mark.parametrize("name,text,sure", witnesses())
def test_witness(pair, name, text, sure):
    """Each rule still meets a difference, and dozo's reply is its own."""
    lines = [wirescript.render(part, {}) for part in text.split(" ; ")]
    pair.fresh()
    for data in lines:
        line, end, rest = data.partition(
            b"\r\n" if b"\r\n" in data else b"\n")
        block = rest[:-2] if rest else None
        request = wire.Request(line, block, end)
        question = pair.question()
        cas = [b"", b""]
        replies = []
        for number in (0, 1):
            if b"@CAS@" in line:
                cas[number] = CAS_SEEN.search(
                    pair.conns[number].ask(b"gets a\r\n", b"END\r\n")
                ).group(2)
            pair.conns[number].send(data.replace(b"@CAS@", cas[number]))
            replies.append(pair.answer(number, question))
    if Shape({}, replies[0]).same(Shape({}, replies[1])):
        assert not sure, "the difference is gone: %r" % replies
        return
    verdict = RULES[name](request, *replies)
    assert verdict, "%s: dozo %r memcached %r" % (name, *replies)


def test_rules_are_listed():
    listed = {rule.name for rule in differences.load().values()
              if rule.witnesses}
    assert listed == set(RULES)
