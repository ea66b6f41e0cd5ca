# SPDX-License-Identifier: BSD-3-Clause
"""`dozo bench` as its users run it.

Right servers, dozo and memcached, in every mode: what it says must agree with
what the servers counted.  Wrong ones (liar.py): every kind of lie must be
seen, named and make the exit status 1.
"""

import csv
import ctypes
import io
import json
import os
import resource
import signal
import socket
import subprocess
import threading
import time

import pytest

import liar
import server

RUN_S = 180
KINDS = ("refused", "wrong_key", "wrong_flags", "wrong_length",
         "unknown_value", "garbage", "closed", "timeout", "connect")


def run(*words, **options):
    """Runs it; (exit status, standard output, standard error)."""
    command = [server.dozo_path(), "bench"] + [str(word) for word in words]
    done = subprocess.run(command, stdin=subprocess.DEVNULL,
                          capture_output=True, timeout=RUN_S, text=True,
                          **options)
    return done.returncode, done.stdout, done.stderr


def bench(*words, expect=0):
    """Runs it for JSON; the report."""
    status, out, err = run("-o", "json", *words)
    assert status == expect, (status, out, err)
    return json.loads(out)


def only(report):
    """The one round of the one server."""
    assert len(report["servers"]) == 1
    rounds = report["servers"][0]["rounds"]
    assert len(rounds) == 1
    return rounds[0]


def errors(figures):
    assert tuple(figures["errors"]) == KINDS
    return {kind: n for kind, n in figures["errors"].items() if n}


@pytest.fixture(params=["dozo", "memcached"])
def target(request):
    """Starts either server: target(*flags)."""
    return request.getfixturevalue(request.param)


# Words of the command line, gets and keys of each, share of gets.
MODES = {
    "default": "--requests 2000",
    "meta": "--requests 2000 --protocol meta",
    "deep": "--requests 5000 -d 50",
    "deep-meta": "--requests 5000 -d 50 --protocol meta",
    "only-gets": "--requests 2000 --ratio 1:0",
    "only-sets": "--requests 2000 --ratio 0:1 -d 7",
    "multiget": "--requests 500 --multiget 100 --ratio 1:0",
    "multiget-meta": "--requests 500 --multiget 30 --protocol meta -d 3",
    "threads": "--requests 3001 -t 3 -c 7 -d 2",
    "zipf": "--requests 2000 --dist zipf:0.99",
    "hot": "--requests 2000 --dist hot --multiget 5",
    "range": "--requests 2000 --value-size 0-5000 -d 4",
    "lognormal": "--requests 2000 --value-size lognormal:200:1.2:8192",
    "large": "--requests 300 --value-size 700000 -k 30 -c 5",
    "large-deep": "--requests 60 --value-size 700000 -k 30 -c 2 -d 5 "
                  "--ratio 1:1",
    "long-keys": "--requests 1000 --key-size 250 --multiget 20",
    "short-keys": "--requests 1000 --key-size 3",
    "ttl": "--requests 2000 --ttl 100 --ratio 1:1",
    "open-loop": "--requests 1000 --rate 5000",
    "open-loop-threads": "--requests 1000 --rate 5000 -t 2 -c 4 -d 5",
    "reconnect": "--requests 1000 --reconnect 1 -c 10",
    "reconnect-deep": "--requests 1000 --reconnect 7 -c 10 -d 3",
    "reconnect-open": "--requests 500 --reconnect 2 -c 10 --rate 5000",
    "cpu": "--requests 1000 --cpu %d" % min(os.sched_getaffinity(0)),
}


@pytest.mark.parametrize("mode", MODES)
def test_mode(target, mode):
    """All of a populated server's replies are right, and none is missing."""
    words = MODES[mode].split()
    one = target("-m", "256")
    keys = [] if "-k" in words else ["-k", "500"]
    report = bench("--populate", *keys, *words, one.port)
    figures = only(report)
    options = report["options"]
    assert figures["requests"] == options["requests"]
    assert not errors(figures)
    assert figures["misses"] == 0
    gets = figures["requests"] - figures["stored"]
    assert figures["hits"] == gets * options["multiget"]
    share = {"9:1": 0.9, "1:0": 1, "0:1": 0, "1:1": 0.5}[options["ratio"]]
    assert abs(gets / figures["requests"] - share) < 0.2
    assert (gets == figures["requests"]) == (share == 1)
    assert (gets == 0) == (share == 0)
    populate = report["servers"][0]["populate"]
    assert populate["stored"] == options["keys"]
    assert not errors(populate)
    # What the server has counted, the warm-up being a tenth on top.
    stats = one.connect().stats()
    extra = options["warmup_requests"]
    assert extra == options["requests"] // 10
    sets = int(stats["cmd_set"]) - populate["stored"]
    assert sets + int(stats["cmd_get"]) // options["multiget"] == \
        figures["requests"] + extra
    assert int(stats["curr_items"]) == options["keys"]
    if options["reconnect"]:
        wanted = figures["requests"] / options["reconnect"]
        assert 0.8 * wanted <= figures["connects"] <= 1.2 * wanted
        assert int(stats["total_connections"]) > figures["connects"]
    else:
        assert figures["connects"] == 0


@pytest.mark.parametrize("words", [
    "--requests 3 -t 4 -c 4", "--requests 1000 --warmup 3 -t 4 -c 4"])
def test_threads_without_a_share(dozo, words):
    """A thread for which nothing is left in a phase ends it at once."""
    report = bench("--populate", "-k", "50", *words.split(), dozo().port)
    assert only(report)["requests"] == report["options"]["requests"]


def test_figures(target):
    """Process, CPU time, latencies and rates are there and plausible."""
    one = target()
    report = bench("--populate", "-k", 1000, "--requests", 20000, "-d", 10,
                   "--rounds", 3, one.port)
    found = report["servers"][0]
    assert report["version"]
    assert report["ratio"] is None
    assert found["pid"] == one.pid
    assert len(found["rounds"]) == 3
    for figures in found["rounds"] + [found["populate"]]:
        latency = figures["latency_us"]
        order = ["p50", "p90", "p99", "p99.9", "p99.99", "max"]
        assert [latency[a] <= latency[b]
                for a, b in zip(order, order[1:])] == [True] * 5
        assert 0 < latency["mean"] <= latency["max"]
        assert latency["max"] <= figures["seconds"] * 1e6
        assert abs(figures["requests_per_s"] * figures["seconds"] /
                   figures["requests"] - 1) < 0.01
        assert 0 < figures["cpu_us_per_request"] < 1000
    middle = sorted(f["cpu_us_per_request"] for f in found["rounds"])[1]
    assert found["median"]["cpu_us_per_request"] == middle


def test_cpu_time_is_the_servers(dozo):
    """The figure agrees with the kernel's count for the process."""
    one = dozo()

    def ticks():
        with open("/proc/%d/stat" % one.pid, encoding="ascii") as file:
            return sum(int(n) for n in file.read().split()[13:15])
    before = ticks()
    figures = only(bench("--requests", 100000, "--warmup", 0, "-d", 10,
                         "--pid", one.pid, one.port))
    seconds = (ticks() - before) / os.sysconf("SC_CLK_TCK")
    counted = figures["cpu_us_per_request"] * figures["requests"] / 1e6
    assert abs(seconds - counted) < 0.03 + 0.1 * counted


def test_without_a_process():
    """No such process: null, and not somebody else's time."""
    ended = subprocess.Popen(["true"])
    ended.wait()
    with liar.Liar() as one:
        report = bench("--requests", 10, "--pid", ended.pid, one.port)
        assert only(report)["cpu_us_per_request"] is None


def test_duration(dozo):
    figures = only(bench("--duration", 0.5, "--warmup", "0.2s", "-k", 100,
                         dozo().port))
    assert 0.45 < figures["seconds"] < 10
    assert figures["requests"] > 0


def test_other_seed_and_other_run(dozo):
    """What one run stored another checks; other keys are missing."""
    one = dozo()
    report = bench("--populate-only", "-k", 300, "--seed", 5, one.port)
    assert report["servers"][0]["rounds"] == []
    assert report["servers"][0]["median"] is None
    figures = only(bench("-k", 300, "--ratio", "1:0", "--requests", 600,
                         one.port))
    assert figures["misses"] == 0
    figures = only(bench("-k", 300, "--first", 300, "--ratio", "1:0",
                         "--requests", 600, one.port))
    assert figures["hits"] == 0


def test_look_aside(target):
    """A cold cache is warm after the keys were missed once."""
    one = target()
    words = ["-k", 100, "--ratio", "1:0", "--warmup", 0, "--look-aside",
             "--protocol", "meta", "-c", 3]
    for more in (["--multiget", 4], ["--multiget", 4, "-d", 5],
                 ["--rate", 20000, "-d", 3], ["--reconnect", 3]):
        one.connect().ask(b"flush_all\r\n")
        figures = only(bench("--requests", 1000, *words, *more, one.port))
        assert figures["misses"] == figures["stored"] >= 100
        assert figures["requests"] == 1000 + figures["stored"]
        figures = only(bench("--requests", 1000, *words, *more, one.port))
        assert figures["misses"] == 0


def test_ttl(dozo):
    """Items have the time to live that was asked for."""
    one = dozo()
    bench("--populate-only", "-k", 5, "--ttl", 1000, one.port)
    with liar.Liar() as two:
        bench("--populate-only", "-k", 5, two.port)
        keys = list(two.items)
    left = one.connect().ask(b"mg %s t\r\n" % keys[0])
    assert 990 <= int(left[len(b"HD t"):]) <= 1000


def test_unix_socket(tmp_path, dozo):
    path = str(tmp_path / "s")
    one = dozo("-s", path, listen=False, address=path)
    report = bench("--populate", "-k", 100, "--requests", 1000,
                   "--reconnect", 10, "unix:" + path)
    assert not errors(only(report))
    assert report["servers"][0]["pid"] == one.pid
    assert only(report)["cpu_us_per_request"] > 0


def test_ipv6(dozo):
    try:
        with socket.socket(socket.AF_INET6) as one:
            one.bind(("::1", 0))
    except OSError:
        pytest.skip("no IPv6 on this machine")
    port = server.free_port()
    one = dozo("-l", "[::1]:%d" % port, listen=False, address=("::1", port))
    report = bench("--requests", 100, "[::1]:%d" % port)
    assert report["servers"][0]["pid"] == one.pid


def test_versus(dozo, memcached):
    """Rounds alternate, and ratios are medians of the rounds' own."""
    first, second = dozo(), memcached()
    report = bench("--populate", "-k", 200, "--requests", 2000, "--vs",
                   "127.0.0.1:%d" % second.port, first.port)
    pair = report["servers"]
    assert [s["pid"] for s in pair] == [first.pid, second.pid]
    assert [len(s["rounds"]) for s in pair] == [5, 5]
    for name in ("cpu_us_per_request", "requests_per_s"):
        ratios = sorted(a[name] / b[name] for a, b in
                        zip(pair[0]["rounds"], pair[1]["rounds"]))
        assert abs(report["ratio"][name] - ratios[2]) < 0.01 * ratios[2]
    assert set(report["ratio"]) == {"cpu_us_per_request", "requests_per_s",
                                    "p50", "p99"}
    # The same requests for both.
    assert [r["stored"] for r in pair[0]["rounds"]] == \
        [r["stored"] for r in pair[1]["rounds"]]


def test_csv_and_table(dozo, memcached):
    first, second = dozo(), memcached()
    words = ["--populate", "-k", 50, "--requests", 200, "--rounds", 2,
             "--vs", second.port, first.port]
    status, out, _ = run("-o", "csv", *words)
    assert status == 0
    rows = list(csv.DictReader(io.StringIO(out)))
    assert [(r["server"], r["part"], r["round"]) for r in rows] == [
        (str(s.port), part, number) for s in (first, second)
        for part, number in (("populate", "0"), ("round", "1"),
                             ("round", "2"))]
    for row in rows:
        assert None not in row and None not in row.values()
        assert float(row["p99.99_us"]) > 0
        assert sum(int(row["errors_" + kind]) for kind in KINDS) == 0
    status, out, err = run(*words)
    assert status == 0
    assert err == ""  # no progress line where there is no terminal
    assert "process %d" % first.pid in out
    assert "median of the rounds' ratios: cpu_us_per_request" in out


def test_open_loop_rate(dozo):
    """The schedule is kept: the rate, and no more connections than needed."""
    figures = only(bench("--rate", 2000, "--duration", 1, "-k", 10,
                         "--warmup", 0, dozo().port))
    assert abs(figures["requests"] + figures["unsent"] - 2000) <= 2
    assert figures["seconds"] >= 0.99


def test_open_loop_counts_a_stall(dozo):
    """A server that stands still for half a second delays each request that
    was due in that time, and the figures say so."""
    one = dozo()
    conn = one.connect()

    def stall():
        deadline = time.monotonic() + RUN_S
        while int(conn.stats()["cmd_get"]) < 10:
            assert time.monotonic() < deadline
        one.signal(signal.SIGSTOP)
        time.sleep(0.5)  # how long it stands still
        one.signal(signal.SIGCONT)
    thread = threading.Thread(target=stall)
    thread.start()
    figures = only(bench("--rate", 1000, "--duration", 2, "--warmup", 0,
                         "--ratio", "1:0", "-k", 10, one.port))
    thread.join()
    assert figures["latency_us"]["max"] > 450000
    # A quarter of the requests were due meanwhile.
    assert figures["latency_us"]["p90"] > 150000


def test_unsent_is_told():
    """A rate that cannot be kept is not passed over."""
    def slow(key, value):
        time.sleep(0.05)  # what the rate is too much for
        return liar.truth(key, value)
    with liar.Liar(slow) as one:
        words = ["--rate", 1000, "--duration", 0.5, "--warmup", 0, "-c", 2,
                 "-k", 5, "--ratio", "1:0", one.port]
        figures = only(bench(*words))
        assert figures["unsent"] > 300
        assert figures["latency_us"]["p50"] > 50000
        assert "never sent" in run(*words)[1]


def test_many_connections(dozo):
    count = 3000
    figures = only(bench("--requests", 2 * count, "-c", count, "-k", 100,
                         dozo("-c", str(count + 50)).port))
    assert figures["requests"] == 2 * count
    assert not errors(figures)


# ---- wrong servers ---------------------------------------------------------


def other_value(key, value):
    return liar.truth(key, b"x" * len(value))


def one_wrong_byte(key, value):
    return liar.truth(key, value[:-1] + bytes([value[-1] ^ 1]))


def short_value(key, value):
    return liar.truth(key, value[:-1])


def long_value(key, value):
    return liar.truth(key, value + b"x")


def other_key(key, value):
    return liar.truth(key[::-1], value)


def other_flags(key, value):
    return liar.truth(key, value).replace(b" 0 ", b" 7 ", 1)


def length_does_not_fit(key, value):
    return b"VALUE %s 0 %d\r\n%sx\r\nEND\r\n" % (key, len(value), value)


LIES = {
    "other-value": (other_value, "unknown_value"),
    "one-wrong-byte": (one_wrong_byte, "unknown_value"),
    "short-value": (short_value, "wrong_length"),
    "long-value": (long_value, "wrong_length"),
    "other-key": (other_key, "wrong_key"),
    "other-flags": (other_flags, "wrong_flags"),
    "length-does-not-fit": (length_does_not_fit, "garbage"),
    "garbage": (lambda key, value: b"\0\xff\x80 what?\r\n", "garbage"),
    "endless-line": (lambda key, value: b"V" * 5000, "garbage"),
    "twice": (lambda key, value: 2 * liar.truth(key, value), "garbage"),
    "http": (lambda key, value: b"HTTP/1.1 400 Bad Request\r\n\r\n",
             "garbage"),
    "silent": (lambda key, value: b"", "timeout"),
    "half": (lambda key, value: liar.truth(key, value)[:-20], "timeout"),
    "closing": (lambda key, value: None, "closed"),
    "refusing": (lambda key, value: b"SERVER_ERROR out of memory\r\n",
                 "refused"),
}


@pytest.mark.parametrize("lie", LIES)
@pytest.mark.parametrize("mode", ["", "-d 3", "--rate 200"])
def test_lie(lie, mode):
    answer, kind = LIES[lie]
    patience = 1 if lie in ("silent", "half", "twice") else 10
    with liar.Liar(answer) as one:
        bench("--populate-only", "-k", 20, one.port)
        report = bench("-k", 20, "--ratio", "1:0", "--requests", 20, "-c", 2,
                       "--warmup", 0, "--timeout", patience, *mode.split(),
                       one.port, expect=1)
    found = set(errors(only(report)))
    if mode == "-d 3" and lie in ("twice", "half"):
        # What follows them in the stream is taken for what it looks like.
        assert "garbage" in found
    else:
        assert kind in found
    # What was in flight when the run gave up has had no reply.
    assert found <= {kind, "timeout"} or mode == "-d 3"
    assert one.gets > 0


def test_one_lie_in_a_thousand():
    """A single wrong reply among right ones is found."""
    def once(key, value):
        if one.gets == 500:
            return one_wrong_byte(key, value)
        return liar.truth(key, value)
    with liar.Liar(once) as one:
        bench("--populate-only", "-k", 20, one.port)
        words = ["-k", 20, "--ratio", "1:0", "--requests", 1000, "-c", 1,
                 "--warmup", 0, one.port]
        figures = only(bench(*words, expect=1))
    assert errors(figures) == {"unknown_value": 1}
    assert figures["requests"] == 1000


def test_one_close_in_a_thousand():
    """The connection is opened again, and the rest of the run is right."""
    def once(key, value):
        return None if one.gets == 100 else liar.truth(key, value)
    with liar.Liar(once) as one:
        bench("--populate-only", "-k", 20, one.port)
        figures = only(bench("-k", 20, "--ratio", "1:0", "--requests", 1000,
                             "-c", 1, "--warmup", 0, one.port, expect=1))
    assert errors(figures) == {"closed": 1}
    assert figures["requests"] == 999
    assert figures["connects"] == 1


def test_lie_about_a_set():
    for reply, kind in ((b"NOT_STORED\r\n", "refused"),
                        (b"SERVER_ERROR object too large\r\n", "refused"),
                        (b"EXISTS\r\n", "garbage")):
        with liar.Liar(stored=reply) as one:
            report = bench("--ratio", "0:1", "--requests", 20, "-c", 2,
                           "--warmup", 0, "--timeout", 1, one.port,
                           expect=1)
            assert kind in errors(only(report))
            report = bench("--populate-only", "-k", 9, "-c", 2, "--timeout",
                           1, one.port, expect=1)
            assert kind in errors(report["servers"][0]["populate"])


def test_lie_in_the_warmup():
    """Errors before the timed part count for the exit status, too."""
    def once(key, value):
        return other_value(key, value) if one.gets == 3 else \
            liar.truth(key, value)
    with liar.Liar(once) as one:
        bench("--populate-only", "-k", 20, one.port)
        report = bench("-k", 20, "--ratio", "1:0", "--requests", 100, "-c", 1,
                       "--warmup", 10, one.port, expect=1)
    assert not errors(only(report))
    assert report["servers"][0]["warmup_errors"]["unknown_value"] == 1


def test_unchecked():
    """Only the form counts where that was asked for."""
    with liar.Liar(lambda key, value: liar.truth(b"k", b"v")) as one:
        figures = only(bench("--ratio", "1:0", "--requests", 100,
                             "--unchecked", one.port))
        assert figures["hits"] == 100


def test_silence_ends_the_run():
    """A server that says nothing ends it soon, however much was to do."""
    with liar.Liar(lambda key, value: b"") as one:
        began = time.monotonic()
        report = bench("--ratio", "1:0", "--requests", 1000000, "--timeout",
                       0.3, "--rounds", 50, one.port, expect=1)
        assert time.monotonic() - began < 20
        assert report["servers"][0]["silent"] is True
        assert "the first: timeout" in run(
            "--ratio", "1:0", "--requests", 5, "--timeout", 0.3, one.port)[1]


def test_server_that_ends(dozo):
    """A server that ends in the middle is an error, not a wait for ever."""
    one = dozo()
    conn = one.connect()

    def end():
        deadline = time.monotonic() + RUN_S
        while int(conn.stats()["cmd_get"]) < 10:
            assert time.monotonic() < deadline
        conn.close()
        one.stop()
    thread = threading.Thread(target=end)
    thread.start()
    report = bench("--duration", 30, "--warmup", 0, "--timeout", 3,
                   one.port, expect=1)
    thread.join()
    found = errors(only(report))
    assert found["closed"] > 0 and found["connect"] > 0


# ---- what cannot be run ------------------------------------------------------


def refused(words, what, **options):
    status, out, err = run(*words, **options)
    assert status == 2, (out, err)
    assert out == ""
    assert what in err
    assert err.count("\n") == 1


def test_usage():
    refused(["--nothing"], "no such option")
    refused(["-c", "0"], "--connections: from 1 to")
    refused(["a:b:c:d]"], "a:b:c:d]")
    refused(["127.0.0.1:99999"], "port")
    refused(["unix:"], "path")
    refused(["--cpu", "1000", "5"], "--cpu")
    status, out, _ = run("--help")
    assert status == 0
    assert "--look-aside" in out


def test_connection_refused():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))  # bound, and not listening
        refused([one.getsockname()[1]], "refused")
    refused(["unix:/nowhere/socket"], "No such file")


def test_too_few_descriptors(dozo):
    """Root may raise the limit, unless that right is taken away.

    To become another user is no way: who may not read the folder of the build
    cannot run what is in it.
    """
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    drop, sys_resource = 24, 24  # PR_CAPBSET_DROP, CAP_SYS_RESOURCE

    def limit():
        resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100))
        if os.geteuid() == 0 and prctl(drop, sys_resource, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl")
    refused(["-c", 200, dozo().port], "ulimit -n", preexec_fn=limit)
