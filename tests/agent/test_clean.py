"""What `device clean` removes, and what it must not."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from edgeprof.agent.clean import MARKS, clean
from edgeprof.agent.refusal import Refused

DAY = 86400.0
OLD, NEW, PART = "a" * 64, "b" * 64, "c" * 64 + ".part"
PROGRAM = "d" * 64


@pytest.fixture
def workdir(tmp_path: Path) -> Path:
    """Old and new blobs, the agent, old and new wheels, an old session and a new one."""
    for name in (OLD, NEW, PART, PROGRAM):
        write(tmp_path / "blobs" / name, 1000)
    for name in (OLD, NEW, ".tmp-" + OLD):
        write(tmp_path / "site" / name / "tiny" / "__init__.py", 10)
        write(tmp_path / "site" / name / "tiny" / "more", 10)
    for name in ("then", "lately"):
        for file in ("session.json", "lock", "spool-000001.jsonl"):
            write(tmp_path / "sessions" / name / file, 10)
    write(tmp_path / "restore.json", 10)
    for mark in MARKS:
        write(tmp_path / "blobs" / mark, 0)
    for name in (OLD, PART, PROGRAM):
        age(tmp_path / "blobs" / name, 40 * DAY)
    for path in (
        tmp_path / "site" / OLD,
        tmp_path / "site" / (".tmp-" + OLD),
        *(tmp_path / "sessions" / "then").iterdir(),
    ):
        age(path, 40 * DAY)
    age(tmp_path / "sessions" / "then", 40 * DAY)
    for path in ((tmp_path / "sessions" / "lately"), *(tmp_path / "sessions" / "lately").iterdir()):
        age(path, 600)
    return tmp_path


def write(path: Path, size: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes(size))


def age(path: Path, seconds: float) -> None:
    os.utime(path, (time.time() - seconds,) * 2)


def run(workdir: Path, older_than_s: float = 30 * DAY, everything: bool = False) -> dict[str, object]:
    return clean(str(workdir), older_than_s, everything, str(workdir / "blobs" / PROGRAM))


def left(workdir: Path) -> set[str]:
    return {
        f"{folder}/{path.name[:5]}"
        for folder in ("blobs", "site", "sessions")
        for path in (workdir / folder).iterdir()
        if path.name not in MARKS
    }


@contextmanager
def held(path: Path) -> Iterator[None]:
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def test_what_was_long_not_used_goes(workdir: Path) -> None:
    told = run(workdir)
    assert left(workdir) == {"blobs/bbbbb", "blobs/ddddd", "site/bbbbb", "sessions/latel"}
    assert told == {"event": "cleaned", "files": 2 + 4 + 3, "bytes": 2000 + 40 + 30}
    assert (workdir / "restore.json").exists()
    assert run(workdir) == {"event": "cleaned", "files": 0, "bytes": 0}


def test_everything_but_the_program_goes(workdir: Path) -> None:
    run(workdir, everything=True)
    assert left(workdir) == {"blobs/ddddd"}


def test_everything_takes_what_a_clock_set_back_left_in_the_future(workdir: Path) -> None:
    for name in (OLD, NEW):
        age(workdir / "blobs" / name, -400 * DAY)
    run(workdir)
    assert {"blobs/aaaaa", "blobs/bbbbb"} <= left(workdir)
    run(workdir, everything=True)
    assert left(workdir) == {"blobs/ddddd"}


@pytest.mark.parametrize("everything", [False, True])
def test_a_session_that_is_alive_keeps_what_it_may_use(workdir: Path, everything: bool) -> None:
    """What was used since a day before it began; what is older goes."""
    age(workdir / "blobs" / NEW, DAY / 2)
    with held(workdir / "sessions" / "lately" / "lock"):
        run(workdir, older_than_s=0, everything=everything)
    assert left(workdir) == {"blobs/bbbbb", "blobs/ddddd", "site/bbbbb", "sessions/latel"}


def test_a_session_alive_for_long_keeps_all_since(workdir: Path) -> None:
    with held(workdir / "sessions" / "then" / "lock"):
        run(workdir, everything=True)
    assert left(workdir) == {
        "blobs/aaaaa",
        "blobs/bbbbb",
        "blobs/ccccc",
        "blobs/ddddd",
        "site/aaaaa",
        "site/bbbbb",
        "site/.tmp-",
        "sessions/then",
    }


def test_a_session_about_to_start_stays(workdir: Path) -> None:
    write(workdir / "sessions" / "soon" / "session.json", 10)
    run(workdir, everything=True)
    assert "sessions/soon" in left(workdir)


@pytest.mark.parametrize("lock", ["blobs/.receiver", "site/.lock"])
def test_nothing_goes_while_files_are_received_or_unpacked(workdir: Path, lock: str) -> None:
    before = left(workdir)
    with held(workdir / lock), pytest.raises(Refused) as refusal:
        run(workdir, everything=True)
    assert refusal.value.kind == "busy"
    assert left(workdir) == before


def test_where_nothing_is_nothing_is_removed(tmp_path: Path) -> None:
    assert run(tmp_path / "none") == {"event": "cleaned", "files": 0, "bytes": 0}
    assert not (tmp_path / "none").exists()


def test_a_link_is_removed_not_followed(workdir: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    write(elsewhere / "precious", 10)
    (workdir / "site" / ("e" * 64)).symlink_to(elsewhere)
    run(workdir, everything=True)
    assert (elsewhere / "precious").exists()
    assert "site/eeeee" not in left(workdir)
