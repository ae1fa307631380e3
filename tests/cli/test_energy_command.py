"""`--energy` as a user meets it: on a board with a sensor of known power, on one without, and where nobody asked."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import power_board
import pytest
import tiny_models
from conftest import Done, edgeprof
from energy_records import each_ms

from edgeprof.records import Metered
from edgeprof.store import Store

TESTS = Path(__file__).parent.parent
ON_BOARD = """
import sys
from pathlib import Path
import power_board
from edgeprof.measure import metering
from edgeprof.target import build
build.agent_bytes = power_board.agent_on(Path(sys.argv.pop(1)), build.agent_bytes)
metering.ROUNDS, metering.WINDOW_S, metering.SETTLE_S = 3, 0.25, 0.08
from edgeprof.cli import main
sys.argv[0] = "edgeprof"
main()
"""


class Board:
    """The command as on a board whose power tree lies in `root`; one small file is profiled in `place`."""

    def __init__(self, root: Path, place: Path) -> None:
        self.root, self.place = root, place
        place.mkdir()
        self.file = str(tiny_models.files("onnx")["model.onnx"])

    def edgeprof(self, *arguments: str, code: int | None = 0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-c", ON_BOARD, str(self.root), *arguments],
            cwd=self.place,
            env={**os.environ, "PYTHONPATH": str(TESTS)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )
        assert code in (None, done.returncode), f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stderr, done.stderr
        return done

    def profiled(self, *more: str) -> tuple[dict[str, Any], str]:
        done = self.edgeprof("profile", self.file, "--rounds", "3", "--threads", "1", *more, "--json")
        return json.loads(done.stdout), done.stderr


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Board, dict[str, Any]]]:
    """Its sensor is always at `IDLE_W`, whatever runs."""
    folder = tmp_path_factory.mktemp("power")
    with power_board.simulated(folder) as (root, _):
        made = Board(root, folder / "work")
        yield made, made.profiled("--energy")[0]


def test_the_energy_is_power_times_time_and_the_sensor_is_named(board: tuple[Board, dict[str, Any]]) -> None:
    (one,), (energy,) = board[1]["candidates"], board[1]["energy"]
    store = Store(board[0].place / ".edgeprof", read_only=True)
    took = each_ms(store.all(Metered.KIND, Metered, run=board[1]["run"]))
    store.close()
    assert one["energy_mj"] == pytest.approx(power_board.IDLE_W * took, rel=0.02)
    assert one["energy_low_mj"] < one["energy_mj"] < one["energy_high_mj"]
    assert abs(one["energy_above_idle_mj"]) < 0.05 * one["energy_mj"]
    assert one["power_w"] == pytest.approx(power_board.IDLE_W, rel=0.02)
    assert (energy["sensor"], energy["rounds"]) == ("INA3221, rail VDD_IN", 3)
    assert "INA3221, rail VDD_IN" in board[0].edgeprof("device", "probe", "localhost").stdout


def test_it_is_shown_ranked_and_recomputed(board: tuple[Board, dict[str, Any]]) -> None:
    mine = board[0]
    shown = mine.edgeprof("show", "latest").stdout
    assert "energy by INA3221, rail VDD_IN: all that the module takes in" in shown.replace("\n", " ").replace("  ", " ")
    assert "mJ an inference (95% interval" in shown.replace("\n", " ")
    ranked = mine.edgeprof("rank", "--by", "energy")
    assert "mJ: energy of an inference" in ranked.stdout
    assert mine.edgeprof("show", "latest", "--recompute").stdout.count("identical") >= 4
    report = next((mine.place / "reports" / "runs").glob("*/report.html")).read_text(encoding="utf-8")
    assert '<h2 id="energy">Energy</h2>' in report


def test_a_limit_is_kept_or_names_itself(board: tuple[Board, dict[str, Any]]) -> None:
    """Whether the candidate is trusted is up to the machine that this runs on, so it may be rejected for that."""
    mine, (one,) = board[0], board[1]["candidates"]

    def kept_out(most: str) -> set[str]:
        asked = ("choose", "--maximize", "throughput", "--max-energy", most, "--json")
        choice = json.loads(mine.edgeprof(*asked, code=None).stdout)
        assert (choice["chosen"] is None) == bool(choice["rejected"])
        return {limit for each in choice["rejected"] for limit in each["limits"]}

    assert "energy" not in kept_out(f"{2 * one['energy_high_mj']:.6f}mJ")
    assert "energy" in kept_out("0.001uJ")
    assert "has no unit" in mine.edgeprof("choose", "--max-energy", "50", code=2).stderr


def test_a_run_that_did_not_ask_is_another_run_and_says_so(board: tuple[Board, dict[str, Any]]) -> None:
    mine = board[0]
    ranking, _ = mine.profiled()
    assert ranking["run"] != board[1]["run"]
    assert ranking["energy"] == []
    assert ranking["candidates"][0]["energy_mj"] is None
    refused = mine.edgeprof("rank", "--by", "energy", "--run", ranking["run"], code=2)
    assert "energy was not asked for: run with --energy" in refused.stderr


def test_without_a_sensor_it_is_said_once_and_the_run_goes_on(tmp_path: Path) -> None:
    (tmp_path / "nothing").mkdir()
    mine = Board(tmp_path / "nothing", tmp_path / "work")
    ranking, said = mine.profiled("--energy")
    assert said.count("energy: not measured: no power sensor was found; looked for: INA3221") == 1
    before = said.index("energy: cannot be measured on this device: no power sensor was found")
    assert before < said.index("profile") < said.index("energy: not measured")
    (one,) = ranking["candidates"]
    assert one["median_ms"] > 0
    assert one["energy_mj"] is None
    assert "no power sensor was found" in one["energy_reason"]
    for command in (("rank", "--by", "energy"), ("choose", "--maximize", "throughput", "--max-energy", "5mJ")):
        refused = mine.edgeprof(*command, code=2)
        assert "no candidate of this run has an energy: no power sensor was found" in refused.stderr
        assert "this run's device has no power sensor" in " ".join(refused.stderr.split())
        assert "edgeprof run --energy" not in refused.stderr
    assert "energy      cannot be measured: no power sensor" in mine.edgeprof("device", "probe", "localhost").stdout


def test_a_limit_on_what_was_not_asked_for_is_a_mistake_that_says_so(done: Done) -> None:
    refused = edgeprof("choose", "--budget", "1s", "--max-energy", "50mJ", "--json", cwd=done.root, code=2)
    error = json.loads(refused.stdout)["error"]
    assert "energy was not asked for: run with --energy" in error["what"]
    assert error["exit_code"] == 2


@pytest.mark.slow
def test_several_devices_are_asked_as_one_is(done: Done, tmp_path: Path) -> None:
    root = Path(shutil.copytree(done.root, tmp_path / "suite"))
    here = (root / "devices" / "localhost.toml").read_text(encoding="utf-8")
    (root / "devices" / "other.toml").write_text(here, encoding="utf-8")
    asked = ("-d", "localhost", "-d", "other", "-e", "onnx-fp32", "--rounds", "3", "--energy", "--json")
    for command in ("run", "profile"):
        ran = edgeprof(command, *asked, cwd=root)
        found = [one for ranking in json.loads(ran.stdout)["rankings"] for one in ranking["candidates"]]
        assert len(found) == 2
        for one in found:  # this machine may have a sensor or not
            assert (one["energy_mj"] is None) == (one["energy_reason"] is not None)
            assert "not asked for" not in (one["energy_reason"] or "")
