"""What really ran: which nodes tell the precision of a graph, and one word for it."""

from __future__ import annotations

import re
from typing import Any, Dict, Iterable, Mapping, Optional, Sequence, Tuple

# Names of element types in the runtimes -> ours. Integers that only index or count (int32, int64) are none.
_WORDS = {
    "float32": "fp32",
    "float16": "fp16",
    "bfloat16": "bf16",
    "float64": "fp64",
    "float": "fp32",
    "double": "fp64",
    "f32": "fp32",
    "f16": "fp16",
    "bf16": "bf16",
    "f64": "fp64",
    "int8": "int8",
    "uint8": "int8",
    "i8": "int8",
    "u8": "int8",
    "int4": "int4",
    "uint4": "int4",
    "i4": "int4",
    "u4": "int4",
    "int16": "int16",
    "i16": "int16",
}
# Operators that multiply and accumulate, by the names of all three runtimes: nearly all arithmetic of a network.
_MULTIPLIES = re.compile(
    r"conv(?!ert)|mat(rix)?[_ ]?mul|gemm|fully[_ ]?connected|attention|mha|lstm|gru|rnn|einsum", re.IGNORECASE
)
# Operators that change types or layouts and compute nothing.
_CONVERTS = re.compile(r"cast|convert|quantize|reorder", re.IGNORECASE)


def multiplies(operator: str) -> bool:
    """Whether an operator multiplies and accumulates, by its name in any of the runtimes."""
    return bool(_MULTIPLIES.search(operator))


def word(element_type: str) -> Optional[str]:
    """Our word for a runtime's element type; None for one in which no network computes."""
    return _WORDS.get(element_type.lower())


def precisions(nodes: Iterable[Tuple[str, Optional[str]]]) -> Optional[Dict[str, int]]:
    """How many nodes compute in each precision, from (operator, precision) of every node.

    Counted are convolutions, matrix products, attention and recurrent layers; in a graph without any, all nodes but
    conversions. Casting, quantizing and dequantizing around a node are not what it computes in.
    """
    known = [(kind, one) for kind, one in nodes if one is not None]
    chosen = [one for kind, one in known if multiplies(kind)]
    chosen = chosen or [one for kind, one in known if not _CONVERTS.search(kind)]
    counts = {one: chosen.count(one) for one in sorted(set(chosen))}
    return counts or None


def partitions(on_provider: Sequence[bool]) -> int:
    """Separate stretches of a provider's nodes in the order of execution."""
    return sum(1 for place, here in enumerate(on_provider) if here and not (place and on_provider[place - 1]))


def executed(asked: str, ran: Optional[Mapping[str, Any]]) -> str:
    """One word for the precision executed.

    Args:
        asked: the precision that the file was made for.
        ran: the fields of `records.Ran`.

    Returns:
        `asked` where the runtime does not tell, and for a quantized file (`int8`, `dynamic-int8`) whose other nodes run
        in fp32, as the file has them: more than half of the nodes must be quantized in an `int8` file, one in a
        `dynamic-int8` one. Else the precisions found, the commonest first, such as "fp32" or "int8+bf16".
    """
    counts: Optional[Mapping[str, int]] = ran["precisions"] if ran else None
    if not counts:
        return asked
    quantized = counts.get("int8", 0)
    enough = 2 * quantized > sum(counts.values()) if asked == "int8" else "int8" in asked and quantized > 0
    if enough and set(counts) <= {"int8", "fp32"}:
        return asked
    return "+".join(sorted(counts, key=lambda one: (-counts[one], one)))


def keeps(asked: str, executed: str) -> bool:
    """Whether a file made for the precision `asked` may be executed in `executed`, a word as `executed` gives it.

    A file in half precision holds weights in fp16. Computing with them in fp32, as processors without such arithmetic
    must, loses nothing; in bf16 it would.
    """
    return executed == asked or (asked == "fp16" and set(executed.split("+")) <= {"fp16", "fp32"})


def untold(provider: str, source: str) -> Dict[str, Any]:
    """The fields of `records.Ran` where the runtime tells no more than where it runs."""
    return {
        "provider": provider,
        "nodes": None,
        "on_provider": None,
        "partitions": None,
        "precisions": None,
        "source": source,
    }
