"""OpenVINO's performance counters: whole microseconds for each node of the executed graph."""

from __future__ import annotations

import statistics
import time
from typing import Any, Dict, List, Optional, Sequence, Tuple

from ..runtimes.model import Arrays
from ..runtimes.openvino import compile_model, executed_nodes
from ..runtimes.ran import word

Counters = List[Tuple[str, str, int]]
"""(name, type, microseconds) of each node that ran, in the order of execution."""


def profile_openvino(
    ov: Any,
    xml: str,
    weights: str,
    threads: int,
    precision: str,
    provider: Optional[str],
    feeds: Sequence[Arrays],
    runs: Tuple[int, int],
    allow_fallback: bool,
) -> Tuple[str, int, List[Dict[str, Any]]]:
    compiled = compile_model(ov, xml, weights, threads, precision, provider, allow_fallback, count_time=True)
    runs_on = ", ".join(str(one) for one in compiled.get_property("EXECUTION_DEVICES"))
    request = compiled.create_infer_request()
    warmup, inferences = runs
    took: List[int] = []
    before: Counters = []
    for number in range(warmup + inferences):
        for place, array in enumerate(feeds[number % len(feeds)]):
            request.set_input_tensor(place, ov.Tensor(array, shared_memory=True))
        begin = time.perf_counter_ns()
        request.infer(share_outputs=True)
        took.append(time.perf_counter_ns() - begin)
        if number == warmup - 1:
            before = _counters(request)
    types = {name: word(kind) for name, _, kind in executed_nodes(compiled)}
    found = [
        {"name": name, "kind": kind, "runs_on": runs_on, "precision": types.get(name), "median_ns": spent}
        for name, kind, spent in later(before, warmup, _counters(request), warmup + inferences)
    ]
    version = str(ov.get_version()).split("-")[0]
    source = "OpenVINO %s performance counters, which it averages over the inferences" % version
    return source, int(statistics.median(took[warmup:])), found


def later(before: Counters, warmup: int, after: Counters, runs: int) -> List[Tuple[str, str, int]]:
    """Nanoseconds in an inference after the warm-up: (name, type, nanoseconds).

    The plugin's counters are averages, cut to whole microseconds, over all inferences since the file was compiled:
    runs * average is their sum, and the difference of two sums is that of the inferences between. (So these are means:
    the median of a node cannot be had.) The cuts leave an error of up to runs / (runs - warmup) microseconds.
    """
    known = {name: average for name, _, average in before}
    found = []
    for name, kind, average in after:
        spent = runs * average - warmup * known.get(name, 0)
        found.append((name, kind, max(0, 1000 * spent // (runs - warmup))))
    return found


def _counters(request: Any) -> Counters:
    return [
        (str(one.node_name), str(one.node_type), round(one.real_time.total_seconds() * 1e6))
        for one in request.get_profiling_info()
        if "EXECUTED" in str(one.status)
    ]
