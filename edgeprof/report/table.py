"""The ranking as CSV that is safe to open in a spreadsheet."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from edgeprof.records import Candidate, Ranking, Record, to_json
from edgeprof.report.words import clean

# What spreadsheets take as the start of a formula, the full-width forms included.
# Source: OWASP, "CSV Injection", https://owasp.org/www-community/attacks/CSV_Injection
FORMULA_STARTS = "=+-@\t\r\n＝＋－＠"


def to_csv(rankings: Sequence[Ranking]) -> str:
    """One line of names, then one line per candidate, in the rankings' order; keys as in `ranking.json`.

    Unknown is an empty field; several reasons are joined by " | "; what ran is JSON. Text that a spreadsheet could run
    as a formula begins with an apostrophe; control characters are taken out, so that a line is always one candidate.
    """
    names = ("run", "device", *Candidate.__struct_fields__)
    text = io.StringIO()
    writer = csv.writer(text, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\n")
    writer.writerow(names)
    for ranking in rankings:
        for one in ranking.candidates:
            values = (ranking.run, ranking.device, *(getattr(one, name) for name in Candidate.__struct_fields__))
            writer.writerow([_field(value) for value in values])
    return text.getvalue()


def _field(value: object) -> str | int | float:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return value
    if isinstance(value, Record):
        text = to_json(value).decode()
    else:
        text = " | ".join(str(part) for part in value) if isinstance(value, tuple) else str(value)
    dangerous = text.lstrip()[:1] in FORMULA_STARTS if text.strip() else bool(text)
    return ("'" if dangerous else "") + clean(text)
