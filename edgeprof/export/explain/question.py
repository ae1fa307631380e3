"""What goes to the process that explains a file, and what comes back."""

from __future__ import annotations

from edgeprof.child import Fault
from edgeprof.export.explain.finding import Explanation
from edgeprof.records import Format, Record, Trained


class Question(Record):
    """One file to explain. `files`: conventional name -> path; `seen`: path of an .npz, see `program.read_seen`."""

    trained: Trained
    format: Format
    files: dict[str, str]
    store: str
    subject: str
    probabilities: bool = False
    seen: str | None = None


class Answer(Record):
    """One of the two."""

    explanation: Explanation | None = None
    fault: Fault | None = None
