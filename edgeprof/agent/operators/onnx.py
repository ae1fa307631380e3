"""ONNX Runtime profiles a session into a file: one event for each kernel that ran, in whole microseconds."""

from __future__ import annotations

import statistics
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from ..runtimes.model import Arrays
from ..runtimes.onnx import Event, event_precision, kernel_name, names_of_inputs, new_session, node_key, profiled


def profile_onnx(
    ort: Any,
    files: Mapping[str, str],
    threads: int,
    provider: Optional[str],
    feeds: Sequence[Arrays],
    runs: Tuple[int, int],
    allow_fallback: bool,
) -> Tuple[str, int, List[Dict[str, Any]]]:
    names = names_of_inputs(new_session(ort, files, threads, provider, allow_fallback))
    named = [dict(zip(names, feed)) for feed in feeds]
    told = profiled(ort, files, threads, provider, named, *runs)
    source = "ONNX Runtime %s session profile" % ort.__version__
    return source, int(statistics.median(took for took, _ in told)), operators([events for _, events in told])


def operators(inferences: Sequence[Sequence[Event]]) -> List[Dict[str, Any]]:
    """The nodes of the graph with their times, from the events of each inference in time order.

    A node that did not run in an inference (a branch not taken) took no time in it.
    """
    first: Dict[str, Event] = {}
    spent: List[Dict[str, int]] = []
    for events in inferences:
        times: Dict[str, int] = {}
        for event in outermost(events):
            key = node_key(event)
            first.setdefault(key, event)
            times[key] = times.get(key, 0) + int(event["dur"])
        spent.append(times)
    return [
        {
            "name": kernel_name(event),
            "kind": str(event["args"].get("op_name", "")),
            "runs_on": event["args"].get("provider"),
            "precision": event_precision(event),
            # Whole microseconds; the grouped median is that of what lies between them.
            "median_ns": int(1000 * statistics.median_grouped([times.get(key, 0) for times in spent])),
        }
        for key, event in first.items()
    ]


def outermost(events: Sequence[Event]) -> List[Event]:
    """Without the nodes inside a loop or a branch, whose time is in that of the node around them."""
    kept: List[Event] = []
    end = -1
    for event in events:
        if event["ts"] >= end:
            kept.append(event)
            end = event["ts"] + event["dur"]
    return kept
