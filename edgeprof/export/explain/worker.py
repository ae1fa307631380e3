"""The process that explains one file: `python -m edgeprof.export.explain.worker FD`.

Foreign files may crash their runtime, and runtimes print what they like: neither reaches the user's command.
"""

from __future__ import annotations

import os
import sys
import traceback
from pathlib import Path

from edgeprof.child import Parent, to_fault
from edgeprof.errors import EdgeprofError, ExportError, RecordError, TrainError
from edgeprof.export.explain.explain import explain
from edgeprof.export.explain.program import read_seen
from edgeprof.export.explain.question import Answer, Question
from edgeprof.store import Store


def answer(question: Question) -> Answer:
    """The explanation, or why there is none."""
    try:
        explanation = explain(
            Store(Path(question.store), read_only=True),
            question.trained,
            question.format,
            {name: Path(path) for name, path in question.files.items()},
            question.subject,
            probabilities=question.probabilities,
            seen=read_seen(Path(question.seen)) if question.seen else None,
        )
    except RecordError as error:
        return Answer(fault=to_fault(TrainError(error.what, where=error.where, hint=error.hint)))
    except EdgeprofError as error:
        traceback.print_exc()
        return Answer(fault=to_fault(error))
    except MemoryError:
        return Answer(fault=to_fault(ExportError("explaining it ran out of memory", hint="free some and try again")))
    return Answer(explanation=explanation)


def main() -> None:
    """Do what stdin says; ends the process."""
    parent = Parent()
    told = answer(parent.request(Question))
    sys.stdout.flush()
    sys.stderr.flush()
    parent.tell(told)
    # The runtimes' libraries take seconds to end properly, and have nothing left to save.
    os._exit(0)


if __name__ == "__main__":
    main()
