"""`edgeprof show accuracy` and `show effect`, as real processes on a store as training and exporting leave it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from accuracy_records import LABELS, MODELS, SOURCE, TRAINING, logits, put_trained, study
from conftest import edgeprof
from rich.console import Console

from edgeprof.cli import accuracy_lines, console, effect_lines, main
from edgeprof.pipeline import accuracy, effect_of, store_root
from edgeprof.records import Identity, Ranking, Run, Trained, from_json
from edgeprof.store import Store


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tests must not change it."""
    folder = tmp_path_factory.mktemp("work")
    study(folder)
    return folder


@pytest.fixture
def copy(root: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(root, tmp_path / "copy"))


class Shown(NamedTuple):
    stdout: str
    stderr: str


@pytest.fixture
def show(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Shown]:
    """`edgeprof show` within this process, which is faster than a new one."""

    def run(folder: Path, *arguments: str, code: int = 0) -> Shown:
        monkeypatch.setattr(sys, "argv", ["edgeprof", "--work", str(folder), "show", *arguments])
        with pytest.raises(SystemExit) as over:
            main()
        shown = Shown(*capsys.readouterr())
        assert (over.value.code or 0) == code, shown.stderr
        assert "Traceback" not in shown.stderr
        return shown

    return run


@pytest.fixture
def answer(show: Callable[..., Shown]) -> Callable[..., Any]:
    return lambda folder, *arguments: json.loads(show(folder, *arguments, "--json").stdout)


def test_all_checkpoints_and_files_have_intervals_and_each_file_its_drop(
    root: Path, show: Callable[..., Shown], answer: Callable[..., Any]
) -> None:
    found = answer(root, "accuracy")
    assert (len(found["checkpoints"]), len(found["files"]), found["missing"]) == (18, 54, [])
    for one in (*found["checkpoints"], *found["files"]):
        for share in ("top1", "top5", "macro_f1"):
            assert 0 <= one[share]["low"] <= one[share]["value"] <= one[share]["high"] <= 1
    same = [one for one in found["files"] if one["identity"]["exporter"] == "onnx-fp16"]
    assert all((one["drop"]["difference"]["value"], one["drop"]["p"]) == (0, 1) for one in same)
    worst = max(found["files"], key=lambda one: one["drop"]["difference"]["value"])
    assert worst["drop"]["difference"]["low"] > 0.5
    assert "names the class" in worst["warnings"][0]
    spread = found["seeds"][0]
    assert (spread["seeds"], spread["exporter"]) == ([0, 1, 2], None)
    assert spread["lowest"] <= spread["mean"] <= spread["highest"]
    told = show(root, "accuracy", "--training", TRAINING)
    assert "450 test images" in told.stdout
    assert told.stderr.count("warning: efficientnet_lite0 / training:transfer-source / seed") == 3


def test_two_are_compared_by_sha_and_by_label(
    root: Path, show: Callable[..., Shown], answer: Callable[..., Any]
) -> None:
    files = answer(root, "accuracy")["files"]
    file = next(one for one in files if one["identity"]["exporter"] == "onnx-int8" and one["drop"]["p"] > 1e-20)
    who = file["identity"]
    label = f"{who['model']}/{who['init']}/seed {who['seed']}"
    found = answer(root, "accuracy", label, file["sha"][:10])
    assert found["first"]["identity"]["exporter"] is None
    assert found["second"]["sha"] == file["sha"]
    assert found["compared"] == file["drop"]
    turned = answer(root, "accuracy", file["sha"][:10], label)["compared"]
    assert turned["p"] == found["compared"]["p"]
    assert turned["only_first"] == found["compared"]["only_second"]
    said = show(root, "accuracy", label, f"{label}/onnx-int8").stdout
    assert "McNemar's exact test: p = " in said


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["accuracy", "resnet18", "scratch/seed 0"], "'resnet18' may be 24 of them"),
        (["accuracy", "nothing", "resnet18"], "no checkpoint and no exported file 'nothing'"),
        (["accuracy", "resnet18"], "between two"),
        (["accuracy", "--training", "other"], "edgeprof train --training other"),
        (["accuracy", "--budget", "5ms"], "--budget is not for"),
        (["effect", "--training", "other"], "no checkpoint of the training 'other'"),
        (["effect", "resnet18"], "means nothing"),
        (["effect", "--budget", "5"], "has no unit"),
        (["effect", "--run", "nosuch"], "there is no run"),
        (["effect", "--device", "raspberry-pi", "--training", "demo"], "is of the training 'transfer'"),
        (["effect", "--recompute"], "latest --recompute"),
        (["runs", "--training", "demo"], "--training is not for"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_means_nothing_is_refused(
    root: Path, arguments: list[str], words: str, show: Callable[..., Shown]
) -> None:
    said = show(root, *arguments, code=2)
    assert words in said.stderr
    assert said.stdout == ""


def test_other_test_images_are_not_compared(copy: Path, show: Callable[..., Shown]) -> None:
    store = Store(store_root(copy))
    labels = LABELS[::-1].copy()
    one = Identity(model="resnet18", training="other", init="scratch", seed=0)
    put_trained(store, one, logits(0.9, 1, labels), labels=labels)
    store.close()
    said = show(copy, "accuracy", "resnet18/scratch/seed 1", sha(copy, one)[:12], code=2)
    assert "saw different test images" in said.stderr


def sha(root: Path, identity: Identity) -> str:
    store = Store(store_root(root), read_only=True)
    found = next(one for one in store.all(Trained.KIND, Trained) if one.identity == identity)
    return found.checkpoint_sha


def test_damaged_predictions_are_told_and_the_others_are_shown(copy: Path, answer: Callable[..., Any]) -> None:
    store = Store(store_root(copy), read_only=True)
    broken = store.all(Trained.KIND, Trained)[0]
    store.blob(broken.predictions_sha).write_bytes(b"PK no zip")
    found = answer(copy, "accuracy")
    assert len(found["checkpoints"]) == 17
    assert broken.identity.label() in found["missing"][0]
    # The files that say the same have the same blob; the fourth only lacks its drop.
    assert len(found["missing"]) == 3
    assert sum(one["drop"] is None for one in found["files"]) == 1
    effect = answer(copy, "effect")
    assert any("seed 0" in line for line in effect["missing"])
    assert len(effect["models"]) == len(MODELS)
    assert json.loads(edgeprof("--work", ".", "rank", "--json", cwd=copy).stdout)["candidates"]


def test_the_effect_with_latencies_and_without(
    root: Path, tmp_path: Path, show: Callable[..., Shown], answer: Callable[..., Any]
) -> None:
    found = answer(root, "effect")
    assert {"model", "difference", "difference_low", "difference_high", "seeds", "seeds_sd", "images"} <= set(
        found["models"][0]
    )
    assert [one["model"] for one in found["models"]] == list(MODELS)
    assert all((one["init"], one["against"]) == (SOURCE, "scratch") for one in found["models"])
    assert found["run"] == "20260203-040506-1a2b3c4d"
    assert found["budgets"]
    assert found["missing"] == []
    for arguments in (["--run", found["run"]], ["--device", "raspberry-pi"], ["--training", TRAINING]):
        assert answer(root, "effect", *arguments) == found
    (asked,) = answer(root, "effect", "--budget", "5ms")["budgets"]
    assert (asked["from_ms"], asked["chosen"]["model"]) == (5, "mobilenetv3_small_100")
    study(tmp_path, seeds=(0,), precisions=("fp32",), run=False)
    alone = answer(tmp_path, "effect")
    assert (alone["run"], alone["budgets"]) == (None, [])
    assert all(one["sources"] == "images" for one in alone["models"])
    assert "edgeprof run --training transfer" in alone["missing"][0]
    said = show(tmp_path, "effect")
    assert "What another seed would give is not known" in said.stdout
    assert "missing: no latencies" in said.stderr


def test_a_checkpoint_of_another_recipe_of_the_same_name_is_left_out(copy: Path, answer: Callable[..., Any]) -> None:
    store = Store(store_root(copy))
    newer = Identity(model="resnet18", training=TRAINING, init="scratch", seed=3)
    put_trained(store, newer, logits(0.9, 1), recipe_sha="another")
    store.close()
    found = answer(copy, "effect")
    assert len(found["missing"]) == 18 + 1  # all the others, and that there is nothing to compare with
    assert "another recipe" in found["missing"][0]


def test_the_ranking_has_intervals_drops_and_the_effect_and_is_recomputed(
    copy: Path, show: Callable[..., Shown]
) -> None:
    edgeprof("--work", ".", "report", cwd=copy)
    shown = show(copy, "latest", "--json").stdout
    ranking = from_json(shown, Ranking)
    for one in ranking.candidates:
        assert one.top5_low is not None
        assert one.macro_f1 is not None
        assert one.macro_f1_low is not None
        assert one.macro_f1_high is not None
        assert one.macro_f1_low <= one.macro_f1 <= one.macro_f1_high
        assert one.top1_drop is not None
        assert one.top1_drop_low is not None
        assert one.top1_drop_low <= one.top1_drop
        assert one.drop_p is not None
        assert one.precision == "int8" or one.drop_p == 1
        assert bool(one.warnings) == (
            one.model == "efficientnet_lite0" and one.init == SOURCE and one.precision == "int8"
        )
    assert ranking.effect is not None
    assert len(ranking.effect.models) == 3
    same = edgeprof("--work", ".", "show", "latest", "--recompute", cwd=copy, PYTHONHASHSEED="2").stdout
    assert same.count(": identical") == 5
    said = show(copy, "latest").stdout
    assert "What the initialisation brings" in said
    assert "points against its checkpoint (95% interval" in said
    assert "warning: it names the class" in said


@pytest.mark.parametrize("width", [80, 100, 120, 160])
def test_nothing_is_wider_than_the_terminal(
    root: Path, width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(console, "out", lambda: Console(width=width, highlight=False))
    store = Store(store_root(root), read_only=True)
    for arguments in ({}, {"budget_ms": 5.0}):
        effect_lines.tell_effect(effect_of(store, **arguments))  # type: ignore[arg-type]
        shown = capsys.readouterr().out
        assert max(len(line.rstrip()) for line in shown.splitlines()) <= width
        assert "mobilenetv3_small_100" in shown, "no name is cut"
    accuracy_lines.tell_table(accuracy.table(store))
    shown = capsys.readouterr().out
    assert max(len(line.rstrip()) for line in shown.splitlines()) <= width
    assert "training:transfer-source" in shown


def test_budgets_are_shown_rounded_up() -> None:
    assert [effect_lines.rounded_up(ms) for ms in (2.0401, 9.12, 123.4, 0.010001)] == pytest.approx(
        [2.05, 9.12, 124, 0.0101]
    )


@pytest.mark.parametrize("command", [["rank"], ["show", "accuracy"], ["show", "effect"], ["choose", "--budget", "9ms"]])
def test_reading_what_was_measured_loads_no_torch(root: Path, command: list[str]) -> None:
    code = (
        "import sys\nfrom edgeprof.cli import main\n"
        f"sys.argv = ['edgeprof', '--work', '.', *{command!r}]\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "heavy = {'torch', 'timm', 'onnx', 'onnxruntime', 'sklearn', 'scipy.stats'}\n"
        "print('HEAVY', sorted(heavy & set(sys.modules)), file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True, cwd=root
    )
    assert "HEAVY []" in done.stderr


def test_the_run_of_the_study_is_one_that_find_run_takes(root: Path) -> None:
    store = Store(store_root(root), read_only=True)
    (run,) = store.all(Run.KIND, Run)
    assert run.finished
    assert np.unique(LABELS).size == 5
