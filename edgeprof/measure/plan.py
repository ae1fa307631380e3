"""What to measure: artifacts x thread counts -> cells. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from edgeprof.agent.runtimes import PACKAGES, RUNTIMES
from edgeprof.errors import UsageError
from edgeprof.records import Artifact, Cell, Device, DeviceFacts, Failure, Identity, digest
from edgeprof.target import NoRuntime


def cells(
    artifacts: Sequence[Artifact],
    device: Device,
    facts: DeviceFacts,
    missing: Mapping[str, NoRuntime] | None = None,
) -> tuple[list[Cell], list[Failure]]:
    """Every artifact at every thread count of the device, and those that this device cannot do.

    `"all"` threads are the cores in use: those the device file names, else all that were found. What does not fit is a
    Failure; nothing is changed in silence.

    Args:
        missing: format -> why the device was given no runtime for it.

    Raises:
        UsageError: see `bound_cores`.
    """
    bound = bound_cores(device, facts)
    cores = facts.cores if bound is None else len(bound)
    # "all" and the number it stands for are one cell.
    counts = list(dict.fromkeys(cores if count == "all" else count for count in device.threads))
    made: list[Cell] = []
    failures: list[Failure] = []
    for artifact in {(one.artifact_sha, one.identity): one for one in artifacts}.values():
        for threads in counts:
            identity = _identity(artifact, device, threads)
            failure = _too_many(identity, threads, cores, device) or _no_runtime(
                artifact, identity, device, facts, missing or {}
            )
            if failure:
                failures.append(failure)
                continue
            made.append(
                Cell(
                    job=_job(artifact, threads, {one.job for one in made}),
                    identity=identity,
                    artifact_sha=artifact.artifact_sha,
                    format=artifact.format,
                    precision=artifact.precision,
                    threads=threads,
                    provider=device.providers.get(artifact.format),
                )
            )
    return made, failures


def bound_cores(device: Device, facts: DeviceFacts) -> tuple[int, ...] | None:
    """The cores to bind the measured process to; None: any.

    Raises:
        UsageError: the device file asks for a kind of core, and the device has only one.
    """
    if not isinstance(device.cores, str):
        return None if device.cores is None else tuple(sorted(set(device.cores)))
    if len(facts.clusters) < 2:
        raise UsageError(
            f"cores = {device.cores!r} is asked for, and this device has only one kind of core",
            where=device.name,
            hint="leave cores out, or name them by number: --cores 0,1, or cores = [0, 1] in the device file",
        )
    return facts.clusters[-1 if device.cores == "big" else 0].cores


def refuse_impossible(device: Device, facts: DeviceFacts) -> None:
    """Refuse threads and cores with which no cell can be measured, before a run begins.

    Raises:
        UsageError: a core is not there or may not be used, or every thread count is above the cores; or see
            `bound_cores`.
    """
    bound = bound_cores(device, facts)
    if device.nvpmodel is not None:  # the mode that is set for the run may bring cores back
        return
    known = sorted(core for one in facts.clusters for core in one.cores)
    absent = sorted(set(bound or ()) - set(known)) if known else []
    if absent:
        raise UsageError(
            f"core {', '.join(map(str, absent))} does not exist or may not be used;"
            f" usable: {', '.join(map(str, known))}",
            where=device.name,
            hint=f"--cores, or cores in devices/{device.name}.toml",
        )
    cores = facts.cores if bound is None else len(bound)
    # "all" always fits.
    counts = [cores if count == "all" else count for count in device.threads]
    if counts and min(counts) > cores:
        where = "its cores setting names" if device.cores is not None else "the device has"
        raise UsageError(
            f"{min(counts)} threads are asked for, and {where} {cores} core" + ("s" if cores != 1 else ""),
            where=device.name,
            hint=f"at most {cores}: --threads, or threads in devices/{device.name}.toml",
        )


def _identity(artifact: Artifact, device: Device, threads: int) -> Identity:
    return Identity(
        model=artifact.model,
        training=artifact.training,
        init=artifact.init,
        seed=artifact.seed,
        exporter=artifact.exporter,
        device=device.name,
        threads=threads,
    )


def _job(artifact: Artifact, threads: int, taken: set[str]) -> str:
    """Short, the same for the same file and threads. The same bytes under another identity get a longer name."""
    name = f"{artifact.artifact_sha[:12]}-t{threads}"
    return f"{name}-{digest(artifact.identity)[:8]}" if name in taken else name


def _too_many(identity: Identity, threads: int, cores: int, device: Device) -> Failure | None:
    if threads <= cores:
        return None
    where = "its cores setting names" if device.cores is not None else "the device has"
    return Failure(
        stage="profile",
        identity=identity,
        error=f"{threads} threads were asked for, {where} {cores} core" + ("s" if cores != 1 else ""),
        error_class="threads",
        transient=False,
        hint=f"ask for at most {cores}: threads of devices/{device.name}.toml, or --threads",
    )


def _no_runtime(
    artifact: Artifact, identity: Identity, device: Device, facts: DeviceFacts, missing: Mapping[str, NoRuntime]
) -> Failure | None:
    absent = missing.get(artifact.format)
    if absent is not None:
        return no_wheel(identity, artifact.format, absent, device)
    if has_runtime(artifact.format, facts):
        return None
    packages = _packages(artifact.format)
    return Failure(
        stage="profile",
        identity=identity,
        error=f"no runtime for {artifact.format} was found on the device (Python {facts.python}, {facts.architecture})",
        error_class="missing_runtime",
        transient=False,
        hint=install_line(packages[0], device),
    )


def no_wheel(identity: Identity, format: str, absent: NoRuntime, device: Device) -> Failure:
    """A device that can be given no runtime for a format; why names package, Python and architecture."""
    return Failure(
        stage="profile",
        identity=identity,
        error=f"no runtime for {format} can be brought to the device: {absent.why}",
        error_class="missing_runtime",
        transient=False,
        hint=f'where the device has one of its own: provision = "never" in devices/{device.name}.toml,'
        " and python = the one that has it",
    )


def has_runtime(format: str, facts: DeviceFacts) -> bool:
    """Whether a runtime for the format was found on the device."""
    return any(package in facts.runtimes for package in _packages(format))


def _packages(format: str) -> list[str]:
    return [PACKAGES[name][0] for name in RUNTIMES[format]]


def install_line(package: str, device: Device) -> str:
    """What to type to have a package where the agent runs."""
    if device.transport == "local" and device.python is None:
        return 'pip install "edgeprof[runtimes]"'
    return f"on the device: {device.python or 'python3'} -m pip install {package}"
