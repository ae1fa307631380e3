"""Records as pandas data frames: the only home of pandas.

Columns bear the names of the records' fields, units included (`median_ms`, `size_bytes`), with nullable types: `Int64`,
`Float64`, `boolean`, `string`. What is not known is `NA`, never 0. A tuple (of reasons, of warnings) is an object.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal

import numpy as np

from edgeprof.errors import MissingPackageError
from edgeprof.records import (
    Accuracy,
    Artifact,
    Candidate,
    Failure,
    Fleet,
    Identity,
    Interval,
    Measurement,
    OnSameImages,
    Parity,
    Ran,
    Ranking,
    Record,
    Run,
    Scored,
    Shipped,
    Trained,
)
from edgeprof.records.compared import History, Moved, Past

try:
    import pandas as pd
except ImportError as error:
    raise MissingPackageError("pandas", "frames") from error

DataFrame = pd.DataFrame
INT, FLOAT, BOOL, TEXT, ANY = "Int64", "Float64", "boolean", "string", "object"
_KINDS: dict[type, str] = {bool: BOOL, int: INT, float: FLOAT, str: TEXT}
UNITS = ("_ns", "_ms", "_s", "_bytes", "_c", "_mj", "_w")
_FLATTENED: tuple[type[Record], ...] = (Identity, Parity, Ran, Accuracy, OnSameImages, Shipped, Moved)
"""Records within a record that become columns; others are for `ranking.json`."""
_UNPREFIXED = (Identity,)
"""Of these, what stands for itself: `model`, not `identity_model`."""

Get = Callable[[Any], object]
Columns = dict[str, tuple[str, Get]]
"""Name -> type and how to read it from a record."""


def table(records: Sequence[Record], kind: type[Record] | None = None) -> DataFrame:
    """Any records of one kind, a row each.

    An `Interval` becomes three columns (`median_ms`, `median_low_ms`, `median_high_ms`); what ran, parity and accuracy
    become columns that begin with their name (`ran_provider`). Further records within a record are left out.

    Args:
        kind: of the records; needed where there may be none.
    """
    if kind is None:
        if not records:
            return pd.DataFrame()
        kind = type(records[0])
    return _framed(records, columns_of(kind))


def candidates(ranking: Ranking) -> DataFrame:
    """The candidates of a ranking in its order, a row each, with the run and its device before them."""
    found = _framed(ranking.candidates, columns_of(Candidate))
    for name, value in (("device", ranking.device), ("run", ranking.run)):
        found.insert(0, name, _array([value] * len(found), TEXT))
    return found


def fleet(answer: Fleet) -> DataFrame:
    """The candidates of several devices, one device after the other."""
    return pd.concat([candidates(one) for one in answer.rankings], ignore_index=True)


def failures(some: Sequence[Failure]) -> DataFrame:
    """What did not come to a number, a row each."""
    return table(some, Failure)


def samples(measurements: Sequence[Measurement]) -> DataFrame:
    """Every latency sample of the rounds that count, in time order: a long table.

    Columns: job, model, exporter, threads, round, attempt, index (of the sample within its round), latency_ms.
    """
    rounds = [(one, each) for one in measurements for each in one.rounds]
    counts = [len(each.samples_ns) for _, each in rounds]

    def repeated(values: Iterable[object], kind: str) -> Any:
        return _array(np.repeat(np.array(list(values), dtype=object), counts), kind)

    nanoseconds = [np.asarray(each.samples_ns, dtype=np.float64) for _, each in rounds]
    places = [np.arange(count) for count in counts]
    return pd.DataFrame(
        {
            "job": repeated((one.cell.job for one, _ in rounds), TEXT),
            "model": repeated((one.cell.identity.model for one, _ in rounds), TEXT),
            "exporter": repeated((one.cell.identity.exporter for one, _ in rounds), TEXT),
            "threads": repeated((one.cell.threads for one, _ in rounds), INT),
            "round": repeated((each.round for _, each in rounds), INT),
            "attempt": repeated((each.attempt for _, each in rounds), INT),
            "index": _array(np.concatenate(places) if places else [], INT),
            "latency_ms": _array(np.concatenate(nanoseconds) / 1e6 if nanoseconds else [], FLOAT),
        }
    )


def runs(some: Sequence[Run], failed: Mapping[str, int]) -> DataFrame:
    """Runs in the order they began; `started_at` is a time in UTC.

    Args:
        failed: run -> how many of its measurements failed, beside those that failed before it.
    """
    columns: Columns = {
        "run": (TEXT, lambda one: one.run),
        "device": (TEXT, lambda one: one.device),
        "training": (TEXT, lambda one: one.training),
        "started_at": (TEXT, lambda one: one.started_at),
        "finished": (BOOL, lambda one: one.finished),
        "candidates": (INT, lambda one: len(one.cells)),
        "failures": (INT, lambda one: len(one.failures) + failed.get(one.run, 0)),
        "comparison": (TEXT, lambda one: one.pair),
    }
    found = _framed(some, columns)
    found["started_at"] = pd.to_datetime(found["started_at"], utc=True).astype("datetime64[us, UTC]")
    return found


def history(found: History) -> DataFrame:
    """A model over its runs, a row for each candidate and run."""
    rows = [(line.identity, past) for line in found.lines for past in line.runs]
    columns = {
        **columns_of(Identity, get=lambda row: row[0]),
        **columns_of(Past, get=lambda row: row[1]),
    }
    return _framed(rows, columns)


def trained(some: Sequence[Trained]) -> DataFrame:
    """Checkpoints, a row each; shares in 0..1 over `test_images`."""
    return _framed(
        some,
        {
            **_picked(Trained, ("training", "model", "init", "seed", "params", "macs")),
            **_renamed(Trained, "accuracy", Accuracy, {"images": "test_images"}),
            "image_size": (INT, lambda one: one.preprocessing.image_size),
            **_picked(Trained, ("checkpoint_sha", "recipe_sha", "data_sha", "hardware", "mixed_precision", "threads")),
            "seconds": (FLOAT, lambda one: one.made_by.seconds),
        },
    )


def artifacts(some: Sequence[Artifact]) -> DataFrame:
    """Exported and ready files, a row each; shares in 0..1 over `test_images`."""
    return _framed(
        some,
        {
            **_picked(Artifact, ("training", "model", "init", "seed", "exporter", "format", "precision")),
            **_picked(Artifact, ("size_bytes", "params", "macs")),
            **_renamed(Artifact, "accuracy", Accuracy, {"images": "test_images"}),
            **_nested("parity", Parity, "parity_"),
            **_picked(Artifact, ("artifact_sha", "checkpoint_sha", "warnings")),
        },
    )


def accuracy(some: Sequence[Scored]) -> DataFrame:
    """Checkpoints and files over the test images with their 95% intervals; of a checkpoint the exporter is NA.

    `drop` is top-1 of the checkpoint minus that of the file on the same images: positive where the file lost.
    """
    return table(some, Scored).rename(columns=lambda name: name.replace("drop_difference", "drop"))


def columns_of(kind: type[Record], prefix: str = "", get: Get | None = None) -> Columns:
    """What `table` makes of the records of a kind."""
    found: Columns = {}
    for name, hint in typing.get_type_hints(kind).items():
        if typing.get_origin(hint) is not typing.ClassVar:
            found |= _columns(f"{prefix}{name}", _without_none(hint), _reader(name, get))
    return found


def _columns(name: str, hint: Any, get: Get) -> Columns:
    plain = _plain(hint)
    if plain is not None:
        return {name: (plain, get)}
    if hint is Interval:
        stem, unit = _unit_of(name)
        ends = {f"{stem}_{end}{unit}": (FLOAT, _reader(end, get)) for end in ("low", "high")}
        return {name: (FLOAT, _reader("value", get)), **ends}
    if isinstance(hint, type) and issubclass(hint, Record):
        prefix = "" if hint in _UNPREFIXED else f"{name}_"
        return {} if hint not in _FLATTENED else columns_of(hint, prefix, get)
    if typing.get_origin(hint) is tuple and _plain(_without_none(typing.get_args(hint)[0])):
        return {name: (ANY, get)}
    return {}


def _plain(hint: Any) -> str | None:
    if typing.get_origin(hint) is Literal:
        return TEXT if all(isinstance(one, str) for one in typing.get_args(hint)) else ANY
    return _KINDS.get(hint)


def _without_none(hint: Any) -> Any:
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        rest = [one for one in typing.get_args(hint) if one is not type(None)]
        return rest[0] if len(rest) == 1 else object
    return hint


def _unit_of(name: str) -> tuple[str, str]:
    """`median_ms` -> `median`, `_ms`."""
    for unit in UNITS:
        if name.endswith(unit):
            return name.removesuffix(unit), unit
    return name, ""


def _reader(name: str, before: Get | None = None) -> Get:
    def get(record: Any) -> object:
        held = record if before is None else before(record)
        return None if held is None else getattr(held, name)

    return get


def _nested(field: str, kind: type[Record], prefix: str) -> Columns:
    return columns_of(kind, prefix, _reader(field))


def _renamed(kind: type[Record], field: str, inner: type[Record], names: Mapping[str, str]) -> Columns:
    return {names.get(name, name): how for name, how in _nested(field, inner, "").items()}


def _picked(kind: type[Record], names: Sequence[str]) -> Columns:
    known = columns_of(kind)
    return {name: known[name] for name in names}


def _framed(records: Sequence[object], columns: Columns) -> DataFrame:
    return pd.DataFrame(
        {name: _array([get(one) for one in records], kind) for name, (kind, get) in columns.items()},
        columns=pd.Index(list(columns)),
    )


def _array(values: Any, kind: str) -> Any:
    if kind == ANY:
        # Element by element: tuples of equal lengths would become a table.
        held = np.empty(len(values), dtype=object)
        for place, value in enumerate(values):
            held[place] = pd.NA if value is None else value
        return held
    return pd.array(values, dtype=kind)
