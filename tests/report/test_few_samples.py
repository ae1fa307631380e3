"""Why there is no p99 is said once above the table of details: in each row it would set the height of all."""

from __future__ import annotations

import msgspec
from report_records import study

from edgeprof.report.page import page

REASON = "98 effective samples of 100; the 99th percentile takes 662"


def told(**fields: object) -> str:
    ranking, _ = study()
    rows = [msgspec.structs.replace(one, p99_ms=None, p99_high_ms=None, **fields) for one in ranking.candidates]
    text = page(msgspec.structs.replace(ranking, candidates=tuple(rows)), [])
    return text[text.index('<h2 id="details">') :].partition("</section>")[0]


def test_what_it_takes_is_said_once_and_what_there_is_in_each_row() -> None:
    details = told(p99_reason=REASON)
    assert details.count("the 99th percentile takes 662") == 1
    assert details.count("<small>98 effective</small>") == len(study()[0].candidates) > 1
    assert 'class="why"' not in details


def test_another_reason_stands_in_its_row() -> None:
    details = told(p99_reason="not looked at")
    assert '<small class="why">not looked at</small>' in details
    assert "effective samples there are" not in details
