"""The page without a browser: its numbers are the ranking's, and no name gets out of its place."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from typing import Any

import msgspec
import pytest
from report_records import MODELS, study

from edgeprof.records import ADVICE, Measurement, Method, Ran, Ranking, to_json
from edgeprof.report.page import page, row_ids
from edgeprof.report.words import number, span

HOSTILE = "</script><script>hacked=1</script><img src=x onerror=hacked=1>\"'\u202e{{7*7}}"


class Page(HTMLParser):
    """Collects what the tests look at."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.data = ""
        self.words = ""
        self._inside = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag in ("script", "style"):
            self._inside = "data" if dict(attrs).get("type") == "application/json" else "code"

    def handle_endtag(self, tag: str) -> None:
        if tag in ("script", "style"):
            self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside == "data":
            self.data += data
        elif not self._inside:
            self.words += data

    def values(self) -> dict[str, dict[str, str]]:
        """For each job the values of its cells, from all tables."""
        found: dict[str, dict[str, str]] = {}
        job = ""
        for tag, attrs in self.tags:
            if tag == "tr":
                job = attrs.get("data-job") or ""
            elif tag == "td" and attrs.get("data-key"):
                found.setdefault(job, {})[str(attrs["data-key"])] = attrs.get("data-value") or ""
        return found


def small() -> tuple[Ranking, list[Measurement]]:
    """Six candidates of one model: quick to draw."""
    return study(models={"resnet18": MODELS["resnet18"]})


def every(ranking: Ranking, **fields: Any) -> Ranking:
    return msgspec.structs.replace(
        ranking, candidates=tuple(msgspec.structs.replace(one, **fields) for one in ranking.candidates)
    )


def without_operators(ranking: Ranking) -> Any:
    """What the page holds for scripts: the lists of operators stand in its tables alone."""
    return json.loads(to_json(msgspec.structs.replace(ranking, operators=())))


def test_the_numbers_in_the_page_are_those_of_the_json() -> None:
    ranking, measurements = study()
    found = Page(page(ranking, measurements))
    assert json.loads(found.data) == without_operators(ranking)
    values = found.values()
    assert list(values) == [one.job for one in ranking.candidates]
    for index, one in enumerate(ranking.candidates, start=1):
        shown = values[one.job]
        assert shown.pop("place") == str(index)
        assert set(shown) == {"threads", "top1", "median_ms", "p90_ms", "size_bytes", "load_ms", "first_ms"} | {
            "call_ms",
            "p99_ms",
            "peak_rss_bytes",
            "params",
            "macs",
            "samples",
        }
        for key, value in shown.items():
            exact = getattr(one, key)
            assert (None if value == "" else float(value)) == exact


def test_every_link_within_the_page_has_its_target_and_ids_are_unique() -> None:
    found = Page(page(*small()))
    ids = [attrs["id"] for _, attrs in found.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    for tag, attrs in found.tags:
        if tag == "a":
            assert (attrs.get("href") or "").removeprefix("#") in ids
    (points,) = [attrs["data-rows"] for _, attrs in found.tags if "data-rows" in attrs]
    assert set((points or "").split()) <= set(ids)


def test_nothing_in_the_page_asks_the_network() -> None:
    text = page(*small())
    for tag, attrs in Page(text).tags:
        assert tag not in ("iframe", "object", "embed", "base", "form", "img", "image", "use")
        for key in ("src", "srcset", "xlink:href", "action", "poster", "background"):
            assert key not in attrs
        assert not re.search(r"url\(|@import", attrs.get("style") or "")
        assert not any(name.startswith("on") for name in attrs)
    assert "url(" not in text
    assert "@import" not in text


@pytest.mark.parametrize("where", ["names", "texts", "runtime"])
def test_a_hostile_name_stays_text(where: str) -> None:
    ranking, measurements = small()
    if where == "names":
        assert ranking.facts is not None
        facts = msgspec.structs.replace(ranking.facts, board=HOSTILE, cpu=HOSTILE, runtimes={HOSTILE: HOSTILE})
        ranking = msgspec.structs.replace(
            every(ranking, model=HOSTILE, exporter=HOSTILE, init=HOSTILE, runs_on=HOSTILE, job=HOSTILE),
            device=HOSTILE,
            run=HOSTILE,
            started_at=HOSTILE,
            training=HOSTILE,
            facts=facts,
        )
    elif where == "runtime":
        ran = Ran(
            provider=HOSTILE, nodes=2, on_provider=1, partitions=1, precisions={HOSTILE: 2, "fp32": 1}, source=HOSTILE
        )
        (profile,) = ranking.operators
        step = msgspec.structs.replace(
            profile.operators[0], name=HOSTILE, kind=HOSTILE, runs_on=HOSTILE, precision=HOSTILE
        )
        ranking = msgspec.structs.replace(
            every(ranking, ran=ran, precision=HOSTILE, precision_executed=HOSTILE, p99_ms=None, p99_reason=HOSTILE),
            operators=(msgspec.structs.replace(profile, source=HOSTILE, operators=(step,) * 12),),
        )
    else:
        one = ranking.failures[0]
        hostile = msgspec.structs.replace(
            one, error=HOSTILE, hint=HOSTILE, identity=msgspec.structs.replace(one.identity, model=HOSTILE)
        )
        ranking = msgspec.structs.replace(every(ranking, trusted=False, reasons=(HOSTILE,)), failures=(hostile,))
    text = page(ranking, measurements)
    found = Page(text)
    assert sum(tag == "script" for tag, _ in found.tags) == 2
    assert not any(tag == "img" or "onerror" in attrs for tag, attrs in found.tags)
    assert "<script>hacked=1" in found.words  # shown, as text
    assert "\u202e" not in text.replace(found.data, "")
    assert "{{7*7}}" in found.words
    assert json.loads(found.data) == without_operators(ranking)


def test_every_reason_of_the_closed_list_stands_beside_its_advice_and_twice_is_said() -> None:
    ranking, _ = small()
    text = page(every(ranking, trusted=False, reasons=tuple(ADVICE), attempts=2), [])
    words = " ".join(Page(text).words.split())
    assert len(ADVICE) >= 14
    for reason, advice in ADVICE.items():
        assert f"{reason}: {advice}" in words
    marks = 2 * len(ranking.candidates)  # in the list and in the details
    assert words.count("measured twice") == marks + 2  # and in two sentences
    assert "measured twice" not in Page(page(every(ranking, trusted=True, attempts=1), [])).words


def test_how_it_was_measured_tells_what_was_asked_and_whether_it_was_reached() -> None:
    ranking, measurements = study()
    words = " ".join(Page(page(ranking, measurements)).words.split())
    assert "at least 7 and at most 30, until the 95% interval of its median was within 1% to either side" in words
    assert "or its 12 s were used up" in words
    narrow = sum(
        one.median_high_ms - one.median_low_ms <= 0.02 * one.median_ms
        for one in ranking.candidates
        if one.median_low_ms is not None and one.median_high_ms is not None
    )
    assert 0 < narrow < len(ranking.candidates)
    assert f" {len(ranking.candidates) - narrow} of 18 did not come that far" in words
    assert "1 candidate was measured twice" in words
    easy = msgspec.structs.replace(ranking, method=msgspec.structs.replace(ranking.method, precision=0.3))
    assert "All of them came that far" in Page(page(easy, [])).words
    fixed = msgspec.structs.replace(ranking, method=Method(min_rounds=5, max_rounds=5, precision=0.001))
    assert "measured in 5 rounds; it was asked whether" in Page(page(fixed, [])).words
    unknown = every(ranking, median_low_ms=None, median_high_ms=None)
    assert "None of them came that far" in Page(page(unknown, [])).words


def test_the_runtimes_own_call_and_cold_start_stand_beside_the_latency() -> None:
    ranking, measurements = small()
    one = ranking.candidates[0]
    text = " ".join(Page(page(ranking, measurements)).words.split())
    assert one.call_ms is not None
    assert f"{number(one.median_ms)} {number(one.call_ms)}" in text
    assert f"{number(one.load_ms)}{span(one.load_low_ms, one.load_high_ms)}" in text
    assert f"{number(one.first_ms)}{span(one.first_low_ms, one.first_high_ms)}" in text
    assert "effective samples" in text  # why there is no p99


def test_what_ran_is_told_with_its_share_and_what_is_not_known_is_a_dash() -> None:
    ranking, measurements = small()
    text = " ".join(Page(page(ranking, measurements)).words.split())
    assert "XNNPACK 60 of 61 2 fp32 (61) profile of one inference" in text
    assert "CPU 52 of 52 – fp32 the runtime model" in text
    bare = " ".join(Page(page(every(ranking, ran=None, precision_executed="bf16"), [])).words.split())
    assert "– XNNPACK – – bf16asked fp32 –" in bare.replace("–asked 4", "–").replace("–asked 1", "–")


def test_sections_without_content_are_not_there() -> None:
    ranking, measurements = small()
    one_thread = [one for one in ranking.candidates if one.threads == 1]
    bare = msgspec.structs.replace(ranking, candidates=tuple(one_thread), operators=())
    ids = {attrs.get("id") for _, attrs in Page(page(bare, measurements)).tags}
    assert not {"threads", "operators"} & ids
    assert {"threads", "operators", "cold", "ran"} <= {
        attrs.get("id") for _, attrs in Page(page(ranking, measurements)).tags
    }


def test_ready_files_are_shown_without_a_front() -> None:
    ranking, measurements = small()
    bare = every(
        ranking, top1=None, top1_low=None, top1_high=None, test_images=None, params=None, macs=None, pareto=False
    )
    found = Page(page(bare, measurements))
    assert "Accuracy against latency" not in found.words
    assert "accuracy is not known" in found.words
    assert all(values["top1"] == "" for values in found.values().values())


def test_one_candidate_no_interval_and_no_samples() -> None:
    ranking, _ = small()
    one = every(
        msgspec.structs.replace(ranking, candidates=ranking.candidates[:1], failures=(), facts=None, suite_sha=None),
        median_low_ms=None,
        median_high_ms=None,
        p90_low_ms=None,
        p90_high_ms=None,
    )
    assert "no interval" in Page(page(one, [])).words


def test_nothing_measured_is_a_page_too() -> None:
    ranking, _ = small()
    found = Page(page(msgspec.structs.replace(ranking, candidates=()), []))
    assert "nothing to rank" in found.words
    assert "SIGSEGV" in found.words
    assert "listed below" in found.words
    empty = msgspec.structs.replace(ranking, candidates=(), failures=())
    assert "listed below" not in Page(page(empty, [])).words


def test_measurements_that_are_not_ranked_are_left_out() -> None:
    ranking, measurements = small()
    fewer = msgspec.structs.replace(ranking, candidates=ranking.candidates[:2])
    assert len(Page(page(fewer, measurements)).values()) == 2


def test_the_same_records_give_the_same_bytes() -> None:
    assert page(*small()) == page(*small())


def test_candidates_of_the_same_name_have_rows_of_their_own() -> None:
    ranking, _ = small()
    same = every(ranking, model="x", exporter="y", threads=1)
    assert sorted(row_ids(same.candidates).values()) == ["c-x-scratch-0-y-t1"] + [
        f"c-x-scratch-0-y-t1-{number}" for number in range(2, 7)
    ]


@pytest.mark.slow
def test_a_large_study_stays_under_five_megabytes() -> None:
    """27 models x 3 exporters x 2 threads: as many candidates as 9 models, 9 exporters and 2 initialisations."""
    models = {f"model_{number}": MODELS["resnet18"] for number in range(27)}
    ranking, measurements = study(models=models)
    assert len(ranking.candidates) == 162
    assert len(page(ranking, measurements).encode()) < 5e6
