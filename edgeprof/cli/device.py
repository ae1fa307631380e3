"""`edgeprof device`: add a board, trust its key, look at it, say what ails it, make room on it."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from edgeprof.cli import console, host_keys
from edgeprof.cli.app import Options, app
from edgeprof.cli.measure import PANEL
from edgeprof.cli.options import AsJson, ExporterNames, Wait, seconds
from edgeprof.cli.writing import suite_to_write
from edgeprof.errors import DeviceError, UsageError

if TYPE_CHECKING:
    from edgeprof.records import Device, DeviceFacts

device_app = typer.Typer(no_args_is_help=True, help="Add boards, look at them, and keep them in order.")
app.add_typer(device_app, name="device", rich_help_panel=PANEL)

Name = Annotated[str, typer.Argument(help="A file of devices/.")]
Fingerprint = Annotated[
    str | None,
    typer.Option(help="The host key that you expect, SHA256:..., for scripts: nothing is asked, another is refused."),
]

ADDRESS = re.compile(
    r"(?:(?P<user>[^@\s/]+)@)?(?P<host>\[[0-9A-Fa-f:.%]+\]|[^@:\s\[\]/]+|[0-9A-Fa-f:]*:[0-9A-Fa-f:.]+)(?::(?P<port>\d+))?"
)


@device_app.command(
    epilog="Examples: `edgeprof device add pi pi@raspberrypi.local`, `edgeprof device add jetson jetson` (a Host of"
    " ~/.ssh/config), `edgeprof device add ci root@10.0.0.7:2222 --fingerprint SHA256:...`"
)
@console.reported
def add(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="What to call it: the name of its file, and for --device.")],
    address: Annotated[str, typer.Argument(help="[USER@]HOST[:PORT], or a Host of ~/.ssh/config.")],
    fingerprint: Fingerprint = None,
    key_file: Annotated[Path | None, typer.Option(help="A private key, if the usual ones are not it.")] = None,
    password_env: Annotated[
        str | None, typer.Option(help="Environment variable with the password or the key's passphrase.")
    ] = None,
    python: Annotated[str | None, typer.Option(help="The board's Python, if python3 is not it.")] = None,
    workdir: Annotated[str | None, typer.Option(help="Folder on the board. Default: ~/.cache/edgeprof there.")] = None,
    provision: Annotated[
        bool | None,
        typer.Option("--provision/--no-provision", help="Whether edgeprof brings the runtimes. Default: it does."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a file of that name for another address.")] = False,
    as_json: AsJson = False,
) -> None:
    """Add a board that is reached over SSH: connect, look at it, and write devices/NAME.toml."""
    from edgeprof import pipeline, suite, suite_files
    from edgeprof.cli import device_lines

    options: Options = context.obj
    board = _board(name, address, key_file, password_env, python, workdir, provision)
    suite.check_device(board)
    root = suite_to_write(options)
    known = _known(root, board, force)
    if known is not None:
        given = {key: value for key, value in msgspec.structs.asdict(board).items() if value not in UNSAID}
        board = msgspec.structs.replace(known, **given)
    board = msgspec.structs.replace(board, known_hosts=str(root / "devices" / "known_hosts"))
    store = options.store()
    with console.progress() as progress, _unwritten(root / "devices" / f"{name}.toml"):
        expected = fingerprint
        while not (seen := pipeline.presented(board, progress)).known:
            other = seen.jump and expected not in (None, seen.fingerprint)
            if other or host_keys.decided(seen, board, expected) is None:
                # Written already, so that `edgeprof device trust NAME` knows whom it is about.
                suite_files.write_device(root, _plain(board))
                raise host_keys.untrusted(seen, board)
            pipeline.accept(board, seen)
            expected = None if seen.jump else expected
        if expected not in (None, seen.fingerprint):
            raise host_keys.other_key(seen, board, str(expected))
        facts = pipeline.probe(store, board, progress)
    described = {} if known is not None and known.description else _described(facts)
    path = suite_files.write_device(root, msgspec.structs.replace(_plain(board), **described))
    if as_json:
        console.print_json(
            {
                "schema": console.JSON_SCHEMA,
                "device": name,
                "file": str(path),
                "host_key": seen.fingerprint,
                "facts": facts,
            }
        )
    else:
        device_lines.tell_facts(facts)
        print(f"{'written':<11} {console.shown_path(path)}")
    console.say(f"next: edgeprof run --device {name}    what would spoil a measurement: edgeprof device doctor {name}")


@device_app.command(
    epilog="Examples: `edgeprof device trust pi`, `edgeprof device trust pi --fingerprint SHA256:...` in scripts"
)
@console.reported
def trust(context: typer.Context, name: Name, fingerprint: Fingerprint = None, as_json: AsJson = False) -> None:
    """Take a board's host key for its own from now on, after you compared it: it asks, or takes --fingerprint."""
    from edgeprof import pipeline

    options: Options = context.obj
    suite = options.suite()
    board = suite.device(name)
    with console.progress() as progress:
        file: Path | None = None
        while not (seen := pipeline.presented(board, progress)).known:
            if host_keys.decided(seen, board, fingerprint) is None:
                raise host_keys.untrusted(seen, board)
            file = pipeline.accept(board, seen)
            if not seen.jump or fingerprint is not None:
                break
        if fingerprint not in (None, seen.fingerprint):
            raise host_keys.other_key(seen, board, str(fingerprint))
    if as_json:
        written = None if file is None else str(file)
        console.print_json(
            {
                "schema": console.JSON_SCHEMA,
                "device": name,
                "host_key": seen.fingerprint,
                "type": seen.kind,
                "file": written,
            }
        )
    elif file is None:
        print(f"{name}: {seen.kind} {seen.fingerprint} was trusted already")
    else:
        whose = f"jump host {seen.host}" if seen.jump else name
        print(f"{whose}: {seen.kind} {seen.fingerprint} is trusted now, in {console.shown_path(file)}")
    if seen.jump:
        console.say(f"next, the key of {name} itself: edgeprof device trust {name}")


@device_app.command(epilog="Example: `edgeprof device probe localhost --json`")
@console.reported
def probe(context: typer.Context, name: Name, as_json: AsJson = False) -> None:
    """Connect to a device and print what it is: board, processor, memory, system, clock, heat, runtimes."""
    from edgeprof.cli import device_lines

    options: Options = context.obj
    with console.progress() as progress:
        facts = options.api().probe(name, progress=progress)
    if as_json:
        console.print_json({"schema": console.JSON_SCHEMA, "device": name, "facts": facts})
    else:
        device_lines.tell_facts(facts)


@device_app.command(epilog="Examples: `edgeprof device doctor pi`, `edgeprof device doctor jetson -e onnx-fp32 --json`")
@console.reported
def doctor(context: typer.Context, name: Name, exporter: ExporterNames = None, as_json: AsJson = False) -> None:
    """Say in plain words what would spoil a measurement on a device, and the command that mends it."""
    from edgeprof.cli import device_lines

    options: Options = context.obj
    with console.progress() as progress:
        findings = options.api().doctor(name, exporters=exporter, progress=progress)
    if as_json:
        console.print_json({"schema": console.JSON_SCHEMA, "device": name, "findings": findings})
    else:
        device_lines.tell_findings(name, findings)


@device_app.command(epilog="Examples: `edgeprof device clean pi`, `edgeprof device clean pi --older-than 1h`")
@console.reported
def clean(
    context: typer.Context,
    name: Name,
    older_than: Annotated[str, typer.Option(help="Remove what was not used for so long: 30m, 24h.")] = "168h",
    everything: Annotated[bool, typer.Option("--all", help="Remove all that edgeprof keeps there.")] = False,
    wait: Wait = "0",
    as_json: AsJson = False,
) -> None:
    """Make room on a board: remove files, environments and ended sessions that were not used for a week."""
    from edgeprof import pipeline

    options: Options = context.obj
    board = options.suite().device(name)
    limit, wait_s = seconds(older_than, "--older-than"), seconds(wait, "--wait")
    store = options.store()
    with store.lock(f"edgeprof device clean {name}", wait_s), console.progress() as progress:
        done = pipeline.clean(store, board, limit, everything, wait_s, progress)
    if as_json:
        console.print_json({"schema": console.JSON_SCHEMA, "device": name, "files": done.files, "bytes": done.bytes})
    else:
        print(f"{name}: {done.files} files removed, {done.bytes / 1e6:.1f} MB")


def _board(
    name: str,
    address: str,
    key_file: Path | None,
    password_env: str | None,
    python: str | None,
    workdir: str | None,
    provision: bool | None,
) -> Device:
    from edgeprof.records import Device

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


UNSAID: tuple[object, ...] = (None, "", (), {}, "auto", (1, "all"))
"""Values that nobody has asked for: adding a board again keeps what its file says there."""


def _known(root: Path, board: Device, force: bool) -> Device | None:
    """What its file says of the board already; another board does not get its name by accident."""
    from edgeprof import suite

    path = root / "devices" / f"{board.name}.toml"
    if force or not path.exists():
        return None
    known = suite.load(path, type(board))
    if (known.host, known.user, known.port) != (board.host, board.user, board.port):
        raise UsageError(
            f"there is a device {board.name!r} already, at {known.host or 'this machine'}",
            where=str(path),
            hint="choose another name, or replace it with --force",
        )
    return known


@contextlib.contextmanager
def _unwritten(path: Path) -> Iterator[None]:
    """A hint to correct a file that is not there yet says where to correct it instead."""
    try:
        yield
    except DeviceError as error:
        if error.hint and path.name in error.hint and not path.exists():
            error.hint += "; it is not written yet: say it to edgeprof device add (see --help)"
        raise


def _plain(board: Device) -> Device:
    """As it stands in its file."""
    return msgspec.structs.replace(board, known_hosts=None)


def _described(facts: DeviceFacts) -> dict[str, object]:
    """What is worth writing down of a board: a line for people, and tags to choose it by."""
    what = ", ".join(part for part in (facts.board, facts.cpu, facts.os) if part)
    tags = [facts.userland or facts.architecture]
    board = (facts.board or "").lower()
    tags += [tag for tag, word in (("raspberry-pi", "raspberry pi"), ("jetson", "jetson")) if word in board]
    return {"description": "".join(c for c in what if c.isprintable())[:120], "tags": tuple(tags)}
