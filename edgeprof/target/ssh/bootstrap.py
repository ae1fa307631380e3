"""The first command on a board: find its Python, its folder, and the agent, and start the agent."""

from __future__ import annotations

import secrets
import shlex
from typing import NamedTuple

from edgeprof.errors import DeviceError, LinkError
from edgeprof.records import Device
from edgeprof.target.ssh.errors import printable
from edgeprof.target.ssh.link import Link
from edgeprof.target.ssh.stream import Stream

FIND_S = 60.0
ANSWERED_S = 5.0
"""For an answer that nobody waits for in earnest."""
SEND_S = 120.0

# One line, without "!" and single quotes, so that any login shell hands it to sh as it is. Arguments: a line to print
# first, after whatever the login shell has printed; the Python asked for or ""; the folder asked for or ""; the
# agent's sha256. It prints what it found and becomes the agent. A Python that was asked for is started as it was named
# (it may be a script that sets something up), one that was found by itself without whatever stands before it.
_START = (
    'printf "\\n%s\\n" "$1"; umask 077; cd ~ 2>/dev/null; : "${HOME:=$PWD}"; '
    'case "$3" in "") w="$HOME/.cache/edgeprof";; "~"/*) w="$HOME/${3#??}";; /*) w="$3";; *) w="$HOME/$3";; esac; '
    'printf "workdir=%s\\n" "$w"; mkdir -p "$w/blobs" || exit 21; printf "" > "$w/blobs/.write" || exit 21; '
    "old=; bad=; p=; "
    't() { c="$1"; case "$c" in "~"/*) c="$HOME/${c#??}";; esac; f=$(command -v "$c" 2>/dev/null) || return 1; '
    'v=$("$f" -c "import sys; v = sys.version_info; print(\\"=\\" + sys.executable if v >= (3, 8) else '
    '\\"%d.%d\\" % v[:2])") || { bad="$f"; return 1; }; '
    'case "$v" in =*) p="${v#=}"; : "${p:=$f}";; *) old="$old $v"; return 1;; esac; }; '
    'if [ -n "$2" ]; then t "$2" && case "$f" in /*) p="$f";; *) p="$PWD/$f";; esac; else '
    'for n in 3 3.14 3.13 3.12 3.11 3.10 3.9 3.8; do t "python$n" && break; done; fi; '
    'if [ -z "$p" ]; then printf "old=%s\\nbad=%s\\n" "$old" "$bad"; exit 22; fi; '
    'printf "python=%s\\n" "$p"; a="$w/blobs/$4"; if [ -f "$a" ]; then touch "$a"; else exit 23; fi; '
    'printf "agent=%s\\n" "$a"; PYTHONUTF8=1; export PYTHONUTF8; exec "$p" "$a" serve --workdir "$w" --mark "$1"'
)
# Whole or not at all, also when the host dies meanwhile or another sends the same. Arguments: where, how many bytes.
_TAKE = (
    'umask 077; n="$1.$$.new"; cat > "$n" && [ "$(wc -c < "$n")" -eq "$2" ] && mv -f "$n" "$1" && exit; '
    'rm -f "$n"; exit 1'
)

NO_FOLDER, NO_PYTHON, NO_AGENT = 21, 22, 23
BEFORE = ""
"""Under this key: the last line that came before our script began."""


class Place(NamedTuple):
    """Where things are on the device."""

    python: str
    agent: str
    workdir: str

    def command(self, mode: str, mark: str, *more: str) -> list[str]:
        """`follow` as a command."""
        # -S -E: it needs the standard library alone, and starts faster without what a site adds.
        python = [self.python, "-S", "-E", "-X", "utf8"]
        return [*python, self.agent, mode, "--workdir", self.workdir, "--mark", mark, *more]


def start(link: Link, device: Device, program: bytes, sha: str, *, anew: bool = False) -> tuple[Stream, Place]:
    """The agent on the device, started, and where it is; the agent is sent first where it is missing.

    Args:
        program: the agent's zip, whose sha256 is `sha`.
        anew: send it even if a file of its name is there.

    Raises:
        LinkError: the link broke.
        DeviceError: no Python, one that is too old, or no place to write.
    """
    stream, found, status = _try(link, device, sha)
    workdir = found.get("workdir", "")
    # A file of its name that does not even start: a power cut may leave it empty.
    broken = "agent" in found and status is not None
    if status == NO_AGENT or broken or (anew and status is None):
        stream.close()
        _send(link, device, f"{workdir}/blobs/{sha}", program)
        stream, found, status = _try(link, device, sha)
    if status is None:
        return stream, Place(found["python"], found["agent"], workdir)
    said = stream.stderr.splitlines()[-1] if stream.stderr else found.get(BEFORE, "")
    stream.close()
    if status == NO_FOLDER:
        raise DeviceError(
            f"the folder {workdir} on the device cannot be written" + (f": {said}" if said else ""),
            where=device.name,
            hint=f'name another one in devices/{device.name}.toml, such as workdir = "/tmp/edgeprof",'
            " or make room on its disk",
        )
    if status == NO_PYTHON:
        raise _no_python(device, list(dict.fromkeys(found.get("old", "").split())), found.get("bad", ""), said)
    if "agent" in found:
        raise DeviceError(
            f"the agent does not start on the device: it ended with exit status {status}"
            + (f": {said}" if said else ""),
            where=device.name,
            hint=f"see there whether its Python is whole: {found['python']} -c 'import json, subprocess'",
        )
    raise DeviceError(
        f"the account's shell on the device runs no commands: it ended with exit status {status}"
        + (f": {said}" if said else ""),
        where=f"{device.name}, {link.address}",
        hint=f"give it an ordinary one, there: sudo chsh -s /bin/sh {link.address.user}; or something ends it"
        " before: look for exit in ~/.bashrc, ForceCommand in sshd_config, command= in ~/.ssh/authorized_keys",
    )


def skip_to(stream: Stream, mark: str, timeout_s: float) -> None:
    """Read past what a login shell prints.

    Raises:
        LinkError: the mark does not come.
    """
    while stream.read_line(timeout_s).strip() != mark.encode():
        pass


def new_mark() -> str:
    """A line that no login shell prints by chance."""
    return f"edgeprof-{secrets.token_hex(8)}"


def _try(link: Link, device: Device, sha: str) -> tuple[Stream, dict[str, str], int | None]:
    """Run the script; what it found, and its exit status unless it became the agent."""
    mark = new_mark()
    command = ["/bin/sh", "-c", _START, "sh", mark, device.python or "", device.workdir or "", sha]
    stream = link.open(command)
    found: dict[str, str] = {}
    try:
        while (said := stream.read_line(FIND_S).strip()) != mark.encode():
            found[BEFORE] = printable(said) or found.get(BEFORE, "")
        while True:
            try:
                line = stream.read_line(FIND_S).decode()
            except UnicodeDecodeError as error:
                raise _odd_folder(device) from error
            if line == mark:
                return stream, found, None
            key, _, value = line.partition("=")
            found[key] = value
    except LinkError:
        if stream.status is None:
            stream.close()
            raise
        return stream, found, stream.status
    except DeviceError:
        stream.close()
        raise


def _send(link: Link, device: Device, path: str, program: bytes) -> None:
    """Bring the agent there; it tells its own sha256 when it is greeted."""
    done = link.run(["/bin/sh", "-c", _TAKE, "sh", path, str(len(program))], SEND_S, program)
    if done.status != 0:
        said = done.stderr.splitlines()[-1] if done.stderr else f"exit status {done.status}"
        raise DeviceError(
            f"the agent cannot be written on the device: {said}",
            where=f"{device.name}, {path}",
            # Not `device clean`, which is the agent's work.
            hint="make room on its disk, or name another workdir in its file; what edgeprof keeps there can go, on the"
            f" device: rm -rf {shlex.quote(path.rpartition('/')[0])}",
        )


def _odd_folder(device: Device) -> DeviceError:
    return DeviceError(
        "the folder on the device has a name that is not UTF-8",
        where=device.name,
        hint=f'name another one in devices/{device.name}.toml, such as workdir = "/var/tmp/edgeprof"',
    )


def _no_python(device: Device, old: list[str], broken: str, said: str) -> DeviceError:
    where = f"devices/{device.name}.toml, python" if device.python else device.name
    if old:
        return DeviceError(
            f"the device's Python is too old: {', '.join(old)}; the agent needs 3.8 or newer",
            where=where,
            hint="on the device: sudo apt-get install python3.8 (or newer), which is found beside the old one;"
            ' elsewhere than in PATH by python = "/opt/python3.11/bin/python3" in the device file',
        )
    if broken:
        return DeviceError(
            f"the device's Python {broken} does not run" + (f": {said}" if said else ""),
            where=where,
            hint='try it on the device, or name another one in the device file: python = "/usr/bin/python3.11"',
        )
    if device.python:
        return DeviceError(
            f"there is no such Python on the device: {device.python}",
            where=where,
            hint="leave python out of the device file, or name one that is there (on the device: command -v python3)",
        )
    return DeviceError(
        "there is no Python on the device",
        where=where,
        hint="on the device: sudo apt-get install python3 (Debian, Raspberry Pi OS, JetPack)",
    )
