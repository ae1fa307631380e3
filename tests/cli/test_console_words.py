"""What is said to people cannot steer their terminal, whoever's words are in it."""

from __future__ import annotations

import pytest

from edgeprof.cli import console
from edgeprof.errors import DeviceError
from edgeprof.progress import Lines

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
