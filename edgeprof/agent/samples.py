"""What a round runs on and what must come out: inputs to rotate, outputs of the timed runs against the host's.

A path that is broken, or that answers from a cache, must not pass as a fast one.
"""

from __future__ import annotations

import itertools
import math
import zipfile
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from .runtimes import Model, own_words
from .timing import Kept

SEED = 0
"""For the inputs of a file that comes without any."""


class RoundError(Exception):
    """The round came to no numbers; `kind` is one of the classes that the protocol names."""

    def __init__(self, kind: str, message: str, package: Optional[str] = None) -> None:
        super().__init__(message)
        self.kind = kind
        self.package = package


def read_samples(path: Optional[str]) -> Optional[Dict[str, Any]]:
    """The arrays of the samples' .npz by name; None when there are none."""
    import numpy as np

    if path is None:
        return None
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise RoundError("error", "the samples cannot be read: %s" % own_words(error)) from error


def input_shapes(given: Mapping[str, Any]) -> List[Tuple[int, ...]]:
    """The shape of one sample of each input, in order."""
    places = itertools.takewhile(lambda place: "in%d" % place in given, itertools.count())
    return [tuple(given["in%d" % place].shape[1:]) for place in places]


def arranged(model: Model, given: Optional[Dict[str, Any]]) -> Tuple[List[List[Any]], Optional[List[Any]]]:
    """The inputs to rotate and, where known, for every output what is expected of each."""
    import numpy as np

    if given is None:
        return [[invented(info.name, info.shape, info.dtype) for info in model.inputs]], None
    columns = [column(given, "in%d" % place) for place in range(len(model.inputs))]
    ways = min(len(one) for one in columns)
    if ways == 0:
        raise RoundError("error", "the samples hold no input")
    feeds = []
    for way in range(ways):
        feed = []
        for info, values in zip(model.inputs, columns):
            if values.dtype.name != info.dtype:
                raise RoundError("error", "input %s takes %s, given is %s" % (info.name, info.dtype, values.dtype.name))
            feed.append(np.asarray(shaped(info.name, info.shape, values[way]), order="C"))
        feeds.append(feed)
    if "out0" not in given:
        return feeds, None
    return feeds, [column(given, "out%d" % place) for place in range(len(model.outputs))]


def column(given: Dict[str, Any], name: str) -> Any:
    """An array of the samples, by name."""
    if name not in given:
        raise RoundError("error", "the samples lack %s; they hold: %s" % (name, ", ".join(sorted(given)) or "nothing"))
    return given[name]


def shaped(name: str, shape: Sequence[Optional[int]], value: Any) -> Any:
    """One input in the model's shape; a leading batch dimension of 1 may be left out of the samples."""
    if value.ndim == len(shape) - 1 and shape[0] in (1, None):
        value = value[None]
    if value.ndim != len(shape) or any(dim not in (None, size) for dim, size in zip(shape, value.shape)):
        raise RoundError("error", "input %s takes %s, given is %s" % (name, list(shape), list(value.shape)))
    return value


def invented(name: str, shape: Sequence[Optional[int]], dtype: str) -> Any:
    """An input for a file that comes without any: the same random numbers every time."""
    import numpy as np

    fixed = [dim for dim in shape if dim is not None]
    if len(fixed) < len(shape):
        raise RoundError("error", "input %s has dimensions that are not fixed: %s" % (name, list(shape)))
    kind = np.dtype(dtype)
    if kind.kind == "f":
        return np.random.RandomState(SEED).random_sample(fixed).astype(kind)
    if kind.kind in "iub":
        return np.zeros(fixed, kind)
    raise RoundError("error", "input %s is of type %s: give inputs for it" % (name, dtype))


def compare(
    kept: Kept, taken: int, ways: int, expected: Optional[Sequence[Any]], wrong_above: Optional[float]
) -> Optional[float]:
    """Largest difference of the timed outputs from the expected ones, as a share of the expected ones' spread.

    Raises:
        RoundError: an output is NaN, has another shape, or differs by more than `wrong_above`.
    """
    import numpy as np

    places = kept.samples(taken)
    slots = np.array([slot for slot, _ in places])
    way = np.array([sample % ways for _, sample in places])
    worst: Optional[float] = None
    for number, array in enumerate(kept.arrays):
        got = array[slots]
        if got.dtype.kind == "f" and np.isnan(got).any():
            share = float(np.isnan(got).reshape(len(got), -1).any(axis=1).mean())
            raise RoundError("nan", "output %d is NaN in %.0f%% of the timed runs" % (number, 100 * share))
        if expected is None or got.dtype.kind not in "fiu":
            continue
        want = expected[number]
        if want[0].size != got[0].size:
            shapes = (number, list(got.shape[1:]), list(want.shape[1:]))
            raise RoundError("outputs_wrong", "output %d has the shape %s, expected is %s" % shapes)
        flat, want = got.reshape(len(got), -1), want.reshape(len(want), -1).astype(np.float64)
        # Equal infinities (masked scores) are no difference.
        with np.errstate(invalid="ignore"):
            difference = float(np.where(flat == want[way], 0.0, np.abs(flat - want[way])).max()) if flat.size else 0.0
        finite = want[np.isfinite(want)]
        spread = float(finite.max() - finite.min()) if finite.size else 0.0
        if not math.isfinite(difference):
            raise RoundError(
                "outputs_wrong", "output %d is infinite where the host's is not, or the other way" % number
            )
        share = difference / spread if spread > 0 else float(difference > 0)
        worst = share if worst is None else max(worst, share)
    if worst is not None and wrong_above is not None and worst > wrong_above:
        text = "the timed runs' outputs differ from the host's by %.3g of their spread (allowed: %.3g)"
        raise RoundError("outputs_wrong", text % (worst, wrong_above))
    return worst
