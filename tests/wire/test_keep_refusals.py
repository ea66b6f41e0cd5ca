# SPDX-License-Identifier: BSD-3-Clause
"""What is no data directory of this server is refused: one line that says
what and why, a status, and never a listener.  And memcached's -e."""

import os
import pwd
import re
import shutil
import signal
import socket
import time

import pytest

import keepkit
import server

USAGE, OSERR = 64, 71


def refused(*flags, status=OSERR, says=()):
    """Runs a server that must not start; its one line."""
    port = server.free_port()
    code, said = keepkit.run("-l", "127.0.0.1", "-p", str(port), "-U", "0",
                             *flags)
    lines = [line for line in said.splitlines()
             if "should not be run as root" not in line
             and " warn " not in line]
    assert code == status, said
    assert len(lines) == 1, said
    for words in says:
        assert words in lines[0], lines[0]
    with socket.socket() as sock:
        assert sock.connect_ex(("127.0.0.1", port)) != 0
    return lines[0]


@pytest.fixture
def keep():
    """A directory with a snapshot and a journal, and nobody using it."""
    with keepkit.Keep("--fsync=always", "--journal-size=64k") as one:
        with one.start().connect() as conn:
            for number in range(500):
                conn.send(b"ms k%d 100 q\r\n%s\r\n" % (number, b"v" * 100))
            assert conn.ask(b"mn\r\n") == b"MN\r\n"
        keepkit.take_snapshot(one.one)
        with one.one.connect() as conn:
            for number in range(3000):
                conn.send(b"ms k%d 100 q\r\n%s\r\n" % (number, b"w" * 100))
            assert conn.ask(b"mn\r\n") == b"MN\r\n"
            keepkit.ms(conn, b"last", b"x")
        one.kill()
        assert len(one.names("journal-")) > 2
        yield one


def untouched(keep, test):
    """test() leaves every file of the directory as it was."""
    def picture():
        found = {}
        for name in os.listdir(keep.path):
            path = os.path.join(keep.path, name)
            if os.path.isfile(path):
                with open(path, "rb") as file:
                    found[name] = file.read()
        return found
    before = picture()
    test()
    assert picture() == before


def change(keep, name, at, data):
    path = os.path.join(keep.path, name)
    with open(path, "r+b") as file:
        file.seek(at, os.SEEK_END if at < 0 else os.SEEK_SET)
        old = file.read(len(data))
        file.seek(at, os.SEEK_END if at < 0 else os.SEEK_SET)
        file.write(data)
    assert old != data
    return old


def starts(keep):
    """What was refused was refused for its fault only."""
    with keep.start().connect() as conn:
        assert keepkit.mg(conn, b"last")["v"] == b"x"
        assert int(conn.stats()["curr_items"]) == 3001


def test_it_starts_as_it_is(keep):
    starts(keep)


# ---- the command line -------------------------------------------------------

@pytest.mark.parametrize("flag", [
    "--fsync=always", "--archive-dir=/tmp", "--journal-size=1m",
    "--snapshot-size=1m", "--snapshot-interval=60", "--log-window=4m"])
def test_options_that_need_a_directory(flag):
    refused(flag, status=USAGE, says=[
        "dozo: %s: " % flag.split("=")[0], "needs --data-dir"])


@pytest.mark.parametrize("flag, says", [
    ("--fsync=sometimes", "must be always, everysec or never"),
    ("--fsync=", "must not be empty"),
    ("--journal-size=63k", "must be"),
    ("--journal-size=257m", "must be"),
    ("--snapshot-size=1", "must be"),
    ("--snapshot-interval=-1", "must be"),
    ("--log-window=10", "must be"),
    ("--log-window=x", "log-window"),
    ("--data-dir=", "must not be empty"),
])
def test_mistakes(keep, flag, says):
    untouched(keep, lambda: refused(
        "--data-dir", keep.path, flag, status=USAGE, says=[says]))


def test_both_ways_to_name_a_directory(keep):
    refused("--data-dir", keep.path, "-e", keep.path + "2", status=USAGE,
            says=["-e", "--data-dir"])
    refused("-e", keep.path + "2", "--data-dir", keep.path, status=USAGE,
            says=["-e", "--data-dir"])
    assert not os.path.exists(keep.path + "2")


# ---- no directory, or not ours ----------------------------------------------

def test_missing(tmp_path):
    path = str(tmp_path / "none")
    refused("--data-dir", path, says=[path, "No such file or directory"])
    assert not os.path.exists(path)


def test_a_file(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"hello")
    refused("--data-dir", str(path), says=[str(path), "Not a directory"])
    assert path.read_bytes() == b"hello"


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become nobody")
def test_not_writable(tmp_path):
    path = tmp_path / "closed"
    path.mkdir(mode=0o555)
    for folder in (tmp_path, tmp_path.parent, tmp_path.parent.parent):
        os.chmod(folder, 0o755)
    refused("--data-dir", str(path), "-u", "nobody",
            says=[str(path), "Permission denied"])


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become nobody")
def test_a_directory_of_the_user_works(tmp_path):
    """Files are made as the user that the server becomes."""
    with keepkit.Keep("-u", "nobody") as keep:
        nobody = pwd.getpwnam("nobody")
        os.chown(keep.path, nobody.pw_uid, nobody.pw_gid)
        with keep.start().connect() as conn:
            keepkit.ms(conn, b"a", b"x")
        with keep.again().connect() as conn:
            assert keepkit.mg(conn, b"a")["v"] == b"x"
        for name in keep.names():
            found = os.stat(os.path.join(keep.path, name))
            assert found.st_uid == nobody.pw_uid
            assert found.st_mode & 0o077 == 0, name


def test_foreign_files(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    refused("--data-dir", str(tmp_path), says=[str(tmp_path), "notes.txt"])
    assert os.listdir(tmp_path) == ["notes.txt"]


def test_a_link_to_a_directory(keep):
    """It is used; one that leads nowhere is not."""
    link = keep.top + "/link"
    os.symlink(keep.path, link)
    one = server.Server("dozo", ("--data-dir", link))
    try:
        with one.connect() as conn:
            assert keepkit.mg(conn, b"last")["v"] == b"x"
        refused("--data-dir", keep.path, says=["another process"])
        one.stop()
    finally:
        one.kill()
    os.unlink(link)
    os.symlink(keep.top + "/none", link)
    refused("--data-dir", link, says=[link, "No such file or directory"])
    assert not os.path.exists(keep.top + "/none")
    os.unlink(link)
    os.symlink(link, link)
    refused("--data-dir", link, says=[link, "symbolic links"])
    starts(keep)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become nobody")
def test_files_of_another_user(keep):
    """As when it once was started as another user."""
    nobody = pwd.getpwnam("nobody").pw_uid
    os.chown(keep.path, nobody, -1)
    for name in keep.names():
        os.chown(os.path.join(keep.path, name), nobody, -1)
    for name in ("dozo", "lock", keep.names("journal-")[-1],
                 keep.names("snapshot-")[0]):
        path = os.path.join(keep.path, name)
        os.chown(path, 0, -1)
        untouched(keep, lambda: refused(
            "--data-dir", keep.path, "-u", "nobody",
            says=[keep.path, name, "Permission denied"]))
        os.chown(path, nobody, -1)
    keep.start("-u", "nobody").stop()
    starts(keep)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become nobody")
def test_a_directory_that_does_not_let_in(keep):
    nobody = pwd.getpwnam("nobody").pw_uid
    for path in [keep.path] + [os.path.join(keep.path, name)
                               for name in keep.names()]:
        os.chown(path, nobody, -1)
    for mode in (0, 0o300, 0o600):
        os.chmod(keep.path, mode)
        untouched(keep, lambda: refused(
            "--data-dir", keep.path, "-u", "nobody",
            says=[keep.path, "Permission denied"]))
    os.chmod(keep.path, 0o700)
    keep.start("-u", "nobody").stop()
    starts(keep)


def test_names_that_are_only_like_ours(keep):
    """They are the operator's, and stay."""
    mine = ["journal-1", "journal-0000000000000001.bak", "snapshot-",
            "journal-000000000000000G", "Snapshot-0000000000000001",
            "snapshot-0000000000000001~", "part"]
    for name in mine:
        with open(os.path.join(keep.path, name), "w", encoding="ascii") as f:
            f.write("mine")
    starts(keep)
    keep.again()
    assert set(mine) <= set(keep.names())


def test_a_directory_with_a_name_of_ours(keep):
    for kind in ("journal-", "snapshot-"):
        name = kind + "0000000000ffffff"
        os.mkdir(os.path.join(keep.path, name))
        untouched(keep, lambda: refused(
            "--data-dir", keep.path, says=[keep.path, name]))
        os.rmdir(os.path.join(keep.path, name))
    starts(keep)


def test_an_archive_that_is_a_file(keep):
    path = keep.top + "/file"
    with open(path, "w", encoding="ascii") as file:
        file.write("mine")
    refused("--data-dir", keep.path, "--archive-dir", path,
            says=["--archive-dir", path, "Not a directory"])
    starts(keep)


def test_an_archive_that_is_missing(keep):
    refused("--data-dir", keep.path, "--archive-dir", keep.top + "/none",
            says=["--archive-dir", keep.top + "/none", "No such file"])
    starts(keep)


def test_an_archive_that_is_a_data_directory(keep):
    """Of a server that runs or of none: their files would be mixed."""
    other = keep.top + "/other"
    os.mkdir(other)
    one = server.Server("dozo", ["--data-dir", other])
    try:
        for _ in ("it runs", "it has ended"):
            refused("--data-dir", keep.path, "--archive-dir", other,
                    says=["--archive-dir: " + other, "is a data directory"])
            one.stop()
    finally:
        one.kill()
    starts(keep)


def test_two_servers_on_one_directory(keep):
    with keep.start().connect() as conn:
        keepkit.ms(conn, b"mine", b"x")
        refused("--data-dir", keep.path, says=[keep.path, "another process"])
        assert conn.ask(b"mn\r\n") == b"MN\r\n"
        keepkit.ms(conn, b"still", b"x")
    keep.kill()
    with keep.start().connect() as conn:
        assert keepkit.mg(conn, b"still")["v"] == b"x"


# ---- damaged ----------------------------------------------------------------

@pytest.mark.parametrize("at", [0, 8, 20, 61])
def test_damaged_identity(keep, at):
    old = change(keep, "dozo", at, b"\xa5")
    untouched(keep, lambda: refused("--data-dir", keep.path,
                                    says=[keep.path]))
    change(keep, "dozo", at, old)
    starts(keep)


def test_identity_is_missing(keep):
    os.rename(keep.path + "/dozo", keep.top + "/away")
    untouched(keep, lambda: refused("--data-dir", keep.path,
                                    says=[keep.path]))
    os.rename(keep.top + "/away", keep.path + "/dozo")
    starts(keep)


def test_identity_of_another_directory(keep):
    with keepkit.Keep() as other:
        with other.start().connect() as conn:
            keepkit.ms(conn, b"other", b"x")
        other.stop()
        shutil.copy(keep.path + "/dozo", keep.top + "/away")
        shutil.copy(other.path + "/dozo", keep.path + "/dozo")
    untouched(keep, lambda: refused("--data-dir", keep.path,
                                    says=[keep.path]))
    shutil.copy(keep.top + "/away", keep.path + "/dozo")
    starts(keep)


def test_nothing_left_but_the_identity(keep):
    for name in keep.names():
        if name not in ("dozo", "lock"):
            os.unlink(os.path.join(keep.path, name))
    untouched(keep, lambda: refused("--data-dir", keep.path, says=[
        keep.path, "lost"]))


@pytest.mark.parametrize("which", [0, 1, -2])
def test_a_journal_is_missing(keep, which):
    """Any but the last: that it was there, no other file can tell."""
    name = keep.names("journal-")[which]
    path = os.path.join(keep.path, name)
    os.rename(path, keep.top + "/away")
    untouched(keep, lambda: refused("--data-dir", keep.path, says=[
        keep.path, "journal-"]))
    os.rename(keep.top + "/away", path)
    starts(keep)


def test_the_snapshot_is_missing(keep):
    (name,) = keep.names("snapshot-")
    path = os.path.join(keep.path, name)
    os.rename(path, keep.top + "/away")
    untouched(keep, lambda: refused("--data-dir", keep.path,
                                    says=[keep.path]))
    os.rename(keep.top + "/away", path)
    starts(keep)


@pytest.mark.parametrize("kind", ["journal-", "snapshot-"])
@pytest.mark.parametrize("at", [0, 40, 60, 200, -60])
def test_a_damaged_file(keep, kind, at):
    name = keep.names(kind)[0]
    old = change(keep, name, at, b"\x5a")
    untouched(keep, lambda: refused("--data-dir", keep.path,
                                    says=[keep.path, name]))
    change(keep, name, at, old)
    starts(keep)


def test_a_version_of_tomorrow(keep):
    """All files say another version; nothing is taken for damage."""
    for name in keep.names():
        if name != "lock":
            change(keep, name, 8, b"\x63")
    untouched(keep, lambda: refused("--data-dir", keep.path, says=[
        keep.path, "version"]))


def test_a_torn_end_is_cut_and_told(keep):
    name = keep.names("journal-")[-1]
    with open(os.path.join(keep.path, name), "ab") as file:
        file.write(b"\x30\0\0\0half a record")
    starts(keep)
    assert name in keep.one.stderr() and " warn " in keep.one.stderr()
    keep.kill()
    starts(keep)


def test_an_unfinished_file_is_removed(keep):
    with open(keep.path + "/snapshot-0000000000ffffff.part", "wb") as file:
        file.write(b"half")
    starts(keep)
    assert not [name for name in keep.names() if name.endswith(".part")]


def test_a_note_of_the_operator_is_left_alone(keep):
    with open(keep.path + "/README", "w", encoding="ascii") as file:
        file.write("mine")
    starts(keep)
    assert "README" in keep.names()


# ---- memcached's -e ---------------------------------------------------------

def passed_s(since):
    return time.monotonic() - since


def memory_server(path, *flags, **options):
    return server.Server("dozo", ("-e", str(path)) + flags, **options)


@pytest.mark.parametrize("end", [signal.SIGUSR1, signal.SIGTERM])
def test_memory_file(tmp_path, end):
    """As memcached's warm restart is used: start, SIGUSR1, start."""
    path = tmp_path / "memory_file"
    one = memory_server(path)
    try:
        with one.connect() as conn:
            stored = time.monotonic()
            token = keepkit.ms(conn, b"a", b"kept", b"T500 F3")
            settings = conn.stats("settings")
            assert settings["memory_file"] == str(path)
            assert settings["fsync"] == "never"
        one.signal(end)
        assert one.wait(keepkit.WAIT_S) == 0
        one = memory_server(path, "-m", "128")
        with one.connect() as conn:
            found = keepkit.mg(conn, b"a", b"v f c t")
            assert found["v"] == b"kept" and found["f"] == b"3"
            assert int(found["c"]) == token
            assert 498 - passed_s(stored) <= int(found["t"]) <= 500
            assert keepkit.ms(conn, b"b", b"x") > token
        one.stop()
    finally:
        one.kill()


def test_memory_file_with_a_level_of_safety(tmp_path):
    one = memory_server(tmp_path / "kept", "--fsync=always")
    try:
        with one.connect() as conn:
            keepkit.ms(conn, b"a", b"kept")
            assert conn.stats("settings")["fsync"] == "always"
        one.kill()
        one = memory_server(tmp_path / "kept", "--fsync=always")
        with one.connect() as conn:
            assert keepkit.mg(conn, b"a")["v"] == b"kept"
        one.stop()
    finally:
        one.kill()


def test_a_file_of_memcached_is_refused(tmp_path):
    path = tmp_path / "memory_file"
    path.write_bytes(b"\0" * 4096)
    line = refused("-e", str(path), says=["-e", str(path)])
    assert re.search("--data-dir|another", line), line
    assert path.read_bytes() == b"\0" * 4096


def test_memory_file_in_no_directory(tmp_path):
    refused("-e", str(tmp_path / "none" / "file"),
            says=["-e", "No such file or directory"])
