"""`edgeprof compare RUN RUN` and `show history` as people use them: a real store, real rounds, exit codes and words."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import ready_models
import stored_runs
from conftest import edgeprof
from stored_runs import Kind
from typer.testing import CliRunner

from edgeprof.cli.app import app
from edgeprof.records import Run
from edgeprof.store import Store


def compare(root: Path, *arguments: str, code: int = 0) -> tuple[str, str]:
    """What is said on stdout and on stderr; in this process, as these are many."""
    said = CliRunner().invoke(app, ["--work", str(root), "compare", *arguments])
    assert said.exit_code == code, said.output
    return said.stdout, said.stderr


def refused(*arguments: str) -> str:
    """What is said on stderr with exit code 2."""
    said = CliRunner().invoke(app, arguments)
    assert said.exit_code == 2, said.output
    assert said.stdout == ""
    return said.stderr


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four runs: two alike, one with a slower file, one on another kernel."""
    root = tmp_path_factory.mktemp("runs")
    slower = Kind(slower={"resnet18": 1.1}, files={"resnet18": "new-"})
    stored_runs.write(root, [Kind(), Kind(), slower, Kind(facts={"kernel": "7.0", "os": "another"})])
    return root


NAMES = [f"20260102-0{3 + number}0000-{number:08x}" for number in range(4)]


def test_a_slower_file_is_found_and_the_others_are_the_same(store: Path) -> None:
    out, err = compare(store, NAMES[1], NAMES[2])
    assert f"from run {NAMES[1]}" in out
    assert "6 slower" in out
    assert "6 the same within 2%" in out
    assert "rounds of these two runs alone" in " ".join(out.split())
    assert err == ""
    told = json.loads(compare(store, NAMES[1], NAMES[2], "--json")[0])
    assert told["schema"] == 1
    verdicts = {(one["identity"]["model"], one["verdict"], one["same_file"]) for one in told["changes"]}
    assert verdicts == {("resnet18", "slower", False), ("mobilenetv3_small_100", "same", True)}
    ratio = next(one["median_ms"]["ratio"] for one in told["changes"] if not one["same_file"])
    assert ratio["low"] < 1.1 < ratio["high"]


def test_another_kernel_is_refused_by_name_and_allowed_knowingly(store: Path) -> None:
    out, err = compare(store, NAMES[0], NAMES[3], code=2)
    assert out == ""
    assert "not comparable: kernel: 6.6.51+rpt-rpi-2712 against 7.0" in err
    assert "--allow kernel" in err
    refused = json.loads(compare(store, NAMES[0], NAMES[3], "--json", code=2)[0])
    assert refused["error"]["exit_code"] == 2
    _, err = compare(store, NAMES[0], NAMES[3], "--allow", "kernel")
    assert "allowed: kernel: 6.6.51+rpt-rpi-2712, then 7.0" in err
    assert "also differs: os" in err


def test_latest_and_previous_are_of_one_device(store: Path) -> None:
    told = json.loads(compare(store, "previous", "latest", "--allow", "kernel", "--json")[0])
    assert (told["one"], told["other"]) == (NAMES[2], NAMES[3])
    told = json.loads(compare(store, "previous", NAMES[1], "--json")[0])
    assert told["one"] == NAMES[0]


def test_latest_and_previous_follow_the_order_of_show_runs_where_one_was_taken_up_later(tmp_path: Path) -> None:
    """What began first may have been finished last: then it is the latest, and nothing may call it the previous one."""
    names = stored_runs.write(tmp_path, [Kind(), Kind(), Kind()])
    opened = Store(tmp_path / ".edgeprof")
    first = opened.get(Run.KIND, names[0], Run)
    assert first is not None
    opened.put(Run.KIND, names[0], first, run=names[0])
    opened.close()
    order = [names[1], names[2], names[0]]
    shown = json.loads(edgeprof("--work", str(tmp_path), "show", "runs", "--json", cwd=tmp_path).stdout)
    assert [one["run"] for one in shown["runs"]] == order
    told = json.loads(compare(tmp_path, "previous", "latest", "--json")[0])
    assert (told["one"], told["other"]) == (names[2], names[0])
    told = json.loads(compare(tmp_path, "previous", names[2], "--json")[0])
    assert told["one"] == names[1]
    assert "no finished run before" in refused("--work", str(tmp_path), "compare", "previous", names[1])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["latest", "latest"], "beside itself"),
        (["latest", NAMES[3]], "the same run"),
        (["previous", NAMES[0]], "no finished run before"),
        (["latest", "lastest"], "'lastest' is none"),
        ([NAMES[0], "gone.onnx"], "is a run, and 'gone.onnx' is none"),
        (["previous", "latest", "--allow", "kernal"], "perhaps you meant: kernel"),
        (["previous", "latest", "--allow", "os"], "only told"),
        (["previous", "latest", "--threads", "2"], "--threads is for files"),
        (["previous", "latest", "--zone", "0"], "--zone"),
        (["one.onnx", "two.onnx", "--allow", "kernel"], "--allow is for two runs"),
        (["latest", "previous", "--device", "a", "--device", "b"], "--device once"),
    ],
)
def test_what_makes_no_sense_is_refused(store: Path, arguments: list[str], words: str) -> None:
    assert words in refused("--work", str(store), "compare", *arguments)


def test_strict_is_7_where_something_cannot_be_told(tmp_path: Path) -> None:
    stored_runs.write(tmp_path, [Kind(), Kind(slower={"resnet18": 1.02})])
    compare(tmp_path, "previous", "latest")
    compare(tmp_path, "previous", "latest", "--strict", code=7)
    compare(tmp_path, "previous", "latest", "--strict", "--zone", "20%")


def test_a_run_that_is_not_finished_is_not_compared(tmp_path: Path) -> None:
    names = stored_runs.write(tmp_path, [Kind(), Kind(), Kind(fields={"finished": False})])
    assert "is not finished" in refused("--work", str(tmp_path), "compare", names[0], names[2])
    told = json.loads(compare(tmp_path, "previous", "latest", "--json")[0])
    assert told["other"] == names[1]


def test_other_models_have_nothing_in_common(tmp_path: Path) -> None:
    models = {"another": stored_runs.MODELS["resnet18"]}
    stored_runs.write(tmp_path, [Kind(), Kind(models=models)])
    assert "no candidate in common" in refused("--work", str(tmp_path), "compare", "previous", "latest")


def test_without_a_store_there_are_no_runs(tmp_path: Path) -> None:
    assert "nothing has been made here yet" in refused("--work", str(tmp_path), "compare", "previous", "latest")


def test_two_files_are_files_even_where_runs_are_called_so(store: Path, tmp_path: Path) -> None:
    """A file shuts a run out only together with another file."""
    for name in ("latest", "previous"):
        ready_models.onnx_file(tmp_path / name)
    said = edgeprof("--work", str(store), "compare", "latest", "previous", cwd=tmp_path, code=2)
    assert "latest" in said.stderr
    assert "kernel" not in said.stderr  # no runs were compared: files without a suffix are of no format
    (tmp_path / "previous").unlink()
    said = edgeprof("--work", str(store), "compare", "previous", "latest", cwd=tmp_path, code=2)
    assert "kernel" in said.stderr


def test_the_history_of_a_model(store: Path) -> None:
    history = ("--work", str(store), "show", "history", "--device", "raspberry-pi", "--model", "resnet18")
    told = json.loads(edgeprof(*history, "--exporter", "onnx-fp32", "--json", cwd=store).stdout)
    assert {line["identity"]["exporter"] for line in told["lines"]} == {"onnx-fp32"}
    for line in told["lines"]:
        assert [one["run"] for one in line["runs"]] == NAMES
        assert [one["verdict"] for one in line["runs"]] == [None, "same", "slower", None]
        assert [one["comparable"] for one in line["runs"]] == [True, True, True, False]
    said = edgeprof(*history, cwd=store)
    assert "▁▁" in said.stdout
    assert "not comparable: kernel" in " ".join(said.stdout.split())
    assert f"! run {NAMES[3]}: kernel: 6.6.51+rpt-rpi-2712, then 7.0" in said.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--device", "raspberry-pi"], "one model on one device"),
        (["--model", "resnet18"], "one model on one device"),
        (["--device", "raspberry-pi", "--model", "resnet81"], "perhaps you meant: resnet18"),
        (["--device", "raspbery-pi", "--model", "resnet18"], "perhaps you meant: raspberry-pi"),
        (["--device", "raspberry-pi", "--model", "resnet18", "--exporter", "onnx-int8"], "as 'onnx-int8'"),
        (["--device", "a", "--device", "b", "--model", "m"], "of one device"),
        (["--device", "a", "--budget", "5ms"], "--budget is not for `show history`"),
    ],
)
def test_a_history_of_nothing_is_refused(store: Path, arguments: list[str], words: str) -> None:
    assert words in refused("--work", str(store), "show", "history", *arguments)


def test_names_from_files_cannot_steer_the_terminal(tmp_path: Path) -> None:
    models = {"evil[red]\x1b[31m<b>": stored_runs.MODELS["resnet18"]}
    stored_runs.write(tmp_path, [Kind(models=models), Kind(models=models, facts={"python": "3\x1b[2J"})])
    out, err = compare(tmp_path, "previous", "latest")
    history = ("--work", str(tmp_path), "show", "history", "-d", "raspberry-pi", "-m", next(iter(models)))
    said = edgeprof(*history, cwd=tmp_path)
    others = (("rank",), ("choose", "--budget", "20ms"), ("choose", "--budget", "1us"), ("show", "runs"))
    told = [CliRunner().invoke(app, ["--work", str(tmp_path), *one]).output for one in others]
    for text in (out, err, said.stdout, said.stderr, *told):
        assert "\x1b" not in text


@pytest.mark.parametrize("command", [("rank",), ("choose", "--budget", "20ms"), ("report",)])
def test_a_run_of_another_device_is_not_taken_for_this_ones(store: Path, command: tuple[str, ...]) -> None:
    said = refused("--work", str(store), *command, "--device", "localhost", "--run", NAMES[0])
    assert "is of the device 'raspberry-pi', not of 'localhost'" in said


@pytest.mark.slow
def test_a_ready_file_measured_twice_and_once_in_another_setting(tmp_path: Path) -> None:
    """Real rounds from end to end: what was measured is what is compared, and the fixed workload beside it too."""
    ready_models.onnx_file(tmp_path / "one.onnx")
    profile = ("profile", "one.onnx", "--threads", "1", "--rounds", "3", "--fresh", "--json")
    first, second = (json.loads(edgeprof(*profile, cwd=tmp_path).stdout) for _ in range(2))
    told = json.loads(edgeprof("compare", "previous", "latest", "--json", cwd=tmp_path).stdout)
    assert (told["one"], told["other"]) == (first["run"], second["run"])
    (change,) = told["changes"]
    assert change["same_file"]
    assert change["top1"] is None
    # Geometric means of three medians lie near the median of the three.
    assert change["median_ms"]["one"] == pytest.approx(first["candidates"][0]["median_ms"], rel=0.5)
    assert change["memory_bytes"]["ratio"]["value"] == pytest.approx(1, rel=0.2)
    assert told["canary"]["low"] <= told["canary"]["value"] <= told["canary"]["high"]
    assert told["differences"] == []
    edgeprof(*profile, "--cores", "0", cwd=tmp_path)
    said = edgeprof("compare", "previous", "latest", cwd=tmp_path, code=2)
    assert "bound_to: any core against cores 0" in said.stderr
    told = json.loads(edgeprof("compare", "previous", "latest", "--allow", "bound_to", "--json", cwd=tmp_path).stdout)
    assert [one["name"] for one in told["differences"] if one["allowed"]] == ["bound_to"]
    history = ("show", "history", "-d", "localhost", "-m", "one", "--json")
    (line,) = json.loads(edgeprof(*history, cwd=tmp_path).stdout)["lines"]
    assert [one["comparable"] for one in line["runs"]] == [True, True, False]
