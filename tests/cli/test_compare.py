"""`edgeprof compare`, `--strict` and `--per-op` as people use them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import ready_models
from conftest import edgeprof


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    ready_models.onnx_file(tmp_path / "one.onnx")
    (tmp_path / "again").mkdir()
    ready_models.onnx_file(tmp_path / "again" / "one.onnx")
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["one.onnx"], "there is only one side"),
        (["one.onnx", "again/one.onnx", "one.onnx"], "between two: 3 files"),
        (["one.onnx", "--threads", "1", "--threads", "2", "--threads", "3"], "between two: 3 --threads"),
        (["one.onnx", "gone.onnx"], "gone.onnx: there is no such file"),
        (["one.onnx", "again/one.onnx", "--zone", "0"], "--zone"),
        (["one.onnx", "again/one.onnx", "--time", "5"], "--time"),
        (["one.onnx", "--threads", "1", "--threads", "999"], "999 threads were asked for"),
        (["one.onnx", "again/one.onnx", "--device", "nowhere"], "nowhere"),
        (["one.onnx", "--cores", "0", "--cores", "x"], "--cores 'x' names no cores"),
    ],
)
def test_a_comparison_that_makes_no_sense_is_refused(folder: Path, arguments: list[str], words: str) -> None:
    said = edgeprof("compare", *arguments, cwd=folder, code=2)
    assert words in said.stderr
    assert "Traceback" not in said.stderr
    assert said.stdout == ""


def test_two_files_in_words_and_as_json(folder: Path) -> None:
    said = edgeprof("compare", "one.onnx", "again/one.onnx", "--time", "1s", cwd=folder)
    verdict = said.stdout.splitlines()[2]
    assert verdict.split(":")[0] in ("faster", "same", "undecided")
    assert "pairs of rounds" in verdict
    # The same stem in two folders: both sides can be told apart.
    assert len({line.split(":")[0] for line in said.stdout.splitlines()[:2]}) == 2
    told = json.loads(edgeprof("compare", "one.onnx", "again/one.onnx", "--time", "1s", "--json", cwd=folder).stdout)
    assert told["schema"] == 1
    assert told["verdict"] in ("faster", "same", "undecided")
    assert (told["faster"] is None) == (told["verdict"] != "faster")
    assert told["rounds"] >= 1


def test_undecided_is_7_only_where_it_is_asked_for(folder: Path) -> None:
    hopeless = ("compare", "one.onnx", "again/one.onnx", "--time", "0", "--zone", "0.01%")
    assert edgeprof(*hopeless, cwd=folder).stdout.splitlines()[2].startswith("undecided")
    edgeprof(*hopeless, "--strict", cwd=folder, code=7)


def test_what_is_not_to_be_trusted_is_7_under_strict_and_the_numbers_are_there(folder: Path) -> None:
    doubtful = ("profile", "one.onnx", "--threads", "1", "--rounds", "3", "--precision", "0.001%", "--json")
    (free,) = json.loads(edgeprof(*doubtful, cwd=folder).stdout)["candidates"]
    strict = edgeprof(*doubtful, "--strict", cwd=folder, code=7)
    (told,) = json.loads(strict.stdout)["candidates"]
    for one in (free, told):
        assert not one["trusted"]
        assert "interval wide" in one["reasons"]
        assert one["median_ms"] > 0
    assert "hint: interval wide" in edgeprof(*doubtful[:-1], cwd=folder).stderr


def test_time_by_operator_is_in_the_json_and_the_report(folder: Path) -> None:
    arguments = ("profile", "one.onnx", "--threads", "1", "--rounds", "3", "--per-op", "--json")
    ranking = json.loads(edgeprof(*arguments, cwd=folder).stdout)
    (found,) = ranking["operators"]
    assert found["job"] == ranking["candidates"][0]["job"]
    assert found["operators"]
    assert all(one["median_ns"] >= 0 and one["kind"] for one in found["operators"])
    report = next((folder / "reports" / "runs").glob("*/report.html")).read_text()
    assert "Where the time goes" in report
