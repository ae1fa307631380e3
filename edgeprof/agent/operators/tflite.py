"""Time by operator of a TFLite file: LiteRT's profiler, its events brought back to the nodes of the file."""

from __future__ import annotations

import re
import statistics
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from ..runtimes.model import Arrays, ModelError
from ..runtimes.ran import multiplies
from ..runtimes.tflite import (
    BUILT_IN,
    NO_DELEGATE,
    XNNPACK,
    Node,
    new_interpreter,
    node_precision,
    originals,
    replaced,
    tensor_types,
)
from .litert import NEEDED, Event, Session, TensorType

# Bits of LiteRtProfilerEventType.
NODE = 1 << 1
DELEGATE = 1 << 2 | 1 << 3
# In the name of an XNNPACK operator, as in "Convolution (NHWC, QC8) IGEMM", what it computes in. With weights in 8 bits
# (QC8W) and data quantized on the fly (QD8) it multiplies in 8 bits.
_TYPES = {"F32": "fp32", "F16": "fp16", "BF16": "bf16", "QC8": "int8", "QS8": "int8", "QU8": "int8", "QD8": "int8"}


def profile_tflite(
    interpreters: Any,
    name: str,
    version: str,
    path: str,
    threads: int,
    provider: Optional[str],
    feeds: Sequence[Arrays],
    runs: Tuple[int, int],
    allow_fallback: bool,
) -> Tuple[str, int, List[Dict[str, Any]]]:
    if name != "ai_edge_litert":
        raise ModelError(NEEDED % ("tflite-runtime " + version))
    shapes = [array.shape for array in feeds[0]]
    # The interpreter only tells the graph: it knows the nodes that the profiler's events speak of.
    interpreter = new_interpreter(interpreters, path, threads, version, provider, shapes, allow_fallback)
    inputs, outputs = _tensors(interpreter.get_input_details()), _tensors(interpreter.get_output_details())
    nodes = interpreter._get_ops_details()
    names = {int(one["index"]): str(one["name"]) for one in interpreter.get_tensor_details()}
    types = tensor_types(interpreter)
    session = Session(version, path, threads, provider != NO_DELEGATE, inputs, outputs)
    warmup, inferences = runs
    told = [session.run(feeds[number % len(feeds)]) for number in range(warmup + inferences)][warmup:]
    source = "LiteRT %s profiler" % version
    return (
        source,
        int(statistics.median(took for took, _ in told)),
        operators([one for _, one in told], nodes, names, types),
    )


def operators(
    inferences: Sequence[Sequence[Event]], nodes: Sequence[Node], names: Mapping[int, str], types: Mapping[int, str]
) -> List[Dict[str, Any]]:
    """The operators with their times, from the events of each inference in the order of execution.

    Args:
        nodes: of the graph after delegation, as the interpreter lists them.
        names, types: of the tensors; a node is called by its first output.

    Raises:
        ModelError: not the same operators ran every time.
    """
    original = {int(one["index"]): one for one in originals(nodes)}
    # A delegate's part is a node too, whose time is that of the operators in it.
    chosen = [[one for one in events if one.type & DELEGATE or _is_node(one, original)] for events in inferences]
    first = chosen[0]
    if any([one[:3] for one in events] != [one[:3] for one in first] for events in chosen):
        raise ModelError("the profiler's operators are not the same in every inference")
    layers = behind(first, nodes)
    found = []
    for number, event in enumerate(first):
        node = layers[number]
        delegated = bool(event.type & DELEGATE)
        found.append(
            {
                "name": event.tag if node is None else layer(names.get(int(node["outputs"][0]), event.tag)),
                "kind": _without_types(event.tag) if node is None else str(node["op_name"]),
                "runs_on": XNNPACK if delegated else BUILT_IN,
                "precision": _tag_precision(event.tag) if delegated else node_precision(original[event.node], types),
                # Whole microseconds; the grouped median is that of what lies between them.
                "median_ns": int(1000 * statistics.median_grouped([events[number].us for events in chosen])),
            }
        )
    return found


def behind(events: Sequence[Event], nodes: Sequence[Node]) -> List[Optional[Node]]:
    """The node of the file that each event is of; None where it cannot be told.

    XNNPACK numbers operators of its own, after fusing and splitting; but it keeps the order of its part, and neither
    fuses nor splits what multiplies and accumulates. So where a part has as many such operators as such nodes, they are
    the same.
    """
    original = {int(one["index"]): one for one in originals(nodes)}
    found: List[Optional[Node]] = [None if one.type & DELEGATE else original[one.node] for one in events]
    parts, taken = _parts(events), replaced(nodes)
    if len(parts) != len(taken):
        return found
    for places, indices in zip(parts, taken):
        heavy = [place for place in places if multiplies(events[place].tag)]
        layers = [original[index] for index in sorted(indices) if multiplies(str(original[index]["op_name"]))]
        if len(heavy) == len(layers):
            for place, node in zip(heavy, layers):
                found[place] = node
    return found


def layer(tensor: str) -> str:
    """A short name for the tensor that a layer makes: of the modules of PyTorch that a converter names with their
    classes, as in "a.b.Sequential_blocks/c.Conv2d_conv1;", the attributes alone; of fused layers the one that computes.
    """
    steps = re.sub(r";\d*$", "", tensor).split(";;")[-1].split("/")
    if len(steps) == 1:
        return tensor
    named = [re.fullmatch(r"(?:\w+\.)*[A-Z][A-Za-z0-9]*_(\w+)", step) for step in steps[1:]]
    return "/".join(match.group(1) if match else step for match, step in zip(named, steps[1:]))


def _is_node(event: Event, original: Mapping[int, Node]) -> bool:
    return event.type == NODE and event.node in original


def _parts(events: Sequence[Event]) -> List[List[int]]:
    """The places of a delegate's operators, part by part: each part counts its operators from 0."""
    parts: List[List[int]] = []
    last: Optional[int] = None
    for place, event in enumerate(events):
        if not event.type & DELEGATE:
            last = None
            continue
        if last is None or event.node <= last:
            parts.append([])
        parts[-1].append(place)
        last = event.node
    return parts


def _without_types(tag: str) -> str:
    return " ".join(re.sub(r"\([^)]*\)", " ", tag).split())


def _tag_precision(tag: str) -> Optional[str]:
    inside = re.findall(r"[A-Z]+\d+", " ".join(re.findall(r"\(([^)]*)\)", tag)))
    known = [_TYPES[one] for one in inside if one in _TYPES]
    return "int8" if "int8" in known else (known[0] if known else None)


def _tensors(details: Sequence[Mapping[str, Any]]) -> List[TensorType]:
    found = []
    for one in details:
        shape, signature = tuple(int(dim) for dim in one["shape"]), tuple(one.get("shape_signature", ()))
        found.append(TensorType(str(one["name"]), str(one["dtype"].__name__), shape, any(dim < 0 for dim in signature)))
    return found
