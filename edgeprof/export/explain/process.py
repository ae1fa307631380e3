"""Explain a file in a process of its own; make a file again that failed parity, which the store does not keep."""

from __future__ import annotations

import select
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from edgeprof.child import Child, from_fault
from edgeprof.errors import ExportError
from edgeprof.export import words
from edgeprof.export.explain.finding import Explanation
from edgeprof.export.explain.question import Answer, Question
from edgeprof.export.process import Worker
from edgeprof.export.request import Request
from edgeprof.records import Exporter, Trained
from edgeprof.store import Store, writing

MODULE = "edgeprof.export.explain.worker"
DEADLINE_S = 20 * 60.0


def explained(store: Store, question: Question) -> Explanation:
    """The answer to a question.

    Raises:
        EdgeprofError: what the worker raised.
        ExportError: it died, or gave no sign of life.
    """
    logs = store.root / "logs"
    with writing(store.root):
        logs.mkdir(exist_ok=True)
        handle, name = tempfile.mkstemp(prefix="explain-", suffix=".log", dir=logs)
    log = Path(name)
    with open(handle, "wb"):
        pass
    environment = {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "TF_CPP_MIN_LOG_LEVEL": "1"}
    child = Child(MODULE, log, environment)
    try:
        child.ask(question)
        answer = _answer(child)
    finally:
        child.stop()
    if answer is None:
        what, hint = child.death("the explanation")
        said = words.of_log(log)
        raise ExportError(f"{what}; its last words: {said}" if said else what, where=question.subject, hint=hint)
    log.unlink(missing_ok=True)
    if answer.fault is not None:
        raise from_fault(answer.fault, ExportError)
    assert answer.explanation is not None
    return answer.explanation


def _answer(child: Child) -> Answer | None:
    while child.silent_for() < DEADLINE_S:
        if not select.select([child], [], [], 1.0)[0]:
            continue
        news = child.read(Answer)
        if news is None:
            return None
        if news:
            return news[-1]
    raise ExportError(f"the explanation gave no sign of life for {DEADLINE_S:.0f} s and was ended")


@contextmanager
def made_again(store: Store, trained: Trained, exporter: Exporter) -> Iterator[dict[str, Path]]:
    """The files of a cell whether or not they agree with their checkpoint, until the end of the `with`.

    Raises:
        EdgeprofError: as exporting it.
    """
    anyhow = msgspec.structs.replace(exporter, max_abs_diff=sys.float_info.max, min_top1_agreement=0.0)
    logs = store.root / "logs"
    with writing(store.root):
        logs.mkdir(exist_ok=True)
        out = Path(tempfile.mkdtemp(prefix="explain-", dir=store.scratch)).resolve()
    log = logs / f"{out.name}.log"
    root = str(store.root.resolve())
    worker = Worker(Request(trained=trained, exporter=anyhow, store=root, out=str(out), threads=1), log)
    try:
        while not (select.select([worker], [], [], 1.0)[0] and worker.read()):
            if worker.silent_for() > DEADLINE_S:
                raise ExportError(f"the conversion gave no sign of life for {DEADLINE_S:.0f} s and was ended")
        made = worker.result()
        yield {name: out / name for name in made.files}
        log.unlink(missing_ok=True)
    finally:
        worker.stop()
        shutil.rmtree(out, ignore_errors=True)
