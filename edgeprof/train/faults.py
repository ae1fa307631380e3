"""The one place where errors of torch and timm while training become ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from edgeprof.errors import EdgeprofError, TrainError
from edgeprof.records import Identity, Training

# As torch's allocators, CUDA and the loader of a killed worker put it.
_MEMORY = ("allocate memory", "not enough memory", "out of memory", "exited unexpectedly", "is killed by signal")


@contextmanager
def foreign_errors(training: Training, identity: Identity) -> Iterator[None]:
    """Whatever is raised inside becomes an error of ours that names the cell."""
    try:
        yield
    except EdgeprofError as error:
        if isinstance(error, TrainError) and error.where is None:
            error.where = identity.label()
        raise
    except (MemoryError, RuntimeError, AssertionError, ValueError, TypeError, NotImplementedError) as error:
        text = _words(error)
        if isinstance(error, MemoryError) or any(words in text.lower() for words in _MEMORY):
            batch, side = training.recipe.batch_size, training.preprocessing.image_size
            raise TrainError(
                f"there is not enough memory: {text}",
                where=identity.label(),
                hint=f"lower recipe.batch_size ({batch}) or preprocessing.image_size ({side}); --jobs 1 trains one "
                "model at a time",
            ) from error
        hint = None
        if "deterministic" in text:
            hint = "this model has an operator that a GPU computes differently each time: --accelerator cpu"
        elif "size" in text or "height" in text.lower():
            # Most often a model that does not take this image size; its own words say so.
            hint = "choose another preprocessing.image_size"
        raise TrainError(f"the training failed: {text}", where=identity.label(), hint=hint) from error


def _words(error: BaseException) -> str:
    """The first line of the message; of an error in a loader's worker the last, where its own words stand."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    chosen = lines[-1] if "DataLoader worker process" in lines[0] else lines[0]
    return chosen.strip()[:400]
