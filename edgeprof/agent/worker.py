"""One process round: a fresh process that opens one file, runs it, times it, and ends.

Reads one JSON line (the spec) on stdin; writes JSON lines on what stdout was: `{"phase": ...}` as it goes on, for work
that comes to an end in parts `{"part": {...}}` after each, and at the end `{"result": {...}}` or `{"failed": {...}}`.
Runtimes print to stdout as they like; that goes to stderr.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import re
import resource
import signal
import sys
import time
from typing import Any, Callable, Dict, Iterator, List, Optional, Sequence

from .runtimes import (
    FallbackError,
    MissingRuntimeError,
    Model,
    ModelError,
    executed,
    import_runtime,
    open_model,
    own_words,
    untold,
)
from .samples import RoundError, arranged, compare, input_shapes, read_samples
from .telemetry import Watch
from .timing import Kept, timed

WARMUP_SHARE, BLOCK_SHARE = 0.4, 0.8
"""Shares of the time allowed at which warm-up and block end even if they are short of samples."""

CANARY_REPEATS = 10
"""Before the file is loaded, and again after the block."""


def main() -> None:
    """Do the round that stdin asks for; ends the process."""
    # The result has a descriptor of its own: what libraries print must not get between its lines.
    out = os.dup(1)
    os.dup2(2, 1)
    sys.stdout = sys.stderr

    def tell(message: Dict[str, Any]) -> None:
        data = (json.dumps(message) + "\n").encode()
        while data:
            data = data[os.write(out, data) :]

    spec = json.loads(sys.stdin.readline())
    die_with(int(spec["parent"]))
    die_first()
    # A crash is told by the exit status; a core file would only fill the board's disk.
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    try:
        if spec.get("evaluate"):
            from .evaluate import evaluate

            work: Callable[..., Any] = functools.partial(evaluate, tell=lambda part: tell({"part": part}))
        elif spec.get("energy"):
            from .energy import energy as work
        else:
            work = next((one for key, one in OTHER_WORK.items() if spec.get(key)), measure)
        tell({"result": work(spec, lambda phase: tell({"phase": phase}))})
    except RoundError as error:
        tell({"failed": {"error_class": error.kind, "message": str(error), "package": error.package}})
    except Exception as error:  # whatever a runtime raises is the cell's failure, not the agent's
        message = "%s: %s" % (type(error).__name__, own_words(error))
        tell({"failed": {"error_class": "error", "message": message, "package": None}})
    # Without the runtimes' own teardown, which can crash or hang when all is measured.
    sys.stderr.flush()
    os._exit(0)


def die_with(parent: int) -> None:
    """Have the kernel kill this process when its parent dies, so that nothing ever measures unwatched."""
    try:
        import ctypes

        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, int(signal.SIGKILL), 0, 0, 0)
    except (ImportError, OSError, AttributeError):
        pass  # a libc without it: the supervisor's own kill remains
    if os.getppid() != parent:  # it died before we asked
        os._exit(1)


def die_first() -> None:
    """Have the kernel, when memory runs out, kill this process and not the agent that watches it."""
    try:
        with open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:
            file.write("1000")
    except OSError:
        pass  # where there is none, the kernel goes by size, which is this process's too


def inspect(spec: Dict[str, Any], phase: Callable[[str], None]) -> Dict[str, Any]:
    """Open a file only to tell its inputs and outputs: (name, shape, dtype) each.

    Raises:
        RoundError: with its class.
    """
    phase("loading the file")
    model = opened(spec)
    return {"inputs": [list(one) for one in model.inputs], "outputs": [list(one) for one in model.outputs]}


def opened(spec: Dict[str, Any], given: Optional[Dict[str, Any]] = None) -> Model:
    """The model of the spec, for inputs of the samples' shapes where there are samples.

    Args:
        given: the samples' arrays by name; `in0`, `in1`, ... hold one sample a row.

    Raises:
        RoundError: its runtime is missing, it cannot be opened, or it would run elsewhere than asked.
    """
    shapes = None if given is None else input_shapes(given)
    asked = spec["format"], spec["files"], int(spec["threads"]), spec["precision"], spec.get("provider")
    with round_errors():
        return open_model(*asked, shapes=shapes, allow_fallback=bool(spec.get("allow_fallback")))


def by_operator(spec: Dict[str, Any], phase: Callable[[str], None]) -> Dict[str, Any]:
    """Time by operator; returns the fields of the event `operators` that come from this process.

    Raises:
        RoundError: with its class.
    """
    pin(spec.get("cores"))
    phase("reading the inputs")
    given = read_samples(spec.get("samples"))
    phase("loading the file")
    from .operators import profile

    feeds, _ = arranged(opened(spec, given), given)
    phase("profiling the operators")
    asked = spec["format"], spec["files"], int(spec["threads"]), spec["precision"], spec.get("provider")
    with round_errors():
        return profile(*asked, feeds, int(spec["inferences"]), allow_fallback=bool(spec.get("allow_fallback")))


def told_providers(spec: Dict[str, Any], phase: Callable[[str], None]) -> List[str]:
    """What the format's runtime can run on.

    Raises:
        RoundError: with its class.
    """
    phase("importing the runtime")
    from .runtimes.providers import providers

    with round_errors():
        return providers(spec["format"])


@contextlib.contextmanager
def round_errors() -> Iterator[None]:
    """What goes wrong in a runtime is the round's failure, with its class."""
    try:
        yield
    except MissingRuntimeError as error:
        raise RoundError("missing_runtime", str(error), error.package) from error
    except FallbackError as error:
        raise RoundError("fallback", str(error)) from error
    except ModelError as error:
        raise RoundError("error", str(error)) from error


def measure(spec: Dict[str, Any], phase: Callable[[str], None]) -> Dict[str, Any]:
    """The round; returns the fields of the event `round` that come from this process.

    Raises:
        RoundError: with its class.
    """
    began = time.perf_counter_ns()
    allowed_ns = float(spec["timeout_s"]) * 1e9
    started_at = time.time()
    pin(spec.get("cores"))
    phase("importing the runtime")
    try:
        import numpy  # noqa: F401
    except ImportError as error:
        raise RoundError("missing_runtime", "numpy cannot be imported: %s" % error, "numpy") from error
    with round_errors():
        import_runtime(spec["format"])
    phase("reading the inputs")
    given = read_samples(spec.get("samples"))
    phase("timing the canary")
    canary_ns = canary(CANARY_REPEATS)
    reset_peak()
    rss_before = memory("VmRSS")

    phase("loading the file")
    begin = time.perf_counter_ns()
    model = opened(spec, given)
    load_ns = time.perf_counter_ns() - begin
    if model.threads != int(spec["threads"]):
        raise RoundError("error", "the runtime took %d threads, asked were %s" % (model.threads, spec["threads"]))
    feeds, expected = arranged(model, given)

    phase("the first inference")
    begin = time.perf_counter_ns()
    outputs = model.run(feeds[0])
    first_ns = time.perf_counter_ns() - begin
    kept = Kept(outputs, int(spec["block_max"]))
    watch = Watch()
    phase("warm-up")
    warmup_ns, _ = timed(
        model.run,
        model.call_ns,
        feeds,
        float(spec["warmup_s"]),
        int(spec["warmup_min"]),
        int(spec["block_max"]),
        began + int(WARMUP_SHARE * allowed_ns),
    )
    # Before the block: the outputs kept in it are the harness's memory, not the model's.
    peak = memory("VmHWM")
    phase("the timed block")
    switches = resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw
    watch.begin()
    samples_ns, call_ns = timed(
        model.run,
        model.call_ns,
        feeds,
        float(spec["block_s"]),
        int(spec["block_min"]),
        int(spec["block_max"]),
        began + int(BLOCK_SHARE * allowed_ns),
        kept,
    )
    telemetry = watch.end()
    switches = resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw - switches
    phase("timing the canary")
    canary_ns += canary(CANARY_REPEATS)
    phase("checking the outputs")
    difference = compare(kept, len(samples_ns), len(feeds), expected, spec.get("wrong_above"))
    ran = None
    if spec.get("look"):
        phase("asking the runtime what ran")
        try:
            ran = model.ran()
        except Exception as error:  # what is measured must not be lost for it; the record says what went wrong
            ran = untold(model.runs_on, "not told: %s: %s" % (type(error).__name__, own_words(error)))
        if ran["on_provider"] == 0 and spec.get("provider") and not spec.get("allow_fallback"):
            raise RoundError("fallback", "nothing of the graph runs on %s here" % spec["provider"])
    return {
        "started_at": started_at,
        "load_ns": load_ns,
        "first_ns": first_ns,
        "warmup_ns": warmup_ns,
        "samples_ns": samples_ns,
        "call_ns": call_ns,
        "canary_ns": canary_ns,
        "telemetry": telemetry,
        "ran": ran,
        "peak_rss_bytes": peak,
        "model_rss_bytes": None if peak is None or rss_before is None else max(0, peak - rss_before),
        "runs_on": model.runs_on,
        "precision_executed": executed(spec["precision"], ran) if ran else model.precision,
        "threads_used": model.threads,
        "output_diff": difference,
        "involuntary_switches": switches,
    }


OTHER_WORK: Dict[str, Callable[[Dict[str, Any], Callable[[str], None]], Any]] = {
    "inspect": inspect,
    "operators": by_operator,
    "providers": told_providers,
}
"""What a process can be started for besides measuring, by the key of its spec; and `evaluate` and `energy`,
which have modules of their own."""


def canary(repeats: int) -> List[int]:
    """Its times; its memory is given back, so that it counts as nobody's."""
    from .canary import Canary

    return Canary().time(repeats)


def pin(cores: Optional[Sequence[int]]) -> None:
    """Bind this process, and so all threads it will start, to the cores asked for."""
    if cores is None:
        return
    usable = sorted(os.sched_getaffinity(0))
    absent = sorted(set(cores) - set(usable))
    if absent:
        named, known = ", ".join(map(str, absent)), ", ".join(map(str, usable))
        raise RoundError("cores", "core %s does not exist or may not be used; usable: %s" % (named, known))
    os.sched_setaffinity(0, set(cores))


def memory(key: str) -> Optional[int]:
    """A line of /proc/self/status in bytes. (ru_maxrss will not do: it is inherited from the parent.)"""
    try:
        with open("/proc/self/status", encoding="ascii", errors="replace") as status:
            found = re.search(r"^%s:\s*(\d+) kB" % key, status.read(), re.M)
    except OSError:
        return None
    return int(found.group(1)) * 1024 if found else None


def reset_peak() -> None:
    """Have VmHWM begin anew from what is resident now (proc(5), clear_refs), so that it is the model's."""
    try:
        with open("/proc/self/clear_refs", "w", encoding="ascii") as file:
            file.write("5")
    except OSError:
        pass  # not allowed: the canary's 8 MiB then count where the model stays below them
