"""What the device takes in: only what was asked for in due form, and under its name only what was hashed."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import process_tools as processes
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from receivers import Pipes

from edgeprof.agent import blobs, only
from edgeprof.agent.blobs import MANY, hash_file, is_sha, list_bytes, receive
from edgeprof.agent.source import Source, SourceEndedError

DATA = b"0123456789" * 5000
SHA = hashlib.sha256(DATA).hexdigest()


def asked(*files: Any, **more: Any) -> bytes:
    return json.dumps({"files": files, "fence": None, "lease": None, **more}).encode() + b"\n"


def told(workdir: Path, sent: bytes) -> list[dict[str, Any]]:
    """All that the device says to these bytes, after which its host is gone."""
    source, host = os.pipe()
    answers, out = os.pipe()

    def feed() -> None:
        try:
            with open(host, "wb") as file:
                file.write(sent)
        except BrokenPipeError:
            pass

    feeder = threading.Thread(target=feed)
    feeder.start()
    receive(str(workdir), source, out)
    os.close(source)
    os.close(out)
    feeder.join()
    with open(answers, "rb") as file:
        return [json.loads(line) for line in file.read().splitlines()]


def names(workdir: Path) -> set[str]:
    return {path.name for path in (workdir / "blobs").iterdir()} - {".receiver"}


def test_a_file_is_taken_in_and_the_next_time_only_hashed(tmp_path: Path) -> None:
    have, received = told(tmp_path, asked([SHA, len(DATA)]) + DATA)
    assert have["offsets"] == {}
    assert have["whole"] is False
    assert have["free_bytes"] > 0
    assert received == {"event": "received", "damaged": []}
    assert (tmp_path / "blobs" / SHA).read_bytes() == DATA
    have, received = told(tmp_path, asked([SHA, len(DATA)]))
    assert (have["whole"], have["offsets"]) == (True, {})


def test_several_lists_follow_one_another(tmp_path: Path) -> None:
    empty = hashlib.sha256(b"").hexdigest()
    events = told(tmp_path, asked([SHA, len(DATA)]) + DATA + asked([empty, 0]) + asked([SHA, len(DATA)], [empty, 0]))
    assert [event["event"] for event in events] == ["have", "received"] * 3
    assert names(tmp_path) == {SHA, empty}


def test_what_is_not_what_it_was_said_to_be_gets_no_name(tmp_path: Path) -> None:
    other = "0" * 64
    _, received = told(tmp_path, asked([other, len(DATA)]) + DATA)
    assert received["damaged"] == [other]
    assert names(tmp_path) == set()


def test_a_part_has_its_offset_and_is_continued(tmp_path: Path) -> None:
    told(tmp_path, asked([SHA, len(DATA)]) + DATA[:20_000])
    assert names(tmp_path) == {f"{SHA}.part"}
    have, received = told(tmp_path, asked([SHA, len(DATA)]) + DATA[20_000:])
    assert have["offsets"] == {SHA: 20_000}
    assert received["damaged"] == []
    assert names(tmp_path) == {SHA}


@pytest.mark.parametrize(
    "entry",
    [
        ["../../etc/passwd", 3],
        ["/etc/passwd", 3],
        ["", 3],
        [SHA.upper(), 3],
        [SHA + "\n", 3],
        [SHA[:-1], 3],
        [SHA + "/", 3],
        [SHA[:-1] + "\u0660", 3],
        [None, 3],
        [[SHA], 3],
        [SHA, -1],
        [SHA, 1 << 60],
        [SHA, 10**400],
        [SHA, 1.5],
        [SHA, True],
        [SHA, "3"],
        [SHA, None],
        [SHA],
        [SHA, 3, 3],
        SHA,
        {"sha": SHA},
        None,
    ],
)
def test_a_list_with_an_impossible_file_is_refused_whole(tmp_path: Path, entry: Any) -> None:
    good = hashlib.sha256(b"x").hexdigest()
    (refusal,) = told(tmp_path, asked([good, 1], entry) + b"x" * 100)
    assert (refusal["event"], refusal["kind"]) == ("refused", "other")
    assert names(tmp_path) == set()
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == [".receiver"]


@pytest.mark.parametrize(
    "line",
    [
        b"hello\n",
        b"[]\n",
        b"{}\n",
        b"\xff\xfe\n",
        b"[" * 100_000 + b"\n",
        b'{"files": {}}\n',
        b'{"files": 3}\n',
        asked([SHA, 3], [SHA, 3]),
        asked([SHA, 3], fence="1"),
        asked([SHA, 3], fence=True),
        asked([SHA, 3], fence=1, lease=["/"]),
        b"x" * (blobs.LIST_BYTES + 10),
    ],
    ids=range(12),
)
def test_a_line_that_is_no_list_is_refused(tmp_path: Path, line: bytes) -> None:
    (refusal,) = told(tmp_path, line)
    assert (refusal["event"], refusal["kind"]) == ("refused", "other")
    assert len(refusal["message"]) < 300


@pytest.mark.parametrize("known", ["../../etc/passwd", 3, None, "0" * 64, ["x"]])
def test_a_list_that_is_not_known_is_said_to_be_so(tmp_path: Path, known: Any) -> None:
    line = json.dumps({"known": known, "fence": None, "lease": None}).encode() + b"\n"
    events = told(tmp_path, line + asked([SHA, len(DATA)]) + DATA)
    assert [event["event"] for event in events] == ["unknown", "have", "received"]


def test_a_long_list_is_known_the_next_time(tmp_path: Path) -> None:
    data = [b"%d" % number for number in range(MANY + 1)]
    files = [blobs.Wanted(hashlib.sha256(one).hexdigest(), len(one)) for one in data]
    told(tmp_path, asked(*files) + b"".join(data))
    known = hashlib.sha256(list_bytes(files)).hexdigest()
    line = json.dumps({"known": known, "fence": None, "lease": None}).encode() + b"\n"
    have, _ = told(tmp_path, line)
    assert have["whole"] is True
    # A blob of that name that is no list, or holds something that is none.
    for content in (b"no list", b'{"files":[["../x",3]]}'):
        sha = hashlib.sha256(content).hexdigest()
        (tmp_path / "blobs" / sha).write_bytes(content)
        (refusal,) = told(tmp_path, json.dumps({"known": sha}).encode() + b"\n")
        assert refusal["kind"] == "other"


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO])
def test_what_the_disk_says_is_told_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    real = os.write

    def write(handle: int, data: bytes) -> int:
        if "blobs" in os.readlink(f"/proc/self/fd/{handle}"):
            raise OSError(number, os.strerror(number))
        return real(handle, data)

    monkeypatch.setattr(os, "write", write)
    _, refusal = told(tmp_path, asked([SHA, len(DATA)]) + DATA * 20)
    kinds = {errno.ENOSPC: "disk_full", errno.EDQUOT: "disk_full", errno.EROFS: "read_only", errno.EIO: "other"}
    assert refusal["kind"] == kinds[number]


def test_a_folder_that_is_a_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "blobs").write_text("")
    (refusal,) = told(tmp_path, asked([SHA, 3]))
    assert refusal["event"] == "refused"


def test_a_receiver_that_does_not_hear_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(only, "END_S", 0.3)
    with Pipes(tmp_path) as stopped:
        stopped.write(b'{"call":"receive"}\n' + asked())
        stopped.read_line(20)
        stopped.process.send_signal(signal.SIGSTOP)
        assert told(tmp_path, asked([SHA, len(DATA)]) + DATA)[-1]["event"] == "received"
        processes.await_end(stopped.process.pid)


@pytest.mark.parametrize(
    "name",
    [
        lambda pid: {"pid": pid},
        lambda pid: {"pid": pid, "started": "1", "boot": "x", "space": ""},
        lambda pid: [pid],
        lambda pid: pid,
    ],
)
def test_only_the_process_that_holds_the_lock_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: Callable[[int], Any]
) -> None:
    """A number that was used again, or one of another host that shares the folder, is left alone."""
    monkeypatch.setattr(only, "END_S", 0.1)
    (tmp_path / "blobs").mkdir()
    lock = tmp_path / "blobs" / ".receiver"
    code = "import fcntl,sys; f=open(sys.argv[1],'a'); fcntl.flock(f, fcntl.LOCK_EX); print(flush=True); input()"
    with (
        subprocess.Popen(
            [sys.executable, "-c", code, str(lock)], stdout=subprocess.PIPE, stdin=subprocess.PIPE
        ) as other,
        subprocess.Popen(["sleep", "60"]) as bystander,
    ):
        assert other.stdout is not None
        other.stdout.readline()
        lock.write_text(json.dumps(name(bystander.pid)))
        (refusal,) = told(tmp_path, asked())
        assert refusal["kind"] == "busy"
        assert bystander.poll() is None
        bystander.kill()
        other.kill()


@given(pieces=st.lists(st.binary(max_size=50), max_size=20), takes=st.lists(st.integers(1, 60), max_size=40))
@settings(max_examples=60, deadline=None)
def test_lines_and_bytes_come_apart_at_any_border(pieces: list[bytes], takes: list[int]) -> None:
    """However the pipe cuts what is sent."""
    sent = b"a line\n" + b"".join(pieces)
    source, host = os.pipe()
    for piece in (b"a l", b"ine\n", *pieces):
        os.write(host, piece)
    os.close(host)
    reader = Source(source)
    got = reader.line(100) + b"\n"
    for most in [*takes, *[7] * len(sent)]:
        try:
            data = bytes(reader.some(most))
        except SourceEndedError:
            break
        assert 1 <= len(data) <= most
        got += data
    os.close(source)
    assert got == sent


def test_a_file_is_hashed_whatever_its_size(tmp_path: Path) -> None:
    for size in (0, 1, (1 << 20) - 1, 1 << 20, (1 << 20) + 1):
        (tmp_path / "file").write_bytes(bytes(size))
        assert hash_file(str(tmp_path / "file")).hexdigest() == hashlib.sha256(bytes(size)).hexdigest()


@given(st.text())
def test_little_is_a_sha256(text: str) -> None:
    assert is_sha(text) == (len(text) == 64 and not text.strip("0123456789abcdef"))
