"""The wheels that a device needs to run a format, fetched on the host: a board need not reach any index.

Fetched are only the runtime itself and numpy, see `RUNTIMES`; what they came to is remembered in the store, so that the
next run asks nothing.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
import zipfile
from contextlib import suppress
from email.parser import HeaderParser
from pathlib import Path
from typing import NamedTuple

from edgeprof.errors import DeviceError, RecordError, UsageError
from edgeprof.progress import Progress
from edgeprof.records import Record, digest
from edgeprof.store import Store

KIND = "wheels"
FETCH_S = 600.0
"""For one package and its numpy."""
MISSING_KEPT_S = 86400.0
"""How long it is believed that there is no wheel."""
OLDEST_GLIBC = 17
"""manylinux2014; pip lets the older tags follow from it."""


class Wanted(NamedTuple):
    """What a wheel must fit."""

    architecture: str
    """As `uname -m` tells it: "aarch64", "x86_64", "armv7l"."""
    python: str
    """"3.11"."""
    glibc: str
    """"2.36"; empty where the C library is another."""


class Wheel(NamedTuple):
    """A wheel in the store's blobs."""

    name: str
    sha: str


class NoWheel(NamedTuple):
    """There is none for that device."""

    package: str
    why: str


class Runtime(NamedTuple):
    """A package that runs a format."""

    package: str
    numpy: str = ""
    """What its numpy must be, beside what the package itself asks for."""


# Format -> packages that can run it, the preferred one first. Each needs itself and numpy, nothing else that it names:
# found by opening and running a model with only these two on PYTHONPATH and without site-packages, with
# onnxruntime 1.19.2, 1.23.2 and 1.32.0 (names flatbuffers, packaging, protobuf, sympy, coloredlogs), openvino 2024.4.0,
# 2025.3.0 and 2026.4.1 (openvino-telemetry, packaging), ai-edge-litert 2.1.0 and 2.3.0 (flatbuffers, protobuf,
# ml_dtypes, tqdm, typing-extensions, backports.strenum), tflite-runtime 2.14.0, which was built for numpy 1.
# tests/target/test_wheels.py does it again with the newest.
RUNTIMES: dict[str, tuple[Runtime, ...]] = {
    "onnx": (Runtime("onnxruntime"),),
    "openvino": (Runtime("openvino"),),
    "tflite": (Runtime("ai-edge-litert"), Runtime("tflite-runtime", numpy="<2")),
}
# Architectures without a numpy wheel: there it is the device's own, Debian's python3-numpy.
OWN_NUMPY = {"armv7l"}
# Of a user's settings of pip those that say where to fetch from; others (target, constraint) are meant for this host.
WHERE_FROM = re.compile(
    r"PIP_(INDEX_URL|EXTRA_INDEX_URL|FIND_LINKS|NO_INDEX|TRUSTED_HOST|(CLIENT_)?CERT|PROXY|CONFIG_FILE|CACHE_DIR"
    r"|NO_CACHE_DIR|(DEFAULT_)?TIMEOUT|KEYRING_PROVIDER)"
)
# What pip tells (some of it only with -vv) when an index did not answer; it then ends as if there were no such package.
NOT_REACHED = re.compile(
    r"connection broken|connection error|not a trusted or secure host|Max retries|timed out"
    r"|Could not fetch URL \S+ (?!404)"
)
REASON = re.compile(
    r"Failed to establish a new connection: [^'\")]+|Failed to resolve[^'\"(]+|Temporary failure[^'\")]+"
    r"|\d{3} (Client|Server) Error: [^:]*?(?= for url|:|$)|[Rr]ead timed out|certificate verify failed"
    r"|not a trusted or secure host"
)


class Remembered(Record):
    """What was found: wheels, or that there are none."""

    wheels: tuple[Wheel, ...]
    missing: NoWheel | None
    asked_at: float
    """Seconds since 1970."""


def wheels(store: Store, format: str, wanted: Wanted, progress: Progress) -> list[Wheel] | NoWheel:
    """The wheels for a format, in the store; fetched if they are not there yet.

    Raises:
        UsageError: there is no such format.
        DeviceError: they cannot be fetched: no network, no pip.
    """
    if format not in RUNTIMES:
        raise UsageError(f"no runtime is known for the format {format}")
    known = remembered(store, format, wanted)
    if known is not None:
        return known
    found = _any_of(store, RUNTIMES[format], wanted, progress)
    missing = found if isinstance(found, NoWheel) else None
    fetched = () if isinstance(found, NoWheel) else tuple(found)
    made = Remembered(wheels=fetched, missing=missing, asked_at=time.time())
    store.put(KIND, digest(format, *wanted), made)
    return found


def remembered(store: Store, format: str, wanted: Wanted) -> list[Wheel] | NoWheel | None:
    """What `wheels` found before, if that is still good; asks nobody."""
    known = None
    with suppress(RecordError):  # of another version: asked anew
        known = store.get(KIND, digest(format, *wanted), Remembered)
    if known is not None:
        if known.missing is not None and 0 <= time.time() - known.asked_at < MISSING_KEPT_S:
            return known.missing
        if known.wheels and all(store.has_blob(wheel.sha) for wheel in known.wheels):
            return list(known.wheels)
    return None


def _any_of(store: Store, runtimes: tuple[Runtime, ...], wanted: Wanted, progress: Progress) -> list[Wheel] | NoWheel:
    """Those of the first runtime that has a wheel."""
    for runtime in runtimes if _platforms(wanted) else ():
        progress.note(f"provision: fetching {runtime.package} for {wanted.architecture}, Python {wanted.python}")
        with tempfile.TemporaryDirectory(dir=store.scratch) as folder:
            deadline = time.monotonic() + FETCH_S
            package = _fetch(runtime.package, "", wanted, Path(folder), deadline)
            if package is None:
                continue
            fetched = [package]
            if wanted.architecture not in OWN_NUMPY:
                bounds = ",".join(filter(None, [runtime.numpy, *_asks_of_numpy(package)]))
                numpy = _fetch("numpy", bounds, wanted, Path(folder), deadline)
                if numpy is None:
                    return _none(f"numpy{bounds} (for {runtime.package})", wanted)
                fetched.append(numpy)
            return [Wheel(path.name, store.add_file(path)) for path in fetched]
    return _none(" or ".join(runtime.package for runtime in runtimes), wanted)


def _none(package: str, wanted: Wanted) -> NoWheel:
    library = f"glibc {wanted.glibc}" if wanted.glibc else "a C library other than glibc"
    why = f"there is no wheel of {package} for {wanted.architecture}, Python {wanted.python}, {library}"
    return NoWheel(package, why)


def _platforms(wanted: Wanted) -> list[str]:
    """Every tag that the device satisfies: pip takes them literally. None where no wheel can fit."""
    major, _, minor = wanted.glibc.partition(".")
    if major != "2" or not minor.isdecimal() or not wanted.architecture.isidentifier():
        return []
    tags = [f"manylinux_2_{number}" for number in range(int(minor), OLDEST_GLIBC - 1, -1)]
    if int(minor) >= OLDEST_GLIBC:
        tags.append("manylinux2014")
    return [f"{tag}_{wanted.architecture}" for tag in tags]


def _fetch(package: str, bounds: str, wanted: Wanted, folder: Path, deadline: float) -> Path | None:
    """Download the newest wheel that fits into a folder; None if there is none.

    Raises:
        DeviceError: the index cannot be asked.
    """
    target = folder / package
    command = [sys.executable, "-m", "pip", "-vv", "download", "--no-deps", "--only-binary=:all:", "--retries", "2"]
    command += ["--implementation", "cp", "--python-version", wanted.python, "--dest", str(target)]
    for platform in _platforms(wanted):
        command += ["--platform", platform]
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith("PIP_") or WHERE_FROM.fullmatch(name)
    }
    kept |= {"PIP_NO_INPUT": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    try:
        done = subprocess.run(
            [*command, f"{package}{bounds}"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            env=kept,
            timeout=max(0.1, deadline - time.monotonic()),
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise _unreached(package, wanted, f"not finished within {FETCH_S:.0f} s") from None
    except OSError as error:
        raise _unreached(package, wanted, f"pip cannot be started: {error.strerror}") from error
    if done.returncode == 0:
        found = list(target.glob("*.whl"))
        if len(found) == 1:
            return found[0]
        raise _unreached(package, wanted, "pip made no wheel of it")
    if "No module named pip" in done.stderr:
        raise DeviceError(
            f"{package} for {wanted.architecture} cannot be fetched: this host's Python has no pip",
            hint="install it here: python -m ensurepip, or uv pip install pip",
        )
    said = done.stdout + done.stderr
    if "No matching distribution found" in said and not NOT_REACHED.search(said):
        return None
    raise _unreached(package, wanted, _reason(said))


def _unreached(package: str, wanted: Wanted, why: str) -> DeviceError:
    return DeviceError(
        f"{package} for {wanted.architecture}, Python {wanted.python} cannot be fetched: {why}",
        hint="it is needed once, with a network here; on a device that has its runtimes already, put"
        ' provision = "never" into the device file',
    )


def _reason(text: str) -> str:
    """Why pip failed, without addresses and folders of this host."""
    reason = REASON.search(text)
    if reason:
        return f"the package index does not answer: {reason[0].strip()}"
    lines = [line for line in text.splitlines() if line.startswith("ERROR:")] or ["pip failed"]
    line = re.sub(r"\w+://\S+|(?<![\w.])/\S+", "...", lines[-1])
    return "".join(char if char.isprintable() else "?" for char in line)[:300]


def _asks_of_numpy(wheel: Path) -> list[str]:
    """What a wheel asks of its numpy. Not where it depends on markers: those bounds only say how old it may be."""
    with zipfile.ZipFile(wheel) as archive:
        name = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        text = archive.read(name).decode("utf-8", "replace")
    found = []
    for line in HeaderParser().parsestr(text).get_all("Requires-Dist") or []:
        asked = re.fullmatch(r"numpy\s*\(?([<>=!~][^;()]*)\)?\s*", line)
        if asked:
            found.append(asked[1].replace(" ", ""))
    return found
