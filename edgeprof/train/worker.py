"""A process that trains cells: `python -m edgeprof.train.worker FD`, started by `jobs`.

It trains one cell after the other until its parent ends it. Several of them may train one cell together: each is then
told its place (RANK and the others, as torch's and accelerate's own launchers do) and gets the same requests.
"""

from __future__ import annotations

import os
import sys
import traceback
from pathlib import Path

from edgeprof.child import Fault, Parent, to_fault
from edgeprof.errors import EdgeprofError, TrainError
from edgeprof.records import Identity, Record, Trained, Training
from edgeprof.store import Store
from edgeprof.train.how import How
from edgeprof.train.run import train_here
from edgeprof.train.timing import Timing, timing


class Request(Record):
    """One cell to train, or to time a few updates of."""

    training: Training
    identity: Identity
    source: Trained | None = None
    data_sha: str
    store: str
    how: How
    group: bool = False
    """Whether it goes to several workers that train the cell together."""
    timed: bool = False


class News(Record):
    """What a worker says: epochs done, a note, and at last what came out. `over`: one of a group that keeps nothing."""

    done: int = 0
    detail: str = ""
    note: str = ""
    trained: Trained | None = None
    timing: Timing | None = None
    fault: Fault | None = None
    over: bool = False

    @property
    def last(self) -> bool:
        return self.over or self.trained is not None or self.timing is not None or self.fault is not None


class _Told:
    """Progress that goes to the parent."""

    def __init__(self, parent: Parent) -> None:
        self._parent = parent

    def start(self, stage: str, total: float) -> None: ...

    def expect(self, stage: str, left: float) -> None: ...

    def advance(self, stage: str, done: float = 1.0, detail: str = "") -> None:
        self._parent.tell(News(done=int(done), detail=detail))

    def finish(self, stage: str) -> None: ...

    def note(self, text: str) -> None:
        self._parent.tell(News(note=text))

    def secret(self, prompt: str) -> str | None:
        return None


def main() -> None:
    """Do what stdin says until it ends."""
    parent = Parent()
    while True:
        try:
            request = parent.request(Request)
            last = _answer(request, parent)
        except EdgeprofError as error:
            traceback.print_exc()
            last = News(fault=to_fault(error))
        except Exception as error:  # a bug of ours must not look like a process that was killed
            traceback.print_exc()
            last = News(fault=to_fault(TrainError(f"the training failed: {type(error).__name__}: {error}"[:400])))
        sys.stdout.flush()
        sys.stderr.flush()
        parent.tell(last)


def _answer(request: Request, parent: Parent) -> News:
    first = not request.group or os.environ["RANK"] == "0"
    if request.timed:
        found = timing(request.training, request.identity, request.how, group=request.group)
        return News(timing=found) if first else News(over=True)
    store = Store(Path(request.store))
    try:
        trained = train_here(
            store,
            request.training,
            request.identity,
            _Told(parent),
            request.how,
            data_sha=request.data_sha,
            source=request.source,
            group=request.group,
        )
    finally:
        store.close()
    return News(trained=trained) if trained is not None and first else News(over=True)


if __name__ == "__main__":
    main()
