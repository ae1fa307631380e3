"""`edgeprof profile FILE...` as people use it: any folder, any file, and whatever is wrong with one of them."""

from __future__ import annotations

import contextlib
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import ready_models
from conftest import edgeprof

from edgeprof import measure, pipeline
from edgeprof.progress import Silent
from edgeprof.records import Device, Run
from edgeprof.store import Store
from edgeprof.suite import builtin_root

HERE = Device(name="localhost", transport="local", threads=(1,))
FORMATS = ("onnx", "openvino", "tflite")
OPEN: dict[str, tuple[str, tuple[int | None, ...]]] = {"x": ("float32", (None, 4)), "ids": ("int64", (None, 4))}


def profile(cwd: Path, *arguments: str, code: int = 0) -> dict[str, Any]:
    """A short measurement; the ranking."""
    done = edgeprof("profile", *arguments, "--threads", "1", "--quick", "--json", cwd=cwd, code=code)
    ranking: dict[str, Any] = json.loads(done.stdout)
    return ranking


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["gone.onnx"], "gone.onnx: there is no such file"),
        (["--shape", "x=1,4"], "is not of the form name=1x3x224x224"),
        (["--shape", "y=1x4"], "'y', which is no input"),
        (["--inputs", "gone.npz"], "gone.npz: there is no such file"),
        (["--inputs", "nan.npz"], "1 of the 4 values of the array x are NaN or infinite"),
        (["--inputs", "wide.npz"], "good.onnx: input x takes 1x4, the array is 1x5"),
        (["--inputs", "nan.npz", "--shape", "x=1x4"], "leave --shape out"),
        (["open.onnx"], "--shape x=1x4 --shape ids=1x4"),
        (["--threads", "0"], "threads"),
        (["--training", "demo"], "leave them out beside files"),
        (["--exporter", "onnx-fp32"], "leave them out beside files"),
        (["--cores", "big"], "only one kind of core"),
        (["--precision", "0"], "--precision 0 must lie above 0"),
    ],
)
def test_a_mistake_in_the_command_ends_it_before_anything_is_measured(
    tmp_path: Path, arguments: list[str], words: str
) -> None:
    ready_models.onnx_file(tmp_path / "good.onnx")
    ready_models.onnx_file(tmp_path / "open.onnx", OPEN)
    np.savez(tmp_path / "nan.npz", x=np.array([[1, 2, np.nan, 4]], np.float32))
    np.savez(tmp_path / "wide.npz", x=np.zeros((1, 5), np.float32))
    said = edgeprof("profile", "good.onnx", *arguments, cwd=tmp_path, code=2)
    assert words in said.stderr
    assert said.stdout == ""
    assert not (tmp_path / "reports").exists()


def test_shapes_and_inputs_are_for_named_files(tmp_path: Path) -> None:
    for option, value in (("--shape", "x=1x4"), ("--inputs", "x.npz")):
        assert "named on the command line" in edgeprof("profile", option, value, cwd=tmp_path, code=2).stderr


def test_an_interrupted_run_with_other_inputs_is_not_taken_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the rounds of two shapes would stand under one candidate."""
    file = ready_models.onnx_file(tmp_path / "open.onnx", OPEN)
    store = Store(tmp_path / ".edgeprof")

    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(measure, "measure", interrupted)
    for rows in (1, 1, 2):
        shapes = [f"{name}={rows}x4" for name in OPEN]
        with pytest.raises(KeyboardInterrupt):
            pipeline.profile_files(store, [file], HERE, shapes=shapes, progress=Silent())
    runs: list[Run] = store.all(Run.KIND, Run)
    assert len({one.plan_sha for one in runs}) == len(runs) == 2
    store.close()


@pytest.mark.slow
def test_files_of_all_formats_types_and_open_shapes_are_ranked_without_a_suite(tmp_path: Path) -> None:
    for format in FORMATS:
        ready_models.any_file(tmp_path, format, ready_models.MANY, "many")
        ready_models.any_file(tmp_path, format, {"h": ("float16", (2, 4)), "i": ("int32", (2, 4))}, "half")
        ready_models.any_file(tmp_path, format, OPEN, "open")
    files = [f"{stem}.{suffix}" for stem in ("many", "half") for suffix in ("onnx", "xml", "tflite")]
    ranking = profile(tmp_path, *files)
    assert ranking["failures"] == []
    assert sorted((one["model"], one["format"]) for one in ranking["candidates"]) == sorted(
        (stem, format) for stem in ("many", "half") for format in FORMATS
    )
    assert all(one["top1"] is None for one in ranking["candidates"])
    np.savez(tmp_path / "x.npz", x=np.ones((3, 5, 4), np.float32), ids=np.ones((3, 5, 4), np.int64))
    opened = ["open.onnx", "open.xml", "open.tflite"]
    for how in (["--inputs", "x.npz"], ["--shape", "x=7x4", "--shape", "ids=7x4"]):
        ranking = profile(tmp_path, *opened, *how)
        assert ranking["failures"] == []
        assert len(ranking["candidates"]) == 3
    assert (tmp_path / ".edgeprof").is_dir()


@pytest.mark.slow
def test_a_scalar_input_is_one_number_in_all_formats(tmp_path: Path) -> None:
    inputs: dict[str, tuple[str, tuple[int | None, ...]]] = {"x": ("float32", (1, 4)), "scale": ("float32", ())}
    files = [ready_models.any_file(tmp_path, format, inputs, "scaled").name for format in FORMATS]
    ranking = profile(tmp_path, *files)
    assert ranking["failures"] == []
    assert len(ranking["candidates"]) == 3


@pytest.mark.slow
def test_weights_beside_the_file_are_found_by_the_runtime(tmp_path: Path) -> None:
    ready_models.external_onnx(tmp_path / "m.onnx")
    ranking = profile(tmp_path, "m.onnx")
    assert [one["size_bytes"] for one in ranking["candidates"]] == [(tmp_path / "m.onnx").stat().st_size + 64]


@pytest.mark.slow
def test_what_is_wrong_with_one_file_does_not_keep_the_others_from_being_ranked(tmp_path: Path) -> None:
    good = ready_models.onnx_file(tmp_path / "good.onnx")
    (tmp_path / "garbage.onnx").write_bytes(b"this is no model")
    (tmp_path / "cut.onnx").write_bytes(good.read_bytes()[:-9])
    (tmp_path / "cut.tflite").write_bytes(ready_models.tflite_file(tmp_path / "whole.tflite").read_bytes()[:99])
    ready_models.onnx_file(tmp_path / "op.onnx", op="Frobnicate")
    ready_models.onnx_file(tmp_path / "opset.onnx", opset=99)
    ready_models.external_onnx(tmp_path / "lost.onnx", "gone.data")
    ready_models.external_onnx(tmp_path / "steals.onnx", "../../../../etc/hostname")
    ready_models.unranked_onnx(tmp_path / "unranked.onnx")
    (tmp_path / "alone.xml").write_text("<net/>")
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "folder").mkdir()
    bad = {
        "garbage.onnx": "damaged",
        "cut.onnx": "damaged",
        "cut.tflite": "damaged",
        "op.onnx": "newer runtime",
        "opset.onnx": "newer runtime",
        "lost.onnx": "gone.data",
        "steals.onnx": "save it again",
        "unranked.onnx": "export it with a shape",
        "alone.xml": "alone.bin is missing",
        "notes.txt": ".onnx, .xml",
        "folder": "name a .onnx",
    }
    ranking = profile(tmp_path, *bad, "good.onnx")
    assert [one["model"] for one in ranking["candidates"]] == ["good"]
    told = {failure["error"].partition(":")[0]: failure["hint"] for failure in ranking["failures"]}
    assert set(told) == set(bad)
    for name, words in bad.items():
        assert words in told[name], name


@pytest.mark.slow
def test_threads_above_the_cores_are_told_and_the_others_are_measured(tmp_path: Path) -> None:
    edgeprof("init", ".", cwd=tmp_path)
    ready_models.onnx_file(tmp_path / "good.onnx")
    (tmp_path / "devices" / "many.toml").write_text('transport = "local"\nthreads = [999, 1]\n')
    done = edgeprof("profile", "good.onnx", "-d", "many", "--quick", "--json", cwd=tmp_path, code=None)
    ranking = json.loads(done.stdout)
    assert len(ranking["candidates"]) == 1
    (failure,) = ranking["failures"]
    assert "999 threads were asked for" in failure["error"]
    assert failure["hint"], failure


@pytest.mark.parametrize(
    ("line", "options", "words"),
    [
        ("", ["--cores", "999"], "core 999 does not exist"),
        ("", ["--cores", "0,999"], "core 999 does not exist"),
        ("", ["--threads", "999"], "999 threads are asked for"),
        ("cores = [0, 999]", [], "core 999 does not exist"),
        ("threads = [999]", [], "999 threads are asked for"),
    ],
)
def test_what_no_core_of_the_device_can_do_is_refused_once_and_no_run_begins(
    tmp_path: Path, line: str, options: list[str], words: str
) -> None:
    """It would fail for each candidate, with the hint each time, and leave a finished run and a report of nothing."""
    shutil.copytree(builtin_root() / "training", tmp_path / "training")
    shutil.copytree(builtin_root() / "exporters", tmp_path / "exporters")
    (tmp_path / "devices").mkdir()
    (tmp_path / "devices" / "odd.toml").write_text(f'transport = "local"\n{line}\n')
    files = [str(ready_models.onnx_file(tmp_path / name)) for name in ("one.onnx", "two.onnx")]
    said = edgeprof("profile", *files, "-d", "odd", "--quick", *options, cwd=tmp_path, code=2)
    assert said.stderr.count(words) == 1
    assert "in devices/odd.toml" in " ".join(said.stderr.split())
    assert not (tmp_path / "reports").exists()
    with contextlib.closing(Store(tmp_path / ".edgeprof", read_only=True)) as store:
        assert list(store.all(Run.KIND, Run)) == []


@pytest.mark.slow
def test_the_same_name_in_two_folders_is_ranked_twice_under_names_of_its_own(tmp_path: Path) -> None:
    for folder in ("fp32", "int8"):
        (tmp_path / folder).mkdir()
        ready_models.onnx_file(tmp_path / folder / "model.onnx")
    ranking = profile(tmp_path, "fp32/model.onnx", "./fp32/model.onnx", "int8/model.onnx")
    assert sorted(one["model"] for one in ranking["candidates"]) == ["fp32/model", "int8/model"]
    assert len({one["job"] for one in ranking["candidates"]}) == 2


@pytest.mark.slow
def test_hostile_names_break_neither_store_nor_report_nor_terminal(tmp_path: Path) -> None:
    folder = tmp_path / "mödels <script>alert(1)<"
    folder.mkdir()
    good = ready_models.onnx_file(tmp_path / "good.onnx").read_bytes()
    hostile = [
        "new\nline",
        "esc\x1b[2J\x1b]0;title\x07",
        "quote'\"`$(touch pwned)",
        "[red]markup[bold]",
        "<img src=x onerror=alert(1)>",
        "=cmd|' !A0",
        "試験\u202egnp",
        "\udcff\udcfe",
        "y" * 240,
        "..",
    ]
    for place, name in enumerate(hostile):
        (folder / f"{name}.onnx").write_bytes(good if place % 2 else b"no model")
    done = edgeprof(
        "profile",
        *(f"{folder.name}/../{folder.name}/{name}.onnx" for name in hostile),
        *("--threads", "1", "--quick"),
        cwd=tmp_path,
    )
    for text in (done.stdout, done.stderr):
        assert all(char.isprintable() or char == "\n" for char in text)
    assert not (tmp_path / "pwned").exists()
    ranking = json.loads(edgeprof("rank", "--json", cwd=tmp_path).stdout)
    assert len(ranking["candidates"]) == len(ranking["failures"]) == 5
    assert len({one["model"] for one in ranking["candidates"]}) == 5
    (report,) = (tmp_path / "reports" / "runs").glob("*/report.html")
    page = report.read_text(encoding="utf-8")
    assert "<img src=x" not in page
    assert "\x1b" not in page
