"""Files that the host sends, kept in `workdir/blobs` under their sha256: nothing bears that name before it was hashed.

The wire after the call {"call": "receive"}, host to device on `source`, device to host, one JSON object a line, on
`out`:

    host    {"files": [["<sha>", size], ...], "fence": int|null, "lease": folder|null}
    device  {"event": "have", "offsets": {"<sha>": bytes}, "whole": bool, "free_bytes": N}
    host    the bytes of each file from its offset on, in the order of the list, nothing between them
    device  {"event": "received", "damaged": ["<sha>", ...]}

Only files of which something is there have an offset, equal to the size where the file is whole and was hashed just
now; all of them are when `whole`, and then none is named. A long list may be asked for by the sha256 of its JSON,
{"known": "<sha>", "fence", "lease"}; the device answers {"event": "unknown"} unless it took in that list before.
Several lists may follow one another; {"end": true} is the last. {"event": "refused", ...} ends it at any moment, and
the agent with it, for nobody knows what is still under way; so does the end of `source`: what is there of a file then
stays as `<sha>.part` and is continued the next time.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import signal
import stat
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Tuple

from .only import only
from .refusal import Refused, refused
from .source import Source, SourceEndedError

RECEIVER = ".receiver"
"""The lock of whoever receives."""
LIST_BYTES = 8 << 20
"""More than any list that makes sense."""
MOST_BYTES = 1 << 44
MANY = 64
"""A longer list is kept, so that the host need not send it again."""
SYNC_EACH = 8
"""Up to so many files are made durable one by one; more of them by one sync of the file system."""
READ = 1 << 20
WRITE_OUT = 8 << 20


class Wanted(NamedTuple):
    """A file that the host wants here."""

    sha: str
    size: int


def receive(workdir: str, source_fd: int, out_fd: int, read: bytes = b"") -> Optional[bytes]:
    """Take in what the host sends. See the wire above.

    Args:
        read: what has been read from `source_fd` already.

    Returns: what was read beyond its end; None when it broke off, so that nothing sensible can follow.
    """

    def tell(event: Dict[str, Any]) -> None:
        data = (json.dumps(event, separators=(",", ":")) + "\n").encode()
        while data:
            data = data[os.write(out_fd, data) :]

    with contextlib.suppress(SourceEndedError, BrokenPipeError):
        try:
            before = signal.signal(signal.SIGTERM, _replaced)
            try:
                source = Source(source_fd, read)
                _Receiver(blobs_folder(workdir), source, tell).run()
                return source.rest()
            finally:
                signal.signal(signal.SIGTERM, before)
        except Refused as error:
            tell(error.event())
        except BrokenPipeError:
            raise
        except OSError as error:
            tell(refused(error, "the files cannot be taken in").event())
    return None


class _Receiver:
    def __init__(self, folder: str, source: Source, tell: Callable[[Dict[str, Any]], None]) -> None:
        self.folder = folder
        self.renew: Callable[[], None] = lambda: None
        self.source = source
        self.tell = tell

    def run(self) -> None:
        with only(os.path.join(self.folder, RECEIVER)):
            while True:
                line = _object(self.source.line(LIST_BYTES))
                if line.get("end"):
                    return
                self.take(self.asked(line))

    def asked(self, line: Dict[str, Any]) -> List[Wanted]:
        """The list that the host asks for, by itself or by its sha256."""
        self.renew = _renewer(line)
        self.renew()
        if "known" in line:
            sha = line["known"]
            if is_sha(sha) and self.whole(sha):
                with open(self.path(sha), "rb") as file:
                    return _wanted(_object(file.read()).get("files"))
            self.tell({"event": "unknown"})
            line = _object(self.source.line(LIST_BYTES))
        return _wanted(line.get("files"))

    def take(self, files: List[Wanted]) -> None:
        """Carry out one list."""
        offsets = {}
        missing = []
        for wanted in files:
            offset, known = self.begun(wanted)
            if known is not None:
                missing.append((wanted, offset, known))
            if offset:
                offsets[wanted.sha] = offset
        free = free_bytes(self.folder)
        self.tell({"event": "have", "offsets": offsets if missing else {}, "whole": not missing, "free_bytes": free})
        each = len(missing) <= SYNC_EACH
        damaged = [file.sha for file, offset, known in missing if not self.file(file, offset, known, each)]
        if missing and not each:
            sync_files(self.folder)
        if len(files) > MANY and not damaged:
            self.keep(list_bytes(files))
        self.tell({"event": "received", "damaged": damaged})

    def begun(self, wanted: Wanted) -> Tuple[int, Any]:
        """How much of a file is there, and the hash of that to be continued; None where the file is whole."""
        if self.whole(wanted.sha):
            return wanted.size, None
        path = self.path(wanted.sha)
        try:
            found = os.lstat(path + ".part")
        except FileNotFoundError:
            return 0, hashlib.sha256()
        if stat.S_ISREG(found.st_mode) and found.st_size <= wanted.size:
            known = hash_file(path + ".part")
            if found.st_size < wanted.size:
                return found.st_size, known
            if known.hexdigest() == wanted.sha:
                os.replace(path + ".part", path)
                return wanted.size, None
        os.unlink(path + ".part")
        return 0, hashlib.sha256()

    def whole(self, sha: str) -> bool:
        """Whether a blob is there and still what its name says; a wrong one is removed."""
        path = self.path(sha)
        try:
            found = os.lstat(path)
        except FileNotFoundError:
            return False
        if not stat.S_ISREG(found.st_mode) or hash_file(path).hexdigest() != sha:
            os.unlink(path)
            return False
        os.utime(path)  # in use: see clean
        return True

    def file(self, wanted: Wanted, offset: int, known: Any, sync: bool) -> bool:
        """Append what arrives; whether the whole has the sha256 that was said. A wrong one is removed."""
        path = self.path(wanted.sha)
        part = path + ".part"
        handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
        try:
            left = wanted.size - offset
            begin = offset
            while left:
                data = self.source.some(left)
                left -= len(data)
                known.update(data)
                while data:
                    data = data[os.write(handle, data) :]
                if wanted.size - left - begin >= WRITE_OUT:
                    # Has the kernel begin to write it to the disk; it would wait for long, and then we for it.
                    os.posix_fadvise(handle, begin, WRITE_OUT, os.POSIX_FADV_DONTNEED)
                    begin += WRITE_OUT
                    self.renew()
            if known.hexdigest() != wanted.sha:
                os.unlink(part)
                return False
            if sync:
                os.fsync(handle)
            os.replace(part, path)
            return True
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            free = free_bytes(self.folder)
            message = "the disk is full: %d MB are free, %d MB of this file were left" % (free // 10**6, left // 10**6)
            raise Refused("disk_full", message) from error
        finally:
            os.close(handle)

    def keep(self, data: bytes) -> None:
        """Keep bytes that are here already as a blob."""
        path = self.path(hashlib.sha256(data).hexdigest())
        if not os.path.exists(path):
            with open(path + ".part", "wb") as file:
                file.write(data)
            os.replace(path + ".part", path)

    def path(self, sha: str) -> str:
        return os.path.join(self.folder, sha)


def blobs_folder(workdir: str) -> str:
    """Where the blobs lie, made if it is not there.

    Raises:
        Refused: it cannot be made.
    """
    folder = os.path.join(workdir, "blobs")
    try:
        os.makedirs(folder, mode=0o755, exist_ok=True)
    except OSError as error:
        raise refused(error, "the folder for files cannot be made") from error
    return folder


def free_bytes(folder: str) -> int:
    """What an ordinary user may still write there."""
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize


def is_sha(text: Any) -> bool:
    """Whether it is a sha256 as we write it: nothing else ever becomes a path."""
    return isinstance(text, str) and len(text) == 64 and all(letter in "0123456789abcdef" for letter in text)


def hash_file(path: str) -> Any:
    """The sha256 object of a file's bytes, to be asked or continued."""
    known = hashlib.sha256()
    buffer = memoryview(bytearray(READ))
    with open(path, "rb", buffering=0) as file:
        while True:
            count = file.readinto(buffer)
            if not count:
                return known
            known.update(buffer[:count])


def list_bytes(files: List[Wanted]) -> bytes:
    """The list as it is named by its sha256; the host makes the same bytes."""
    return json.dumps({"files": files}, separators=(",", ":")).encode()


def sync_files(folder: str) -> None:
    """Make all of the folder's file system durable, and have its writing over before anything is measured."""
    import ctypes

    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if ctypes.CDLL(None).syncfs(handle) != 0:
            os.sync()
    except (AttributeError, OSError):
        os.sync()
    finally:
        os.close(handle)


def _wanted(files: Any) -> List[Wanted]:
    """The list, if it is one.

    Raises:
        Refused: it is none, or names a file that cannot be.
    """
    found: Dict[str, Wanted] = {}
    for entry in files if isinstance(files, list) else [None]:
        sha, size = entry if isinstance(entry, list) and len(entry) == 2 else ("", 0)
        # type(): True is an int too.
        if not is_sha(sha) or type(size) is not int or not 0 <= size <= MOST_BYTES or sha in found:
            raise Refused("other", "this is no list of files to take in: %s" % repr(entry)[:100])
        found[sha] = Wanted(sha, size)
    return list(found.values())


def _renewer(line: Dict[str, Any]) -> Callable[[], None]:
    """Renews the lease that the host holds, if it holds one: bytes that arrive say that it is there."""
    fence, folder = line.get("fence"), line.get("lease")
    if fence is None:
        return lambda: None
    if type(fence) is not int or not (folder is None or isinstance(folder, str)):
        raise Refused("other", "this is no lease: %s" % repr((fence, folder))[:100])
    from .lease import HOST_S, Lease

    return lambda: Lease(folder).renew(fence, os.getpid(), HOST_S)


def _object(line: bytes) -> Dict[str, Any]:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise Refused("other", "this is no list of files to take in: %s" % repr(line[:80]))
    return found


def _replaced(number: int, frame: Any) -> None:
    raise Refused("busy", "another transfer to this device has taken over")
