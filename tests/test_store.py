"""The store: whole records or none, whatever happens; one writer at a time; clear words when it cannot write."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeprof.errors import DeviceBusyError, RecordError, UsageError
from edgeprof.records import Identity, Interval, to_json
from edgeprof.store import Store


def test_a_record_comes_back_as_it_was(tmp_path: Path) -> None:
    store = Store(tmp_path / "späce d" / ".edgeprof")
    one = Identity(model="m", seed=3)
    store.put("identity", "k", one, run="r")
    assert Store(store.root).get("identity", "k", Identity) == one
    assert store.all("identity", Identity, run="r") == [one]
    assert store.all("identity", Identity, run="other") == []
    assert store.get("identity", "missing", Identity) is None


def test_records_keep_the_order_they_were_written_in(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for key in "cab":
        store.put("identity", key, Identity(model=key))
    assert [one.model for one in store.all("identity", Identity)] == ["c", "a", "b"]


@given(st.binary(max_size=1000))
def test_a_blob_lies_under_its_sha256(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    store = Store(tmp_path_factory.mktemp("store"))
    sha = store.add_bytes(data)
    assert store.has_blob(sha)
    assert store.blob(sha).read_bytes() == data
    assert store.add_bytes(data) == sha
    assert list(store.scratch.iterdir()) == []


def test_a_record_of_another_schema_is_refused_not_guessed(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.put("identity", "k", Identity(model="m"))
    with sqlite3.connect(tmp_path / "records.sqlite") as db:
        db.execute("UPDATE records SET schema=99")
    with pytest.raises(RecordError, match="schema 99"):
        store.get("identity", "k", Identity)


def test_a_damaged_record_is_an_error_with_its_place(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.put("identity", "k", Identity(model="m"))
    with sqlite3.connect(tmp_path / "records.sqlite") as db:
        db.execute("UPDATE records SET body=?", (to_json(Interval(value=1.0, low=None, high=None)),))
    with pytest.raises(RecordError) as caught:
        store.get("identity", "k", Identity)
    assert "records.sqlite" in str(caught.value.where)


def test_a_file_that_is_no_database_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "records.sqlite").write_bytes(b"this is not a database at all, not even nearly" * 100)
    with pytest.raises(RecordError, match="not a database"):
        Store(tmp_path)


def test_reading_where_nothing_was_made_says_how_to_begin(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nothing has been made here yet"):
        Store(tmp_path / ".edgeprof", read_only=True)
    assert not (tmp_path / ".edgeprof").exists()


def test_kill_9_while_writing_leaves_whole_records_and_blobs(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom pathlib import Path\n"
        "from edgeprof.store import Store\nfrom edgeprof.records import Identity\n"
        "store = Store(Path(sys.argv[1]))\nprint('ready', flush=True)\ni = 0\n"
        "while True:\n"
        "    store.add_bytes(str(i).encode() * 50000)\n"
        "    store.put('identity', str(i), Identity(model='m' * 5000, seed=i))\n    i += 1\n"
    )
    for attempt in range(3):
        root = tmp_path / str(attempt)
        child = subprocess.Popen([sys.executable, "-c", code, str(root)], stdout=subprocess.PIPE)
        assert child.stdout is not None
        child.stdout.readline()
        time.sleep(0.2 + 0.15 * attempt)
        child.send_signal(signal.SIGKILL)
        child.wait(timeout=30)
        child.stdout.close()
        store = Store(root)
        records = store.all("identity", Identity)
        assert [one.seed for one in records] == list(range(len(records)))
        for path in store.blobs.rglob("*"):
            if path.is_file():
                assert store.add_file(path) == path.name


def test_a_second_writer_is_told_who_the_first_is_and_gets_in_when_it_dies(tmp_path: Path) -> None:
    code = (
        "import sys, time\nfrom pathlib import Path\nfrom edgeprof.store import Store\n"
        "with Store(Path(sys.argv[1])).lock('the first run'):\n    print('held', flush=True)\n    time.sleep(60)\n"
    )
    child = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE)
    assert child.stdout is not None
    child.stdout.readline()
    store = Store(tmp_path)
    with pytest.raises(DeviceBusyError) as caught, store.lock("the second run"):
        raise AssertionError("two held the lock")
    assert "the first run" in caught.value.what
    assert str(child.pid) in caught.value.what
    child.kill()
    child.wait(timeout=30)
    child.stdout.close()
    with store.lock("the second run", wait_s=10):
        pass


def test_a_full_disk_is_told_and_what_was_written_stays(tmp_path: Path) -> None:
    store = Store(tmp_path / "s")
    store.put("identity", "k", Identity(model="m"))
    store._db.execute("PRAGMA max_page_count=8")
    with pytest.raises(RecordError) as caught:
        store.put("identity", "large", Identity(model="m" * 100_000))
    assert "full" in caught.value.what
    assert "disk space" in str(caught.value.hint)
    assert Store(tmp_path / "s").get("identity", "k", Identity) == Identity(model="m")


def test_a_folder_that_cannot_be_written_is_told_with_the_way_out(tmp_path: Path) -> None:
    # A file where the folder should be: root, who may run the tests, is stopped by no permission bits.
    (tmp_path / "file").write_text("")
    with pytest.raises((UsageError, RecordError)) as caught:
        Store(tmp_path / "file" / ".edgeprof")
    assert str(tmp_path) in str(caught.value.where)
    folder = tmp_path / "closed"
    folder.mkdir(mode=0o500)
    if os.geteuid() != 0:
        with pytest.raises(UsageError, match="cannot be written"):
            Store(folder / ".edgeprof")
