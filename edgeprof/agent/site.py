"""Unpacked wheels, `workdir/site/<sha256 of the wheel>/`: a runtime's environment is a list of such folders.

Unpacking a wheel needs neither pip nor a venv, which take long on a board and are not always there.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import zipfile
import zlib
from typing import Dict, Iterator, List, Sequence, Tuple

from .blobs import free_bytes, hash_file, is_sha, sync_files
from .locks import locked
from .refusal import Refused, refused

MARGIN_BYTES = 8 << 20
UNPACKER = ".lock"
"""The lock of whoever unpacks."""
TEMPORARY = ".tmp-"
WAIT_S = 300.0
"""For another one to finish unpacking."""
MERGED = ("purelib", "platlib")
"""Folders of a wheel's `NAME.data` that lie in the environment; scripts, headers and data are no part of it."""


def sites(workdir: str, shas: Sequence[str]) -> Dict[str, str]:
    """Those of the wheels that are unpacked, with their folders."""
    found = {}
    for sha in shas:
        path = _path(workdir, sha)
        if os.path.isdir(path):
            with contextlib.suppress(OSError):
                os.utime(path)  # in use: see clean
            found[sha] = path
    return found


def unpack(workdir: str, sha: str, name: str) -> str:
    """Unpack a wheel that lies among the blobs, and remove it there; returns the folder.

    Args:
        name: of the wheel, for messages.

    Raises:
        Refused: it is not there or damaged, would write outside its folder, or the disk is full.
    """
    path = _path(workdir, sha)
    blob = os.path.join(workdir, "blobs", sha)
    folder = os.path.dirname(path)
    temporary = os.path.join(folder, TEMPORARY + sha)
    try:
        os.makedirs(folder, exist_ok=True)
        with locked(os.path.join(folder, UNPACKER), WAIT_S) as alone:
            if not alone:
                raise Refused("busy", "another edgeprof is unpacking here")
            _remove_halves(folder)
            if not os.path.isdir(path):
                try:
                    _extract(blob, sha, name, temporary)
                    # Else a power cut could leave the name of a folder whose files are empty.
                    sync_files(temporary)
                    os.rename(temporary, path)
                finally:
                    shutil.rmtree(temporary, ignore_errors=True)
            with contextlib.suppress(FileNotFoundError):
                os.unlink(blob)
    except OSError as error:
        raise refused(error, "%s cannot be unpacked" % name) from error
    return path


def _extract(blob: str, sha: str, name: str, folder: str) -> None:
    try:
        if hash_file(blob).hexdigest() != sha:
            os.unlink(blob)
            raise Refused("damaged", "%s was damaged on this device; it has to be sent again" % name)
        with zipfile.ZipFile(blob) as archive:
            members = list(_members(archive, name))
            needed = sum(info.file_size for info, _ in members) + MARGIN_BYTES
            free = free_bytes(os.path.dirname(folder))
            if needed > free:
                message = "%s needs %d MB unpacked, %d MB are free" % (name, needed // 10**6, free // 10**6)
                raise Refused("disk_full", message)
            os.mkdir(folder)
            for info, parts in members:
                # As bytes: the same name whatever the locale is.
                path = os.path.join(os.fsencode(folder), *(part.encode() for part in parts))
                os.makedirs(os.path.dirname(path), exist_ok=True)
                with archive.open(info) as source, open(path, "wb") as target:
                    shutil.copyfileobj(source, target, 1 << 20)
    except FileNotFoundError as error:
        raise Refused("damaged", "%s is not on this device" % name) from error
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError, UnicodeError) as error:
        raise Refused("damaged", "%s is no wheel: %s" % (name, error)) from error


def _members(archive: zipfile.ZipFile, name: str) -> Iterator[Tuple[zipfile.ZipInfo, List[str]]]:
    """The files to unpack, each with the parts of its path below the folder."""
    for info in archive.infolist():
        if info.is_dir():
            continue
        parts = info.filename.split("/")
        kind = stat.S_IFMT(info.external_attr >> 16)
        # An absolute path begins with an empty part.
        if any(part in ("", ".", "..") or "\\" in part for part in parts) or kind not in (0, stat.S_IFREG):
            raise Refused("damaged", "%s is no wheel to unpack: it holds %r" % (name, info.filename[:100]))
        if parts[0].endswith(".data"):
            if len(parts) < 3 or parts[1] not in MERGED:
                continue
            parts = parts[2:]
        yield info, parts


def _remove_halves(folder: str) -> None:
    """What an unpacking that was killed has left."""
    for entry in os.listdir(folder):
        if entry.startswith(TEMPORARY):
            shutil.rmtree(os.path.join(folder, entry), ignore_errors=True)


def _path(workdir: str, sha: str) -> str:
    if not is_sha(sha):
        raise Refused("other", "this is no sha256: %s" % repr(sha)[:80])
    return os.path.join(workdir, "site", sha)
