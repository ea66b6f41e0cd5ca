# SPDX-License-Identifier: BSD-3-Clause
"""The command line, signals, and how dozo starts and ends."""

import os
import pwd
import re
import resource
import signal
import socket
import stat
import subprocess
import time

import pytest

import server


def run(*flags, timeout_s=server.START_S, **options):
    """dozo to its end; for what must not start serving."""
    return subprocess.run([server.dozo_path(), *flags], timeout=timeout_s,
                          stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, check=False, **options)


def await_true(what, deadline_s=server.REPLY_S):
    deadline = time.monotonic() + deadline_s
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def listening(pid):
    """The addresses that the process listens on, [(host, port), ...]."""
    inodes = set()
    for name in os.listdir("/proc/%d/fd" % pid):
        try:
            target = os.readlink("/proc/%d/fd/%s" % (pid, name))
        except OSError:
            continue
        match = re.fullmatch(r"socket:\[(\d+)\]", target)
        if match:
            inodes.add(match.group(1))
    found = []
    for path, family in (("tcp", socket.AF_INET), ("tcp6", socket.AF_INET6)):
        with open("/proc/net/" + path, encoding="ascii") as file:
            for line in file.readlines()[1:]:
                words = line.split()
                if words[3] != "0A" or words[9] not in inodes:
                    continue
                raw, port = words[1].split(":")
                data = b"".join(
                    int(raw[at:at + 8], 16).to_bytes(4, "little")
                    for at in range(0, len(raw), 8))
                found.append((socket.inet_ntop(family, data), int(port, 16)))
    return sorted(found)


# --------------------------------------------------- help and version

def test_help():
    done = run("-h")
    assert done.returncode == 0
    assert done.stderr == ""
    for word in ("--port", "--unix-socket", "--memory-limit", "--threads",
                 "--conn-limit", "--listen", "--pidfile", "--user",
                 "maxconns_fast", "idle_timeout", "unix-socket"):
        assert word in done.stdout, word
    for absent in ("sasl", "ext_path", "proxy_config", "enable-ssl"):
        assert absent not in done.stdout, absent


def test_help_long():
    assert run("--help").stdout == run("-h").stdout


@pytest.mark.parametrize("flag", ["-V", "--version"])
def test_version(flag):
    done = run(flag)
    assert done.returncode == 0
    assert re.search(r"\bdozo\b.*\d+\.\d+", done.stdout), done.stdout


@pytest.mark.parametrize("flag", ["-i", "--license"])
def test_licence(flag):
    done = run(flag)
    assert done.returncode == 0
    assert "the dozo authors" in done.stdout
    assert "Redistribution and use" in done.stdout


# --------------------------------------------------------- refusals

REFUSED = [
    (["-c", "0"], "-c"), (["-c", "-1"], "-c"), (["-c", "x"], "-c"),
    (["-t", "0"], "-t"), (["-t", "-1"], "-t"), (["-t", "x"], "-t"),
    (["-R", "0"], "-R"), (["-R", "-1"], "-R"),
    (["-f", "1"], "-f"), (["-f", "0.5"], "-f"), (["-f", "x"], "-f"),
    (["-I", "100"], "-I"), (["-I", "1023"], "-I"), (["-I", "2g"], "-I"),
    (["-I", "64m"], "-I"), (["-I", "40m", "-m", "64"], "-I"),
    (["-I", "x"], "-I"), (["-m", "x"], "-m"), (["-m", "-5"], "-m"),
    (["-p", "70000"], "-p"), (["-p", "x"], "-p"), (["-p", "-2"], "-p"),
    (["-U", "70000"], "-U"), (["-U", "x"], "-U"),
    (["-B", "foo"], "-B"), (["-B", "binary"], "-B"),
    (["-S"], "-S"), (["-Z"], "-Z"),
    (["--fsync", "always"], "--fsync"),
    (["--archive-dir", "/tmp"], "--archive-dir"),
    (["--journal-size", "1m"], "--journal-size"),
    (["--data-dir", "/d", "--fsync", "daily"], "--fsync"),
    (["--data-dir", "/d", "--journal-size", "1k"], "--journal-size"),
    (["--data-dir", "/d", "--log-window", "1g"], "--log-window"),
    (["--data-dir", "/d", "-e", "/e"], "-e"),
    (["-e", "/e", "--data-dir", "/d"], "--data-dir"),
    (["-n", "-1"], "-n"), (["-n", "x"], "-n"),
    (["-b", "x"], "-b"), (["-a", "9"], "-a"), (["-D", ""], "-D"),
    (["-l", "300.1.1.1"], "300.1.1.1"),
    (["-l", "127.0.0.1:70000"], "127.0.0.1:70000"),
    (["-o", "no_such_word"], "no_such_word"),
    (["-o", "hashpower=99"], "hashpower"),
    (["-o", "hashpower=x"], "hashpower"),
    (["-o", "slab_automove=7"], "slab_automove"),
    (["-o", "hash_algorithm=none"], "hash_algorithm"),
    (["-o", "idle_timeout=x"], "idle_timeout"),
    (["-o", "relaxed_privileges"], "relaxed_privileges"),
    (["-u", "no-such-user"], "no-such-user"),
    (["-Y", "/no/such/file"], "/no/such/file"),
    (["-s", "/no/such/folder/socket"], "/no/such/folder/socket"),
    (["--no-such-flag"], "no-such-flag"), (["-q"], "q"),
    (["-p"], "p"), (["stray"], "stray"),
]


@pytest.mark.parametrize("flags,word", REFUSED,
                         ids=[" ".join(flags) for flags, _ in REFUSED])
def test_refused(flags, word, tmp_path):
    """A bad value ends with one line that says what and why, and nothing
    has listened before."""
    if flags[0] == "-u":
        only_root()  # another has no use for a name
    file = tmp_path / "ports"
    done = run("-p", "-1", *flags, env=dict(
        os.environ, MEMCACHED_PORT_FILENAME=str(file)))
    assert done.returncode not in (0, None) and done.returncode > 0
    lines = done.stderr.strip().splitlines()
    assert lines and word.lstrip("-") in lines[-1], done.stderr
    assert len(lines) == 1, done.stderr
    assert len(lines[0]) > len(word) + 10, "says what but not why"
    assert done.stdout == ""
    assert not file.exists()


def test_refused_before_listening():
    """The port of a refused start was never opened."""
    port = server.free_port()
    done = run("-p", str(port), "-t", "0")
    assert done.returncode > 0
    with socket.socket() as sock:
        assert sock.connect_ex(("127.0.0.1", port)) != 0


def test_port_in_use(dozo):
    one = dozo()
    done = run("-p", str(one.port), "-l", "127.0.0.1")
    assert done.returncode > 0
    assert str(one.port) in done.stderr and "in use" in done.stderr
    with one.connect() as conn:
        assert conn.ask(b"mn\r\n") == b"MN\r\n"


def test_bad_authentication_file(tmp_path):
    for content in (b"", b"nobody\n", b"a:b\n" * 9, b"x:" + b"y" * 300):
        file = tmp_path / "users"
        file.write_bytes(content)
        done = run("-p", "-1", "-Y", str(file))
        assert done.returncode > 0, content[:40]
        assert "users" in done.stderr or "auth" in done.stderr


# --------------------------------------------------------- accepted

ACCEPTED = [
    [], ["-m", "64"], ["-m", "100"], ["-M"], ["-C"], ["-F"], ["-X"], ["-W"],
    ["-A"], ["-v"], ["-vv"], ["-vvv"], ["-r"], ["-R", "1"], ["-t", "1"],
    ["-t", "8"], ["-b", "1"], ["-b", "4096"], ["-c", "100"], ["-I", "1k"],
    ["-I", "512k"], ["-I", "2m"], ["-I", "8M", "-m", "64"], ["-B", "auto"],
    ["-B", "ascii"], ["-D", "/"], ["-f", "1.07"], ["-n", "96"], ["-L"],
    ["-U", "0"], ["-o", "modern"], ["-o", "no_modern"],
    ["-o", "no_maxconns_fast"], ["-o", "maxconns_fast"],
    ["-o", "hashpower=16,no_hashexpand"], ["-o", "slab_reassign"],
    ["-o", "slab_automove"], ["-o", "slab_automove=2"],
    ["-o", "no_slab_automove,no_slab_reassign"],
    ["-o", "slab_automove_ratio=0.8,slab_automove_window=30"],
    ["-o", "slab_automove_freeratio=0.01"], ["-o", "tail_repair_time=100"],
    ["-o", "hash_algorithm=jenkins"], ["-o", "hash_algorithm=murmur3"],
    ["-o", "hash_algorithm=xxh3"], ["-o", "lru_crawler"],
    ["-o", "no_lru_crawler"], ["-o", "lru_crawler_sleep=100"],
    ["-o", "lru_crawler_tocrawl=100"], ["-o", "lru_maintainer"],
    ["-o", "no_lru_maintainer"], ["-o", "hot_lru_pct=20,warm_lru_pct=40"],
    ["-o", "hot_max_factor=0.2,warm_max_factor=2"],
    ["-o", "temporary_ttl=61"], ["-o", "idle_timeout=100"],
    ["-o", "watcher_logbuf_size=1024,worker_logbuf_size=1024"],
    ["-o", "slab_chunk_max=16384"], ["-o", "no_chunked_items"],
    ["-o", "track_sizes"], ["-o", "no_inline_ascii_resp"],
    ["-o", "inline_ascii_resp"], ["-o", "drop_privileges"],
    ["-o", "no_drop_privileges"], ["-o", "resp_obj_mem_limit=10"],
    ["-o", "read_buf_mem_limit=10"],
    ["-o", "slab_sizes=100-200-400-1000"],
    ["-o", "maxconns_fast", "-o", "hashpower=17", "-o", "lru_crawler"],
    ["--memory-limit=64", "--threads=2", "--conn-limit=100"],
    ["--disable-cas", "--disable-evictions", "--disable-flush-all",
     "--disable-dumping", "--disable-watch", "--enable-shutdown"],
    ["--memory-limit", "64", "--max-item-size", "2m"],
    ["--extended=no_modern", "--protocol=ascii", "--listen-backlog=10"],
    ["--max-reqs-per-event=10", "--slab-growth-factor=1.5",
     "--slab-min-size=64", "--verbose"],
]


@pytest.mark.parametrize("flags", ACCEPTED,
                         ids=[" ".join(flags) for flags in ACCEPTED])
def test_accepted(dozo, flags):
    one = dozo(*flags)
    with one.connect() as conn:
        assert conn.ask(b"set a 0 0 1\r\nx\r\n") == b"STORED\r\n"
        assert conn.ask(b"get a\r\n", b"END\r\n") == \
            b"VALUE a 0 1\r\nx\r\nEND\r\n"


def resident_mib(pid):
    with open("/proc/%d/status" % pid, encoding="ascii") as file:
        for line in file:
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) // 1024
    return 0


def test_locked_memory(dozo):
    """-k locks what is used, not all that was reserved."""
    if os.getuid() != 0:
        pytest.skip("memory may not be locked here")
    one = dozo("-k", "-m", "16")
    conn = one.connect()
    conn.send(b"mn\r\n")
    conn.sock.settimeout(0.02)
    reply, deadline = b"", time.monotonic() + server.REPLY_S
    while not reply and time.monotonic() < deadline:
        if resident_mib(one.pid) > 500:
            one.kill()
            pytest.fail("-k -m 16 fills the memory of the machine")
        try:
            reply = conn.sock.recv(100)
        except socket.timeout:
            pass
    conn.close()
    assert reply == b"MN\r\n"


@pytest.mark.parametrize("flags,word", [
    (["-f", "1.5"], "-f"), (["-n", "96"], "-n"),
    (["-o", "slab_automove=2"], "slab_automove"),
    (["-o", "no_lru_crawler"], "no_lru_crawler"),
    (["-o", "hot_lru_pct=30"], "hot_lru_pct")])
def test_what_has_no_meaning_is_named_once(dozo, flags, word):
    one = dozo(*flags)
    with one.connect() as conn:
        assert conn.ask(b"mn\r\n") == b"MN\r\n"
    lines = [line for line in one.stderr().splitlines()
             if re.search(r"(^|[ ,])%s($|[ ,])" % word, line)]
    assert len(lines) == 1, one.stderr()


def test_all_that_has_no_meaning_is_one_warning(dozo):
    one = dozo("-f", "1.5", "-n", "96", "-o",
               "slab_automove=2,tail_repair_time=90,hot_lru_pct=30")
    with one.connect() as conn:
        assert conn.ask(b"mn\r\n") == b"MN\r\n"
    lines = [line for line in one.stderr().splitlines()
             if "tail_repair_time" in line]
    assert len(lines) == 1 and "hot_lru_pct" in lines[0], one.stderr()


def test_udp_is_accepted_with_a_warning(dozo):
    one = dozo("-U", str(server.free_port()))
    with one.connect() as conn:
        assert conn.ask(b"mn\r\n") == b"MN\r\n"
    text = one.stderr()
    assert re.search(r"-U|UDP|datagram", text), text


def test_udp_off_is_silent(dozo):
    one = dozo("-U", "0")
    with one.connect() as conn:
        assert conn.ask(b"mn\r\n") == b"MN\r\n"
    assert not re.search(r"UDP|datagram", one.stderr())


# ---------------------------------------------------------- listening

def test_default_is_loopback_only(dozo):
    """Without -l nothing outside the machine gets in."""
    one = dozo("-p", "-1", listen=False)
    addresses = listening(one.pid)
    assert addresses
    assert {host for host, _ in addresses} <= {"127.0.0.1", "::1"}


def test_port(dozo):
    port = server.free_port()
    one = dozo("-p", str(port), "-l", "127.0.0.1", listen=False,
               address=("127.0.0.1", port))
    assert listening(one.pid) == [one.address]
    with one.connect() as conn:
        assert conn.stats("settings")["tcpport"] == str(one.port)


def test_port_file(dozo):
    one = dozo()
    assert one.ports() == {"TCP INET": [one.port]}
    assert listening(one.pid) == [("127.0.0.1", one.port)]
    assert not os.path.exists(one.port_file + ".lck")


def test_port_file_appears_whole(tmp_path, dozo):
    """It is renamed into place: whoever sees it sees all of it."""
    one = dozo("-l", "127.0.0.1,127.0.0.2,127.0.0.3")
    ports = one.ports()["TCP INET"]
    assert len(ports) == 4
    assert sorted(port for _, port in listening(one.pid)) == sorted(ports)


def test_two_addresses(dozo):
    one = dozo("-l", "127.0.0.2")
    hosts = {host for host, _ in listening(one.pid)}
    assert hosts == {"127.0.0.1", "127.0.0.2"}
    for address in listening(one.pid):
        with server.Conn(address) as conn:
            assert conn.ask(b"mn\r\n") == b"MN\r\n"


def test_comma_list_with_ports(dozo):
    first, second = server.free_port(), server.free_port()
    one = dozo("-l", "127.0.0.1:%d,127.0.0.2:%d" % (first, second),
               "-p", str(first), listen=False,
               address=("127.0.0.1", first))
    assert listening(one.pid) == sorted([("127.0.0.1", first),
                                         ("127.0.0.2", second)])
    with server.Conn(("127.0.0.2", second)) as conn:
        assert conn.ask(b"mn\r\n") == b"MN\r\n"
        assert "127.0.0.2:%d" % second in conn.stats("settings")["inter"]


def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6) as sock:
            sock.bind(("::1", 0))
    except OSError:
        return False
    return True


@pytest.mark.parametrize("text", ["::1", "[::1]:%d"])
def test_ipv6(dozo, text):
    if not has_ipv6():
        pytest.skip("no IPv6 loopback here")
    port = server.free_port()
    listen = text % port if "%" in text else text
    one = dozo("-l", listen, "-p", str(port), listen=False,
               address=("::1", port))
    assert listening(one.pid) == [("::1", port)]
    with one.connect() as conn:
        assert conn.ask(b"mn\r\n") == b"MN\r\n"
        other = by_state(conn.pair(b"stats conns\r\n"), "conn_listening")
        assert other == "tcp6:[::1]:%d" % port


def by_state(pairs, state):
    number = [name.split(":")[0] for name, value in pairs
              if value == state][0]
    return dict(pairs)[number + ":addr"]


def test_protocol_and_tag_prefixes(dozo):
    port, other = server.free_port(), server.free_port()
    one = dozo("-l", "proto[ascii]:127.0.0.1:%d,tag_abc_:127.0.0.1:%d"
               % (port, other), listen=False, address=("127.0.0.1", port))
    for number in (port, other):
        with server.Conn(("127.0.0.1", number)) as conn:
            assert conn.ask(b"mn\r\n") == b"MN\r\n"
    assert len(listening(one.pid)) == 2


@pytest.mark.parametrize("mask,mode", [(None, 0o700), ("0777", 0o777),
                                       ("0660", 0o660)])
def test_unix_socket(dozo, tmp_path, mask, mode):
    path = str(tmp_path / "socket")
    flags = ["-s", path] + (["-a", mask] if mask else [])
    one = dozo(*flags, listen=False, address=path)
    assert stat.S_IMODE(os.stat(path).st_mode) == mode
    assert listening(one.pid) == []
    with one.connect() as conn:
        assert conn.ask(b"set a 0 0 1\r\nx\r\n") == b"STORED\r\n"
        settings = conn.stats("settings")
        assert settings["domain_socket"] == path
        assert settings["umask"] == (mask or "700").lstrip("0")
        pairs = conn.pair(b"stats conns\r\n")
        assert by_state(pairs, "conn_listening") == "unix:" + path
        assert by_state(pairs, "conn_parse_cmd").startswith("unix:")


def test_unix_socket_left_behind_is_replaced(dozo, tmp_path):
    path = str(tmp_path / "socket")
    one = dozo("-s", path, listen=False, address=path)
    one.kill()
    again = dozo("-s", path, listen=False, address=path)
    with again.connect() as conn:
        assert conn.ask(b"mn\r\n") == b"MN\r\n"


def test_tcp_off(dozo, tmp_path):
    path = str(tmp_path / "socket")
    one = dozo("-p", "0", "-s", path, listen=False, address=path)
    assert listening(one.pid) == []


# ------------------------------------------------- daemon, user, limits

def test_pid_file(dozo, tmp_path):
    path = tmp_path / "pid"
    one = dozo("-P", str(path))
    await_true(path.exists)
    await_true(lambda: path.read_text() != "")
    assert int(path.read_text()) == one.pid


def test_daemon(tmp_path):
    """-d: the command returns, a child serves, -P tells which, and the file
    goes with it."""
    ports, pid_file = tmp_path / "ports", tmp_path / "pid"
    done = run("-d", "-P", str(pid_file), "-p", "-1", "-l", "127.0.0.1",
               env=dict(os.environ, MEMCACHED_PORT_FILENAME=str(ports)))
    assert done.returncode == 0, done.stderr
    await_true(lambda: pid_file.exists() and pid_file.read_text() != "")
    pid = int(pid_file.read_text())
    try:
        await_true(ports.exists)
        port = int(ports.read_text().split(":")[1].split()[0])
        with server.Conn(("127.0.0.1", port)) as conn:
            stats = conn.stats()
            assert int(stats["pid"]) == pid
        with open("/proc/%d/stat" % pid, encoding="ascii") as file:
            session = int(file.read().rpartition(")")[2].split()[3])
        assert session != os.getsid(0)
    finally:
        os.kill(pid, signal.SIGTERM)
    await_true(lambda: not os.path.exists("/proc/%d" % pid)
               or open("/proc/%d/stat" % pid).read().rpartition(")")[2]
               .split()[0] == "Z")
    assert not pid_file.exists()


def test_daemon_is_refused_in_the_foreground(tmp_path):
    """A bad flag is told before the process goes into the background."""
    done = run("-d", "-P", str(tmp_path / "pid"), "-t", "0")
    assert done.returncode > 0
    assert done.stderr.strip() != ""
    assert not (tmp_path / "pid").exists()


def only_root():
    if os.getuid() != 0:
        pytest.skip("only root can become somebody else")


def test_user(dozo):
    only_root()
    one = dozo("-u", "nobody")
    wanted = pwd.getpwnam("nobody")
    with one.connect() as conn:
        assert conn.ask(b"mn\r\n") == b"MN\r\n"
    with open("/proc/%d/status" % one.pid, encoding="ascii") as file:
        fields = dict(line.split(":", 1) for line in file if ":" in line)
    assert fields["Uid"].split() == [str(wanted.pw_uid)] * 4
    assert fields["Gid"].split() == [str(wanted.pw_gid)] * 4
    assert set(fields["Groups"].split()) <= {str(wanted.pw_gid)}


def test_root_without_user_starts(dozo):
    only_root()
    one = dozo()
    with one.connect() as conn:
        assert conn.ask(b"mn\r\n") == b"MN\r\n"


def test_descriptor_limit_is_raised(dozo):
    """-c asks for more descriptors than the soft limit has."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 3000
    if hard != resource.RLIM_INFINITY and hard < wanted + 100:
        pytest.skip("the hard limit of descriptors is %d" % hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    try:
        one = dozo("-c", str(wanted))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    with open("/proc/%d/limits" % one.pid, encoding="ascii") as file:
        line = [line for line in file if line.startswith("Max open files")]
    assert int(line[0].split()[3]) >= wanted


def test_descriptor_limit_that_cannot_be_raised():
    """Beyond what the system gives: start-up says why not, or says how few
    there will be."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if os.getuid() == 0 or hard == resource.RLIM_INFINITY:
        wanted = 2000000000
    else:
        wanted = hard * 2
    one = server.Server("dozo", ("-c", str(wanted)), wait=False)
    try:
        try:
            one.ready()
        except server.Died:
            assert one.process.returncode > 0
            assert re.search(r"descriptor|files|limit|-c", one.stderr())
            return
        assert "descriptor" in one.stderr()
        one.stop()
    finally:
        one.kill()


# -------------------------------------------------------------- signals

@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT,
                                    signal.SIGUSR1])
def test_signals_end_it(dozo, number):
    one = dozo()
    with one.connect() as conn:
        assert conn.ask(b"set a 0 0 1\r\nx\r\n") == b"STORED\r\n"
        one.signal(number)
        assert one.wait() == 0
        assert conn.at_eof()


def test_signal_while_busy(dozo):
    """With requests half sent and replies unread it still ends, with 0."""
    one = dozo()
    half, unread, watching = [one.connect() for _ in range(3)]
    half.send(b"set a 0 0 100\r\nabc")
    assert unread.ask(b"set b 0 0 500000\r\n" + b"x" * 500000 + b"\r\n") == \
        b"STORED\r\n"
    unread.send(b"get b\r\n" * 100)
    assert watching.ask(b"watch fetchers\r\n") == b"OK\r\n"
    one.signal(signal.SIGTERM)
    assert one.wait() == 0
    for conn in (half, unread, watching):
        conn.close()


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGPIPE])
def test_signals_that_do_not_end_it(dozo, number):
    one = dozo()
    with one.connect() as conn:
        for _ in range(5):
            one.signal(number)
            assert conn.ask(b"mn\r\n") == b"MN\r\n"
    with one.connect() as conn:
        assert conn.ask(b"mn\r\n") == b"MN\r\n"


def test_a_reader_who_goes_is_no_signal(dozo):
    one = dozo()
    for _ in range(20):
        with one.connect() as conn:
            conn.send(b"stats\r\n" * 500)
    with one.connect() as conn:
        assert conn.ask(b"mn\r\n") == b"MN\r\n"


@pytest.mark.parametrize("request_line", [b"shutdown\r\n",
                                          b"shutdown graceful\r\n"])
def test_shutdown_command(dozo, request_line):
    one = dozo("-A")
    with one.connect() as conn:
        assert conn.ask(b"shutdown now\r\n") == \
            b"CLIENT_ERROR invalid shutdown mode\r\n"
        conn.send(request_line)
        assert conn.rest() == b""
    assert one.wait() == 0


def test_start_and_end_are_told(dozo):
    """stderr has a line for the end with its reason."""
    one = dozo("-v")
    with one.connect() as conn:
        assert conn.ask(b"mn\r\n") == b"MN\r\n"
    one.signal(signal.SIGTERM)
    assert one.wait() == 0
    assert re.search(r"SIGTERM|[Tt]erminat|signal 15", one.stderr())


def test_fast_restart_on_the_same_port(dozo):
    """Connections of the last run in TIME_WAIT do not keep the port."""
    port = server.free_port()
    for _ in range(2):
        one = dozo("-p", str(port), "-l", "127.0.0.1", listen=False,
                   address=("127.0.0.1", port))
        conn = one.connect()
        assert conn.ask(b"mn\r\n") == b"MN\r\n"
        one.signal(signal.SIGTERM)
        assert one.wait() == 0
        conn.close()


def test_debugtime_is_not_in_a_release(dozo):
    one = dozo()
    with one.connect() as conn:
        assert conn.ask(b"debugtime 1\r\n") == b"ERROR\r\n"


def test_debugtime_is_in_a_debug_build(debug_dozo):
    one = debug_dozo("-o", "relaxed_privileges")
    with one.connect() as conn:
        before = int(conn.stats()["time"])
        assert conn.ask(b"debugtime 500\r\n") == b"OK\r\n"
        assert int(conn.stats()["time"]) >= before + 500
        assert conn.ask(b"debugtime p\r\n") == b"OK\r\n"
        paused = conn.stats()["time"]
        assert conn.stats()["time"] == paused
        assert conn.ask(b"debugtime r\r\n") == b"OK\r\n"
