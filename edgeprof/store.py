"""The folder `.edgeprof/`: blobs under their sha256, records in a database.

Everything is written whole or not at all: blobs by rename, records by SQLite transactions. After kill -9 at any moment
the next start finds whole records or none. One process at a time holds the store for writing runs (`Store.lock`).
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from edgeprof.errors import DeviceBusyError, RecordError, UsageError
from edgeprof.records import Record, from_json, to_json

SCHEMA = 3
R = TypeVar("R", bound=Record)


class Store:
    """A store in `root`, made if missing; with `read_only` it must be there and is never written.

    Raises:
        UsageError: the folder cannot be written, or there is nothing to read.
        RecordError: it was written by a version with another schema.
    """

    def __init__(self, root: Path, *, read_only: bool = False) -> None:
        self.root = root
        self.blobs = root / "blobs"
        self.scratch = root / "tmp"
        with writing(root):
            if read_only:
                if not (root / "records.sqlite").is_file():
                    raise UsageError(
                        "nothing has been made here yet",
                        where=str(root),
                        hint="begin with: edgeprof run --device localhost",
                    )
                uri = f"{(root / 'records.sqlite').resolve().as_uri()}?mode=ro"
                self._db = sqlite3.connect(uri, uri=True, timeout=30, isolation_level=None)
                return
            self.blobs.mkdir(parents=True, exist_ok=True)
            self.scratch.mkdir(exist_ok=True)
            self._db = sqlite3.connect(root / "records.sqlite", timeout=30, isolation_level=None)
            # The rollback journal, not WAL: a finished store can then be read from a folder that is read-only.
            self._db.execute("PRAGMA synchronous=FULL")
            self._db.execute(
                "CREATE TABLE IF NOT EXISTS records (kind TEXT NOT NULL, key TEXT NOT NULL, run TEXT,"
                " schema INTEGER NOT NULL, body BLOB NOT NULL, PRIMARY KEY (kind, key))"
            )
            self._db.execute("CREATE INDEX IF NOT EXISTS by_run ON records (kind, run)")

    def close(self) -> None:
        """Close the database; the store cannot be used afterwards."""
        self._db.close()

    # --- records

    def put(self, kind: str, key: str, record: Record, run: str | None = None) -> None:
        """Write a record, replacing one of the same kind and key."""
        with writing(self.root):
            self._db.execute(
                "INSERT OR REPLACE INTO records VALUES (?, ?, ?, ?, ?)", (kind, key, run, SCHEMA, to_json(record))
            )

    def get(self, kind: str, key: str, cls: type[R]) -> R | None:
        """The record of that kind and key, or None.

        Raises:
            RecordError: it is there, but of another schema or damaged.
        """
        rows = self._query("SELECT key, schema, body FROM records WHERE kind=? AND key=?", (kind, key))
        return self._decode(kind, rows[0], cls) if rows else None

    def all(self, kind: str, cls: type[R], run: str | None = None) -> list[R]:
        """All records of a kind (of one run), in the order they were last written: a run, when it was finished."""
        sql = "SELECT key, schema, body FROM records WHERE kind=? AND (? IS NULL OR run=?) ORDER BY rowid"
        rows = self._query(sql, (kind, run, run))
        return [self._decode(kind, row, cls) for row in rows]

    def count(self, kind: str, run: str) -> int:
        """How many records of a kind a run has."""
        with writing(self.root):
            rows = self._db.execute("SELECT COUNT(*) FROM records WHERE kind=? AND run=?", (kind, run)).fetchall()
        return int(rows[0][0])

    def delete(self, kind: str, key: str) -> None:
        """Remove a record if it is there."""
        with writing(self.root):
            self._db.execute("DELETE FROM records WHERE kind=? AND key=?", (kind, key))

    def _query(self, sql: str, args: tuple[Any, ...]) -> list[tuple[str, int, bytes]]:
        with writing(self.root):
            return self._db.execute(sql, args).fetchall()

    def _decode(self, kind: str, row: tuple[str, int, bytes], cls: type[R]) -> R:
        key, schema, body = row
        where = f"{self.root / 'records.sqlite'}, {kind} {key[:24]}"
        if schema != SCHEMA:
            raise RecordError(
                f"the record has schema {schema}, this edgeprof reads schema {SCHEMA}",
                where=where,
                hint="use the version of edgeprof that wrote it, or begin anew with another --work folder",
            )
        return from_json(body, cls, where=where)

    # --- blobs

    def add_bytes(self, data: bytes) -> str:
        """Keep `data`; returns its sha256."""
        sha = hashlib.sha256(data).hexdigest()
        if not self.has_blob(sha):
            with writing(self.root):
                handle, name = tempfile.mkstemp(dir=self.scratch)
                try:
                    with os.fdopen(handle, "wb") as file:
                        file.write(data)
                        file.flush()
                        os.fsync(file.fileno())
                    self._move_in(Path(name), sha)
                except BaseException:
                    Path(name).unlink(missing_ok=True)  # a full disk must not stay full of halves
                    raise
        return sha

    def add_file(self, path: Path) -> str:
        """Keep a copy of a file; returns its sha256."""
        return self.add_bytes(path.read_bytes())

    def has_blob(self, sha: str) -> bool:
        """Whether the blob is there."""
        return self.blob(sha).is_file()

    def blob(self, sha: str) -> Path:
        """Where the blob lies (whether or not it is there)."""
        return self.blobs / sha[:2] / sha

    def _move_in(self, source: Path, sha: str) -> None:
        target = self.blob(sha)
        target.parent.mkdir(exist_ok=True)
        os.chmod(source, 0o644)
        os.replace(source, target)

    def write(self, path: Path, data: bytes) -> None:
        """Write a file inside `root` that is no blob (a training's state), whole or not at all."""
        with writing(self.root):
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=self.scratch)
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
                os.replace(name, path)
            except BaseException:
                Path(name).unlink(missing_ok=True)
                raise

    # --- one writer at a time

    @contextmanager
    def lock(self, what: str, wait_s: float = 0.0) -> Iterator[None]:
        """Hold the store for a run; `what` is told to whoever finds it held. Freed by the kernel if we die.

        Raises:
            DeviceBusyError: somebody else holds it and did not let go within `wait_s`.
        """
        deadline = time.monotonic() + wait_s
        with writing(self.root):
            handle = os.open(self.root / "lock", os.O_RDWR | os.O_CREAT, 0o644)
        try:
            while True:
                try:
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except OSError:
                    if time.monotonic() >= deadline:
                        raise DeviceBusyError(
                            f"another edgeprof is working here: {self._holder()}",
                            where=str(self.root),
                            hint="wait for it (--wait 30m), or use another folder (--work DIR)",
                        ) from None
                    time.sleep(0.2)
            os.ftruncate(handle, 0)
            os.pwrite(handle, json.dumps({"pid": os.getpid(), "what": what}).encode(), 0)
            yield
        finally:
            os.close(handle)

    def _holder(self) -> str:
        try:
            holder = json.loads((self.root / "lock").read_text(encoding="utf-8"))
            return f"{holder['what']} (process {holder['pid']})"
        except (OSError, ValueError, KeyError, TypeError):
            return "unknown"


@contextmanager
def writing(root: Path) -> Iterator[None]:
    """The one place where the system's and SQLite's faults become ours."""
    try:
        yield
    except sqlite3.Error as error:
        if "readonly" in str(error) or "unable to open" in str(error):
            raise _read_only(root, str(error)) from error
        full = "full" in str(error)
        raise RecordError(
            f"the record could not be written or read: {error}",
            where=str(root),
            hint="free some disk space and run the same command again"
            if full
            else f"if it is damaged, move {root / 'records.sqlite'} away to begin anew",
        ) from error
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise _read_only(root, str(error.strerror)) from error
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise RecordError(
                "the disk is full; everything finished before is kept",
                where=str(root),
                hint="free some disk space and run the same command again",
            ) from error
        raise RecordError(f"cannot be written: {error.strerror or error}", where=str(root)) from error


def _read_only(root: Path, why: str) -> UsageError:
    return UsageError(
        f"this folder cannot be written: {why}", where=str(root), hint="say where to write with: edgeprof --work DIR"
    )
