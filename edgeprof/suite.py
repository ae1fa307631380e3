"""Folders of TOML -> checked records.

A suite is a folder that holds `training/`, `exporters/` and `devices/`. It is found by `--suite DIR`, else the current
folder if it holds the three, else the one built into the package. Never merged, never searched upwards.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
import shutil
import tomllib
import typing
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import UnionType
from typing import Any, Literal, TypeVar

import msgspec

from edgeprof.errors import SuiteError, UsageError, nearest
from edgeprof.records import Device, Exporter, Record, Training, options

FOLDERS = ("training", "exporters", "devices")
R = TypeVar("R", Training, Exporter, Device)
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
ALL_DEVICES, TAG = "all", "tag:"
"""Words for several devices; no name has a colon in it."""
INIT = re.compile(r"pretrained|scratch|file:.+|training:[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def builtin_root() -> Path:
    """The suite shipped in the wheel; in a checkout, the checkout itself."""
    inside = Path(__file__).parent / "_suite"
    return inside if inside.is_dir() else Path(__file__).parent.parent


def holds_suite(folder: Path) -> bool:
    """Whether `folder` has the three input folders."""
    return all((folder / name).is_dir() for name in FOLDERS)


@dataclass(frozen=True)
class Suite:
    """A suite's folder and whether it is the built-in one."""

    root: Path
    builtin: bool = False

    @classmethod
    def find(cls, asked: Path | None = None, cwd: Path | None = None) -> Suite:
        """The suite asked for, else the current folder if it is one, else the built-in one.

        Raises:
            UsageError: `asked` is no suite.
        """
        if asked is not None:
            if not holds_suite(asked):
                missing = ", ".join(name + "/" for name in FOLDERS if not (asked / name).is_dir())
                raise UsageError(
                    f"no suite here: {missing} missing", where=str(asked), hint=f"make one with: edgeprof init {asked}"
                )
            return cls(asked)
        here = cwd or Path.cwd()
        return cls(here) if holds_suite(here) else cls(builtin_root(), builtin=True)

    @property
    def work(self) -> Path:
        """Where `.edgeprof/` and `reports/runs/` are written: the suite, or the current folder for the built-in one."""
        return Path.cwd() if self.builtin else self.root

    def names(self, folder: str) -> list[str]:
        """The names that files of a folder give, sorted."""
        return sorted(path.stem for path in (self.root / folder).glob("*.toml"))

    def training(self, name: str) -> Training:
        """The recipe file `training/NAME.toml`; relative paths in it are relative to the suite's folder."""
        found = self._load("training", name, Training)
        root = found.data.root and str(self.root / Path(found.data.root).expanduser())
        inits = tuple(
            f"file:{self.root / Path(init.removeprefix('file:')).expanduser()}" if init.startswith("file:") else init
            for init in found.inits
        )
        return msgspec.structs.replace(found, data=msgspec.structs.replace(found.data, root=root), inits=inits)

    def sources(self, training: Training) -> dict[str, Training]:
        """The recipes that a training's inits `training:NAME` begin from, by init, cut down to what is needed of each.

        That is the training's models, and its seeds where the other recipe has them, else the other's first.

        Raises:
            SuiteError: there is no such recipe, it leads round in a circle, has several inits, or lacks a model.
        """
        return self._sources(training, (training.name,))

    def _sources(self, training: Training, chain: tuple[str, ...]) -> dict[str, Training]:
        path, found = str(self.root / "training" / f"{training.name}.toml"), {}
        for init in training.inits:
            name = init.removeprefix("training:")
            if name == init:
                continue
            known = self.names("training")
            _require(name in known, f"inits: there is no training named {name!r}", path, nearest(name, known) or None)
            round_trip = " -> ".join((*chain, name))
            _require(name not in chain, f"inits: {round_trip} goes round in a circle", path)
            other = self.training(name)
            _require(
                len(other.inits) == 1,
                f"inits: {init} is not one checkpoint: that recipe has the inits {', '.join(other.inits)}",
                path,
                "begin from a recipe with one init",
            )
            lacking = [model for model in training.models if model not in other.models]
            _require(not lacking, f"inits: {init} does not train {', '.join(lacking)}", path, f"add it to {name}.toml")
            self._sources(other, (*chain, name))
            seeds = [source_seed(other, seed) for seed in training.seeds]
            found[init] = msgspec.structs.replace(other, models=training.models, seeds=tuple(dict.fromkeys(seeds)))
        return found

    def exporter(self, name: str) -> Exporter:
        """The file `exporters/NAME.toml`."""
        return self._load("exporters", name, Exporter)

    def device(self, name: str) -> Device:
        """The file `devices/NAME.toml`; beside the user's known hosts it goes by the suite's."""
        found = self._load("devices", name, Device)
        hosts = self.root / "devices" / Path(found.known_hosts or "known_hosts").expanduser()
        return msgspec.structs.replace(found, known_hosts=str(hosts)) if found.transport == "ssh" else found

    def devices(self, asked: Sequence[str]) -> list[Device]:
        """Devices by name, `all` of them, or those that have a tag (`tag:arm64`); each once, in the order asked for.

        Raises:
            UsageError: there is no such device or tag.
            SuiteError: a device file is wrong.
        """
        if isinstance(asked, str):  # from Python; its letters would be taken for names
            raise UsageError("devices are a list, one device too", hint=f"[{asked!r}]")
        chosen: dict[str, Device] = {}
        for one in asked:
            if one == ALL_DEVICES or one.startswith(TAG):
                every = [self.device(name) for name in self.names("devices")]
                found = every if one == ALL_DEVICES else self._tagged(every, one.removeprefix(TAG))
            else:
                found = [self.device(one)]
            chosen |= {device.name: device for device in found if device.name not in chosen}
        if not chosen:
            raise UsageError(
                "the suite has no devices", where=str(self.root / "devices"), hint="edgeprof device add NAME ADDRESS"
            )
        return list(chosen.values())

    def _tagged(self, every: Sequence[Device], tag: str) -> list[Device]:
        found = [device for device in every if tag in device.tags]
        if not found:
            known = nearest(tag, (word for device in every for word in device.tags))
            raise UsageError(
                f"no device has the tag {tag!r}",
                where=str(self.root / "devices"),
                hint=known or f"no device has any: tags = [{json.dumps(tag)}] in a device file",
            )
        return found

    def models(self) -> dict[str, list[str]]:
        """The models of all recipes -> the names of the recipes that have them."""
        found: dict[str, list[str]] = {}
        for name in self.names("training"):
            for model in self.training(name).models:
                found.setdefault(model, []).append(name)
        return found

    def default_training(self) -> str:
        """`demo` if there is one, else the only recipe.

        Raises:
            UsageError: there are none or several.
        """
        names = self.names("training")
        if "demo" in names:
            return "demo"
        if len(names) == 1:
            return names[0]
        raise UsageError(
            "which training?" if names else "the suite has no training",
            where=str(self.root / "training"),
            hint=f"say --training {'|'.join(names)}" if names else "add a recipe, for example training/demo.toml",
        )

    def check(self) -> Iterator[tuple[Path, SuiteError | None]]:
        """Every file of the suite with what is wrong with it, or None."""
        loaders = {"training": self.training, "exporters": self.exporter, "devices": self.device}
        for folder, loader in loaders.items():
            for name in self.names(folder):
                path = self.root / folder / f"{name}.toml"
                try:
                    record = loader(name)
                    if isinstance(record, Training):
                        self.sources(record)
                    if isinstance(record, Training | Device):
                        for exporter in record.exporters or ():
                            self._known("exporters", exporter, str(path))
                    yield path, None
                except (SuiteError, UsageError) as error:
                    yield path, error if isinstance(error, SuiteError) else SuiteError(str(error), hint=error.hint)

    def sha(self) -> str:
        """sha256 over the names and contents of all its TOML files."""
        total = hashlib.sha256()
        for folder in FOLDERS:
            for name in self.names(folder):
                total.update(f"{folder}/{name}\0".encode())
                total.update(hashlib.sha256(_read(self.root / folder / f"{name}.toml")).digest())
        return total.hexdigest()

    def _known(self, folder: str, name: str, where: str | None = None) -> None:
        names = self.names(folder)
        if name not in names:
            what = {"training": "training", "exporters": "exporter", "devices": "device"}[folder]
            raise UsageError(f"there is no {what} named {name!r}", where=where, hint=nearest(name, names) or None)

    def _load(self, folder: str, name: str, kind: type[R]) -> R:
        self._known(folder, name)
        return load(self.root / folder / f"{name}.toml", kind)


def source_seed(whole: Training, seed: int) -> int:
    """With which of a whole recipe's seeds a training of `seed` begins: the same if there is one, else the first."""
    return seed if seed in whole.seeds else whole.seeds[0]


def load(path: Path, kind: type[R]) -> R:
    """One checked record from a TOML file; its name is the file's name.

    Raises:
        SuiteError: the file cannot be read, is no TOML, has an unknown key, a wrong value, or values that do not fit.
    """
    try:
        table = tomllib.loads(_read(path).decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SuiteError(f"this is not TOML: {error}", where=str(path)) from error
    if "name" in table:
        raise SuiteError("the key 'name' is not allowed: the file's name is the name", where=str(path))
    if not NAME.fullmatch(path.stem):
        raise SuiteError(
            f"{path.stem!r} cannot be a name", where=str(path), hint="letters, digits, '.', '_' and '-', at most 64"
        )
    _check_keys(table, kind, str(path), ())
    try:
        record = msgspec.convert({**table, "name": path.stem}, kind, strict=True)
    except msgspec.ValidationError as error:
        raise _explained(error, table, kind, str(path)) from error
    _CHECKS[kind](record, str(path))
    return record


def check_device(device: Device) -> None:
    """Whether a device can have a file.

    Raises:
        SuiteError: its name or a key of it cannot stand there.
    """
    if not NAME.fullmatch(device.name):
        raise SuiteError(f"{device.name!r} cannot be a name", hint="letters, digits, '.', '_' and '-', at most 64")
    if device.name == ALL_DEVICES:
        raise SuiteError(f"{device.name!r} cannot be a name: as --device it means every one", hint="choose another")
    _check_device(device, f"devices/{device.name}.toml")


def check_training(training: Training) -> None:
    """Whether a training can have a file.

    Raises:
        SuiteError: its name or a key of it cannot stand there.
    """
    if not NAME.fullmatch(training.name):
        raise SuiteError(f"{training.name!r} cannot be a name", hint="letters, digits, '.', '_' and '-', at most 64")
    _check_training(training, f"training/{training.name}.toml")


def init(folder: Path) -> list[Path]:
    """Copy the built-in suite's folders into `folder`; files that are there already stay as they are.

    Returns: the files written.
    """
    written = []
    for source in FOLDERS:
        (folder / source).mkdir(parents=True, exist_ok=True)
        for file in sorted((builtin_root() / source).iterdir()):
            target = folder / source / file.name
            if file.is_file() and file.name != "known_hosts" and not target.exists():
                shutil.copyfile(file, target)
                written.append(target)
    (folder / "reports" / "baselines").mkdir(parents=True, exist_ok=True)
    ignore = folder / ".gitignore"
    if not ignore.exists():
        ignore.write_text(".edgeprof/\nreports/runs/\n", encoding="utf-8")
        written.append(ignore)
    return written


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SuiteError(f"cannot be read: {error.strerror}", where=str(path)) from error


def _check_keys(table: dict[str, Any], kind: type[Record], path: str, at: tuple[str, ...]) -> None:
    hints = typing.get_type_hints(kind)
    known = [name for name in kind.__struct_fields__ if at or name != "name"]
    for key, value in table.items():
        dotted = ".".join((*at, key))
        if key not in known:
            raise SuiteError(f"unknown key {dotted!r}", where=path, hint=nearest(key, known))
        inner = hints[key]
        if isinstance(value, dict) and isinstance(inner, type) and issubclass(inner, Record):
            _check_keys(value, inner, path, (*at, key))


def _explained(error: msgspec.ValidationError, table: dict[str, Any], kind: type[Record], path: str) -> SuiteError:
    """msgspec's words, with the key as people write it and the nearest allowed value."""
    text, _, place = str(error).partition(" - at `$.")
    keys = re.findall(r"[A-Za-z_]+", place.rstrip("`"))
    value: Any = table
    hint: Any = kind
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else value
        hint = typing.get_type_hints(hint).get(key) if isinstance(hint, type) and issubclass(hint, Record) else hint
    allowed = [str(word) for word in _literals(hint)]
    values = value if isinstance(value, list) else [value]
    for one in values:
        if allowed and isinstance(one, str) and one not in allowed:
            dotted = ".".join(keys)
            return SuiteError(f"{dotted} = {one!r} is not allowed", where=path, hint=nearest(one, allowed))
    what = f"{'.'.join(keys)}: {text}" if keys else text
    return SuiteError(what, where=path)


def _literals(hint: Any) -> Iterator[Any]:
    if typing.get_origin(hint) is Literal:
        yield from typing.get_args(hint)
    elif typing.get_origin(hint) in (typing.Union, UnionType, tuple):
        for part in typing.get_args(hint):
            yield from _literals(part)


def _require(ok: bool, what: str, path: str, hint: str | None = None) -> None:
    if not ok:
        raise SuiteError(what, where=path, hint=hint)


def _check_training(training: Training, path: str) -> None:
    _require(bool(training.models), "models is empty", path, 'for example models = ["resnet18"]')
    _require(bool(training.inits), "inits is empty", path, 'for example inits = ["scratch"]')
    _require(bool(training.seeds), "seeds is empty", path, "for example seeds = [0]")
    _require(training.exporters is None or len(training.exporters) > 0, "exporters is empty", path)
    for key, values in (("models", training.models), ("inits", training.inits), ("seeds", training.seeds)):
        _require(len(set(values)) == len(values), f"{key} names something twice", path)
    for init in training.inits:
        _require(
            bool(INIT.fullmatch(init)),
            f"inits: {init!r} is not allowed",
            path,
            "pretrained, scratch, file:PATH or training:NAME",
        )
    _require(all(seed >= 0 for seed in training.seeds), "seeds must be 0 or more", path)
    data, recipe, pre = training.data, training.recipe, training.preprocessing
    _require(data.name == "digits" or bool(data.root), f"data.root is missing: {data.name} needs a folder", path)
    _require(recipe.epochs >= 0, "recipe.epochs must be 0 or more", path)
    bare = recipe.epochs == 0 and "scratch" in training.inits
    _require(not bare, "recipe.epochs = 0 evaluates weights as they come, and scratch has none", path)
    _require(
        data.classes is None or len(set(data.classes)) == len(data.classes) >= 2,
        "data.classes needs two or more, each once",
        path,
    )
    _require(data.train_per_class is None or data.train_per_class > 0, "data.train_per_class must be more than 0", path)
    _require(recipe.batch_size > 1, "recipe.batch_size must be more than 1 (BatchNorm)", path)
    for key in ("learning_rate", "weight_decay", "min_learning_rate", "label_smoothing"):
        value = getattr(recipe, key)
        _require(math.isfinite(value) and value >= 0, f"recipe.{key} must be 0 or more", path)
    _require(recipe.learning_rate > 0, "recipe.learning_rate must be more than 0", path)
    _require(recipe.label_smoothing < 1, "recipe.label_smoothing must be below 1", path)
    _require(0 <= recipe.warmup_epochs <= recipe.epochs, "recipe.warmup_epochs must lie in 0..epochs", path)
    for key in ("crop_scale", "crop_ratio"):
        low, high = getattr(recipe, key)
        _require(0 < low <= high, f"recipe.{key} must be [low, high] with 0 < low <= high", path)
    for key in ("horizontal_flip", "random_erasing"):
        _require(0 <= getattr(recipe, key) <= 1, f"recipe.{key} must lie in 0..1", path)
    _require(8 <= pre.image_size <= 4096, "preprocessing.image_size must lie in 8..4096", path)
    _require(all(std > 0 for std in pre.std), "preprocessing.std must be more than 0", path)
    _require(0 < pre.crop_pct <= 1, "preprocessing.crop_pct must lie in (0, 1]", path)


def _check_exporter(exporter: Exporter, path: str) -> None:
    for what, hint in options.faults(exporter):
        raise SuiteError(what, where=path, hint=hint)


# What a graph may be asked to run on; ONNX Runtime's providers are its build's own.
PROVIDERS: dict[str, Callable[[str], bool]] = {
    "tflite": lambda name: name in ("XNNPACK", "none"),
    "openvino": lambda name: name.split(":")[0] not in ("AUTO", "MULTI", "HETERO", "BATCH"),
}
PROVIDER_HINTS = {
    "tflite": "XNNPACK, or none for the built-in kernels",
    "openvino": "name the device (CPU, GPU, NPU): these choose where a graph runs by themselves",
}


STATE = ("governor", "nvpmodel")
"""Keys of a device file that change the device for the time of a measurement."""


def _check_device(device: Device, path: str) -> None:
    if device.transport == "ssh":
        _require(bool(device.host), "host is missing: ssh needs a name, an address or an ssh_config alias", path)
    else:
        for key in ("host", "port", "user", "key_file", "password_env", "known_hosts", "workdir", "lease", *STATE):
            _require(getattr(device, key) is None, f'{key} is for transport = "ssh" only', path)
    _require(device.nvpmodel is None or device.nvpmodel >= 0, "nvpmodel must be 0 or more", path)
    _require(
        device.governor is None or bool(re.fullmatch(r"[a-z_]{1,30}", device.governor)),
        f"governor = {device.governor!r} is none",
        path,
        'for example governor = "performance"',
    )
    for key in ("workdir", "lease"):
        value = getattr(device, key)
        _require(value is None or (bool(value.strip()) and value.isprintable()), f"{key} is no path", path)
        other = value is not None and value.startswith("~") and not value.startswith("~/")
        _require(not other, f"{key} = {value!r}: of what begins with ~ only ~/ is understood", path)
    _require(
        device.host is None or bool(re.fullmatch(r"[^\s\0-\x1f@-][^\s\0-\x1f@]*", device.host)),
        f"host = {device.host!r} is no host",
        path,
        "a name, an address or an ssh_config alias; the user has a key of its own",
    )
    _require(
        device.user is None or bool(re.fullmatch(r"[^\s\0-\x1f@-][^\s\0-\x1f@]*", device.user)),
        f"user = {device.user!r} is no user",
        path,
    )
    _require(device.port is None or 0 < device.port < 65536, "port must lie in 1..65535", path)
    _require(bool(device.threads), "threads is empty", path, 'for example threads = [1, "all"]')
    _require(all(n == "all" or n > 0 for n in device.threads), "threads must be 1 or more", path)
    if isinstance(device.cores, tuple):
        _require(len(device.cores) > 0, "cores is empty", path)
        _require(all(core >= 0 for core in device.cores), "cores must be 0 or more", path)
    for format, provider in device.providers.items():
        known = PROVIDERS.get(format)
        _require(
            known is None or known(provider),
            f"providers.{format} = {provider!r} is not possible",
            path,
            PROVIDER_HINTS.get(format),
        )
    _require(device.exporters is None or len(device.exporters) > 0, "exporters is empty", path)
    env = device.password_env
    _require(
        env is None or bool(re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", env)),
        "password_env is the name of an environment variable, never the password",
        path,
    )


_CHECKS: dict[Any, Any] = {Training: _check_training, Exporter: _check_exporter, Device: _check_device}
