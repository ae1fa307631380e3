"""Ready files that a user brings: no recipe, no checkpoint, no accuracy; measured on given or made up inputs."""

from __future__ import annotations

import platform
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

import edgeprof
from edgeprof.errors import DeviceError, UsageError
from edgeprof.measure.asking import ask
from edgeprof.measure.files import Kept, keep, names, shown
from edgeprof.measure.inputs import TYPES, Arrays, Shape, Takes, check, samples
from edgeprof.measure.plan import install_line, no_wheel
from edgeprof.progress import Progress
from edgeprof.records import AS_IN_FILE, Artifact, Device, Failure, Format, Identity, MadeBy, Tensor, digest, files_sha
from edgeprof.store import Store
from edgeprof.target import Connection, NoRuntime
from edgeprof.target.protocol import Failed, Inspect, Inspected, TensorTold

STAGE = "open"
INSPECT_S = 120.0
UNUSABLE = "file"
"""Class of the failures that the host finds, before any device has a part in it."""

# What runtimes say of a file that they cannot open -> what to do about it. What none of these fits has no hint.
_HINTS = (
    (
        r"protobuf parsing failed|no graph was found|valid flatbuffer|model identifier|mmap of size 0|unable to read"
        r" the model|error parsing|incorrect weights",
        "it is damaged, cut off, or another kind of file than its name says: fetch or export it again",
    ),
    (
        r"opset|ir version|\bop registered|not a registered|custom op|not_implemented|not implemented|op builtin_code"
        r"|unsupported operation",
        "the runtime on the device does not know it: export with an older opset or without this operator, or install a"
        " newer runtime there (edgeprof device probe NAME tells which it has)",
    ),
    (r"external data", "put the file with its weights beside it, under the name that it was saved with"),
)
# A place in ONNX Runtime's own source code: file, line and the function's signature.
_SOURCES = re.compile(r"/\S+\.(?:h|cc):\d+ .*?\) (?=[A-Z])")


class _Opened(NamedTuple):
    """A file that its runtime on the device can open."""

    path: Path
    name: str
    kept: Kept
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]

    @property
    def takes(self) -> Takes:
        return Takes(shown(self.path), self.inputs)


def ready(
    store: Store,
    paths: Sequence[Path],
    device: Device,
    connection: Connection,
    progress: Progress,
    *,
    shapes: Mapping[str, Shape],
    given: Arrays | None,
    missing: Mapping[str, NoRuntime] | None = None,
) -> tuple[list[Artifact], list[Failure]]:
    """Files as artifacts without accuracy, each opened once on the device to learn its inputs; and what cannot be one.

    Args:
        shapes: input name -> shape, for inputs whose dimensions are not fixed.
        given: input name -> array of one input or of several; None: inputs are made up.
        missing: format -> why the device was given no runtime for it.

    Raises:
        UsageError: not one of the files is of use to any device, or the inputs asked for do not fit the files.
    """
    opened: list[_Opened] = []
    failures: list[Failure] = []
    artifacts: list[Artifact] = []
    progress.start(STAGE, len(paths))
    try:
        for path, name in zip(paths, names(paths), strict=True):
            made = _open(store, path, name, device, connection, missing or {})
            if isinstance(made, Failure):
                failures.append(made)
                progress.note(f"{STAGE}: {name} cannot be used; why is told at the end")
            else:
                opened.append(made)
            progress.advance(STAGE, 1, name)
    finally:
        progress.finish(STAGE)
    check([one.takes for one in opened], shapes, given)
    for one in opened:
        try:
            data = samples(one.takes, shapes, given)
        except UsageError as error:
            failures.append(_unusable(error, one.name, one.kept.format))
        else:
            artifacts.append(_artifact(store, one, data))
    if not artifacts and {failure.error_class for failure in failures} == {UNUSABLE}:
        told = "; ".join(failure.error for failure in failures)
        raise UsageError(told, hint=failures[0].hint if len(failures) == 1 else "see edgeprof profile --help")
    return artifacts, failures


def _open(
    store: Store,
    path: Path,
    name: str,
    device: Device,
    connection: Connection,
    missing: Mapping[str, NoRuntime],
) -> _Opened | Failure:
    try:
        kept = keep(store, path)
    except UsageError as error:
        return _unusable(error, name, None)
    if kept.format in missing:
        return no_wheel(_identity(name, kept.format), kept.format, missing[kept.format], device)
    places = connection.push({one.sha256: store.blob(one.sha256) for one in kept.files})
    files = {one.name: places[one.sha256] for one in kept.files}
    site = connection.sites.get(kept.format, ())
    call = Inspect(format=kept.format, precision=AS_IN_FILE, files=files, site=site, timeout_s=INSPECT_S)
    told = ask(connection, call, timeout_s=INSPECT_S + 30)
    if isinstance(told, Failed):
        message = _SOURCES.sub("", told.message)
        for file, place in files.items():
            # Where the blob lies says nothing to the user.
            message = message.replace(place, path.name if file == kept.files[0].name else file)
        return Failure(
            stage="profile",
            identity=_identity(name, kept.format),
            error=f"{shown(path)}: {shown(message)}",
            error_class=told.error_class,
            transient=told.transient,
            hint=install_line(told.package, device) if told.package else _hint(told),
        )
    if not isinstance(told, Inspected):
        raise DeviceError(f"the agent said {type(told).__name__} when a file's inputs were due", where=shown(path))
    if not told.inputs:
        nothing = UsageError("it takes no input, so it always gives the same", where=shown(path))
        return _unusable(nothing, name, kept.format)
    strange = [one for one in told.inputs if one.dtype not in TYPES]
    if strange:
        types = ", ".join(f"{shown(one.name)} ({shown(one.dtype)})" for one in strange)
        untyped = UsageError(
            f"inputs of a type that numpy does not have: {types}",
            where=shown(path),
            hint=f"export it with inputs of another type; known: {', '.join(sorted(TYPES))}",
        )
        return _unusable(untyped, name, kept.format)
    return _Opened(path, name, kept, *(tuple(_tensor(one) for one in ports) for ports in (told.inputs, told.outputs)))


def _artifact(store: Store, one: _Opened, data: bytes) -> Artifact:
    record = Artifact(
        training=None,
        model=one.name,
        init=None,
        seed=None,
        exporter=f"file-{one.kept.format}",
        format=one.kept.format,
        precision=AS_IN_FILE,
        checkpoint_sha=None,
        artifact_sha=files_sha(one.kept.files),
        files=one.kept.files,
        size_bytes=sum(file.size_bytes for file in one.kept.files),
        inputs=one.inputs,
        outputs=one.outputs,
        preprocessing=None,
        accuracy=None,
        parity=None,
        predictions_sha=None,
        params=None,
        macs=None,
        samples_sha=store.add_bytes(data),
        made_by=MadeBy(edgeprof=edgeprof.__version__, packages={}, machine=platform.machine(), seconds=0.0),
    )
    store.put(Artifact.KIND, digest("ready", msgspec.structs.replace(record, made_by=None)), record)
    return record


def _unusable(error: UsageError, name: str, format: Format | None) -> Failure:
    return Failure(
        stage="profile",
        identity=_identity(name, format),
        error=shown(error),
        error_class=UNUSABLE,
        transient=False,
        hint=error.hint and shown(error.hint),
    )


def _identity(name: str, format: Format | None) -> Identity:
    return Identity(model=name, exporter=f"file-{format}" if format else None)


def _hint(told: Failed) -> str | None:
    if told.error_class == "crash":
        return "the runtime crashed on this file: try another version of it, or export the file again"
    if told.error_class == "hang":
        return "the file is too large for this device, or the runtime hangs on it"
    return next((hint for words, hint in _HINTS if re.search(words, told.message, re.IGNORECASE)), None)


def _tensor(told: TensorTold) -> Tensor:
    return Tensor(name=told.name, shape=told.shape, dtype=told.dtype)
