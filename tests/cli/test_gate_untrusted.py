"""A baseline of numbers that are not trusted is written, and nobody commits it without having been told."""

from __future__ import annotations

import json
from pathlib import Path

import stored_runs
from typer.testing import CliRunner

from edgeprof.cli.app import app


def test_a_baseline_that_is_not_trusted_is_written_with_a_warning_on_top(tmp_path: Path) -> None:
    stored_runs.write(tmp_path, [stored_runs.Kind()])
    file = tmp_path / "pi.json"
    words = ["--work", str(tmp_path), "gate", "-b", str(file), "-d", "raspberry-pi", "--run", "latest", "--update"]
    said = CliRunner().invoke(app, words)
    assert said.exit_code == 0
    doubtful = sum(line.startswith("not trusted: ") for line in said.stderr.splitlines())
    told = json.loads(file.read_text())
    assert 0 < doubtful == sum(not one["trusted"] for one in told["candidates"])
    first = said.stderr.splitlines()[0]
    assert first.startswith(f"warning: {doubtful} of {len(told['candidates'])} candidates are not trusted")
    assert "before you commit this" in first
    again = json.loads(CliRunner().invoke(app, [*words, "--json"]).stdout)
    assert (again["not_trusted"], again["candidates"]) == (doubtful, len(told["candidates"]))
