"""Where nothing is trusted there are no places, on the page, in Markdown and on the terminal."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest
from fleet_records import fleet
from report_records import study

from edgeprof.cli import tables
from edgeprof.records import Ranking
from edgeprof.report import write_fleet, write_reports
from edgeprof.report.words import NO_PLACES


def untrusted(ranking: Ranking) -> Ranking:
    """As the join gives it: any place for each, and no front."""
    rows = tuple(
        msgspec.structs.replace(
            one, trusted=False, reasons=("trend",), pareto=False, rank=1, rank_low=1, rank_high=len(ranking.candidates)
        )
        for one in ranking.candidates
    )
    return msgspec.structs.replace(ranking, candidates=rows)


def test_no_place_is_told_on_the_page_and_in_markdown(tmp_path: Path) -> None:
    ranking, measurements = study()
    nothing = untrusted(ranking)
    written = write_reports(nothing, measurements, tmp_path / "nothing")
    page, text = (" ".join(written[kind].read_text(encoding="utf-8").split()) for kind in ("html", "markdown"))
    assert set(re.findall(r'<td data-key="place" data-value="\d+">([^<]*)</td>', page)) == {"–"}
    for told in (page, text):
        assert told.count(NO_PLACES) == 1
        assert "place is a range" not in told
    assert "widens every range" not in page
    assert f"1 to {len(ranking.candidates)} |" not in text
    assert '"rank_low"' in written["json"].read_text(encoding="utf-8"), "the numbers stay as they are"
    some = write_reports(ranking, measurements, tmp_path / "some")["html"].read_text(encoding="utf-8")
    assert NO_PLACES not in some


def test_no_place_is_told_on_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    ranking, _ = study()
    tables.tell_ranking(untrusted(ranking))
    said = capsys.readouterr().out
    assert NO_PLACES in said
    assert f"1-{len(ranking.candidates)}" not in said
    assert "front:" not in said
    tables.tell_ranking(ranking)
    assert NO_PLACES not in capsys.readouterr().out


def test_a_device_of_several_on_which_nothing_is_trusted_has_no_places(tmp_path: Path) -> None:
    found, spreads = fleet(3, 2)
    first = untrusted(found.rankings[0])
    written = write_fleet(
        msgspec.structs.replace(found, rankings=(first, *found.rankings[1:])), spreads, tmp_path / "fleet"
    )
    page, text = (written[kind].read_text(encoding="utf-8") for kind in ("html", "markdown"))
    assert page.count("<small>place –</small>") == len(first.candidates)
    assert text.count("&#91;–&#93;") == len(first.candidates)
    assert "nothing is trusted there" in page
