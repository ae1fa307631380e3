"""How a board gets into a suite: its address in words, what its file says already, and its host key."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from edgeprof import suite as suites
from edgeprof.errors import DeviceError, UsageError
from edgeprof.records import Device

if TYPE_CHECKING:
    from edgeprof.api.types import HostKey
    from edgeprof.progress import Progress
    from edgeprof.records import DeviceFacts

Ask = Callable[["HostKey", Device], bool | None]
"""Asks a person whether a host key that is not known is that of the device (or of a jump host on the way to it)."""
ADDRESS = re.compile(
    r"(?:(?P<user>[^@\s/]+)@)?(?P<host>\[[0-9A-Fa-f:.%]+\]|[^@:\s\[\]/]+|[0-9A-Fa-f:]*:[0-9A-Fa-f:.]+)(?::(?P<port>\d+))?"
)
UNSAID: tuple[object, ...] = (None, "", (), {}, "auto", (1, "all"))
"""Values that nobody has asked for: adding a board again keeps what its file says there."""


def board_at(
    name: str,
    address: str,
    key_file: Path | None,
    password_env: str | None,
    python: str | None,
    workdir: str | None,
    provision: bool | None,
) -> Device:
    """A device as `add_device` is told of it.

    Raises:
        UsageError: the address is none.
    """
    found = ADDRESS.fullmatch(address.strip())
    if not found:
        raise UsageError(f"{address!r} is no address", hint="[USER@]HOST[:PORT], for example pi@raspberrypi.local")
    return Device(
        name=name,
        transport="ssh",
        host=found["host"].strip("[]"),
        user=found["user"],
        port=int(found["port"]) if found["port"] else None,
        key_file=None if key_file is None else os.path.abspath(key_file.expanduser()),
        password_env=password_env,
        python=python,
        workdir=workdir,
        provision="never" if provision is False else "auto",
    )


def known_board(root: Path, board: Device, force: bool) -> Device | None:
    """What its file says of the board already; another board does not get its name by accident.

    Raises:
        UsageError: a device of that name is at another address.
    """
    path = root / "devices" / f"{board.name}.toml"
    if force or not path.exists():
        return None
    known = suites.load(path, type(board))
    if (known.host, known.user, known.port) != (board.host, board.user, board.port):
        raise UsageError(
            f"there is a device {board.name!r} already, at {known.host or 'this machine'}",
            where=str(path),
            hint="choose another name, or replace it with --force",
        )
    return known


def merged(known: Device | None, board: Device) -> Device:
    """What the file says, and over it what is said now."""
    if known is None:
        return board
    given = {key: value for key, value in msgspec.structs.asdict(board).items() if value not in UNSAID}
    return msgspec.structs.replace(known, **given)


@contextlib.contextmanager
def unwritten(path: Path) -> Iterator[None]:
    """A hint to correct a file that is not there yet says where to correct it instead."""
    try:
        yield
    except DeviceError as error:
        if error.hint and path.name in error.hint and not path.exists():
            error.hint += "; it is not written yet: say it to edgeprof device add (see --help)"
        raise


def plain(board: Device) -> Device:
    """As it stands in its file."""
    return msgspec.structs.replace(board, known_hosts=None)


def described(facts: DeviceFacts) -> dict[str, object]:
    """What is worth writing down of a board: a line for people, and tags to choose it by."""
    what = ", ".join(part for part in (facts.board, facts.cpu, facts.os) if part)
    tags = [facts.userland or facts.architecture]
    board = (facts.board or "").lower()
    tags += [tag for tag, word in (("raspberry-pi", "raspberry pi"), ("jetson", "jetson")) if word in board]
    return {"description": "".join(c for c in what if c.isprintable())[:120], "tags": tuple(tags)}


# --- host keys


def make_known(
    board: Device, fingerprint: str | None, ask: Ask | None, refused: Callable[[], object], progress: Progress
) -> HostKey:
    """The device's host key, once it and those of all jump hosts on the way are known; `refused` is called before the
    error where somebody does not take one.

    Raises:
        DeviceError: nobody took it for known, or it is not the one expected.
        LinkError: it cannot be asked for.
    """
    from edgeprof import pipeline

    expected = fingerprint
    while not (seen := pipeline.presented(board, progress)).known:
        other = seen.jump and expected not in (None, seen.fingerprint)
        if other or not decided(seen, board, expected, ask):
            refused()
            raise untrusted(seen, board)
        pipeline.accept(board, seen)
        expected = None if seen.jump else expected
    if expected not in (None, seen.fingerprint):
        raise other_key(seen, board, str(expected))
    return seen


def decided(seen: HostKey, board: Device, fingerprint: str | None, ask: Ask | None) -> bool:
    """Whether a person, or the script that a person wrote, takes the key for the board's.

    Raises:
        DeviceError: the script expects another.
    """
    if fingerprint is None:
        return bool(ask is not None and ask(seen, board))
    if fingerprint != seen.fingerprint:
        raise other_key(seen, board, fingerprint)
    return True


def untrusted(seen: HostKey, board: Device) -> DeviceError:
    """Nobody said that the key is the board's."""
    return DeviceError(
        f"the host key{_of_jump(seen)} is not known: {seen.kind} {seen.fingerprint}",
        where=board.name,
        hint=f"compare it there, then: edgeprof device trust {board.name}"
        f" (in scripts: edgeprof device trust {board.name} --fingerprint {seen.fingerprint})",
    )


def other_key(seen: HostKey, board: Device, fingerprint: str) -> DeviceError:
    """The key is not the one expected."""
    return DeviceError(
        f"the host key{_of_jump(seen)} is not the expected one: it is {seen.fingerprint}, expected is {fingerprint}",
        where=board.name,
        hint="either the expectation is wrong, or this is not the board you think it is; nothing was stored",
    )


def _of_jump(seen: HostKey) -> str:
    return f" of the jump host {seen.host}" if seen.jump else ""
