# SPDX-License-Identifier: BSD-3-Clause
"""Fixtures of the wire tests.

dozo(*flags) and memcached(*flags) start a server for one test and end it
behind the test; the end checks that the server lived that long and left with
status 0.  Tests that need the clock moved take debug_dozo, and are skipped,
with the reason in the summary, where DOZO_DEBUG names no build for it.
"""

import os

import pytest

import server


def starter(kind, binary):
    started = []

    def start(*flags, **options):
        one = server.Server(kind, flags, binary=binary, **options)
        started.append(one)
        return one

    def stop():
        errors = []
        for one in started:
            try:
                one.stop()
            except AssertionError as error:
                errors.append(str(error))
        assert not errors, "\n".join(errors)

    return start, stop


@pytest.fixture
def dozo():
    if not os.path.exists(server.dozo_path()):
        pytest.fail("no dozo binary at %s: set DOZO" % server.dozo_path())
    start, stop = starter("dozo", server.dozo_path())
    yield start
    stop()


@pytest.fixture
def debug_dozo():
    if server.debug_path() is None:
        pytest.skip(server.NO_DEBUG)
    start, stop = starter("dozo", server.debug_path())
    yield start
    stop()


@pytest.fixture
def memcached():
    if server.memcached_path() is None:
        pytest.skip(server.NO_ORACLE)
    start, stop = starter("memcached", server.memcached_path())
    yield start
    stop()


def pytest_terminal_summary(terminalreporter):
    """A count for each reason of a skip: a skip must be seen."""
    counts = {}
    for report in terminalreporter.stats.get("skipped", []):
        reason = report.longrepr[2] if isinstance(
            report.longrepr, tuple) else str(report.longrepr)
        counts[reason] = counts.get(reason, 0) + 1
    for reason, count in sorted(counts.items()):
        terminalreporter.write_line("%d skipped: %s" % (count, reason))
