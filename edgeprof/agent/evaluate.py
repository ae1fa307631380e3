"""What a file says about test images: their logits, in a process of its own and never beside a timing.

The images come as uint8 pixels, resized and cropped by the host, an .npy [n, S, S, 3] a part; they are normalised here.
"""

from __future__ import annotations

import base64
import time
from typing import Any, Callable, Dict, List, Sequence

from .runtimes import Model, own_words
from .samples import RoundError
from .worker import opened, pin


def evaluate(
    spec: Dict[str, Any], phase: Callable[[str], None], tell: Callable[[Dict[str, Any]], None]
) -> Dict[str, Any]:
    """Run the parts of the spec in their order and `tell` of each as it ends: the fields of the event `evaluated`.

    Raises:
        RoundError: with its class.
    """
    pin(spec.get("cores"))
    phase("loading the file")
    try:
        import numpy as np
    except ImportError as error:
        raise RoundError("missing_runtime", "numpy cannot be imported: %s" % error, "numpy") from error
    model = opened(spec)
    if model.threads != int(spec["threads"]):
        raise RoundError("error", "the runtime took %d threads, asked were %s" % (model.threads, spec["threads"]))
    about = {"runs_on": model.runs_on, "precision_executed": model.precision, "threads_used": model.threads}
    about["runtime"] = model.version
    layout = spec["layout"]
    for part in spec["parts"]:
        phase("reading the images of part %d" % part["part"])
        pixels = read_pixels(part["images"])
        check_input(model, layout, pixels.shape[1])
        phase("running the images of part %d" % part["part"])
        began = time.perf_counter_ns()
        rows: List[Any] = []
        for one in pixels:
            image = normalised(one, spec["mean"], spec["std"], layout)
            # What the runtime returns may be overwritten by its next run.
            rows.append(np.array(model.run([image[None]])[0], dtype="<f4").reshape(-1))
        logits = np.stack(rows)
        told = dict(about, part=part["part"], images=len(logits), classes=logits.shape[1])
        told["elapsed_ns"] = time.perf_counter_ns() - began
        tell(dict(told, logits=base64.b64encode(logits.tobytes()).decode("ascii")))
    return {}


def read_pixels(path: str) -> Any:
    """The images of a part, uint8 [n, S, S, 3]; not read into memory before they are used.

    Raises:
        RoundError: it is no such file.
    """
    import numpy as np

    try:
        pixels = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise RoundError("error", "the images cannot be read: %s" % own_words(error)) from error
    shape = pixels.shape
    if pixels.dtype != np.uint8 or len(shape) != 4 or not shape[0] or shape[1] != shape[2] or shape[3] != 3:
        raise RoundError("error", "these are no images: %s %s" % (pixels.dtype, list(shape)))
    return pixels


def normalised(pixels: Any, mean: Sequence[float], std: Sequence[float], layout: str) -> Any:
    """One image as the file takes it: float32 [3, S, S], or [S, S, 3] where the layout is NHWC.

    (x / 255 - mean) / std in float32, each step rounded as IEEE 754 says: the very bits of torchvision's ToTensor and
    Normalize on the host.

    Args:
        pixels: uint8 [S, S, 3].
    """
    import numpy as np

    scaled: Any = np.asarray(pixels).astype(np.float32) / np.float32(255)
    scaled = (scaled - np.asarray(mean, np.float32)) / np.asarray(std, np.float32)
    return np.ascontiguousarray(scaled if layout == "NHWC" else scaled.transpose(2, 0, 1))


def check_input(model: Model, layout: str, side: int) -> None:
    """Make sure that the file takes one such image.

    Raises:
        RoundError: it does not.
    """
    wanted = (1, side, side, 3) if layout == "NHWC" else (1, 3, side, side)
    takes = [(tuple(one.shape), one.dtype) for one in model.inputs]
    fits = len(takes) == 1 and takes[0][1] == "float32" and len(takes[0][0]) == 4
    if not fits or any(dim not in (None, size) for dim, size in zip(takes[0][0], wanted)):
        raise RoundError("error", "the file takes %s, an image is float32 %s" % (takes, list(wanted)))
