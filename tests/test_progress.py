"""What a stage tells of itself as it goes on."""

from __future__ import annotations

import pytest

from edgeprof.progress import Lines, amount


@pytest.mark.parametrize(
    ("value", "says"),
    [(0.2616, "0.3"), (3.0, "3"), (61.93, "61.9"), (17, "17"), (999.96, "1000"), (12_345_678, "12345678"), (0.0, "0")],
)
def test_an_amount_has_tenths_at_most_and_no_power_of_ten(value: float, says: str) -> None:
    assert amount(value) == says


def test_no_time_is_told_before_there_is_a_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first of a file goes into the link's buffers at once, however slow the link is."""
    now = [100.0]
    monkeypatch.setattr("edgeprof.progress.time.monotonic", lambda: now[0])
    said: list[str] = []
    lines = Lines(said.append)
    lines.start("push (MB)", 17)
    lines.advance("push (MB)", 0.2616, "board")
    now[0] += 10
    lines.advance("push (MB)", 8.2384, "board")
    assert said == ["push (MB): 17 to do", "push (MB): 0.3/17  board", "push (MB): 8.5/17, 10 s left  board"]
