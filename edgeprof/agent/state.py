"""State of the device that edgeprof was asked to set while it measures, and that it puts back.

What was is written down durably before anything changes, so that whoever comes next can put it back: the session, its
watchdog when the session is killed, or the next session after a power cut. What somebody else has changed since stays.
"""

from __future__ import annotations

import contextlib
import glob
import json
import os
import pwd
import re
import shutil
import signal
import subprocess
import sys
from typing import Any, Dict, Iterator, List, Mapping, Optional, Sequence

from .locks import locked, read_object, replace, sync_folder
from .refusal import Refused, refused

RECORD = "restore.json"
LOCK = ".restore"
WAIT_S = 60.0
COMMAND_S = 30.0
PATH = "/usr/local/sbin:/usr/sbin:/sbin"
"""Where boards keep what a plain user's search path lacks."""
POLICIES = ("sys/devices/system/cpu/cpufreq/policy*", "sys/devices/system/cpu/cpu[0-9]*/cpufreq")


def apply(workdir: str, wanted: Mapping[str, Any], root: str = "/", token: str = "") -> None:
    """Set what is wanted: `governor` (a name, for all cores), `nvpmodel` (a mode's number); None is nothing wanted.

    Args:
        workdir: gets the note of what was.
        wanted: what is set.
        root: of the tree with /sys.
        token: of whoever may put it back besides those who ask for all.

    Raises:
        Refused: sudo, unsupported or the note could not be written; everything is as it was.
    """
    wanted = {key: value for key, value in wanted.items() if value is not None}
    unknown = sorted(set(wanted) - {"governor", "nvpmodel"})
    if unknown:
        raise Refused("unsupported", "edgeprof cannot set %s" % ", ".join(unknown))
    if not wanted:
        return
    with _alone(workdir):
        _put_back(workdir, None)
        steps = _modes(int(wanted["nvpmodel"])) if "nvpmodel" in wanted else []
        steps += _governors(str(wanted["governor"]), root) if "governor" in wanted else []
        steps = [step for step in steps if step["was"] != step["to"]]
        if not steps:
            return
        note = json.dumps({"token": token, "steps": steps}).encode()
        replace(os.path.join(workdir, RECORD), note, durable=True)
        try:
            for step in steps:
                _set(step, step["to"], steps)
        except Refused:
            with contextlib.suppress(Refused):
                _put_back(workdir, None)
            raise


def put_back(workdir: str, token: Optional[str] = None) -> bool:
    """Set what was; whether there was anything to put back.

    Args:
        workdir: has the note of what was, if anything was changed.
        token: None: whoever changed it.

    Raises:
        Refused: it could not be done; the note stays.
    """
    if not os.path.exists(os.path.join(workdir, RECORD)):
        return False
    with _alone(workdir):
        return _put_back(workdir, token)


def watchdog(workdir: str, token: str) -> int:
    """Start a process that puts back what bears the token as soon as this one has ended, however it ends.

    Returns:
        The descriptor whose closing tells it; the kernel closes it with us.
    """
    reads, writes = os.pipe()
    if os.fork():
        os.close(reads)
        return writes
    # From here on in the child, which must hold nothing of its parent's: neither its locks nor its place.
    status = 1
    try:
        os.setsid()
        for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        os.dup2(reads, 0)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os.closerange(3, min(os.sysconf("SC_OPEN_MAX"), 1 << 16))
        while os.read(0, 1):
            pass
        put_back(workdir, token=token)
        status = 0
    except (Refused, OSError) as error:
        sys.stderr.write("the watchdog could not put back what was: %s\n" % error)
    finally:
        os._exit(status)


@contextlib.contextmanager
def _alone(workdir: str) -> Iterator[None]:
    try:
        with locked(os.path.join(workdir, LOCK), WAIT_S) as ours:
            if not ours:
                raise Refused("busy", "another process sets or puts back the state of the device")
            yield
    except OSError as error:
        raise refused(error, "cannot note or put back the state of the device") from error


def _put_back(workdir: str, token: Optional[str]) -> bool:
    path = os.path.join(workdir, RECORD)
    note = read_object(path)
    if note is None or not isinstance(note.get("steps"), list):
        return False
    if token is not None and note.get("token") != token:
        return False
    steps = note["steps"]
    # All are read before any is set: a mode of nvpmodel changes governors as well.
    ours = [step for step in steps if _now(step) in (step["to"], None)]
    for step in ours:
        _set(step, step["was"], steps)
    os.unlink(path)
    sync_folder(workdir)
    return True


def _governors(governor: str, root: str) -> List[Dict[str, Any]]:
    found: List[str] = next(filter(None, (sorted(glob.glob(os.path.join(root, one))) for one in POLICIES)), [])
    steps = []
    for folder in found:
        path = os.path.join(folder, "scaling_governor")
        was, names = _text(path), _text(os.path.join(folder, "scaling_available_governors"))
        if was is None:
            continue  # its cores are switched off
        if names is not None and governor not in names.split():
            raise Refused("unsupported", "there is no governor %s here; there are: %s" % (governor, names))
        steps.append({"path": path, "was": was, "to": governor})
    if not steps:
        raise Refused("unsupported", "the kernel of this device lets nobody choose a governor")
    return steps


def _modes(mode: int) -> List[Dict[str, Any]]:
    if _which("nvpmodel") is None:
        raise Refused("unsupported", "there is no nvpmodel on this device")
    was = _mode()
    if was is None:
        raise Refused("unsupported", "nvpmodel -q does not tell the mode that is set now")
    return [{"nvpmodel": True, "was": was, "to": mode}]


def _mode() -> Optional[int]:
    """The mode that is set; the last line of `nvpmodel -q`."""
    for sudo in ([], ["sudo", "-n"]):
        with contextlib.suppress(OSError, subprocess.TimeoutExpired, ValueError, IndexError):
            done = _run([*sudo, str(_which("nvpmodel")), "-q"])
            if done.returncode == 0:
                return int(done.stdout.split()[-1])
    return None


def _now(step: Dict[str, Any]) -> Any:
    return _mode() if "nvpmodel" in step else _text(step["path"])


def _set(step: Dict[str, Any], value: Any, steps: Sequence[Dict[str, Any]]) -> None:
    """Do it as whoever we are, else by sudo, and look whether it is so.

    Raises:
        Refused: sudo, or unsupported.
    """
    if "nvpmodel" in step:
        _privileged([str(_which("nvpmodel")), "-m", str(value)], "", steps)
    elif not os.path.exists(step["path"]):
        return  # the mode has switched its cores off
    else:
        try:
            with open(step["path"], "w", encoding="ascii") as file:
                file.write(str(value))
        except PermissionError:
            _privileged([_which("tee") or "tee", step["path"]], str(value), steps)
        except OSError as error:
            raise Refused("unsupported", "%s takes no %s: %s" % (step["path"], value, error.strerror)) from error
    if _now(step) != value:
        where = "nvpmodel" if "nvpmodel" in step else step["path"]
        raise Refused("unsupported", "%s was to be set to %s and says %s" % (where, value, _now(step)))


def _privileged(command: List[str], given: str, steps: Sequence[Dict[str, Any]]) -> None:
    sudo = [] if os.geteuid() == 0 else ["sudo", "-n"]
    try:
        done = _run([*sudo, *command], given)
    except FileNotFoundError as error:
        raise Refused("sudo", "there is no sudo on this device, and only root may run %s" % command[0]) from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Refused("unsupported", "%s: %s" % (" ".join(command), error)) from error
    if done.returncode == 0:
        return
    if sudo and re.search("sudo|password", done.stderr):
        message = "sudo -n may not run %s. Add the line to /etc/sudoers.d/edgeprof (sudo visudo -f): %s"
        raise Refused("sudo", message % (" ".join(command), sudoers(steps)))
    raise Refused("unsupported", "%s: %s" % (" ".join(command), done.stderr.strip()[-200:] or done.returncode))


def sudoers(steps: Sequence[Dict[str, Any]]) -> str:
    """The line that allows exactly these steps and their way back; no wildcard, which would match any arguments."""
    commands = []
    for step in steps:
        if "nvpmodel" in step:
            commands += ["%s -m %d" % (_which("nvpmodel"), mode) for mode in sorted({step["was"], step["to"]})]
        else:
            commands.append("%s %s" % (_which("tee"), step["path"]))
    try:
        user = pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        user = "#%d" % os.geteuid()
    return "%s ALL=(root) NOPASSWD: %s" % (user, ", ".join(commands))


def _which(program: str) -> Optional[str]:
    return shutil.which(program, path=os.pathsep.join([os.environ.get("PATH", os.defpath), PATH]))


def _run(command: List[str], given: str = "") -> "subprocess.CompletedProcess[str]":
    # nvpmodel may ask whether to restart the device: an empty stdin answers nothing.
    return subprocess.run(
        command,
        input=given,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        errors="replace",
        timeout=COMMAND_S,
        check=False,
        env=dict(os.environ, LC_ALL="C"),
    )


def _text(path: str) -> Optional[str]:
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return None
