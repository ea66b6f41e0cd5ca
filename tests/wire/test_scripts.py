# SPDX-License-Identifier: BSD-3-Clause
"""Runs scripts/*.wire: each case against dozo, and against memcached 1.6.18
with what that version does otherwise listed in differences.txt."""

import glob
import os

import pytest

import differences
import server
import wirescript

ORACLE_REPLY_S = 1.0  # where a difference is not looked at further
SCRIPTS = sorted(glob.glob(os.path.join(server.HERE, "scripts", "*.wire")))


def all_cases():
    cases = []
    for path in SCRIPTS:
        name = os.path.splitext(os.path.basename(path))[0]
        cases += wirescript.parse(path, name)
    return cases


CASES = all_cases()


class Pool:
    """Servers that cases share: one at a time for each kind, since the cases
    come ordered by script and most of a script has the same flags. One whose
    clock is moved serves no other cases, also where all builds are one."""

    def __init__(self):
        self.running = {}

    def get(self, kind, binary, flags, fresh, debug):
        key = (kind, binary, debug)
        had = self.running.get(key)
        if had and not fresh and had[0] == flags:
            had[1].check()
            with had[1].connect() as conn:
                assert conn.ask(b"flush_all\r\n") == b"OK\r\n"
            return had[1]
        if had:
            del self.running[key]
            had[1].stop()
        one = server.Server(kind, flags, binary=binary)
        self.running[key] = (None if fresh else flags, one)
        return one

    def drop(self, *key):
        """Ends the server; its way of ending is checked."""
        had = self.running.pop(key, None)
        if had:
            had[1].stop()


@pytest.fixture(scope="module")
def pool():
    one = Pool()
    yield one
    for key in list(one.running):
        one.drop(*key)


def play(case, pool, kind, binary, timeout_s):
    flags = list(case.flags)
    one = pool.get(kind, binary, flags, case.fresh, case.debug)
    failures = wirescript.Run(case, one, timeout_s).go()
    if not one.running() or case.fresh:
        pool.drop(kind, binary, case.debug)
    return failures


def name_of(case):
    return "%s/%s" % (case.script, case.name)


@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_dozo(case, pool):
    binary = server.dozo_path()
    if case.debug:
        binary = server.debug_path()
        if binary is None:
            pytest.skip(server.NO_DEBUG)
    failures = play(case, pool, "dozo", binary, server.REPLY_S)
    assert not failures, "%s.wire\n%s" % (
        case.script, "\n".join(map(str, failures)))


def unlisted(case, failures, listed):
    """Complaints: differences that are not listed, and listed ones that are
    gone or have another form."""
    sometimes = {entry.unit for entry in listed
                 if entry.got == "(sometimes)"}
    failures = [one for one in failures if one.unit not in sometimes]
    listed = {entry.unit: entry for entry in listed
              if entry.unit not in sometimes}
    if "*" in listed:
        if failures:
            return []
        return ["differences.txt:%d: %s does the same now: remove the entry"
                % (listed["*"].line, name_of(case))]
    complaints = []
    for failure in failures:
        entry = listed.pop(failure.unit, None)
        if entry is None:
            complaints.append("not listed: %s | %s | %s | %s\n%s" % (
                case.script, case.name, failure.unit, failure.got, failure))
        elif not same(entry.got, failure.got):
            complaints.append("differences.txt:%d: says %s\n%s" % (
                entry.line, entry.got, failure))
    for entry in listed.values():
        complaints.append("differences.txt:%d: does not occur (any more): %s"
                          % (entry.line, entry.unit))
    return complaints


def same(listed, got):
    """got is text as wirescript.show writes it; listed may hold {num}."""
    if listed == got:
        return True
    parts = listed.split("{num}")
    if len(parts) == 1:
        return False
    regex = r"\d+".join(map(wirescript.re.escape, parts))
    return wirescript.re.fullmatch(regex, got) is not None


@pytest.mark.parametrize(
    "case", [case for case in CASES if not case.debug], ids=name_of)
def test_memcached(case, pool):
    if server.memcached_path() is None:
        pytest.skip(server.NO_ORACLE)
    listed = differences.entries(case.script, case.name)
    anything = any(entry.unit == "*" for entry in listed)
    failures = play(case, pool, "memcached", server.memcached_path(),
                    ORACLE_REPLY_S if anything else server.REPLY_S)
    complaints = unlisted(case, failures, listed)
    assert not complaints, "\n".join(complaints)


def test_every_listed_case_exists():
    names = {(case.script, case.name) for case in CASES if not case.debug}
    stale = ["differences.txt:%d: %s | %s" % (
        entry.line, entry.script, entry.case)
        for rule in differences.load().values() for entry in rule.entries
        if (entry.script, entry.case) not in names]
    assert not stale, "\n".join(stale)


def test_a_wrong_expectation_is_seen(memcached, tmp_path):
    """The runner itself: each kind of step can fail."""
    script = tmp_path / "wrong.wire"
    script.write_text(
        "== reply\n? get a\\r\\n => ENDE\\r\\n\n"
        "== bytes\n> get a\\r\\n\n< ENDE\\r\\n\n"
        "== too much\n> get a\\r\\nget a\\r\\n\n< END\\r\\n\n"
        "== eof\n<eof\n"
        "== value\nstats\n= curr_items 7\n"
        "== absent\nstats\n=absent pid\n"
        "== names\nstats\n=names pid uptime\n"
        "== lines\n> get a\\r\\n\nunordered END\\r\\n\n* VALUE\\r\\n\n"
        "== range\n> incr a 1\\r\\n\n< {1..3}\\r\\n\n", encoding="ascii")
    one = memcached()
    for case in wirescript.parse(str(script), "wrong"):
        failures = wirescript.Run(case, one, 0.2).go()
        assert len(failures) == 1, case.name
