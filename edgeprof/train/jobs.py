"""Several cells at once, or one cell in several processes: workers that are given one cell after the other."""

from __future__ import annotations

import os
import select
import socket
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from edgeprof.child import Child, from_fault
from edgeprof.errors import DataError, EdgeprofError, MissingPackageError, RecordError, TrainError, UsageError
from edgeprof.progress import Progress
from edgeprof.records import Data, Identity, Trained, Training
from edgeprof.store import Store, writing
from edgeprof.train.how import THREADS, How
from edgeprof.train.machine import Hardware, hardware
from edgeprof.train.plan import stored
from edgeprof.train.run import train_here
from edgeprof.train.worker import News, Request
from edgeprof.zoo import images

MODULE = "edgeprof.train.worker"
JOBS = 2
"""Trainings at once on a processor that has the cores for it."""
OF_ALL = (DataError, UsageError, MissingPackageError, RecordError)
"""Errors that are not of one cell alone."""
_WAIT_S = 1.0


@dataclass(frozen=True)
class Cell:
    """What to train: one cell of a training, and the checkpoint it begins from where its init is `training:NAME`."""

    training: Training
    identity: Identity
    source: Trained | None = None


def train_all(
    store: Store, cells: Sequence[Cell], progress: Progress, how: How
) -> Generator[tuple[int, Trained | EdgeprofError]]:
    """(place in `cells`, checkpoint or why there is none), as they come. To be closed, which ends what still runs.

    Raises:
        DataError, UsageError, MissingPackageError: nothing more can be trained.
        RecordError: the store cannot be written (disk full).
    """
    shas = fingerprints(cells)
    left = []
    for place, cell in enumerate(cells):
        done = stored(store, cell.training, cell.identity, shas[cell.training.data], cell.source)
        if done is None:
            left.append(place)
        else:
            yield place, done
    if not left:
        return
    on = hardware(how)
    how = settled_how(how, on, len(left))
    if how.jobs == how.processes == 1:
        for place in left:
            yield place, _here(store, cells[place], shas[cells[place].training.data], progress, how)
        return
    requests = [(place, request(store, cells[place], shas, how)) for place in left]
    with seats(store, how, on) as places:
        for place, answer in served(places, requests, progress):
            if isinstance(answer, OF_ALL):
                raise answer
            if isinstance(answer, EdgeprofError):
                yield place, answer
            elif answer.trained is not None:
                yield place, answer.trained


def train(
    store: Store,
    training: Training,
    identity: Identity,
    progress: Progress,
    how: How | None = None,
    *,
    source: Trained | None = None,
) -> Trained:
    """The training of one cell: what is stored, or else trained now, from the last finished epoch on.

    Args:
        identity: one of `cells(training)`.
        progress: gets `advance("train", 1, detail)` for every epoch that is done now; `start` and `finish` are the
            caller's, with `epochs_left` as the total.
        source: for an init `training:NAME`, the checkpoint to begin from.

    Raises:
        UsageError: no such model, optimizer, schedule or hardware.
        DataError: the data set is missing or wrong.
        TrainError: weights that do not fit, a loss that is NaN, too little memory.
        RecordError: the store cannot be written (disk full).
    """
    with closing(train_all(store, [Cell(training, identity, source)], progress, how or How())) as coming:
        _, outcome = next(coming)
    if isinstance(outcome, EdgeprofError):
        raise outcome
    return outcome


def settled_how(how: How, on: Hardware, cells: int) -> How:
    """`how` with the numbers of jobs and of processes that it means here for so many cells.

    Raises:
        UsageError: more processes than GPUs.
    """
    cores = len(os.sched_getaffinity(0))
    usual = JOBS if on.device == "cpu" and cores // (how.threads or THREADS) >= JOBS else 1
    jobs = min(how.jobs or usual, cells)
    gpus = max(1, on.gpus // jobs)
    processes = how.processes or (gpus if on.device == "cuda" else 1)
    if on.device == "cuda" and processes > gpus:
        raise UsageError(
            f"{processes} processes for each training and {jobs} trainings at once need more than {on.gpus} GPUs",
            hint="a process takes a GPU of its own",
        )
    return replace(how, jobs=jobs, processes=processes)


def fingerprints(cells: Iterable[Cell]) -> dict[Data, str]:
    """Data set -> its fingerprint, each taken once.

    Raises:
        DataError: one is missing or wrong.
    """
    return {data: images.fingerprint(data) for data in dict.fromkeys(cell.training.data for cell in cells)}


def request(store: Store, cell: Cell, shas: dict[Data, str], how: How, *, timed: bool = False) -> Request:
    """A cell as workers are asked for it."""
    return Request(
        training=cell.training,
        identity=cell.identity,
        source=cell.source,
        data_sha=shas[cell.training.data],
        # Whole: the worker may have another current folder in mind than the store's path.
        store=str(store.root.resolve()),
        how=how,
        group=(how.processes or 1) > 1,
        timed=timed,
    )


def _here(store: Store, cell: Cell, data_sha: str, progress: Progress, how: How) -> Trained | EdgeprofError:
    try:
        trained = train_here(store, cell.training, cell.identity, progress, how, data_sha=data_sha, source=cell.source)
    except OF_ALL:
        raise
    except EdgeprofError as error:
        return error
    assert trained is not None
    return trained


class Seat:
    """Where one cell at a time is trained: by one worker, or by as many as share each batch."""

    def __init__(self, number: int, logs: Path, how: How, on: Hardware) -> None:
        self._number, self._logs, self._how, self._on = number, logs, how, on
        self._children: list[Child] = []
        self._running: list[Child] = []
        self._answer: News | None = None
        self.request: Request | None = None
        """What it is at; None while it is free."""

    def begin(self, request: Request) -> None:
        """Train this cell; the workers are started if they are not there."""
        self.request, self._answer = request, None
        if not self._children:
            for rank, environment in enumerate(self._environments()):
                log = self._logs / f"train-{self._number}-{rank}.log"
                self._children.append(Child(MODULE, log, environment))
        self._running = list(self._children)
        for child in self._children:
            child.ask(request)

    @property
    def running(self) -> list[Child]:
        """The workers that have not said their last word."""
        return self._running

    def read(self, child: Child, progress: Progress) -> News | EdgeprofError | None:
        """What has come from a worker; when the cell is over, what came of it.

        After an error the workers are ended: what is left in them is not to be trusted, and those of a group would
        wait for each other.
        """
        news = child.read(News)
        if news is None:
            return self._failed(self._death(child))
        for one in news:
            if one.note:
                progress.note(one.note)
            if one.done:
                progress.advance("train", one.done, detail=one.detail)
            if one.fault is not None:
                return self._failed(from_fault(one.fault, TrainError))
            if one.last:
                self._running = [other for other in self._running if other is not child]
                self._answer = self._answer if one.over else one
        if self._running:
            return None
        self.request = None
        assert self._answer is not None
        return self._answer

    def close(self, *, keep_logs: bool = False) -> None:
        """End its workers and all that they started."""
        for child in self._children:
            child.stop()
            if not keep_logs:
                child.log.unlink(missing_ok=True)
        self._children, self._running, self.request = [], [], None

    def _failed(self, error: EdgeprofError) -> EdgeprofError:
        self.close(keep_logs=True)
        return error

    def _death(self, child: Child) -> EdgeprofError:
        assert self.request is not None
        asked = self.request
        child.wait()
        child.stop()
        what, hint = child.death("the training")
        batch = asked.training.recipe.batch_size
        return TrainError(
            what,
            where=asked.identity.label(),
            hint=f"{hint}: lower recipe.batch_size ({batch}), or --jobs 1"
            if hint
            else f"all that was printed: {child.log}",
        )

    def _environments(self) -> Iterator[dict[str, str]]:
        """What each worker is told by its environment."""
        processes = self._how.processes or 1
        shared = {"OMP_NUM_THREADS": str(self._how.threads or THREADS)}
        jobs = self._how.jobs or 1
        if self._on.device == "cuda" and jobs > 1:
            visible = os.environ.get("CUDA_VISIBLE_DEVICES", "")
            gpus = visible.split(",") if visible else [str(number) for number in range(self._on.gpus)]
            own = gpus[self._number :: jobs] or [gpus[self._number % len(gpus)]]
            shared["CUDA_VISIBLE_DEVICES"] = ",".join(own)
        if processes > 1:
            shared |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(_free_port())}
            # By name the host might be found on any of its networks, or not at all.
            shared |= {"GLOO_SOCKET_IFNAME": "lo"} if self._on.device == "cpu" else {}
        for rank in range(processes):
            place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": processes, "LOCAL_WORLD_SIZE": processes}
            yield shared | ({key: str(value) for key, value in place.items()} if processes > 1 else {})


@contextmanager
def seats(store: Store, how: How, on: Hardware) -> Iterator[list[Seat]]:
    """As many seats as jobs; whatever happens, no worker is left."""
    logs = store.root / "logs"
    with writing(store.root):
        logs.mkdir(parents=True, exist_ok=True)
    found = [Seat(number, logs, how, on) for number in range(how.jobs or 1)]
    try:
        yield found
    finally:
        for seat in found:
            seat.close(keep_logs=seat.request is not None)


def served(
    places: Sequence[Seat], requests: Sequence[tuple[int, Request]], progress: Progress
) -> Generator[tuple[int, News | EdgeprofError]]:
    """(number of a request, what came of it), as they come; requests are taken in order by seats that are free."""
    waiting = list(requests)
    at: dict[Seat, int] = {}
    while waiting or at:
        for seat in places:
            if waiting and seat.request is None:
                at[seat], asked = waiting.pop(0)
                seat.begin(asked)
        watched = {child: seat for seat in at for child in seat.running}
        for child in select.select(list(watched), [], [], _WAIT_S)[0]:
            seat = watched[child]
            if child not in seat.running:  # its seat was closed by the fault of another
                continue
            answer = seat.read(child, progress)
            if answer is not None:
                yield at.pop(seat), answer


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
