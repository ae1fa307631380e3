"""What the methods of the Python API take in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike
from typing import TYPE_CHECKING, Literal, TypedDict, get_args

import msgspec

from edgeprof.errors import UsageError
from edgeprof.records import Maximize, TestImages

if TYPE_CHECKING:
    from edgeprof.pipeline import Ask, Subject
    from edgeprof.records import Device, Limits

FilePath = str | PathLike[str]
Cores = Sequence[int] | Literal["big", "little"]


class Measuring(TypedDict, total=False):
    """How to measure: keywords of `Suite.run` and `profile`, as the options of the commands of these names."""

    quick: bool
    """5 short rounds to within 10%: a first look."""
    rounds: int | None
    """Exactly so many fresh processes for each candidate, whatever the precision."""
    precision: float | None
    """Half width of the median's 95% interval at which a candidate is done, as a share of the median (0.01)."""
    cell_s: float | None
    """Most time for one candidate, in seconds."""
    allow_fallback: bool
    """Measure also what does not run on the provider asked for, and say so."""
    per_op: bool
    """Then, in a pass of its own, the time by operator."""
    energy: bool
    """Then, in a pass of its own, the energy of an inference, by the device's power sensor."""
    test_images: TestImages
    """Then run so many test images there (or "all"), in a pass of its own, and compare with the host's outputs."""
    fresh: bool
    """Begin a new run even if an unfinished one could go on."""
    wait_s: float
    """How long to wait, in seconds, while another edgeprof works in the folder or measures on the device."""


class Limiting(TypedDict, total=False):
    """What a choice must keep to beside the budget: keywords of `choose`, as the options of `edgeprof choose`."""

    percentile: int
    """Of the latency, for the budget: 50, 90 (if not said) or 99."""
    min_top1: float | str | None
    """The least top-1: 0.9 or "90%"."""
    max_size: str | int | None
    """The largest file, with its unit ("10MB", "512kB"), or in bytes."""
    max_memory: str | int | None
    """The most memory of the process that runs it, likewise."""
    max_energy: str | None
    """The most energy of an inference, with its unit: "50mJ"."""
    maximize: Maximize
    """What is best among those that keep to the limits."""


class Gating(TypedDict, total=False):
    """What must not get worse, and by how much: keywords of `Suite.gate`, as the options of `edgeprof gate`."""

    latency: str | None
    """Slow-downs that must not pass: "p50:5%" (if not said), "p50:5%,p99:10%", or "none"."""
    top1: str | None
    """Drop, in percentage points: "0.5pp"."""
    size: str | None
    """Growth of the file: "2%"."""
    memory: str | None
    """Growth of the process's peak memory: "10%"."""
    budget: str | None
    """What p90 must keep to, absolute: "20ms"."""


class Means(TypedDict, total=False):
    """On what to train, and how many at once: keywords of `Suite.train`, as the options of `edgeprof train`."""

    threads: int | None
    jobs: int | None
    accelerator: Literal["auto", "cpu", "cuda"]
    mixed_precision: Literal["auto", "no", "bf16", "fp16"]
    workers: int | None


def check(given: Mapping[str, object], kind: type) -> None:
    """Refuse keywords of other types than those of `Measuring`, `Means`.

    Raises:
        UsageError: one is.
    """
    try:
        msgspec.convert(given, kind)
    except msgspec.ValidationError as error:
        what, _, where = str(error).partition(" - at `$.")
        name = where.rstrip("`") or "a keyword"
        raise UsageError(f"{name} means nothing: {what}", hint=f"see edgeprof.api.asking.{kind.__name__}") from error


class Binding(TypedDict, total=False):
    """Where to run: keywords of `Suite.profile`, as its options."""

    threads: Sequence[int] | None
    cores: Cores | None


def asked(
    *,
    quick: bool = False,
    rounds: int | None = None,
    precision: float | None = None,
    cell_s: float | None = None,
    allow_fallback: bool = False,
    per_op: bool = False,
    energy: bool = False,
    test_images: TestImages = None,
    fresh: bool = False,
    wait_s: float = 0.0,
) -> Ask:
    """`Measuring` as the pipeline takes it.

    Raises:
        UsageError: a value means nothing.
    """
    from edgeprof.pipeline.ask import Ask, method_of

    # What is of another type would be stored as it is, and the run could not be read any more.
    given = Measuring(
        quick=quick,
        rounds=rounds,
        precision=precision,
        cell_s=cell_s,
        allow_fallback=allow_fallback,
        per_op=per_op,
        energy=energy,
        test_images=test_images,
        fresh=fresh,
        wait_s=wait_s,
    )
    check(given, Measuring)
    method = method_of(quick=quick, rounds=rounds, precision=precision, cell_s=cell_s, allow_fallback=allow_fallback)
    if isinstance(test_images, int) and test_images < 1:
        raise UsageError(f"test_images must be 1 or more, or 'all', not {test_images}")
    return Ask(method=method, per_op=per_op, energy=energy, test_images=test_images, fresh=fresh, wait_s=wait_s)


def check_profile(
    files: object, training: object, exporters: object, shapes: object, inputs: object, how: Measuring
) -> None:
    """Refuse what means nothing together.

    Raises:
        UsageError: it does.
    """
    if isinstance(files, str | PathLike):
        raise UsageError("files are a list, one file too", hint=f"[{str(files)!r}]")
    if files is not None and (training or exporters):
        raise UsageError("--training and --exporter choose among what is exported; leave them out beside files")
    if (shapes or inputs) and files is None:
        raise UsageError("--shape and --inputs are for files that are named on the command line")
    if files is not None and how.get("test_images") is not None:
        raise UsageError(
            "--verify-on-device and --accuracy-on-device run the test images of a training; ready files have none",
            hint="leave the files out to profile what is exported, or compare their outputs with --inputs",
        )
    if shapes and inputs:
        raise UsageError("--inputs gives the shapes as well", hint="leave --shape out")


def shapes(given: Mapping[str, Sequence[int]] | Sequence[str]) -> Sequence[str]:
    """Of the inputs, as the pipeline takes them."""
    if isinstance(given, Mapping):
        return [f"{name}={'x'.join(str(dim) for dim in dims)}" for name, dims in given.items()]
    return given


def bound(device: Device, threads: Sequence[int] | None, cores: Cores | None) -> Device:
    """A device with other threads and cores than its file says; None: as there.

    Raises:
        UsageError: a number means nothing.
    """
    # Ranges are sequences too, but none to a checker of types.
    counts, binding = (list(one) if isinstance(one, range) else one for one in (threads, cores))
    check({"threads": counts, "cores": binding}, Binding)
    if threads:
        if min(threads) < 1:
            raise UsageError(f"threads must be 1 or more, not {min(threads)}")
        device = msgspec.structs.replace(device, threads=tuple(threads))
    if cores is not None:
        device = msgspec.structs.replace(device, cores=cores if isinstance(cores, str) else tuple(cores))
    return device


def sides(
    files: Sequence[FilePath], devices: Sequence[Device], threads: Sequence[int], cores: Sequence[Cores]
) -> tuple[Subject, Subject]:
    """The two sides of a comparison: what is given once is for both.

    Raises:
        UsageError: there is one side, or there are more than two.
    """
    from edgeprof.pipeline import Subject

    given = {"files": files, "devices": devices, "threads": threads, "cores": cores}
    for what, some in given.items():
        if len(some) > 2:
            raise UsageError(f"a comparison is between two: {len(some)} {what} were given")
    if max(len(some) for some in given.values()) < 2:
        raise UsageError("there is only one side", hint="two files, or two threads, cores or devices")

    def side(place: int) -> Subject:
        binding = cores[place % len(cores)] if cores else None
        board = bound(devices[place % len(devices)], [threads[place % len(threads)]], binding)
        return Subject(file=str(files[place % len(files)]), device=board)

    return side(0), side(1)


def limits(
    budget: str | None = None,
    *,
    percentile: int = 90,
    min_top1: float | str | None = None,
    max_size: str | int | None = None,
    max_memory: str | int | None = None,
    max_energy: str | None = None,
    maximize: Maximize = "top1",
) -> Limits:
    """What `choose` is asked for, of words with units; a number of bytes is taken as it is.

    Raises:
        UsageError: a limit means nothing, or there is none.
    """
    from edgeprof import rank
    from edgeprof.records import Limits

    def in_bytes(given: str | int | None, name: str) -> int | None:
        return None if given is None else rank.parse_bytes(f"{given}B" if isinstance(given, int) else str(given), name)

    if maximize not in get_args(Maximize):
        raise UsageError(f"maximize is {' or '.join(get_args(Maximize))}, not {maximize!r}")
    found = Limits(
        budget_ms=None if budget is None else rank.parse_budget(str(budget)),
        percentile=percentile,
        min_top1=None if min_top1 is None else rank.parse_share(str(min_top1), "least top-1"),
        max_size_bytes=in_bytes(max_size, "largest file"),
        max_memory_bytes=in_bytes(max_memory, "most memory"),
        max_energy_mj=None if max_energy is None else rank.parse_energy(str(max_energy)),
        maximize=maximize,
    )
    rank.check(found)
    return found
