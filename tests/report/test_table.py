"""The CSV: one line per candidate, safe in a spreadsheet."""

from __future__ import annotations

import csv
import io

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from report_records import study

from edgeprof.records import Candidate, Ranking
from edgeprof.report.table import FORMULA_STARTS, to_csv

RANKING, _ = study()


def named(model: str) -> Ranking:
    """The study's ranking with one candidate, of that name."""
    return msgspec.structs.replace(RANKING, candidates=(msgspec.structs.replace(RANKING.candidates[0], model=model),))


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_every_field_of_every_candidate_is_there() -> None:
    found = rows(to_csv([RANKING]))
    assert len(found) == len(RANKING.candidates)
    for row, one in zip(found, RANKING.candidates, strict=True):
        assert set(row) == {"run", "device", *Candidate.__struct_fields__}
        assert float(row["median_ms"]) == one.median_ms
        assert row["p99_ms"] == ("" if one.p99_ms is None else repr(one.p99_ms))
        assert row["trusted"] == str(one.trusted).lower()
        assert row["reasons"] == " | ".join(one.reasons)


@pytest.mark.parametrize(
    "name", ['=HYPERLINK("http://x")', "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "  =1", "＝1", "\x00=1"]
)
def test_a_name_is_never_a_formula(name: str) -> None:
    shown = rows(to_csv([named(name)]))[0]["model"]
    assert shown[0] in "'\ufffd"


@given(st.text(max_size=20))
def test_any_name_stays_in_its_line_and_its_field(name: str) -> None:
    text = to_csv([named(name)])
    assert text.count("\n") == 2
    (row,) = rows(text)
    assert row["exporter"] == RANKING.candidates[0].exporter
    assert not row["model"].lstrip() or row["model"].lstrip()[0] not in FORMULA_STARTS


def test_an_empty_ranking_is_the_line_of_names() -> None:
    assert to_csv([msgspec.structs.replace(RANKING, candidates=())]).count("\n") == 1
