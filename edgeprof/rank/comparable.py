"""Whether the numbers of two runs may be compared: in what the runs differ beside the files that they measured.

The names are closed. What can move a latency by itself (the device, its clock, its kernel, the runtime, how a sample is
taken) makes two runs not comparable until it is allowed by name; what only changes how much was measured, or is not
known to matter, is told. What one run knows and the other does not counts as a difference: silence is no proof.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import msgspec

from edgeprof.errors import UsageError, nearest
from edgeprof.records import DeviceFacts, Measurement, Method, Ranking, Round, Run
from edgeprof.records.advice import QUICK_BLOCK_S, is_quick
from edgeprof.records.compared import Basis, Difference
from edgeprof.records.inputs import Format

UNKNOWN = "not known"
RUNTIME = "runtime"
PACKAGES: dict[Format, tuple[str, ...]] = {
    "onnx": ("onnxruntime",),
    "openvino": ("openvino",),
    "tflite": ("ai-edge-litert", "tflite-runtime"),
}
"""What may run a format, by the names in `DeviceFacts.runtimes`."""
SAMPLING = ("warmup_s", "warmup_min", "block_s", "block_min", "block_max")
"""Fields of the method that say how a sample is taken. The others say how many are, which the intervals know."""
METHOD_WORDS: dict[str, str] = {
    "warmup_s": "warm-up of {:g} s",
    "warmup_min": "warm-up of at least {} inferences",
    "block_s": "blocks of {:g} s",
    "block_min": "at least {} samples a block",
    "block_max": "at most {} samples a block",
    "precision": "--precision {:.3g}%",
    "min_rounds": "at least {} rounds",
    "max_rounds": "at most {} rounds",
    "cell_s": "--cell-time {:g}s",
    "again": "doubtful candidates measured {}",
    "allow_fallback": "{} --allow-fallback",
}
"""A field of the method as people know it: by its option where it has one."""


def _clock(facts: DeviceFacts) -> str | None:
    return None if facts.clock_mhz is None else f"{facts.clock_mhz[0]:g} to {facts.clock_mhz[1]:g} MHz"


def _power_mode(facts: DeviceFacts) -> str | None:
    return None if facts.power_mode is None else f"{facts.power_mode.id} ({facts.power_mode.name})"


def _memory(facts: DeviceFacts) -> str | None:
    """Whole GiB: kernels reserve more or less of the same memory."""
    return None if facts.memory_bytes is None else f"{facts.memory_bytes / 2**30:.0f} GiB"


def _isolated(facts: DeviceFacts) -> str | None:
    return ", ".join(map(str, facts.isolated_cores)) or None


SPOILING: dict[str, Callable[[DeviceFacts], str | None]] = {
    "board": lambda facts: facts.board,
    "architecture": lambda facts: facts.architecture,
    "userland": lambda facts: facts.userland,
    "cpu": lambda facts: facts.cpu,
    "cores": lambda facts: str(facts.cores),
    "isolated_cores": _isolated,
    "governor": lambda facts: facts.governor,
    "clock": _clock,
    "power_mode": _power_mode,
    "kernel": lambda facts: facts.kernel,
    "libc": lambda facts: facts.libc,
    "l4t": lambda facts: facts.l4t,
    "virtual_machine": lambda facts: facts.virtual_machine,
    "container": lambda facts: facts.container,
}
TOLD: dict[str, Callable[[DeviceFacts], str | None]] = {
    "os": lambda facts: facts.os,
    "memory": _memory,
    "python": lambda facts: facts.python,
    "numpy": lambda facts: facts.numpy,
}
OTHERS = ("device", "facts", "bound_to", "method", RUNTIME)
"""Spoil as well: another device's name; nothing known of one; other cores to run on; another way to take samples; a
runtime's version."""
TOLD_OTHERS = ("effort", "agent", "training", "suite")


def names() -> tuple[str, ...]:
    """What can be allowed; `runtime` allows all runtimes at once."""
    runtimes = [f"{RUNTIME}:{package}" for some in PACKAGES.values() for package in some]
    return (*OTHERS, *runtimes, *SPOILING)


def allowed(words: Iterable[str]) -> frozenset[str]:
    """The names to allow, of options that may hold several with commas.

    Raises:
        UsageError: one is not a name, or of something that is never refused.
    """
    found = [name.strip() for word in words for name in word.split(",")]
    for name in found:
        if name in names():
            continue
        if name in TOLD or name in TOLD_OTHERS:
            raise UsageError(f"{name} is only told, never refused", hint="leave it out of --allow")
        raise UsageError(f"{name!r} is nothing in which runs differ", hint=nearest(name, names()) or None)
    return frozenset(found)


def basis(run: Run | Ranking, rounds: Iterable[Round] = (), formats: Sequence[Format] | None = None) -> Basis:
    """Of a run or its ranking, and of the rounds that it measured.

    Args:
        formats: of the files that matter; None: of all its cells or candidates.
    """
    if formats is None:
        cells = run.cells if isinstance(run, Run) else run.candidates
        formats = [msgspec.convert(one.format, Format) for one in cells]
    return Basis(
        device=run.device,
        facts=run.facts,
        method=run.method,
        formats=tuple(sorted(set(formats))),
        training=run.training,
        suite_sha=run.suite_sha,
        bound_to=run.bound_to if isinstance(run, Run) else None,
        agents=tuple(sorted({one.agent_sha for one in rounds})),
    )


def basis_of(run: Run | Ranking, measurements: Iterable[Measurement]) -> Basis:
    """`basis` with all rounds of the measurements."""
    return basis(run, (each for one in measurements for each in one.rounds))


def differences(one: Basis, other: Basis, allow: frozenset[str] = frozenset()) -> tuple[Difference, ...]:
    """In what two runs differ; what spoils a comparison comes first.

    Args:
        allow: names (see `names`) that are accepted knowingly.
    """
    found: list[Difference] = []

    def tell(name: str, here: str | None, there: str | None, spoils: bool) -> None:
        if here != there:
            accepted = spoils and (name in allow or (name.startswith(f"{RUNTIME}:") and RUNTIME in allow))
            words = (here or UNKNOWN, there or UNKNOWN)
            found.append(Difference(name=name, one=words[0], other=words[1], spoils=spoils, allowed=accepted))

    tell("device", one.device, other.device, True)
    facts, theirs = one.facts, other.facts
    if facts is None or theirs is None:
        tell("facts", "known" if facts else None, "known" if theirs else None, True)
        if facts is None and theirs is None:
            found.append(Difference(name="facts", one=UNKNOWN, other=UNKNOWN, spoils=True, allowed="facts" in allow))
    else:
        for name, read in SPOILING.items():
            tell(name, read(facts), read(theirs), True)
        for package, spoils in _packages(one, other):
            tell(f"{RUNTIME}:{package}", facts.runtimes.get(package), theirs.runtimes.get(package), spoils)
        for name, read in TOLD.items():
            tell(name, read(facts), read(theirs), False)
    tell("bound_to", _cores(one), _cores(other), True)
    here, there = _fields(one.method, other.method, SAMPLING)
    tell("method", here, there, True)
    rest = [name for name in Method.__struct_fields__ if name not in (*SAMPLING, "order_seed", "timeout_s")]
    here, there = _fields(one.method, other.method, rest)
    tell("effort", here, there, False)
    if one.agents and other.agents:
        tell("agent", _all(one.agents), _all(other.agents), False)
    tell("training", one.training, other.training, False)
    tell("suite", _short(one.suite_sha), _short(other.suite_sha), False)
    return tuple(sorted(found, key=lambda difference: not difference.spoils))


def refused(differences: Iterable[Difference]) -> tuple[Difference, ...]:
    """Those that make two runs not comparable and were not allowed."""
    return tuple(one for one in differences if one.spoils and not one.allowed)


def check(differences: Iterable[Difference], what: str = "the runs", instead: str = "") -> None:
    """Refuse to compare what cannot be compared.

    Args:
        instead: a hint how to measure what can be compared.

    Raises:
        UsageError: it names each difference with both values, and what allows it.
    """
    against = refused(differences)
    if against:
        said = "; ".join(f"{one.name}: {one.one} against {one.other}" for one in against)
        flags = " ".join(f"--allow {one.name}" for one in against)
        hints = (*([instead] if instead else []), f"if that is what you want to compare: {flags}")
        raise UsageError(f"{what} are not comparable: {said}", hint="; ".join(hints))


def measured_alike(differences: Iterable[Difference], earlier: Run) -> str:
    """How to measure now as an earlier run was; empty where options do not make two runs alike.

    A board or a kernel is not changed by an option, so it is told only where nothing else stands in the way.
    """
    if [one.name for one in refused(differences)] != ["method"]:
        return ""
    usual = _sampling(Method())
    if _sampling(earlier.method) not in (usual, {**usual, "block_s": QUICK_BLOCK_S}):
        return ""
    what = f"run --training {earlier.training}" if earlier.training else "profile FILES"
    option = " --quick" if is_quick(earlier.method) else ""
    return f"measure as run {earlier.run} was: edgeprof {what} --device {earlier.device}{option} --fresh"


def _sampling(method: Method) -> dict[str, float]:
    return {name: getattr(method, name) for name in SAMPLING}


def _packages(one: Basis, other: Basis) -> list[tuple[str, bool]]:
    """Each runtime that either knows, and whether it ran anything that both measured."""
    formats = set(one.formats) & set(other.formats) if one.formats and other.formats else set(PACKAGES)
    used = {package for name in formats for package in PACKAGES[name]}
    known = [*(package for some in PACKAGES.values() for package in some)]
    assert one.facts is not None
    assert other.facts is not None
    seen = {*one.facts.runtimes, *other.facts.runtimes}
    return [(package, package in used) for package in known if package in seen]


def _fields(one: Method, other: Method, names: Sequence[str]) -> tuple[str | None, str | None]:
    """What differs of these fields, in words; None twice where nothing does."""
    differ = [name for name in names if getattr(one, name) != getattr(other, name)]
    if not differ:
        return None, None
    quick = "block_s" in differ and is_quick(one) != is_quick(other)
    return _told(one, differ, quick), _told(other, differ, quick)


def _told(method: Method, names: Sequence[str], quick: bool) -> str:
    """In words; `quick`: one of the two was measured with `--quick` and the other was not."""
    said = ", ".join(METHOD_WORDS[name].format(_value(name, getattr(method, name))) for name in names)
    return f"measured {'with' if is_quick(method) else 'without'} --quick ({said})" if quick else said


def _value(name: str, value: float) -> float | str:
    if name == "again":
        return "twice" if value else "once"
    if name == "allow_fallback":
        return "with" if value else "without"
    return 100 * value if name == "precision" else value


def _cores(basis: Basis) -> str:
    bound = basis.bound_to
    return "any core" if bound is None else bound if isinstance(bound, str) else f"cores {', '.join(map(str, bound))}"


def _short(sha: str | None) -> str | None:
    return None if sha is None else sha[:12]


def _all(agents: Sequence[str]) -> str:
    return ", ".join(sha[:12] for sha in agents)
