# SPDX-License-Identifier: BSD-3-Clause
"""Starting, watching and ending a server under test.

A Server is one process of dozo or of Debian's memcached on 127.0.0.1 (or on a
unix socket).  It is ready when a connection succeeds, it is ended by its
process id, and whatever it wrote to stderr is kept so that a failing test can
show it.  A server that ends before it is told to is a failure of the test that
used it, whatever else that test saw: see Server.stop().

A Conn is one client connection with a receive buffer.  Every wait in it has a
deadline; nothing here sleeps for a result.
"""

import errno
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
NO_DEBUG = "DOZO_DEBUG names no build with debug commands"
NO_ORACLE = "no memcached binary for comparison (Debian: memcached)"
# Only a failure waits as long as that: a machine may stand still for seconds.
START_S = 60.0
STOP_S = 60.0
REPLY_S = 60.0
PORTS_FROM, PORTS_TO = 10000, 32768
PORT_NAMES = []  # sockets whose names say which ports are given away


def dozo_path():
    """The binary under test: DOZO, else where a plain build leaves it."""
    return os.environ.get(
        "DOZO", os.path.join(ROOT, "build", "release", "dozo"))


def debug_path():
    """A build that knows debugtime, or None."""
    return os.environ.get("DOZO_DEBUG") or None


def memcached_path():
    """Debian's memcached, or None."""
    return os.environ.get("MEMCACHED") or shutil.which("memcached")


def free_port():
    """A port of any loopback address that nobody else takes.

    The kernel does not hand it out by itself, and a name that this process
    holds to its end says to other tests that it is given away; so it is still
    free when a server binds it.
    """
    with open("/proc/sys/net/ipv4/ip_local_port_range",
              encoding="ascii") as file:
        end = int(file.read().split()[0])
    if not PORTS_FROM + 1000 <= end <= PORTS_TO:
        end = PORTS_TO
    ports = list(range(PORTS_FROM, end))
    random.SystemRandom().shuffle(ports)
    for port in ports:
        name = socket.socket(socket.AF_UNIX)
        try:
            name.bind("\0dozo-port-%d" % port)
            for host in ("127.0.0.1", "127.0.0.2"):
                with socket.socket() as sock:
                    sock.bind((host, port))
        except OSError as error:
            name.close()
            if error.errno != errno.EADDRINUSE:
                raise
            continue
        PORT_NAMES.append(name)
        return port
    raise AssertionError("no port is free")


class Died(AssertionError):
    """The server ended although nobody told it to."""


class Conn:
    """One client connection."""

    def __init__(self, address, timeout_s=REPLY_S):
        family = socket.AF_INET
        if isinstance(address, str):
            family = socket.AF_UNIX
        elif ":" in address[0]:
            family = socket.AF_INET6
        self.sock = socket.socket(family, socket.SOCK_STREAM)
        self.sock.settimeout(timeout_s)
        self.timeout_s = timeout_s
        self.buf = b""
        self.closed = False
        try:
            self.sock.connect(address)
            if family != socket.AF_UNIX:
                self.sock.setsockopt(
                    socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except BaseException:
            self.sock.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.close()

    def close(self):
        self.sock.close()

    def send(self, data):
        """Sends all; True if the peer still took it."""
        self.sock.settimeout(self.timeout_s)
        try:
            self.sock.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            return False
        return True

    def fill(self, deadline):
        """Receives once; False at the end of the stream."""
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("no reply; buffered %r" % self.buf[-200:])
        self.sock.settimeout(left)
        try:
            data = self.sock.recv(1 << 20)
        except ConnectionResetError:
            data = b""
        except socket.timeout:
            raise TimeoutError(
                "no reply; buffered %r" % self.buf[-200:]) from None
        if not data:
            self.closed = True
            return False
        self.buf += data
        return True

    def take(self, count):
        data, self.buf = self.buf[:count], self.buf[count:]
        return data

    def read(self, count, timeout_s=None):
        """Exactly count bytes, or fewer if the stream ends first."""
        deadline = time.monotonic() + (timeout_s or self.timeout_s)
        if len(self.buf) >= count:
            return self.take(count)
        whole = bytearray(count)
        have = len(self.buf)
        whole[:have] = self.buf
        self.buf = b""
        view = memoryview(whole)
        while have < count:
            self.sock.settimeout(max(0.001, deadline - time.monotonic()))
            try:
                got = self.sock.recv_into(view[have:])
            except ConnectionResetError:
                got = 0
            except socket.timeout:
                self.buf = bytes(view[:have])
                raise TimeoutError("%d of %d bytes came" % (have, count)) \
                    from None
            if got == 0:
                self.closed = True
                break
            have += got
        return bytes(view[:have])

    def until(self, end, timeout_s=None):
        """Everything up to and with end, or what came before the close."""
        deadline = time.monotonic() + (timeout_s or self.timeout_s)
        start = 0
        while True:
            at = self.buf.find(end, start)
            if at >= 0:
                return self.take(at + len(end))
            start = max(0, len(self.buf) - len(end))
            if not self.fill(deadline):
                return self.take(len(self.buf))

    def line(self, timeout_s=None):
        return self.until(b"\n", timeout_s)

    def ask(self, request, end=b"\r\n", timeout_s=None):
        self.send(request)
        return self.until(end, timeout_s)

    def quiet(self):
        """True if nothing has come, neither bytes nor the end."""
        try:
            self.fill(time.monotonic() + 0.001)
        except TimeoutError:
            return not self.buf
        return False

    def rest(self, timeout_s=None):
        """Everything until the peer closes."""
        deadline = time.monotonic() + (timeout_s or self.timeout_s)
        while self.fill(deadline):
            pass
        return self.take(len(self.buf))

    def at_eof(self, timeout_s=None):
        """True if the peer has closed with nothing more to say."""
        if self.buf:
            return False
        deadline = time.monotonic() + (timeout_s or self.timeout_s)
        return not self.fill(deadline)

    def pair(self, request):
        """STAT lines of one request as an ordered list of pairs."""
        self.send(request)
        pairs = []
        while True:
            line = self.line()
            if not line.startswith(b"STAT "):
                if line != b"END\r\n":
                    raise AssertionError("no END but %r" % line)
                return pairs
            words = line[5:-2].split(b" ", 1)
            pairs.append((words[0].decode(), words[1].decode()
                          if len(words) > 1 else ""))

    def stats(self, what=""):
        request = b"stats " + what.encode() if what else b"stats"
        return dict(self.pair(request + b"\r\n"))


class Server:
    """One server process.

    kind is "dozo" or "memcached".  flags are added behind the ones that put
    it on a free loopback port; with listen=False only flags are passed and
    the caller knows where to connect (address).
    """

    def __init__(self, kind, flags=(), binary=None, listen=True,
                 address=None, env=None, wait=True):
        self.kind = kind
        self.binary = binary or (
            dozo_path() if kind == "dozo" else memcached_path())
        if self.binary is None or not os.path.exists(self.binary):
            raise FileNotFoundError(
                "no %s binary at %s" % (kind, self.binary))
        self.dir = tempfile.mkdtemp(prefix="dozo-wire-")
        os.chmod(self.dir, 0o777)  # a server that gave up root writes here
        self.port_file = os.path.join(self.dir, "ports")
        self.address = address
        self.stopped = False
        argv = [self.binary]
        if kind == "memcached" and os.getuid() == 0:
            argv += ["-u", "nobody"]
        if listen:
            argv += ["-l", "127.0.0.1", "-p", "-1", "-U", "0"]
        self.argv = argv + list(flags)
        environ = dict(os.environ, MEMCACHED_PORT_FILENAME=self.port_file)
        environ.update(env or {})
        with open(os.path.join(self.dir, "stderr"), "wb") as err, \
                open(os.path.join(self.dir, "stdout"), "wb") as out:
            self.process = subprocess.Popen(
                self.argv, stdin=subprocess.DEVNULL, stdout=out, stderr=err,
                env=environ, cwd=self.dir)
        if wait:
            try:
                self.ready()
            except BaseException:
                self.kill()
                raise

    @property
    def pid(self):
        return self.process.pid

    @property
    def port(self):
        return self.address[1]

    def stderr(self):
        with open(os.path.join(self.dir, "stderr"), "rb") as file:
            return file.read().decode("utf-8", "replace")

    def ports(self):
        """The lines of the port file, {"TCP INET": [port, ...], ...}."""
        found = {}
        with open(self.port_file, encoding="ascii") as file:
            for line in file:
                name, _, port = line.rpartition(":")
                found.setdefault(name, []).append(int(port))
        return found

    def ready(self):
        """Waits until connections are taken.

        The port file is renamed into place behind listen(), so where it
        names the port no connection has to be spent on finding out, and the
        server's counters start untouched.
        """
        deadline = time.monotonic() + START_S
        pause = 0.002
        while True:
            if self.process.poll() is not None:
                raise Died("%s ended with %d at start\n%s" % (
                    " ".join(self.argv), self.process.returncode,
                    self.stderr()))
            try:
                if self.address is None:
                    port = self.ports()["TCP INET"][0]
                    self.address = ("127.0.0.1", port)
                else:
                    Conn(self.address).close()
                return
            except (OSError, KeyError) as error:
                if time.monotonic() > deadline:
                    raise TimeoutError("%s is not ready after %g s (%s)\n%s"
                                       % (" ".join(self.argv), START_S,
                                          error, self.stderr())) from None
            time.sleep(pause)
            pause = min(pause * 2, 0.05)

    def connect(self, timeout_s=REPLY_S):
        return Conn(self.address, timeout_s)

    def running(self):
        return self.process.poll() is None

    def cpu_s(self):
        """Processor seconds of all its threads: the clock of the process."""
        return time.clock_gettime(~self.pid << 3 | 2)

    def check(self):
        if not self.running():
            raise Died("%s ended with %s\n%s" % (
                " ".join(self.argv), self.process.returncode,
                self.stderr()[-8000:]))

    def wait(self, timeout_s=STOP_S):
        """Waits for an end that was asked for; the exit status."""
        try:
            code = self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError("%s did not end in %g s\n%s" % (
                " ".join(self.argv), timeout_s, self.stderr()[-8000:])) \
                from None
        self.clean()
        return code

    def signal(self, number):
        os.kill(self.process.pid, number)

    def stop(self):
        """Ends the server; it must have lived until now and end with 0.

        memcached, which is only compared with and takes a second to leave, is
        killed.
        """
        if self.stopped:
            return
        if self.kind == "memcached":
            try:
                self.check()
            finally:
                self.kill()
            return
        err = None
        try:
            self.check()
            self.signal(signal.SIGTERM)
            err = self.stderr
            code = self.process.wait(STOP_S)
            if code != 0:
                raise Died("%s: exit status %d after SIGTERM\n%s" % (
                    " ".join(self.argv), code, err()[-8000:]))
        except subprocess.TimeoutExpired:
            raise AssertionError("%s does not end on SIGTERM\n%s" % (
                " ".join(self.argv), err()[-8000:])) from None
        finally:
            self.kill()

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.clean()

    def clean(self):
        if not self.stopped:
            self.stopped = True
            self.kept = self.stderr()
            self.stderr = lambda: self.kept
            shutil.rmtree(self.dir, ignore_errors=True)
