"""The base of all records, and how they become bytes."""

from __future__ import annotations

import hashlib
from typing import Any, TypeVar

import msgspec
from typing_extensions import dataclass_transform

from edgeprof.errors import RecordError

R = TypeVar("R", bound="Record")


class _KeywordOnly(msgspec.StructMeta):
    """msgspec applies kw_only to the fields of one class alone; records want it for all."""

    def __new__(mcs, name: str, bases: tuple[type, ...], space: dict[str, Any], **options: Any) -> Any:
        return super().__new__(mcs, name, bases, space, **{"kw_only": True, **options})


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(msgspec.field,))
class Record(msgspec.Struct, metaclass=_KeywordOnly, frozen=True, forbid_unknown_fields=True):
    """Base of all records."""


def to_json(record: Record, *, indent: int = 0) -> bytes:
    """The record as JSON, keys in the order of its fields, not ending in a newline."""
    data = msgspec.json.encode(record)
    return msgspec.json.format(data, indent=indent) if indent else data


def from_json(data: bytes | str, kind: type[R], *, where: str | None = None) -> R:
    """The record in `data`.

    Raises:
        RecordError: it is no such record.
    """
    try:
        return msgspec.json.decode(data, type=kind)
    except msgspec.MsgspecError as error:
        raise RecordError(
            f"this is no {kind.__name__} record: {error}", where=where, hint="it may be damaged or of another version"
        ) from error


def digest(*parts: Any) -> str:
    """sha256 (hex) of the canonical JSON of `parts` (records, strings, numbers, lists, dicts)."""
    return hashlib.sha256(msgspec.json.encode(parts, order="sorted")).hexdigest()
