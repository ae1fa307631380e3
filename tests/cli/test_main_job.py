"""The main job as a user sees it: `edgeprof run`, then every command that reads what it left. Real processes."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from conftest import Done, edgeprof, tiny_suite

CONTRACT = [
    "model",
    "init",
    "seed",
    "exporter",
    "format",
    "precision",
    "image_size",
    "params",
    "macs",
    "size_bytes",
    "artifact_sha",
    "top1",
    "top1_low",
    "top1_high",
    "median_ms",
    "median_low_ms",
    "median_high_ms",
    "p90_ms",
    "p99_ms",
    "load_ms",
    "first_ms",
    "peak_rss_bytes",
    "threads",
    "runs_on",
    "rank",
    "rank_low",
    "rank_high",
    "pareto",
    "trusted",
    "reasons",
]


def report_folder(done: Done) -> Path:
    return done.root / "reports" / "runs" / str(done.ranking["run"])


def test_the_ranking_holds_every_format_and_every_key_of_the_contract(done: Done) -> None:
    assert {"schema", "run", "device", "suite_sha", "facts", "candidates", "failures"} <= set(done.ranking)
    assert done.ranking["failures"] == []
    candidates = done.ranking["candidates"]
    assert {one["format"] for one in candidates} == {"onnx", "openvino", "tflite"}
    for one in candidates:
        assert set(CONTRACT) <= set(one)
        assert 0 < one["median_low_ms"] <= one["median_ms"] <= one["median_high_ms"]
        assert one["top1_low"] <= one["top1"] <= one["top1_high"]
        assert one["threads"] == 1
        assert one["precision_executed"] == "fp32"
        assert one["rounds"] == 5
        assert one["peak_rss_bytes"] > 1_000_000
    tops = {one["top1"] for one in candidates}
    assert len(tops) == 1, "three exports of one checkpoint agree on every test image, so they score alike"


def test_rank_and_the_files_of_the_report_say_the_same_as_run(done: Done) -> None:
    assert json.loads(edgeprof("rank", "--device", "localhost", "--json", cwd=done.root).stdout) == done.ranking
    folder = report_folder(done)
    assert json.loads((folder / "ranking.json").read_text(encoding="utf-8")) == done.ranking
    with (folder / "ranking.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["median_ms"]) for row in rows] == [one["median_ms"] for one in done.ranking["candidates"]]
    assert [row["artifact_sha"] for row in rows] == [one["artifact_sha"] for one in done.ranking["candidates"]]
    assert "mobilenetv3_small_050" in (folder / "summary.md").read_text(encoding="utf-8")
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert len(page.encode()) < 5_000_000
    assert not re.search(r"""(src|href)\s*=\s*["']?(https?:)?//""", page), "the report asks the network for nothing"


def test_rank_orders_by_what_is_asked(done: Done) -> None:
    for by, key, sign in (("latency", "median_ms", 1), ("size", "size_bytes", 1), ("memory", "peak_rss_bytes", 1)):
        candidates = json.loads(edgeprof("rank", "--by", by, "--json", cwd=done.root).stdout)["candidates"]
        values = [sign * one[key] for one in candidates if one["trusted"]]
        assert values == sorted(values)
    assert "latency" in edgeprof("rank", "--by", "beauty", cwd=done.root, code=2).stderr


def test_choose_meets_the_budget_or_exits_1_with_the_nearest_miss(done: Done) -> None:
    choice = json.loads(edgeprof("choose", "--budget", "10s", "--json", cwd=done.root, code=None).stdout)
    if any(one["trusted"] for one in done.ranking["candidates"]):
        assert choice["chosen"]["artifact_sha"] in {one["artifact_sha"] for one in done.ranking["candidates"]}
    else:
        assert choice["chosen"] is None, "on a machine so busy that nothing is trusted, nothing may be chosen"
    missed = edgeprof("choose", "--device", "localhost", "--budget", "1us", cwd=done.root, code=1)
    assert "mobilenetv3_small_050" in missed.stdout
    answer = json.loads(edgeprof("choose", "--budget", "1us", "--json", cwd=done.root, code=1).stdout)
    assert answer["chosen"] is None
    assert len(answer["rejected"]) == len(done.ranking["candidates"])


@pytest.mark.parametrize("budget", ["5", "-5ms", "0ms", "nanms", "five ms", ""])
def test_a_budget_without_a_sensible_unit_is_refused(done: Done, budget: str) -> None:
    refused = edgeprof("choose", f"--budget={budget}", cwd=done.root, code=2)
    assert "error:" in refused.stderr
    assert refused.stdout == ""


def test_a_second_run_makes_nothing_again_and_is_a_run_of_its_own(done: Done, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(done.root, copy)
    again = edgeprof("run", "--quick", "--json", cwd=copy)
    assert "reusing 1 of 1 checkpoints" in again.stderr
    assert "reusing 3 of 3 files" in again.stderr
    ranking = json.loads(again.stdout)
    assert ranking["run"] != done.ranking["run"]
    assert {one["artifact_sha"] for one in ranking["candidates"]} == {
        one["artifact_sha"] for one in done.ranking["candidates"]
    }


def test_show_and_report_read_what_is_there(done: Done) -> None:
    assert done.ranking["run"] in edgeprof("show", "runs", cwd=done.root).stdout
    artifacts = json.loads(edgeprof("show", "artifacts", "--json", cwd=done.root).stdout)["artifacts"]
    assert len(artifacts) == 3
    for one in artifacts:
        assert one["parity"]["top1_agreement"] == 1.0
        assert one["parity"]["images"] == one["accuracy"]["images"] == 450
    trained = json.loads(edgeprof("show", "trained", "--json", cwd=done.root).stdout)["trained"]
    assert [one["model"] for one in trained] == ["mobilenetv3_small_050"]


def test_export_writes_files_with_readable_names(done: Done, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(done.root, copy)
    edgeprof("export", "--out", "files out", cwd=copy)
    names = {path.suffix for path in (copy / "files out").iterdir()}
    assert {".onnx", ".xml", ".bin", ".tflite", ".json"} <= names


def test_ready_files_are_profiled_without_a_suite(done: Done, tmp_path: Path) -> None:
    edgeprof("--work", str(tmp_path / "w"), "list", cwd=done.root)
    copy = tmp_path / "copy"
    shutil.copytree(done.root, copy)
    edgeprof("export", "--out", str(tmp_path / "files"), cwd=copy)
    files = sorted(str(path) for path in (tmp_path / "files").iterdir() if path.suffix in (".onnx", ".xml", ".tflite"))
    empty = tmp_path / "empty"
    empty.mkdir()
    ranking = json.loads(edgeprof("profile", *files, "--threads", "1", "--quick", "--json", cwd=empty).stdout)
    assert {one["format"] for one in ranking["candidates"]} == {"onnx", "openvino", "tflite"}
    assert all(one["top1"] is None for one in ranking["candidates"])


def test_profile_without_files_measures_what_is_exported(done: Done, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(done.root, copy)
    ranking = json.loads(edgeprof("profile", "-e", "onnx-fp32", "--quick", "--json", cwd=copy).stdout)
    assert [one["exporter"] for one in ranking["candidates"]] == ["onnx-fp32"]
    fresh = tiny_suite(tmp_path / "fresh")
    nothing = edgeprof("profile", cwd=fresh, code=2)
    assert "edgeprof export" in nothing.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["run", "--device", "localhots"], 2, "localhost"),
        (["run", "--training", "demmo"], 2, "demo"),
        (["run", "-e", "onnx-fp23"], 2, "onnx-fp32"),
        (["run", "--device", "jetson"], 5, "no host named"),
        (["device", "probe", "raspberry-pi"], 5, "no host named"),
        (["run", "--rounds", "0"], 2, "rounds"),
        (["rank", "--run", "nothing"], 2, "no run"),
        (["rank", "--device", "localhots"], 2, "perhaps you meant: localhost"),
        (["init", "devices/localhost.toml"], 2, "localhost.toml"),
        (["profile", "."], 2, "folder"),
        (["profile", "missing.onnx"], 2, "missing.onnx"),
        (["run", "--wait", "5"], 2, "90s"),
        (["--suite", "nowhere", "list"], 2, "edgeprof init"),
    ],
)
def test_mistakes_get_a_sentence_and_their_exit_code(done: Done, arguments: list[str], code: int, words: str) -> None:
    said = edgeprof(*arguments, cwd=done.root, code=code)
    assert words in said.stderr
    assert said.stdout == ""


def test_an_error_under_json_is_one_json_document(done: Done) -> None:
    said = edgeprof("run", "--device", "jetson", "--json", cwd=done.root, code=5)
    error = json.loads(said.stdout)["error"]
    assert error["exit_code"] == 5
    assert error["hint"]


@pytest.mark.parametrize("arguments", [["choose"], ["rank", "--by", "beauty"], ["nonsense"], ["show"]])
def test_a_usage_error_under_json_is_one_json_document_too(done: Done, arguments: list[str]) -> None:
    said = edgeprof(*arguments, "--json", cwd=done.root, code=2)
    assert json.loads(said.stdout)["error"]["exit_code"] == 2


@pytest.mark.parametrize(
    "arguments", [["rank"], ["rank", "--json"], ["list"], ["choose", "--budget", "10s"], ["--help"]]
)
def test_a_reader_that_goes_away_or_a_full_stdout_is_no_traceback(done: Done, arguments: list[str]) -> None:
    command = [sys.executable, "-m", "edgeprof", *arguments]
    ours, theirs = os.pipe()
    os.close(ours)
    gone = subprocess.run(
        command, cwd=done.root, stdout=theirs, stderr=subprocess.PIPE, text=True, timeout=60, check=False
    )
    os.close(theirs)
    # The help page is typer's own; whoever closes it looks at no exit code. Of results, 1 would mean "none found".
    assert (gone.returncode in ((0, 1) if arguments == ["--help"] else (0,)), gone.stderr) == (True, "")
    with open("/dev/full", "w") as full:
        done_ = subprocess.run(
            command, cwd=done.root, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False
        )
    assert (done_.returncode, "Traceback" in done_.stderr) == (6, False), done_.stderr
    closed = subprocess.run(
        ["sh", "-c", 'exec "$@" >&-', "sh", *command],
        cwd=done.root,
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
        check=False,
    )
    # A choice may find nothing to trust on a busy machine, which is an answer.
    fine = (0, 1) if arguments[0] == "choose" else (0,)
    assert (closed.returncode in fine, "Traceback" in closed.stderr) == (True, False), closed.stderr


def test_a_run_that_measured_nothing_does_not_hide_the_one_before(done: Done, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(done.root, copy)
    (copy / "broken.onnx").write_bytes(b"this is no model")
    edgeprof("profile", "broken.onnx", "--quick", cwd=copy, code=5)
    assert json.loads(edgeprof("rank", "--json", cwd=copy).stdout)["run"] == done.ranking["run"]


def test_a_file_that_is_no_model_fails_alone(done: Done, tmp_path: Path) -> None:
    (tmp_path / "broken.onnx").write_bytes(b"this is no model")
    (tmp_path / "broken.tflite").write_bytes(b"")
    failed = edgeprof("profile", "broken.onnx", "broken.tflite", "--quick", "--json", cwd=tmp_path, code=5)
    assert len(json.loads(failed.stdout)["failures"]) == 2


def test_a_store_that_cannot_be_written_ends_a_training_at_once(tmp_path: Path) -> None:
    root = tiny_suite(tmp_path)
    (root / ".edgeprof").mkdir()
    (root / ".edgeprof" / "training").write_text("in the way")
    said = edgeprof("train", cwd=root, code=6)
    assert ".edgeprof" in said.stderr


def start(*arguments: str, cwd: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "edgeprof", *arguments],
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def count(root: Path, kind: str) -> int:
    """How many records of a kind the store holds, read while another process writes."""
    from edgeprof.errors import EdgeprofError
    from edgeprof.records import Artifact, Round, Trained
    from edgeprof.store import Store

    kinds: dict[str, Any] = {"round": Round, "artifact": Artifact, "trained": Trained}
    try:
        return len(Store(root / ".edgeprof", read_only=True).all(kind, kinds[kind]))
    except EdgeprofError:
        return 0


def until(root: Path, kind: str, number: int, child: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 240
    while count(root, kind) < number:
        assert child.poll() is None, child.communicate()
        assert time.monotonic() < deadline, f"no {number} records of {kind}"
        time.sleep(0.1)


def test_ctrl_c_while_profiling_keeps_the_rounds_and_the_next_run_goes_on(done: Done, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(done.root, copy)
    before = count(copy, "round")
    child = start("run", "--rounds", "4", cwd=copy)
    until(copy, "round", before + 2, child)
    child.send_signal(signal.SIGINT)
    stdout, stderr = child.communicate(timeout=60)
    assert child.returncode == 130, stderr
    assert stdout == ""
    assert "interrupted" in stderr
    kept = count(copy, "round")
    assert kept >= before + 2
    again = edgeprof("run", "--rounds", "4", "--json", cwd=copy)
    assert "taking up run" in again.stderr
    assert count(copy, "round") == before + 12, "3 files x 4 rounds, none measured twice, none lost"
    assert all(one["rounds"] == 4 for one in json.loads(again.stdout)["candidates"])


def test_two_runs_at_once_the_second_names_the_first(done: Done, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(done.root, copy)
    before = count(copy, "round")
    first = start("run", "--quick", cwd=copy)
    until(copy, "round", before + 1, first)
    second = edgeprof("run", "--quick", cwd=copy, code=5)
    assert str(first.pid) in second.stderr
    waited = edgeprof("run", "--quick", "--wait", "2m", "--json", cwd=copy)
    assert json.loads(waited.stdout)["candidates"]
    assert first.wait(timeout=60) == 0
    first.communicate()


@pytest.mark.slow
def test_five_kills_at_random_moments_and_the_run_still_finishes(tmp_path: Path) -> None:
    import random

    root = tiny_suite(tmp_path / "suite")
    dice = random.Random(os.getpid())
    kills, anew = 0, ["--fresh"]
    while kills < 5:
        child = start("run", "--rounds", "4", *anew, cwd=root)
        try:
            child.communicate(timeout=dice.uniform(1, 14))
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            child.communicate()
            kills, anew = kills + 1, []
        else:
            anew = ["--fresh"]  # it got through between two kills: the next is killed in a new run
    ranking = json.loads(edgeprof("run", "--rounds", "4", "--json", cwd=root).stdout)
    assert ranking["failures"] == []
    assert len(ranking["candidates"]) == 3
    assert all(one["rounds"] == 4 for one in ranking["candidates"])
    assert count(root, "trained") == 1
    assert count(root, "artifact") == 3
