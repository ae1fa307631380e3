"""Records -> files of a suite: what commands add to it, written whole or not at all."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

import msgspec

from edgeprof.errors import UsageError
from edgeprof.records import Device, Record, Training
from edgeprof.suite import check_device, check_training


def write_device(root: Path, device: Device) -> Path:
    """Write `devices/NAME.toml` with what differs from the defaults; returns its path.

    Raises:
        SuiteError: it would be no valid file.
        UsageError: it cannot be written.
    """
    check_device(device)
    table = {
        key: value
        for key, value in msgspec.to_builtins(device).items()
        if key != "name"
        and value not in (None, "", [], {}, ())
        and (key, value) != ("provision", "auto")
        and not (key == "threads" and tuple(value) == (1, "all"))
    }
    return _write(root / "devices" / f"{device.name}.toml", _toml(table))


def training_text(root: Path, training: Training) -> str:
    """`training/NAME.toml` as it is to be written: what differs from the defaults, and how images are prepared.

    Paths within `root` are relative to it.

    Raises:
        SuiteError: it would be no valid file.
    """
    check_training(training)
    table = {**_said(training), "inits": [], "seeds": list(training.seeds)}
    table |= {"data": _said(training.data), "recipe": _said(training.recipe)}
    del table["name"], table["preprocessing"]["color"]
    if training.data.root:
        table["data"]["root"] = _within(root, training.data.root)
    table["inits"] = [
        f"file:{_within(root, init.removeprefix('file:'))}" if init.startswith("file:") else init
        for init in training.inits
    ]
    return _toml(table)


def write_training(root: Path, training: Training) -> Path:
    """Write `training/NAME.toml`; returns its path.

    Raises:
        SuiteError: it would be no valid file.
        UsageError: it cannot be written.
    """
    return _write(root / "training" / f"{training.name}.toml", training_text(root, training))


def _said(record: Record) -> dict[str, Any]:
    """The fields that are not as they would be anyway."""
    defaults = {field.name: field.default for field in msgspec.structs.fields(record)}
    values = msgspec.structs.asdict(record)
    return {key: msgspec.to_builtins(value) for key, value in values.items() if value != defaults[key]}


def _within(root: Path, path: str) -> str:
    """Relative to the suite where it lies in it, so that the suite's folder can be moved."""
    whole, base = Path(os.path.abspath(path)), Path(os.path.abspath(root))
    return whole.relative_to(base).as_posix() if whole.is_relative_to(base) else str(whole)


def _toml(table: dict[str, Any]) -> str:
    """Strings, numbers, truth and lists of them, and tables of these: what the suite's records are made of."""
    lines = [f"{key} = {_value(value)}\n" for key, value in table.items() if not _is_left_out(value)]
    for key, value in table.items():
        if isinstance(value, dict) and value:
            lines += [f"\n[{key}]\n", _toml(value)]
    return "".join(lines)


def _is_left_out(value: Any) -> bool:
    return value is None or value == "" or isinstance(value, dict)


def _value(value: Any) -> str:
    # JSON's strings are TOML's, but for characters that JSON lets pass as they are.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _write(path: Path, text: str) -> Path:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, new = tempfile.mkstemp(dir=path.parent, prefix=".new-")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(new, 0o644)
        os.replace(new, path)
    except OSError as error:
        raise UsageError(
            f"cannot be written: {error.strerror or error}",
            where=str(path),
            hint="make a suite of your own first: edgeprof init boards && cd boards",
        ) from error
    return path
