"""What is said to people cannot steer their terminal, whoever's words are in it."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import edgeprof, tiny_suite

from edgeprof.cli import console, tables
from edgeprof.errors import DeviceError
from edgeprof.progress import Lines
from edgeprof.records import Failure, Identity

HOSTILE = "pi\x1b]0;owned\x07\x1b[2J\r\u202ename"


def test_errors_and_notes_are_printable(capsys: pytest.CaptureFixture[str]) -> None:
    @console.reported
    def command(as_json: bool = False) -> None:
        raise DeviceError(HOSTILE, where=HOSTILE, hint=HOSTILE)

    with pytest.raises(BaseException):  # noqa: B017, PT011 (typer's own way to exit)
        command()
    Lines(console.say).note(HOSTILE)
    said = capsys.readouterr().err
    assert "name" in said
    assert all(char.isprintable() or char == "\n" for char in said)


def test_what_lies_in_a_suite_is_listed_printably(tmp_path: Path) -> None:
    suite = tiny_suite(tmp_path / "suite")
    (suite / "devices" / f"{HOSTILE}.toml").write_text('transport = "local"\n')
    told = edgeprof("check", cwd=suite, code=2)
    assert "name.toml" in told.stdout
    assert all(char.isprintable() or char == "\n" for char in told.stdout + told.stderr)


def test_a_failure_names_its_cell_once(capsys: pytest.CaptureFixture[str]) -> None:
    cell = Identity(model="resnet18", training="demo", init="scratch", seed=0)
    for error in ("the loss became nan", f"{cell.label()}: the loss became nan"):
        failure = Failure(
            stage="train", identity=cell, error=error, error_class="TrainError", transient=False, hint="lower it"
        )
        tables.tell_failures([failure])
        assert capsys.readouterr().err.splitlines()[0] == f"failed: train: {cell.label()}: the loss became nan"
