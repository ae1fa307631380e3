"""Of a file that is right: what a user's own program does otherwise, by what it gave to the file and got from it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgeprof.errors import UsageError
from edgeprof.export import verify
from edgeprof.export.explain import outputs, search
from edgeprof.export.explain.agreement import EXACT, HELPS, distance, relative_diff
from edgeprof.export.explain.finding import Explanation, Finding
from edgeprof.export.explain.prepare import Floats, Way, pairs, singles
from edgeprof.export.explain.subject import Runner, Sample

SAME_INPUT = 5e-3
"""Share of the inputs' spread up to which they are the same: another library's rounding to 8 bits."""
MIN_IMAGES = 8
_LAYOUT = "an .npz with in0 [K, ...] and out0 [K, classes], or one of them: of the first K test images in order"


@dataclass(frozen=True)
class Seen:
    """`inputs` [K, ...] as they were given to the file, `outputs` [K, classes] as they came out; one may be None."""

    inputs: Floats | None
    outputs: Floats | None

    @property
    def images(self) -> int:
        """K."""
        given = self.inputs if self.inputs is not None else self.outputs
        return 0 if given is None else len(given)


def read_seen(path: Path) -> Seen:
    """What a user's program saw, from an .npz.

    Raises:
        UsageError: it cannot be read, or holds neither array, or too few images.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            inputs, logits = (archive.get(name) for name in ("in0", "out0"))
    except (OSError, ValueError, KeyError, AttributeError) as error:
        raise UsageError(f"this is no readable .npz: {error}", where=str(path), hint=_LAYOUT) from error
    except Exception as error:  # zipfile and numpy's own classes
        raise UsageError(f"this is no whole .npz: {error}", where=str(path), hint=_LAYOUT) from error
    floats = [None if one is None else np.asarray(one, np.float32) for one in (inputs, logits)]
    seen = Seen(floats[0], floats[1].reshape(len(floats[1]), -1) if floats[1] is not None else None)
    if seen.inputs is None and seen.outputs is None:
        raise UsageError("it holds neither in0 nor out0", where=str(path), hint=_LAYOUT)
    if seen.images < MIN_IMAGES:
        raise UsageError(f"it holds {seen.images} images; {MIN_IMAGES} or more are needed", where=str(path))
    return seen


def told(seen: Seen, sample: Sample, runner: Runner, subject: str, label: str) -> Explanation:
    """What the program does otherwise than the checkpoint's own preparation.

    Raises:
        UsageError: the arrays do not fit the file.
    """
    own = Way(**{**vars(sample.own), "size": runner.side})
    finding: Finding | None = None
    notes = []
    theirs = None if seen.outputs is None else _chosen(seen.outputs, sample, sample.wanted.shape[1:], "out0")
    if seen.inputs is not None:
        right = runner.arrange(sample.inputs(own), own)
        given = _chosen(seen.inputs, sample, None, "in0")
        if given.shape[1:] == (1, *right.shape[1:]):
            given = given[:, 0]
        if given.shape != right.shape:
            raise UsageError(f"in0 holds images of {list(given.shape[1:])}, the file takes {list(right.shape[1:])}")
        if relative_diff(right, given) > SAME_INPUT:
            finding = _otherwise(_by_inputs(given, right, own, sample, runner))
        else:
            notes.append("the images are prepared as the checkpoint's were")
        if theirs is None:
            theirs = runner.run(given)
    assert theirs is not None
    if finding is None:
        finding = _by_outputs(theirs, sample, runner)
    finite = bool(np.isfinite(theirs).all())
    if finding is None and relative_diff(sample.wanted, theirs) > EXACT:
        verdict, cause = "your program does not get what the file gives, by no cause that is known here", "unknown"
    elif finding is None:
        verdict, cause = "no loss found: your program gets what the checkpoint gives", "none"
    else:
        cause = finding.cause if finding.restores else "unknown"
        verdict = f"{finding.cause}: {finding.says}; the file itself is right"
    return Explanation(
        subject=subject,
        format=runner.format,
        checkpoint=label,
        cause=cause,  # type: ignore[arg-type]
        verdict=verdict,
        change=finding.change if finding else None,
        of="program",
        images=len(sample.wanted),
        top1=sample.top1(sample.wanted),
        file_top1=sample.top1(theirs) if finite else None,
        mended_top1=sample.top1(sample.wanted) if finding else None,
        parity=verify.compare(sample.wanted, theirs) if finite else None,
        findings=(finding,) if finding else (),
        notes=tuple(notes),
    )


def _by_inputs(given: Floats, right: Floats, own: Way, sample: Sample, runner: Runner) -> tuple[str, Way, bool] | None:
    """(name, way, whether it is that exactly) of the way nearest to the given inputs."""
    few = min(len(given), search.FEW)
    before = distance_of(right[:few], given[:few])
    for hypotheses in (singles(own), pairs(own)):
        best: tuple[float, str, Way] | None = None
        for one in hypotheses:
            away = distance_of(runner.arrange(sample.inputs(one.way, few), one.way), given[:few])
            if best is None or away < best[0]:
                best = away, one.name, one.way
        assert best is not None
        exact = relative_diff(given, runner.arrange(sample.inputs(best[2]), best[2])) <= SAME_INPUT
        if exact or (best[0] * HELPS * HELPS <= before):
            return best[1], best[2], exact or best[0] <= 0.05
    return None


def distance_of(wanted: Floats, given: Floats) -> float:
    """Root mean square of the difference over the spread of the given ones about their mean."""
    spread = float(given.std()) or 1.0
    return float(np.sqrt(((wanted.astype(np.float64) - given) ** 2).mean())) / spread


def _by_outputs(theirs: Floats, sample: Sample, runner: Runner) -> Finding | None:
    if relative_diff(sample.wanted, theirs) <= EXACT or not np.isfinite(theirs).all():
        return None

    def same(wanted: Floats, got: Floats) -> bool:
        return relative_diff(wanted, got) <= EXACT

    for one in outputs.relations(sample.wanted, theirs):
        if outputs.matching(one, same):
            return Finding(
                cause="outputs",
                name=one.name,
                says=one.says.replace("its outputs", "your program's outputs"),
                change=one.change.replace("out of the file", "out of your program"),
                restores=True,
                top1=sample.top1(sample.wanted),
            )
    as_seen = Sample(sample.pictures, sample.labels, sample.places, theirs, sample.own)
    found = search.best(runner, as_seen, same)
    if found is None or not (found.restores or found.distance * HELPS <= distance(theirs, sample.wanted)):
        return None
    return _otherwise((found.hypothesis.name, found.hypothesis.way, found.restores))


def _otherwise(found: tuple[str, Way, bool] | None) -> Finding | None:
    if found is None:
        return None
    name, way, exact = found
    like = "prepares images otherwise than its checkpoint's" if exact else "comes nearest to preparing images so"
    return Finding(
        cause="layout" if way.order != "as declared" and way.channels == "RGB" else "preprocessing",
        name=name,
        says=f"your program {like}: {name}",
        change="prepare images as the checkpoint's were (see preprocessing in the .json beside an exported file)",
        restores=exact,
    )


def _chosen(values: Floats, sample: Sample, shape: tuple[int, ...] | None, name: str) -> Floats:
    if shape is not None and values.shape[1:] != shape:
        raise UsageError(f"{name} holds {list(values.shape[1:])} for each image, the file gives {list(shape)}")
    return values[sample.places]
