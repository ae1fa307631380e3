"""`rank` and `choose` say of which run they speak: a ready file measured in between takes over `latest`."""

from __future__ import annotations

from pathlib import Path

import stored_runs
from stored_runs import Kind
from typer.testing import CliRunner, Result

from edgeprof.cli.app import app

HINT = "the newest run is of ready files, and their accuracy is not known"


def said(root: Path, *words: str) -> Result:
    return CliRunner().invoke(app, ["--work", str(root), *words])


def test_the_run_is_named_with_what_it_is_of_and_accuracy_is_found_in_the_last_training(tmp_path: Path) -> None:
    ready = Kind(fields={"training": None})
    names = stored_runs.write(tmp_path, [Kind(fields={"training": "demo"}), Kind(fields={"training": "demo"}), ready])
    head = f"run {names[1]} on raspberry-pi, training demo, started 2026-01-02T04:00:00Z"
    for words in (("rank",), ("choose", "--budget", "20ms")):
        newest = said(tmp_path, *words)
        first = newest.stdout.splitlines()[0]
        assert first.startswith(f"run {names[2]} on raspberry-pi, ")
        assert first.endswith(" ready files, started 2026-01-02T05:00:00Z")
        named = said(tmp_path, *words, "--run", names[1])
        assert named.stdout.splitlines()[0] == head
        assert HINT not in named.stderr
    for words in (("rank", "--by", "top1"), ("choose", "--budget", "20ms"), ("choose", "--min-top1", "90%")):
        stderr = said(tmp_path, *words).stderr
        assert HINT in stderr
        assert f"--run {names[1]}" in stderr
    for others in (("rank",), ("choose", "--budget", "20ms", "--maximize", "throughput")):
        assert HINT not in said(tmp_path, *others).stderr
    assert said(tmp_path, "choose", "--budget", "20ms", "--json").stdout.startswith("{")


def test_without_a_training_there_is_no_run_to_name(tmp_path: Path) -> None:
    stored_runs.write(tmp_path, [Kind(fields={"training": None})])
    assert HINT not in said(tmp_path, "rank", "--by", "top1").stderr
