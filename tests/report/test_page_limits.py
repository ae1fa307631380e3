"""All limits of `edgeprof choose` in the page, in a real browser: its answers, its probabilities, its command."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from browsing import Open, chromium, visits
from fleet_records import fleet
from playwright.sync_api import Browser, Page
from report_records import study
from scipy import special
from test_budget_slider import expected, scrambled

from edgeprof.api import asking
from edgeprof.rank import choose, choose_for_all, evidence
from edgeprof.records import Candidate, Limits, Measurement, Ranking
from edgeprof.report import write_fleet, write_reports
from edgeprof.report.page import row_ids
from edgeprof.report.words import Names

SET = """asked => asked.map(fields => {
  for (const [id, value, event] of fields) {
    const control = document.getElementById(id);
    control.value = value;
    control.dispatchEvent(new Event(event, { bubbles: true }));
  }
  const answer = document.getElementById("answer");
  return {
    ...answer.dataset,
    marked: [...document.querySelectorAll("tr.chosen")].map(row => row.id).join(" "),
    text: answer.innerText,
    command: document.getElementById("command").innerText,
  };
})"""
OPTIONS = {
    "--budget": "budget",
    "--percentile": "percentile",
    "--min-top1": "min_top1",
    "--max-size": "max_size",
    "--max-memory": "max_memory",
    "--max-energy": "max_energy",
    "--maximize": "maximize",
}
Asked = dict[str, str]
"""What is written into each field."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture
def visit(browser: Browser) -> Iterator[Open]:
    with visits(browser) as opened:
        yield opened


def settings(ranking: Ranking, number: int, seed: int) -> list[Asked]:
    """Random limits, each at a value that some candidate has, or near it, or none."""
    rng = np.random.default_rng(seed)
    rows = ranking.candidates
    found: list[Asked] = []
    while len(found) < number:
        one = rows[int(rng.integers(len(rows)))]
        near = float(rng.choice([1, 1, 0.9, 1.2]))
        budget = float(rng.choice([one.p90_high_ms or one.p90_ms, one.median_high_ms or one.median_ms])) * near
        asked = {
            "budget-field": "" if rng.random() < 0.25 else repr(budget),
            "budget-percentile": str(rng.choice([50, 90, 99])),
            "limit-top1": "" if rng.random() < 0.5 else repr(round(100 * (one.top1 or 0.9) * near**0.1, 3)),
            "limit-size": "" if rng.random() < 0.5 else repr(one.size_bytes / 1e6 * near),
            "limit-memory": "" if rng.random() < 0.5 else repr((one.peak_rss_bytes or 1e8) / 1e6 * near),
            "limit-energy": "" if rng.random() < 0.5 else repr((one.energy_high_mj or 20.0) * near),
            "budget-goal": str(rng.choice(["top1", "throughput"])),
        }
        if all(each.energy_high_mj is None for each in rows):
            del asked["limit-energy"]  # there is no such field
        limited = any(value for key, value in asked.items() if key not in ("budget-percentile", "budget-goal"))
        if (limited or asked["budget-goal"] == "throughput") and float(asked["limit-top1"] or 1) <= 100:
            found.append(asked)
    return found


def limits_of(asked: Asked) -> Limits:
    """As the command reads the same figures."""
    return asking.limits(
        f"{asked['budget-field']}ms" if asked["budget-field"] else None,
        percentile=int(asked["budget-percentile"]),
        min_top1=f"{asked['limit-top1']}%" if asked["limit-top1"] else None,
        max_size=f"{asked['limit-size']}MB" if asked["limit-size"] else None,
        max_memory=f"{asked['limit-memory']}MB" if asked["limit-memory"] else None,
        max_energy=f"{asked['limit-energy']}mJ" if asked.get("limit-energy") else None,
        maximize="top1" if asked["budget-goal"] == "top1" else "throughput",
    )


def ask(page: Page, asked: list[Asked]) -> list[dict[str, Any]]:
    rows = [
        [
            [key, value, "change" if key in ("budget-percentile", "budget-goal") else "input"]
            for key, value in one.items()
        ]
        for one in asked
    ]
    found = page.evaluate(SET, rows)
    assert isinstance(found, list)
    return found


def limits_in(command: str) -> Limits:
    """What the command line asks for, read as a shell and `edgeprof` would."""
    words = shlex.split(command)
    assert words[:3] == ["edgeprof", "choose", "--run"]
    given = dict(zip(words[4::2], words[5::2], strict=True))
    asked: dict[str, Any] = {OPTIONS[key]: value for key, value in given.items()}
    return asking.limits(asked.pop("budget", None), percentile=int(asked.pop("percentile")), **asked)


def shares(text: str) -> dict[str, str]:
    """ "Probability that it meets the budget: 97%; is the best: 88%" by what it is of."""
    found = text.removeprefix("Probability that it ").split("; ")
    return dict(one.rsplit(": ", 1) for one in found if ": " in one)


def near(told: str, value: float, within: float) -> bool:
    if told.startswith(("over", "under")):
        return value > 0.995 - within if told.startswith("over") else value < 0.005 + within
    return abs(float(told.rstrip("%")) / 100 - value) <= 0.005 + within


@pytest.mark.parametrize("seed", [None, 5, 6, 7])
def test_the_page_keeps_to_all_limits_as_edgeprof_choose_does(visit: Open, tmp_path: Path, seed: int | None) -> None:
    """Chosen, runner-up, nearest miss, who is rejected by what, and the command, over random limits."""
    ranking = study()[0] if seed is None else scrambled(seed)
    rng = np.random.default_rng(seed)
    if seed is not None:  # some of which memory or energy is not known, and ties
        memory = [None if rng.random() < 0.2 else int(rng.choice([10, 11])) * 10**7 for _ in ranking.candidates]
        energy = [None if rng.random() < 0.2 else float(rng.choice([18, 19.5, 22])) for _ in ranking.candidates]
        rows = [
            msgspec.structs.replace(
                one,
                peak_rss_bytes=peak,
                median_ms=float(rng.choice([0.2, 0.19])),
                energy_mj=mj,
                energy_low_mj=mj and 0.9 * mj,
                energy_high_mj=mj and 1.1 * mj,
            )
            for one, peak, mj in zip(ranking.candidates, memory, energy, strict=True)
        ]
        ranking = msgspec.structs.replace(ranking, candidates=tuple(rows))
    page = visit(write_reports(ranking, [], tmp_path)["html"])
    ids = row_ids(ranking.candidates)
    percentiles = page.locator("#budget-percentile option").evaluate_all("o => o.map(x => x.value)")
    asked = [one for one in settings(ranking, 150, seed or 0) if one["budget-percentile"] in percentiles]
    chosen = 0
    for one, told in zip(asked, ask(page, asked), strict=True):
        limits = limits_of(one)
        choice = choose(ranking, limits)
        assert {key: told[key] for key in expected(choice, ids)} == expected(choice, ids), one
        (refused,) = json.loads(told["refused"])
        by = [limit for each in choice.rejected for limit in each.limits]
        assert refused == {limit: by.count(limit) for limit in set(by)}, one
        assert limits_in(told["command"]) == limits, one
        chosen += choice.chosen is not None
    assert 15 < chosen < len(asked) - 15


def test_one_file_for_all_devices_under_all_limits(visit: Open, tmp_path: Path) -> None:
    found, spreads = fleet(3, 2)
    names = Names([one for ranking in found.rankings for one in ranking.candidates])
    page = visit(write_fleet(found, spreads, tmp_path)["html"])
    asked = [one for one in settings(found.rankings[0], 60, 3) if one["budget-percentile"] != "99"]
    files = json.loads(page.locator("#choose").get_attribute("data-candidates") or "")["files"]
    answers = set()
    for one, told in zip(asked, ask(page, asked), strict=True):
        limits = limits_of(one)
        each = [(ranking, choose(ranking, limits)) for ranking in found.rankings]
        best = choose_for_all(each, limits)
        said = files[int(told["forAll"])] if told["forAll"] else None
        assert said == (names.file(best.chosen[0].candidate, 80) if best.chosen else None), one
        answers.add(said)
    assert len(answers) > 3
    words = shlex.split(page.locator("#command").inner_text())
    assert words[:8] == ["edgeprof", "choose", "--device", "board-0", "--device", "board-1", "--device", "board-2"]


def test_the_file_that_only_trust_keeps_out_of_all_devices_is_told_as_by_the_command(
    visit: Open, tmp_path: Path
) -> None:
    found, spreads = fleet(3, 2)
    doubted = tuple(
        msgspec.structs.replace(one, trusted=False, reasons=("trend",)) for one in found.rankings[1].candidates
    )
    second = msgspec.structs.replace(found.rankings[1], candidates=doubted)
    found = msgspec.structs.replace(found, rankings=(found.rankings[0], second, found.rankings[2]))
    page = visit(write_fleet(found, spreads, tmp_path)["html"])
    files = json.loads(page.locator("#choose").get_attribute("data-candidates") or "")["files"]
    names = Names([one for ranking in found.rankings for one in ranking.candidates])
    bounds = [one.p90_high_ms for one in found.rankings[0].candidates if one.p90_high_ms is not None]
    told_of = set()
    for budget in (min(bounds) / 100, *sorted(bounds)[::3], 100 * max(bounds)):
        limits = Limits(budget_ms=budget)
        best = choose_for_all([(ranking, choose(ranking, limits)) for ranking in found.rankings], limits)
        (told,) = ask(page, [{"budget-field": repr(budget)}])
        assert not told["forAll"]
        assert bool(told["wouldForAll"]) == ("would, but cannot be trusted" in best.reason)
        if told["wouldForAll"]:
            name = files[int(told["wouldForAll"])]
            number = re.search(r"\d+ would, but cannot be trusted", best.reason)
            assert number is not None
            assert number[0] in told["text"]
            same = {names.file(one, 80) for one in doubted if best.misses[0].startswith(f"{one.model} ")}
            assert name in same, (name, best.misses[0])
            again = page.locator("#answer .again").inner_text()
            assert again.endswith("--device board-1")
            assert best.reason.endswith(again)
        told_of.add(told["wouldForAll"])
    assert len(told_of) > 2


def noisy() -> tuple[Ranking, list[Measurement]]:
    """The study with rounds that differ, so that much is left open."""
    ranking, measurements = study()
    rng = np.random.default_rng(3)

    def shaken(one: Measurement) -> Measurement:
        level = {each.round: float(np.exp(rng.normal(0, 0.06))) for each in one.rounds}
        return msgspec.structs.replace(
            one,
            rounds=tuple(
                msgspec.structs.replace(each, samples_ns=tuple(int(x * level[each.round]) for x in each.samples_ns))
                for each in one.rounds
            ),
        )

    return ranking, [shaken(one) for one in measurements]


def test_the_probabilities_are_those_of_the_command(visit: Open, tmp_path: Path) -> None:
    """That limits are kept to within a per cent; that it is the fastest to within what 2000 draws leave open."""
    ranking, measurements = noisy()
    known = evidence(measurements, {})
    page = visit(write_reports(ranking, measurements, tmp_path)["html"])
    rng = np.random.default_rng(1)
    asked = [
        one | {"budget-percentile": percentile, "limit-size": "", "limit-memory": ""}
        for one in settings(ranking, 60, 9)
        for percentile in ("50", "90")
    ]
    asked = [one for one in asked if one["budget-field"] or one["limit-top1"] or one["budget-goal"] == "throughput"]
    checked = {"meets the budget": 0, "is the best": 0, "top-1": 0}
    for one in asked:
        one["budget-field"] = (
            repr(float(one["budget-field"]) * float(rng.choice([1, 0.97, 1.03]))) if one["budget-field"] else ""
        )
    for one, told in zip(asked, ask(page, asked), strict=True):
        choice = choose(ranking, limits_of(one), known=known)
        if choice.chosen is None or choice.chosen_odds is None:
            continue
        lines = [each for each in told["text"].splitlines() if each.startswith("Probability that it ")]
        for odds, line in zip((choice.chosen_odds, choice.runner_up_odds), lines, strict=False):
            assert odds is not None
            for what, share in shares(line).items():
                kind = "top-1" if what.startswith("has a top-1") else what
                value = {"meets the budget": odds.budget, "top-1": odds.min_top1, "is the best": odds.best}[kind]
                assert value is not None, (one, line)
                assert near(share, value, 0.03 if kind == "is the best" else 0.003), (one, line, value)
                checked[kind] += 1
        exact = one["budget-goal"] == "throughput" and not one["limit-top1"]
        assert all(("is the best" in line) is exact for line in lines), (
            "what takes the test images is left to the command"
        )
    assert min(checked.values()) > 20, checked
    assert "also tells how probable" in page.locator("#choose .command").inner_text() or exact


def test_the_incomplete_beta_function_of_the_page_is_right(visit: Open, tmp_path: Path) -> None:
    """By the probability that it shows of a top-1 limit, over the whole range."""
    ranking, measurements = study()
    rows = []
    for number, one in enumerate(ranking.candidates[:6]):
        images = (10, 450, 10_000)[number % 3]
        hits = (0, images, images // 2, images - 1, 1)[number % 5]
        rows.append(
            msgspec.structs.replace(
                one, test_images=images, top1=hits / images, top1_low=0.0, top1_high=1.0, trusted=True
            )
        )
    for row in rows:
        alone = msgspec.structs.replace(ranking, candidates=(row,), operators=())
        page = visit(write_reports(alone, measurements, tmp_path / row.job)["html"])
        top1 = float(row.top1 or 0)
        for limit in sorted({max(1e-4, round(100 * top1 * share, 4)) for share in (0.2, 0.9, 0.98, 0.999, 1)}):
            (told,) = ask(page, [{"limit-top1": repr(limit), "budget-field": ""}])
            if not told["chosen"]:
                continue
            images = row.test_images or 0
            share = float(special.betaincc(top1 * images + 0.5, images * (1 - top1) + 0.5, limit / 100))
            (line,) = [each for each in told["text"].splitlines() if each.startswith("Probability")]
            assert all(near(text, share, 1e-6) for text in shares(line).values()), (
                row.top1,
                row.test_images,
                limit,
                line,
            )
        page.close()


def test_what_is_written_wrongly_is_told_and_no_command_shown(visit: Open, tmp_path: Path) -> None:
    ranking, measurements = study()
    page = visit(write_reports(ranking, measurements, tmp_path)["html"])
    page.locator("#more-limits").click()
    answer = page.locator("#answer")
    for field, bad, told in (
        ("top1", "120", "Top-1 of at least: write a number of more than zero, at most 100."),
        ("top1", "0", "Top-1 of at least: write a number of more than zero, at most 100."),
        ("size", "-1", "File of at most: write a number of more than zero."),
        ("memory", "0", "Memory of at most: write a number of more than zero."),
    ):
        box = page.locator(f"#limit-{field}")
        box.fill(bad)
        assert answer.inner_text() == told
        assert box.get_attribute("aria-invalid") == "true"
        assert answer.get_attribute("data-chosen") == ""
        assert not page.locator("#command").is_visible()
        box.fill("")
        assert box.get_attribute("aria-invalid") == "false"
        assert answer.get_attribute("data-chosen")


def test_the_limits_are_folded_away_told_and_reached_by_keyboard(visit: Open, tmp_path: Path) -> None:
    ranking, measurements = study()
    page = visit(write_reports(ranking, measurements, tmp_path)["html"])
    summary = page.locator("#more-limits")
    assert not page.locator("#limit-size").is_visible()
    assert summary.inner_text() == "More limits"
    page.locator("#budget-percentile").focus()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "more-limits"
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "limit-top1"
    page.keyboard.type("97.5")
    assert summary.inner_text() == "More limits (1 set)"
    assert "--min-top1 97.5%" in page.locator("#command").inner_text()
    assert "top-1 too low: " in page.locator("#answer").inner_text()
    assert page.locator("#answer").get_attribute("aria-live") == "polite"


def test_what_nobody_measured_has_no_field(visit: Open, tmp_path: Path) -> None:
    """Ready files have no accuracy: the fastest is chosen, and said so."""
    ranking, measurements = study()

    def bare(one: Candidate) -> Candidate:
        return msgspec.structs.replace(one, top1=None, top1_low=None, top1_high=None, peak_rss_bytes=None, pareto=False)

    ready = msgspec.structs.replace(ranking, candidates=tuple(bare(one) for one in ranking.candidates), training=None)
    page = visit(write_reports(ready, measurements, tmp_path)["html"])
    page.locator("#more-limits").click()
    assert page.locator("#limit-size").is_visible()
    assert page.locator("#limit-top1, #limit-memory").count() == 0
    assert page.locator("#more-limits").inner_text() == "More limits"
    assert "No accuracy is known here" in page.locator("#choose").inner_text()
    (told,) = ask(page, [{"budget-field": "5"}])
    choice = choose(ready, Limits(budget_ms=5.0, maximize="throughput"))
    assert choice.chosen is not None
    assert told["chosen"] == row_ids(ready.candidates)[choice.chosen.job]
    assert told["command"].endswith("--maximize throughput")


@pytest.mark.parametrize(
    "name", ["$(touch pwned)", "two  spaces", "it's; rm -rf ~", "-x", "a b", '"`id`"', "<img src=x onerror=hacked=1>"]
)
def test_the_command_holds_a_hostile_name_as_one_word(visit: Open, tmp_path: Path, name: str) -> None:
    """As a shell reads it: the run's name stays the value of its option."""
    ranking, measurements = study()
    page = visit(write_reports(msgspec.structs.replace(ranking, run=name), measurements, tmp_path)["html"])
    words = shlex.split(page.locator("#command").inner_text())
    assert words[2:4] == ["--run", name] if name != "-x" else words[2] == "--run=-x"
    assert page.evaluate("typeof hacked") == "undefined"
    assert page.locator("#command img").count() == 0
