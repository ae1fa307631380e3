"""`edgeprof choose --measure-more` where measuring more decides nothing: it says so, and does not pass in silence."""

from __future__ import annotations

from pathlib import Path

import pytest
import stored_runs
from stored_runs import Kind
from typer.testing import CliRunner, Result

from edgeprof.cli.app import app
from edgeprof.pipeline import assemble, decide, find_run, more
from edgeprof.records import Limits
from edgeprof.store import Store


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A store with a run of this host, in which one candidate is not trusted."""
    stored_runs.write(tmp_path, [Kind(device="localhost")])
    return tmp_path


def chosen(root: Path, *arguments: str) -> Result:
    """In this process."""
    return CliRunner().invoke(app, ["--work", str(root), "choose", "--measure-more", *arguments])


@pytest.mark.parametrize("option", ["--time", "--time-limit"])
def test_a_choice_that_is_not_open_is_told(root: Path, option: str) -> None:
    """By the name of the option that `compare` and `gate` have, and by the one it had first."""
    said = chosen(root, "--budget", "1us", option, "1s")
    assert said.exit_code == 1, said.output
    assert "nothing more was measured" in said.stderr
    assert "--fresh" in said.stderr  # one of them is not trusted
    assert "No candidate" in said.stdout


def test_a_contender_that_lost_its_trust_settles_nothing(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy device must not turn "undecided" into "the best: over 99%" without a word."""

    def settle(store: Store, *given: object, **options: object) -> more.Settled:
        outcome = assemble(store, find_run(store), write=False)
        lost = tuple(one for one in outcome.ranking.candidates if not one.trusted)
        return more.Settled(outcome, decide.choose(store, outcome, Limits(budget_ms=20.0)), 2, lost[:1])

    monkeypatch.setattr(more, "measure_more", settle)
    said = chosen(root, "--budget", "20ms")
    assert said.exit_code == 0, said.output
    assert "not settled, only out of the race" in said.stderr
    assert chosen(root, "--budget", "20ms", "--strict").exit_code == 7
