"""ONNX Runtime."""

from __future__ import annotations

import json
import os
import re
import tempfile
import time
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from .external import gathered
from .model import Arrays, FallbackError, Model, ModelError, Shapes, TensorInfo, fitted
from .ran import partitions, precisions, untold, word

CPU = "CPUExecutionProvider"
_TYPES = {"float": "float32", "double": "float64", "bfloat16": "bfloat16", "string": "object"}
_KERNEL = "_kernel_time"
# In the words of 1.24 and newer, and of older ones.
_MISSING = re.compile(r'xternal data path does not exist: "?([^"]+)"?|file size: No such file or directory \[(.+?)\]')
Event = Dict[str, Any]


def open_onnx(
    ort: Any,
    files: Mapping[str, str],
    threads: int,
    precision: str,
    provider: Optional[str],
    shapes: Optional[Shapes],
    allow_fallback: bool,
) -> Model:
    session = new_session(ort, files, threads, provider, allow_fallback)
    runs_on = str(session.get_providers()[0])
    inputs, outputs = session.get_inputs(), session.get_outputs()
    infos = tuple(_info(one) for one in inputs)
    fitted(infos, shapes)
    names, wanted = [one.name for one in inputs], [one.name for one in outputs]
    run_session, clock = session.run, time.perf_counter_ns
    took, given = [0], [None]  # type: Tuple[List[int], List[Any]]

    def run(arrays: Arrays) -> Arrays:
        feed = dict(zip(names, arrays))
        begin = clock()
        result: Arrays = run_session(wanted, feed)
        took[0] = clock() - begin
        given[0] = feed
        return result

    def ran() -> Dict[str, Any]:
        source = "ONNX Runtime's profile of one inference"
        try:
            events = profiled(ort, files, threads, provider, [given[0]], 0, 1)[0][1]
        except Exception:  # a measurement that is made already is not lost for it
            return untold(runs_on, source)
        return _ran(runs_on, events, source)

    return Model(
        inputs=infos,
        outputs=tuple(_info(one) for one in outputs),
        run=run,
        runs_on=runs_on,
        precision=precision,
        threads=int(session.get_session_options().intra_op_num_threads),
        version=str(ort.__version__),
        call_ns=lambda: took[0],
        ran=ran,
    )


def new_session(
    ort: Any,
    files: Mapping[str, str],
    threads: int,
    provider: Optional[str],
    allow_fallback: bool,
    profile_to: Optional[str] = None,
) -> Any:
    """A session of exactly so many threads.

    Args:
        provider: the execution provider to prefer; None: the CPU's alone.
        profile_to: a path prefix; the session profiles itself into a file of that name.

    Raises:
        FallbackError: ONNX Runtime does not have the provider, or cannot start it.
    """
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = 3
    if profile_to is not None:
        options.enable_profiling = True
        options.profile_file_prefix = profile_to
    here = provider in (None, CPU) or provider in ort.get_available_providers()
    if not here and not allow_fallback:
        have = ", ".join(ort.get_available_providers())
        raise FallbackError("ONNX Runtime %s has no %s here; it has: %s" % (ort.__version__, provider, have))
    providers = [provider, CPU] if here and provider not in (None, CPU) else [CPU]
    try:
        with gathered(files) as path:
            session = ort.InferenceSession(path, options, providers=providers)
    except Exception as error:
        missing = _MISSING.search(str(error))
        if missing is None:
            raise
        name = os.path.basename(missing.group(1) or missing.group(2))
        raise ModelError("its external data %r is missing; here are: %s" % (name, ", ".join(sorted(files)))) from error
    # A provider whose libraries cannot be loaded is left out with no more than a line on stderr.
    if provider not in (None, session.get_providers()[0]) and not allow_fallback:
        text = "ONNX Runtime %s could not start %s (are its libraries installed?) and would run on %s"
        raise FallbackError(text % (ort.__version__, provider, session.get_providers()[0]))
    return session


def names_of_inputs(session: Any) -> List[str]:
    """In the model's order."""
    return [str(one.name) for one in session.get_inputs()]


def profiled(
    ort: Any,
    files: Mapping[str, str],
    threads: int,
    provider: Optional[str],
    feeds: Sequence[Dict[str, Any]],
    warmup: int,
    inferences: int,
) -> List[Tuple[int, List[Event]]]:
    """Run in a profiling session: of each inference after `warmup` its nanoseconds and the events of its kernels."""
    with tempfile.TemporaryDirectory(prefix="edgeprof-") as folder:
        session = new_session(ort, files, threads, provider, True, os.path.join(folder, "profile"))
        took = []
        for number in range(warmup + inferences):
            begin = time.perf_counter_ns()
            session.run(None, feeds[number % len(feeds)])
            took.append(time.perf_counter_ns() - begin)
        with open(session.end_profiling(), encoding="utf-8") as file:
            events = json.load(file)
    return list(zip(took, _by_inference(events)))[warmup:]


def node_key(event: Event) -> str:
    """The same for all calls of a node: in a loop there are several."""
    return "%s %s" % (event["args"].get("node_index"), event["name"])


def kernel_name(event: Event) -> str:
    """The name of the node that an event is of."""
    return str(event["name"])[: -len(_KERNEL)]


def event_precision(event: Event) -> Optional[str]:
    """What a kernel computes in: the type of its first input that is a number's, as weights follow the data.

    The dynamically quantized kernels take floats and multiply in 8 bits.
    """
    arguments = event["args"]
    if str(arguments.get("op_name", "")).startswith("DynamicQuantize"):
        return "int8"
    types = [kind for one in arguments.get("input_type_shape", ()) for kind in one]
    return next((one for one in map(word, types) if one is not None), None)


def _by_inference(events: Sequence[Event]) -> List[List[Event]]:
    """The kernels' events of each inference, in time order."""
    runs = sorted((one for one in events if one["name"] == "model_run"), key=lambda one: int(one["ts"]))
    kernels = sorted(
        (one for one in events if one.get("cat") == "Node" and str(one["name"]).endswith(_KERNEL)),
        key=lambda one: int(one["ts"]),
    )
    return [[one for one in kernels if _inside(one, run)] for run in runs]


def _inside(event: Event, run: Event) -> bool:
    return bool(run["ts"] <= event["ts"] <= run["ts"] + run["dur"])


def _ran(provider: str, events: Sequence[Event], source: str) -> Dict[str, Any]:
    nodes = list({node_key(one): one for one in events}.values())
    here = [one["args"].get("provider") == provider for one in nodes]
    return {
        "provider": provider,
        "nodes": len(nodes),
        "on_provider": sum(here),
        "partitions": partitions(here),
        "precisions": precisions((str(one["args"].get("op_name", "")), event_precision(one)) for one in nodes),
        "source": source,
    }


def _info(value: Any) -> TensorInfo:
    shape = tuple(dim if isinstance(dim, int) and dim >= 0 else None for dim in value.shape)
    kind = value.type[len("tensor(") : -1] if value.type.startswith("tensor(") else value.type
    return TensorInfo(value.name, shape, _TYPES.get(kind, kind))
