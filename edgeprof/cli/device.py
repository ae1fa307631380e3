"""`edgeprof device`: add a board, trust its key, look at it, say what ails it, make room on it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgeprof.cli import console, host_keys
from edgeprof.cli.app import Options, app
from edgeprof.cli.completing import device_names
from edgeprof.cli.measure import PANEL
from edgeprof.cli.options import AsJson, ExporterNames, Wait, seconds

device_app = typer.Typer(no_args_is_help=True, help="Add boards, look at them, and keep them in order.")
app.add_typer(device_app, name="device", rich_help_panel=PANEL)

Name = Annotated[str, typer.Argument(help="A file of devices/.", autocompletion=device_names)]
Fingerprint = Annotated[
    str | None,
    typer.Option(help="The host key that you expect, SHA256:..., for scripts: nothing is asked, another is refused."),
]


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
    from edgeprof.cli import device_lines

    options: Options = context.obj
    with console.progress() as progress:
        added = options.api().add_device(
            name,
            address,
            fingerprint=fingerprint,
            ask=host_keys.ask,
            key_file=key_file,
            password_env=password_env,
            python=python,
            workdir=workdir,
            provision=provision,
            force=force,
            progress=progress,
        )
    if as_json:
        console.print_json(
            {
                "schema": console.JSON_SCHEMA,
                "device": name,
                "file": str(added.file),
                "host_key": added.host_key,
                "facts": added.facts,
            }
        )
    else:
        device_lines.tell_facts(added.facts)
        print(f"{'written':<11} {console.shown_path(added.file)}")
    console.say(f"next: edgeprof run --device {name}    what would spoil a measurement: edgeprof device doctor {name}")


@device_app.command(
    epilog="Examples: `edgeprof device trust pi`, `edgeprof device trust pi --fingerprint SHA256:...` in scripts"
)
@console.reported
def trust(context: typer.Context, name: Name, fingerprint: Fingerprint = None, as_json: AsJson = False) -> None:
    """Take a board's host key for its own from now on, after you compared it: it asks, or takes --fingerprint."""
    options: Options = context.obj
    with console.progress() as progress:
        seen = options.api().trust_device(name, fingerprint=fingerprint, ask=host_keys.ask, progress=progress)
    if as_json:
        written = None if seen.file is None else str(seen.file)
        console.print_json(
            {
                "schema": console.JSON_SCHEMA,
                "device": name,
                "host_key": seen.host_key,
                "type": seen.kind,
                "file": written,
            }
        )
    elif seen.file is None:
        print(f"{name}: {seen.kind} {seen.host_key} was trusted already")
    else:
        whose = f"jump host {seen.host}" if seen.jump else name
        print(f"{whose}: {seen.kind} {seen.host_key} is trusted now, in {console.shown_path(seen.file)}")
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
    options: Options = context.obj
    limit, wait_s = seconds(older_than, "--older-than"), seconds(wait, "--wait")
    with console.progress() as progress:
        done = options.api().clean_device(
            name, older_than_s=limit, everything=everything, wait_s=wait_s, progress=progress
        )
    if as_json:
        console.print_json({"schema": console.JSON_SCHEMA, "device": name, "files": done.files, "bytes": done.bytes})
    else:
        files = "1 file" if done.files == 1 else f"{done.files} files"
        print(f"{name}: {files} removed, {done.bytes / 1e6:.1f} MB")
