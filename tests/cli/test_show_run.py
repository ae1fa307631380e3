"""`edgeprof show RUN`: a run in short, and its report recomputed from the raw samples, as real processes."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import msgspec
import pytest
from conftest import edgeprof
from report_records import MODELS, RUN, store_of, study
from rich.console import Console

from edgeprof.cli import console, run_lines, tables
from edgeprof.records import ADVICE, Ranking, Round, Run, to_json
from edgeprof.store import Store

FILES = ["ranking.csv", "ranking.json", "ranking.parquet", "report.html", "summary.md"]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the store of one run and its written report. Tests must not change it."""
    root = tmp_path_factory.mktemp("work")
    store_of(root, {"resnet18": MODELS["resnet18"]})
    edgeprof("--work", str(root), "report", cwd=root)
    return root


@pytest.fixture
def copy(written: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(written, tmp_path / "copy"))


def report_folder(root: Path) -> Path:
    return root / "reports" / "runs" / RUN.run


def test_a_run_is_shown_by_name_or_as_the_latest(written: Path) -> None:
    named = edgeprof("--work", ".", "show", RUN.run, cwd=written)
    assert edgeprof("--work", ".", "show", "latest", cwd=written).stdout == named.stdout
    assert f"run {RUN.run}, finished" in named.stdout
    assert "Raspberry Pi 5 Model B Rev 1.0" in named.stdout
    assert "7 to 30 rounds" in named.stdout
    ranking = json.loads((report_folder(written) / "ranking.json").read_text(encoding="utf-8"))
    shown = re.findall(r"median (\S+) ms", named.stdout)
    assert shown == [tables.milliseconds(one["median_ms"]) for one in ranking["candidates"]]
    assert "ran on XNNPACK in fp32: 60 of 61 nodes, 2 parts (found by profile of one inference)" in named.stdout
    assert re.search(r"p90 .* ms.*; load .* ms, first inference .* ms .*, memory .* MB, file .* MB", named.stdout)
    assert "SIGSEGV" in named.stderr
    for one in ranking["candidates"]:
        assert one["trusted"] or f"not trusted: {'; '.join(one['reasons'])}\n" in named.stdout
    assert ("What to do" in named.stdout) == any(one["reasons"] for one in ranking["candidates"])


def test_as_json_it_is_the_ranking(written: Path) -> None:
    shown = edgeprof("--work", ".", "show", "latest", "--json", cwd=written).stdout
    assert shown == (report_folder(written) / "ranking.json").read_text(encoding="utf-8")
    assert json.loads(shown)["operators"][0]["operators"][0]["kind"] == "Conv"


def test_an_untouched_report_is_recomputed_byte_for_byte(written: Path) -> None:
    """Twice, in processes that order their sets differently."""
    for seed in ("1", "2"):
        same = edgeprof("--work", ".", "show", "latest", "--recompute", cwd=written, PYTHONHASHSEED=seed)
        lines = same.stdout.splitlines()
        assert sorted(Path(line.partition(": ")[0]).name for line in lines) == FILES
        assert all(line.endswith(": identical") for line in lines)
    told = json.loads(edgeprof("--work", ".", "show", "latest", "--recompute", "--json", cwd=written).stdout)
    assert (told["identical"], len(told["files"])) == (True, 5)


def test_one_changed_sample_is_named(copy: Path) -> None:
    """The proof that it recomputes: one sample of the fastest round's middle is made slower in the store."""
    store = Store(copy / ".edgeprof")
    rounds = [one for one in store.all(Round.KIND, Round, run=RUN.run) if one.job == "job-0"]
    middle = sorted(rounds, key=lambda one: sorted(one.samples_ns)[len(one.samples_ns) // 2])[len(rounds) // 2]
    samples = sorted(middle.samples_ns)
    changed = list(middle.samples_ns)
    changed[changed.index(samples[len(samples) // 2])] *= 3
    altered = msgspec.structs.replace(middle, samples_ns=tuple(changed))
    store.put(Round.KIND, f"{RUN.run}/{middle.job}/{middle.attempt}/{middle.round}", altered, run=RUN.run)
    store.close()
    found = edgeprof("--work", ".", "show", "latest", "--recompute", cwd=copy, code=6)
    assert re.search(r'ranking\.json: differs at line \d+, column \d+: written \'"median_ms": [\d.]+', found.stdout)
    assert re.search(r"report\.html: differs at line \d+", found.stdout)
    assert f"edgeprof report --run {RUN.run}" in found.stderr
    told = edgeprof("--work", ".", "show", "latest", "--recompute", "--json", cwd=copy, code=6)
    assert json.loads(told.stdout)["identical"] is False


def test_a_missing_file_names_the_line_that_writes_it(copy: Path) -> None:
    (report_folder(copy) / "report.html").unlink()
    missing = edgeprof("--work", ".", "show", "latest", "--recompute", cwd=copy, code=6)
    assert "report.html" in missing.stderr
    assert f"edgeprof report --run {RUN.run}" in missing.stderr
    assert missing.stdout == ""


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["show", "artefacts"], "perhaps you meant: artifacts"),
        (["show", RUN.run[:-1]], RUN.run),
        (["show", "runs", "--recompute"], "latest --recompute"),
    ],
)
def test_what_does_not_exist_is_a_usage_error_with_the_nearest(written: Path, arguments: list[str], words: str) -> None:
    said = edgeprof("--work", ".", *arguments, cwd=written, code=2)
    assert words in said.stderr
    assert said.stdout == ""


def test_the_list_of_runs_tells_the_precision_that_was_asked(written: Path) -> None:
    assert re.search(rf"{RUN.run} .* 1% +finished", edgeprof("--work", ".", "show", "runs", cwd=written).stdout)


# --- without a process: any width, any name


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> int:
    """A terminal of so many characters."""
    width = int(request.param)
    monkeypatch.setattr(console, "out", lambda: Console(width=width, highlight=False))
    return width


def untrusted(ranking: Ranking, **fields: Any) -> Ranking:
    rows = [msgspec.structs.replace(one, trusted=False, **fields) for one in ranking.candidates]
    return msgspec.structs.replace(ranking, candidates=tuple(rows))


@pytest.mark.parametrize("narrow", [48, 60, 80, 106, 118, 160], indirect=True)
def test_nothing_is_wider_than_the_terminal(narrow: int, capsys: pytest.CaptureFixture[str]) -> None:
    ranking, _ = study()
    doubtful = untrusted(ranking, reasons=tuple(ADVICE), attempts=2)
    run_lines.tell_run(RUN, doubtful)
    console.out().print(tables.ranking(doubtful, narrow))
    shown = capsys.readouterr().out
    assert max(len(line) for line in shown.splitlines()) <= narrow
    assert shown.count("untrusted") == len(ranking.candidates)
    assert (f"untrusted: too few samples +{len(ADVICE) - 1}" in shown) == (narrow == 160)
    assert ("95% interval  " in shown) == (narrow >= 106)
    assert "…" not in shown, "no number is cut, and no name: they go on in the next line"
    medians = [tables.milliseconds(one.median_ms) for one in ranking.candidates]
    assert all(f"median {median} ms" in shown for median in medians)
    assert " ".join(shown.split()).count("measured twice") == len(ranking.candidates)


@pytest.mark.parametrize("narrow", [1000], indirect=True)
def test_every_reason_has_its_advice_and_no_name_steers_the_terminal(
    narrow: int, capsys: pytest.CaptureFixture[str]
) -> None:
    ranking, _ = study(models={"resnet18": MODELS["resnet18"]})
    hostile = "\x1b[2J\u202e\r[red]x"
    run_lines.tell_run(
        RUN, untrusted(ranking, reasons=tuple(ADVICE), model=hostile, runs_on=hostile, precision_executed=hostile)
    )
    shown = capsys.readouterr().out
    for reason, advice in ADVICE.items():
        assert shown.count(f"   {reason}: {advice}\n") == 1
    assert shown.count(f"not trusted: {'; '.join(ADVICE)}\n") == len(ranking.candidates)
    assert not set("\x1b\u202e\r") & set(shown)
    assert "[red]x" in shown


@pytest.mark.parametrize("narrow", [100], indirect=True)
def test_an_unfinished_run_of_which_little_is_known_is_shown_too(
    narrow: int, capsys: pytest.CaptureFixture[str]
) -> None:
    ranking, _ = study(models={"resnet18": MODELS["resnet18"]})
    one = msgspec.structs.replace(
        ranking.candidates[0], ran=None, median_low_ms=None, median_high_ms=None, reasons=(), trusted=False
    )
    bare = msgspec.structs.replace(ranking, candidates=(one,), facts=None)
    fixed: Run = msgspec.structs.replace(
        RUN, finished=False, training=None, method=msgspec.structs.replace(RUN.method, min_rounds=3, max_rounds=3)
    )
    run_lines.tell_run(fixed, bare)
    shown = capsys.readouterr().out
    for words in ("unfinished", "nothing is known", "method: 3 rounds", "no interval", "not trusted: no reason given"):
        assert words in shown
    assert "None" not in shown


def test_the_ranking_of_the_process_is_that_of_the_records(written: Path) -> None:
    """Operators and what ran come out of the store unchanged."""
    ranking, _ = study(models={"resnet18": MODELS["resnet18"]})
    found = json.loads((report_folder(written) / "ranking.json").read_text(encoding="utf-8"))
    asked = json.loads(to_json(ranking))
    assert found["operators"] == asked["operators"]
    assert {one["job"]: one["ran"] for one in found["candidates"]} == {
        one["job"]: one["ran"] for one in asked["candidates"]
    }
