"""`edgeprof show proxies` and the report's section, over a real store of several devices."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import stored_runs
from conftest import edgeprof
from report_records import RUN
from stored_runs import Kind
from typer.testing import CliRunner

from edgeprof.cli.app import app
from edgeprof.records import Run
from edgeprof.store import Store

MODELS = {
    **stored_runs.MODELS,
    "efficientnet_lite0": ((11.4, 10.9, 8.7), 419, 13.5, 3.38, 32.0),
    "shufflenet_v2": ((13.0, 14.0, 9.0), 415, 9.5, 2.3, 12.0),
    "<script>alert(1)</script>": ((6.0, 5.0, 12.0), 425, 12.5, 3.2, 17.0),
}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("proxies")
    kinds = [
        Kind(models=MODELS, device="localhost"),
        Kind(models=MODELS, slower={"shufflenet_v2": 2.0}),
        Kind(models=stored_runs.MODELS, device="small"),
    ]
    stored_runs.write(root, kinds)
    return root


def test_each_device_beside_its_proxies_and_the_host_and_the_devices_beside_each_other(store: Path) -> None:
    show = ("--work", str(store), "show", "proxies", "-d", "raspberry-pi", "-d", "localhost")
    told = json.loads(edgeprof(*show, "--json", cwd=store).stdout)
    pi, here = told["devices"]
    assert (pi["device"], here["device"]) == ("raspberry-pi", "localhost")
    assert {one["kind"] for one in pi["agreements"]} == {"macs", "params", "size", "host", "runtime"}
    assert here["host_run"] is None
    assert pi["host_run"] == here["run"]
    assert all(one["models"] == 5 and one["tau"]["low"] <= one["tau"]["value"] for one in pi["agreements"])
    assert any(one["slower"] == "shufflenet_v2" and one["faster"] == "efficientnet_lite0" for one in pi["swaps"])
    assert {one["kind"] for one in told["between"]} == {"device"}
    said = edgeprof(*show, cwd=store).stdout
    assert "this host" in said
    assert "shufflenet_v2 takes" in said
    assert "between devices" in said


def test_too_few_models_are_no_number(store: Path) -> None:
    said = edgeprof("--work", str(store), "show", "proxies", "-d", "small", cwd=store)
    assert "too few" in said.stdout
    assert "+1.00" not in said.stdout


def test_the_report_has_a_section_where_there_are_models_enough(store: Path) -> None:
    run = json.loads(edgeprof("--work", str(store), "report", "--device", "raspberry-pi", "--json", cwd=store).stdout)
    page = Path(run["files"]["html"]).read_text(encoding="utf-8")
    assert "What proxies hide" in page
    assert "shufflenet_v2 takes" in page
    assert "<script>alert(1)" not in page
    ranking = json.loads(Path(run["files"]["json"]).read_text(encoding="utf-8"))
    assert ranking["proxies"]["swaps"]
    small = json.loads(edgeprof("--work", str(store), "report", "--device", "small", "--json", cwd=store).stdout)
    assert "What proxies hide" not in Path(small["files"]["html"]).read_text(encoding="utf-8")


def test_a_run_that_measured_nothing_is_told(tmp_path: Path) -> None:
    store = Store(tmp_path / ".edgeprof")
    store.put(Run.KIND, RUN.run, RUN, run=RUN.run)
    store.close()
    said = CliRunner().invoke(app, ["--work", str(tmp_path), "show", "proxies"])
    assert said.exit_code == 0
    assert "nothing was measured" in said.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--device", "locahost"], "perhaps you meant: localhost"),
        (["--run", "nothing"], "there is no run 'nothing'"),
        (["--run", "20260102-030000-00000000", "--device", "small"], "is of localhost"),
        (["--budget", "5ms"], "--budget is not for `show proxies`"),
    ],
)
def test_what_makes_no_sense_is_refused(store: Path, arguments: list[str], words: str) -> None:
    said = CliRunner().invoke(app, ["--work", str(store), "show", "proxies", *arguments])
    assert said.exit_code == 2
    assert words in said.stderr
