# SPDX-License-Identifier: BSD-3-Clause
"""Servers that keep their data, one after the other on one directory.

A Keep owns a data directory (and an archive, if one is asked for) and starts
one server at a time on it, each a life.  kill() is kill -9, stop() an orderly
end, which must leave with status 0.  At the end of the test everything is
removed.
"""

import os
import re
import shutil
import signal
import subprocess
import tempfile
import time

import server

WAIT_S = 120.0  # only a failure waits as long as that


class Keep:
    def __init__(self, *flags, binary=None, archive=False, parent=None):
        self.flags = flags
        self.binary = binary
        self.top = tempfile.mkdtemp(prefix="dozo-keep-", dir=parent)
        os.chmod(self.top, 0o755)
        self.path = os.path.join(self.top, "data")
        os.mkdir(self.path)
        self.archive = None
        if archive:
            self.archive = os.path.join(self.top, "archive")
            os.mkdir(self.archive)
        self.one = None

    def __enter__(self):
        return self

    def __exit__(self, kind, *unused):
        try:
            if self.one is not None and kind is None:
                self.one.stop()
        finally:
            if self.one is not None:
                self.one.kill()
            shutil.rmtree(self.top, ignore_errors=True)

    def start(self, *flags, env=None, **options):
        assert self.one is None or not self.one.running()
        where = ["--data-dir", self.path]
        if self.archive is not None:
            where += ["--archive-dir", self.archive]
        self.one = server.Server(
            "dozo", where + list(self.flags) + list(flags),
            binary=self.binary, env=env, **options)
        return self.one

    def kill(self):
        """kill -9, and only then is it looked whether it was alive."""
        self.one.check()
        self.one.kill()
        return self.one.stderr()

    def stop(self, number=signal.SIGTERM):
        """An orderly end; what it said."""
        self.one.check()
        self.one.signal(number)
        code = self.one.wait(WAIT_S)
        assert code == 0, "status %d\n%s" % (code, self.one.stderr())
        return self.one.stderr()

    def again(self, *flags, **options):
        """stop() and start()."""
        self.stop()
        return self.start(*flags, **options)

    def names(self, kind=""):
        return sorted(name for name in os.listdir(self.path)
                      if name.startswith(kind))

    def journal_bytes(self):
        return sum(os.path.getsize(os.path.join(self.path, name))
                   for name in self.names("journal-"))


def run(*words, timeout_s=WAIT_S, binary=None, env=None):
    """dozo to its end: (status, what it said on both channels)."""
    done = subprocess.run(
        [binary or server.dozo_path(), *words], timeout=timeout_s,
        env=dict(os.environ, **(env or {})),
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, check=False)
    return done.returncode, done.stdout.decode("utf-8", "replace")


def await_true(what, true, deadline_s=WAIT_S):
    """Until true() is; it is asked again and again."""
    deadline = time.monotonic() + deadline_s
    while True:
        found = true()
        if found:
            return found
        assert time.monotonic() < deadline, what
        time.sleep(0.005)


def check_values(one, items, every=1, **options):
    """Each of {key: value} is there, as it was acknowledged."""
    with one.connect(**options) as conn:
        for key in list(items)[::every]:
            found = mg(conn, key)
            assert found is not None, "%s is lost" % key.decode()
            assert found["v"] == items[key], key


def stat(one, name, what=""):
    with one.connect() as conn:
        found = conn.stats(what)[name]
    return int(found) if re.fullmatch(r"-?\d+", found) else found


def await_stat(one, name, wanted, what="", deadline_s=WAIT_S):
    """Until wanted(value) is true; the value."""
    seen = []

    def look():
        seen[:] = [stat(one, name, what)]
        return wanted(seen[0])

    try:
        await_true(name, look, deadline_s)
    except AssertionError:
        raise AssertionError("%s is %s\n%s" % (
            name, seen, one.stderr()[-4000:])) from None
    return seen[0]


def take_snapshot(one):
    """And waits until it stands."""
    before = stat(one, "snapshots")
    with one.connect() as conn:
        await_true("a snapshot begins", lambda: conn.ask(
            b"snapshot\r\n") == b"OK\r\n")
    await_stat(one, "snapshots", lambda now: now > before)


def mg(conn, key, flags=b"v f c t k"):
    """{flag: text} and "v", or None: for a key that is not base64."""
    conn.send(b"mg %s %s\r\n" % (key, flags))
    line = conn.line()
    words = line.split()
    if words[0] == b"EN":
        return None
    found = {}
    if words[0] == b"VA":
        size = int(words[1])
        found["v"] = conn.read(size + 2)[:-2]
        words = words[2:]
    else:
        assert words[0] == b"HD", line
        words = words[1:]
    for word in words:
        found[chr(word[0])] = word[1:]
    return found


def ms(conn, key, value, flags=b""):
    """Stores; the cas token."""
    line = conn.ask(b"ms %s %d c %s\r\n%s\r\n" % (
        key, len(value), flags, value))
    assert line.startswith(b"HD c"), line
    return int(line.split()[1][1:])
