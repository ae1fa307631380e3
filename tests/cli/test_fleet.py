"""`edgeprof run` and `profile` on several devices, as a user sees them. Real processes, real servers."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
import ready_models
from conftest import Done, edgeprof, tiny_suite
from desk import Desk
from testbed.sshd import Sshd

from edgeprof.cli import fleet_lines
from edgeprof.cli.fleet_lines import order, side_by_side
from edgeprof.errors import SuiteError, UsageError
from edgeprof.records import Ranking, Run, from_json
from edgeprof.records.derived import Fleet
from edgeprof.store import Store
from edgeprof.suite import Suite

DEAD = 'transport = "local"\npython = "/no/such/python"\ntags = ["ill"]\n'


def add(root: Path, name: str, text: str) -> None:
    (root / "devices" / f"{name}.toml").write_text(text, encoding="utf-8")


def only(root: Path, *names: str) -> None:
    """Leave these device files alone in the suite."""
    for path in (root / "devices").glob("*.toml"):
        if path.stem not in names:
            path.unlink()


@pytest.fixture
def several(done: Done, tmp_path: Path) -> Path:
    """A suite with everything exported, this machine under two names, and a device that is not there."""
    copy = tmp_path / "copy"
    shutil.copytree(done.root, copy)
    only(copy, "localhost")
    add(copy, "second", 'transport = "local"\nthreads = [1]\nexporters = ["onnx-fp32"]\ntags = ["spare"]\n')
    add(copy, "dead", DEAD)
    return copy


def runs(root: Path) -> list[Run]:
    return Store(root / ".edgeprof", read_only=True).all(Run.KIND, Run)


def test_all_devices_are_measured_and_a_dead_one_is_a_failure_beside_them(several: Path) -> None:
    ran = edgeprof("run", "--device", "all", "--quick", "--json", cwd=several)
    answer = json.loads(ran.stdout)
    assert set(answer) == {"schema", "rankings", "failures", "between", "swaps"}
    assert [one["device"] for one in answer["rankings"]] == ["localhost", "second"]
    here, second = (one["candidates"] for one in answer["rankings"])
    assert {one["format"] for one in here} == {"onnx", "openvino", "tflite"}
    assert [one["exporter"] for one in second] == ["onnx-fp32"], "each device measures what its own exporters made"
    (failure,) = answer["failures"]
    assert (failure["stage"], failure["identity"]["device"]) == ("connect", "dead")
    assert "/no/such/python" in failure["error"]
    assert failure["hint"]
    for one in answer["rankings"]:
        ranking = json.loads((several / "reports" / "runs" / one["run"] / "ranking.json").read_text(encoding="utf-8"))
        assert ranking == one
        again = edgeprof("rank", "--device", one["device"], "--json", cwd=several)
        assert json.loads(again.stdout) == one, "each device has its own run, to be read like any other"
    assert ran.stderr.count("reusing 3 of 3 files") == 1
    assert "localhost: profile: 15 to do" in ran.stderr
    assert "second: profile: finished" in ran.stderr


def test_devices_stand_side_by_side_in_one_table(several: Path) -> None:
    ran = edgeprof("run", "-d", "second", "-d", "localhost", "-d", "dead", "-d", "second", "--quick", cwd=several)
    (header,) = (line for line in ran.stdout.splitlines() if "thr" in line and "second" in line)
    assert header.split()[-2:] == ["second", "localhost"]
    rows = [line.split() for line in ran.stdout.splitlines() if line.split()[:1] == ["mobilenetv3_small_050"]]
    assert len(rows) == 3
    (onnx,) = (row for row in rows if "onnx-fp32" in row)
    assert "-" not in onnx
    assert sum("-" in row for row in rows) == 2, "the other two were measured on localhost alone"
    assert "failed: connect: all models / dead: " in ran.stderr
    assert "report of second: reports/runs/" in ran.stderr


def test_strict_tells_a_device_without_a_ranking_by_the_exit_code(several: Path) -> None:
    edgeprof("run", "-d", "second", "-d", "dead", "--quick", "--strict", cwd=several, code=5)


def test_nothing_is_trained_where_no_device_answers(tmp_path: Path) -> None:
    root = tiny_suite(tmp_path)
    only(root)
    add(root, "dead", DEAD)
    add(root, "gone", DEAD)
    said = edgeprof("run", "--device", "all", "--json", cwd=root, code=5)
    error = json.loads(said.stdout)["error"]
    assert error["what"].startswith("none of the 2 devices can be measured: dead: ")
    assert "; gone: " in error["what"]
    assert error["hint"]
    assert "train:" not in said.stderr


def test_ready_files_are_profiled_on_several_devices(tmp_path: Path) -> None:
    root = tiny_suite(tmp_path)
    add(root, "second", 'transport = "local"\nthreads = [1]\n')
    ready_models.onnx_file(root / "good.onnx")
    ran = edgeprof("profile", "good.onnx", "-d", "localhost", "-d", "second", "--quick", "--json", cwd=root)
    answer = json.loads(ran.stdout)
    assert [[one["model"] for one in ranking["candidates"]] for ranking in answer["rankings"]] == [["good"], ["good"]]
    (root / "bad.onnx").write_bytes(b"this is no model")
    ran = edgeprof("profile", "bad.onnx", "-d", "localhost", "-d", "second", "--quick", "--json", cwd=root, code=5)
    answer = json.loads(ran.stdout)
    assert [len(one["failures"]) for one in answer["rankings"]] == [1, 1]
    edgeprof("profile", "gone.onnx", "-d", "localhost", "-d", "second", cwd=root, code=2)
    edgeprof("profile", "good.onnx", "-d", "localhost", "-d", "second", "--cores", "big", cwd=root, code=2)


def test_what_is_exported_is_profiled_on_several_devices(several: Path) -> None:
    ran = edgeprof("profile", "-d", "localhost", "-d", "second", "-e", "onnx-fp32", "--quick", "--json", cwd=several)
    answer = json.loads(ran.stdout)
    assert [[one["exporter"] for one in ranking["candidates"]] for ranking in answer["rankings"]] == [
        ["onnx-fp32"],
        ["onnx-fp32"],
    ]


def test_ctrl_c_ends_all_and_the_next_run_goes_on_on_each(several: Path) -> None:
    arguments = ["run", "-d", "localhost", "-d", "second", "--rounds", "4"]
    child = subprocess.Popen(
        [sys.executable, "-m", "edgeprof", *arguments],
        cwd=several,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert child.stderr is not None
    assert any(": profile: 1/" in line for line in child.stderr)
    child.send_signal(signal.SIGINT)
    stdout, stderr = child.communicate(timeout=60)
    assert (child.returncode, stdout) == (130, "")
    assert "interrupted" in stderr
    assert "did not let go" not in stderr
    begun = {one.run for one in runs(several) if not one.finished}
    assert len(begun) == 2
    again = edgeprof(*arguments, "--json", cwd=several)
    assert {one["run"] for one in json.loads(again.stdout)["rankings"]} == begun
    assert again.stderr.count("taking up run") == 2
    assert all(one["rounds"] == 4 for ranking in json.loads(again.stdout)["rankings"] for one in ranking["candidates"])


def test_one_machine_under_two_names_over_ssh_is_measured_one_after_the_other(
    done: Done, loopback: Sshd, tmp_path: Path
) -> None:
    root = tmp_path / "copy"
    shutil.copytree(done.root, root)
    only(root)
    desk = Desk(tmp_path, root)
    for name in ("pi", "alias"):
        desk.add(loopback, name, lease=str(tmp_path), workdir=str(tmp_path / name), exporters=["onnx-fp32"])
    desk.add(loopback, "gone", port=9, exporters=["onnx-fp32"])
    ran = desk.edgeprof("run", "--device", "all", "--quick", "--json")
    answer = json.loads(ran.stdout)
    assert [len(one["candidates"]) for one in answer["rankings"]] == [1, 1]
    assert [one["identity"]["device"] for one in answer["failures"]] == ["gone"]
    assert "waiting for it" in ran.stderr
    ready_models.onnx_file(root / "good.onnx")
    ran = desk.edgeprof("profile", "good.onnx", "-d", "pi", "-d", "alias", "--quick", "--json")
    assert [len(one["candidates"]) for one in json.loads(ran.stdout)["rankings"]] == [1, 1]


# --- which devices


@pytest.fixture
def lab(tmp_path: Path) -> Suite:
    root = tiny_suite(tmp_path)
    only(root)
    for name, tags in (("b", '["arm64", "lab"]'), ("a", '["arm64"]'), ("c", "[]")):
        add(root, name, f'transport = "local"\ntags = {tags}\n')
    return Suite(root)


@pytest.mark.parametrize(
    ("asked", "names"),
    [
        (["c", "a"], ["c", "a"]),
        (["all"], ["a", "b", "c"]),
        (["tag:arm64"], ["a", "b"]),
        (["c", "c", "tag:lab", "all"], ["c", "b", "a"]),
    ],
)
def test_devices_are_chosen_by_name_by_tag_or_all_and_each_once(lab: Suite, asked: list[str], names: list[str]) -> None:
    assert [device.name for device in lab.devices(asked)] == names


def test_a_tag_or_name_that_no_device_has_is_told_with_those_that_there_are(lab: Suite) -> None:
    with pytest.raises(UsageError, match="no device has the tag 'arm63'") as caught:
        lab.devices(["a", "tag:arm63"])
    assert "arm64" in (caught.value.hint or "")
    with pytest.raises((UsageError, SuiteError), match="d"):
        lab.devices(["d"])
    only(lab.root)
    with pytest.raises(UsageError, match="no devices"):
        lab.devices(["all"])


def test_names_and_tags_are_completed_on_the_command_line(lab: Suite) -> None:
    def completed(word: str) -> list[str]:
        code = "import sys; sys.argv[0] = 'edgeprof'; from edgeprof.cli import main; main()"
        told = subprocess.run(
            [sys.executable, "-c", code],
            cwd=lab.root,
            env={
                **os.environ,
                "_EDGEPROF_COMPLETE": "complete_bash",
                "COMP_WORDS": f"edgeprof run --device {word}",
                "COMP_CWORD": "3",
            },
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        return told.stdout.split()

    assert completed("") == ["a", "b", "c", "all", "tag:"]
    assert completed("tag:l") == ["tag:lab"]


# --- the table


def ranking(done: Done, device: str, **medians: tuple[int, float]) -> Ranking:
    """The real ranking with other places and medians; exporters that are not named were not measured."""
    told: dict[str, Any] = {**done.ranking, "device": device}
    by_exporter = {one["exporter"].partition("-")[0]: one for one in done.ranking["candidates"]}
    told["candidates"] = [
        {**by_exporter[name], "rank": rank, "rank_low": rank, "rank_high": rank, "median_ms": median, "trusted": True}
        for name, (rank, median) in medians.items()
    ]
    return from_json(json.dumps(told), Ranking)


def test_rows_are_in_the_order_of_the_mean_of_their_places(done: Done) -> None:
    rankings = [
        ranking(done, "pi", openvino=(1, 1.0), onnx=(2, 2.0), tflite=(3, 3.0)),
        ranking(done, "jetson", tflite=(1, 1.0), onnx=(2, 2.0)),
    ]
    # openvino: places 1 and, not measured, 3; onnx: 2 and 2; tflite: 3 and 1. On a tie the first device's median.
    assert [one.exporter for one in order(rankings)] == ["openvino-fp32", "onnx-fp32", "tflite-fp32"]
    assert [one.exporter for one in order(rankings[1:])] == ["tflite-fp32", "onnx-fp32"]


def test_more_devices_than_fit_stand_below_each_other(done: Done, capsys: pytest.CaptureFixture[str]) -> None:
    names = [f"a-board-with-a-long-name-{number}" for number in range(12)]
    answer = Fleet(rankings=tuple(ranking(done, name, onnx=(1, 1.0)) for name in names), failures=())
    fleet_lines._tell_tables(answer)
    shown = capsys.readouterr().out
    assert all(f"{name} " in shown for name in names)
    assert max(len(line) for line in shown.splitlines()) <= 160
    assert shown.count("exporter") > 1


def test_what_cannot_be_trusted_is_marked(done: Done) -> None:
    one = ranking(done, "pi", onnx=(1, 1.5))
    doubtful = msgspec.structs.replace(one.candidates[0], trusted=False)
    table = side_by_side(order([one]), [msgspec.structs.replace(one, candidates=(doubtful,))])
    assert [str(cell) for cell in table.columns[-1].cells] == ["[yellow]1.5 (-)![/yellow]"]
