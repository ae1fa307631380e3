"""The commands are thin over `edgeprof.Suite`: each has its method, its options as keywords, and the same numbers."""

from __future__ import annotations

import inspect
import json
import re
import typing
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import gate_place
import msgspec
import pytest
import ready_models
import stored_runs
import typer
from typer.testing import CliRunner

from edgeprof import Explained, RunResult, Suite, frames
from edgeprof.api import asking
from edgeprof.api.fleet import Fleet
from edgeprof.api.suite import Suite as Whole
from edgeprof.cli.app import app
from edgeprof.errors import DeviceError, EdgeprofError, MissingPackageError, UsageError
from edgeprof.records import Run, Trained, to_json

METHODS: dict[str, tuple[Callable[..., object], ...]] = {
    "run": (Suite.run, Fleet.run, Suite.fleet),
    "profile": (Suite.profile, Fleet.profile, Suite.fleet),
    "device add": (Suite.add_device,),
    "device trust": (Suite.trust_device,),
    "device probe": (Suite.probe,),
    "device doctor": (Suite.doctor,),
    "device clean": (Suite.clean_device,),
    "compare": (Suite.compare, Suite.compare_runs),
    "rank": (Suite.latest, Suite.load_run),
    "show": (Suite.records, Suite.accuracy, Suite.compare_accuracy, Suite.effect, Suite.history, Suite.proxies),
    "choose": (RunResult.choose, Suite.measure_more, Suite.latest, Suite.find_run, Suite.fleet),
    "report": (Suite.report,),
    "gate": (Suite.gate, Suite.update_baseline, Suite.calibrate_gate),
    "train": (Suite.train, Suite.estimate),
    "export": (Suite.export, Suite.explain, Suite.explain_file),
    "import": (Suite.import_checkpoint,),
    "init": (Suite.init,),
    "list": (Suite.models, Suite.trainings, Suite.exporters, Suite.devices),
    "check": (Suite.check,),
}
KEYWORDS: dict[str, tuple[str, ...]] = {
    "wait": ("wait_s",),
    "time": ("limit_s",),
    "cell_time": ("cell_s",),
    "older_than": ("older_than_s",),
    "device": ("device", "devices"),
    "exporter": ("exporter", "exporters"),
    "shape": ("shapes",),
    "verify_on_device": ("test_images",),
    "accuracy_on_device": ("test_images",),
    "names": ("first",),
    "run": ("run", "name"),
}
"""Options whose keywords are called otherwise: for one of several, or with its unit."""
BY_ITSELF = {
    "as_json": "every result is a record",
    "strict": "exit codes",
    "what": "one method each",
    "dry_run": "`estimate`",
    "explain": "`explain`, `explain_file`",
    "measure_more": "`measure_more`",
    "update": "`update_baseline`",
    "recompute": "`recompute`",
    "junit": "`Gated.junit`",
    "summary": "`Gated.summary`",
    "name": "the device or recipe",
    "files": "one after the other in `compare`",
}
"""Options that are methods, results, or arguments by place."""


def commands() -> Iterator[tuple[str, click.Command]]:
    """Every command by its whole name."""
    group = typing.cast(click.Group, typer.main.get_command(app))
    for name, one in group.commands.items():
        inner = getattr(one, "commands", None)
        if inner is None:
            yield name, one
        else:
            yield from ((f"{name} {each}", its) for each, its in inner.items())


def keywords(method: Callable[..., object]) -> set[str]:
    """The names of a method's keywords, those of its `**` too."""
    found: set[str] = set()
    for name, one in inspect.signature(method).parameters.items():
        typed = re.fullmatch(r"Unpack\[(\w+)\]", str(one.annotation))
        found |= set(getattr(asking, typed[1]).__annotations__) if typed else {name}
    return found


def test_every_command_has_its_method_with_the_same_keywords() -> None:
    there = dict(commands())
    assert set(there) == set(METHODS)
    for command, methods in METHODS.items():
        known = set().union(*(keywords(one) for one in methods))
        for option in there[command].params:
            name = str(option.name)
            if name not in BY_ITSELF and name != "help":
                wanted = KEYWORDS.get(name, (name,))
                assert known & set(wanted), f"edgeprof {command}: {name} is no keyword of {methods}"


def test_every_method_is_typed_and_says_what_it_does() -> None:
    for kind in (Whole, Fleet):
        methods = [(name, one) for name, one in inspect.getmembers(kind, inspect.isfunction) if name[0] != "_"]
        assert len(methods) >= 4
        for name, one in methods:
            assert inspect.getdoc(one), name
            signature = inspect.signature(one)
            assert signature.return_annotation is not inspect.Signature.empty, name
            assert all(
                each.annotation is not inspect.Parameter.empty for each in list(signature.parameters.values())[1:]
            ), name


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Suite:
    """A working folder with three runs that a board might have made."""
    root = tmp_path_factory.mktemp("recorded")
    stored_runs.write(root, [stored_runs.Kind(), stored_runs.Kind(), stored_runs.Kind(slower={"resnet18": 1.1})])
    return Suite(work=root)


def said(suite: Suite, *words: str, code: int = 0) -> str:
    """What the command prints with --json."""
    done = CliRunner().invoke(app, ["--work", str(suite.work), *words, "--json"])
    assert done.exit_code == code, done.output
    return done.stdout


def shown(record: typing.Any) -> str:
    """A record as a command prints it."""
    return msgspec.json.format(to_json(record), indent=2).decode() + "\n"


def test_two_runs_and_a_history_are_those_of_the_commands(recorded: Suite) -> None:
    assert said(recorded, "compare", "previous", "latest") == shown(recorded.compare_runs("previous", "latest"))
    words = ("show", "history", "--device", "raspberry-pi", "--model", "resnet18")
    assert said(recorded, *words) == shown(recorded.history_record("raspberry-pi", "resnet18"))
    assert said(recorded, "show", "proxies") == shown(recorded.proxies())
    with pytest.raises(UsageError, match="no run 'gone'"):
        recorded.compare_runs("gone", "latest")


def test_lists_are_those_of_the_commands(recorded: Suite) -> None:
    told = json.loads(said(recorded, "show", "runs"))["runs"]
    assert [one["run"] for one in told] == [one.run for one in recorded.records(Run)] == recorded.runs()["run"].tolist()
    assert recorded.find_run().run == told[-1]["run"]
    assert [one.run for one in recorded.finished_runs("raspberry-pi")] == [one["run"] for one in told]
    assert recorded.records(Trained) == ()
    listed = json.loads(said(recorded, "list"))
    assert [one["name"] for one in listed["models"]] == list(recorded.models())
    assert listed["models"][0]["description"] == "in " + ", ".join(recorded.models_with_recipes()[recorded.models()[0]])
    assert [one["name"] for one in listed["devices"]] == list(recorded.device_names())


@pytest.mark.slow
def test_a_report_is_that_of_the_command_and_is_computed_anew(tmp_path: Path) -> None:
    stored_runs.write(tmp_path, [stored_runs.Kind()])
    suite = Suite(work=tmp_path)
    made = suite.report()
    assert all(one.is_file() for one in made.files.values())
    told = json.loads(said(suite, "report"))
    assert told["runs"] == list(made.runs)
    assert told["files"] == {name: str(path) for name, path in made.files.items()}
    before = made.files["json"].read_text()
    made.files["json"].write_text(before.replace("raspberry-pi", "raspberry-pie", 1))
    assert [one.file for one in suite.recompute() if not one.identical] == [str(made.files["json"])]
    with pytest.raises(UsageError, match="gone"):
        suite.report(["gone"])


def test_a_choice_of_a_run_by_name_has_the_same_numbers_in_any_order(recorded: Suite) -> None:
    names = [one.run for one in recorded.finished_runs()]
    assert said(recorded, "rank", "--run", names[0], "--by", "size") == shown(
        recorded.load_run(names[0], by="size").ranking
    )
    told = said(recorded, "choose", "--run", names[0], "--budget", "50ms")
    assert told == shown(recorded.load_run(names[0], device="raspberry-pi").choose("50ms"))
    with pytest.raises(UsageError, match="raspberry-pi"):
        recorded.load_run(names[0], device="localhost")


def test_a_gate_is_that_of_the_command_with_its_files(recorded: Suite, tmp_path: Path) -> None:
    names = [one.run for one in recorded.finished_runs()]
    file = tmp_path / "pi.json"
    suite = Suite(work=recorded.work)
    assert suite.update_baseline(file, names[0], device="raspberry-pi").run == names[0]
    found = suite.gate(file, names[2])
    assert (found.verdict, found.exit_code) == (found.result.verdict, found.result.exit_code)
    junit, summary = tmp_path / "gate.xml", tmp_path / "gate.md"
    words = ("gate", "-b", str(file), "--run", names[2], "--junit", str(junit), "--summary", str(summary))
    assert said(recorded, *words, code=found.exit_code) == shown(found.result)
    assert junit.read_bytes() == found.junit()
    assert summary.read_text(encoding="utf-8") == found.summary() + "\n"
    assert found.frame()["verdict"].tolist() == [one.verdict for one in found.judgements]
    assert {row.candidate for row in found.rows()} == set(found.frame()["candidate"])
    assert len(found.annotations()) >= sum(one.verdict != "pass" for one in found.judgements)
    with pytest.raises(UsageError, match="--run judges"):
        suite.gate(file, names[0], files=["x.onnx"])
    with pytest.raises(UsageError, match="of the device 'raspberry-pi'"):
        suite.gate(file, device="localhost")
    with pytest.raises(UsageError, match="no such baseline"):
        suite.calibrate_gate(tmp_path / "gone.json")


def test_a_damaged_baseline_is_written_anew_and_that_is_told(recorded: Suite, tmp_path: Path) -> None:
    from edgeprof import Lines

    file, told = tmp_path / "pi.json", list[str]()
    file.write_text("{}")
    new = Suite(work=recorded.work).update_baseline(file, "latest", device="raspberry-pi", progress=Lines(told.append))
    assert any("written anew" in line for line in told)
    assert json.loads(file.read_text())["run"] == new.run


def test_measuring_more_tells_what_only_left_the_race(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A question that is settled by a contender's lost trust is not settled by data; the result keeps it."""
    from edgeprof.pipeline import assemble, decide, more
    from edgeprof.pipeline import find_run as find
    from edgeprof.records import Limits

    stored_runs.write(tmp_path, [stored_runs.Kind(device="localhost")])

    def settle(store: typing.Any, this: Run, *given: object, **options: object) -> more.Settled:
        outcome = assemble(store, find(store, None, this.run), write=False)
        lost = tuple(one for one in outcome.ranking.candidates if not one.trusted)
        return more.Settled(outcome, decide.choose(store, outcome, Limits(budget_ms=20.0)), 2, lost)

    monkeypatch.setattr(more, "measure_more", settle)
    suite = Suite(work=tmp_path)
    found = suite.measure_more(suite.latest(), "20ms")
    assert isinstance(found, RunResult)
    assert (found.rounds, len(found.lost)) == (2, sum(not one.trusted for one in found.ranking.candidates))
    assert found.lost
    assert found.choice == found.choose("20ms")
    fleet = suite.fleet(["localhost"]).measure_more("20ms")
    assert [one.lost for one in fleet.more] == [found.lost]
    assert fleet.choose("20ms").each[0] == found.choice


def test_boards_and_checkpoints_that_make_no_sense_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    suite = Suite()
    images = tmp_path / "images"
    for call in (
        lambda: suite.add_device("pi", "a b"),
        lambda: suite.add_device("../pi", "pi@10.0.0.7"),
        lambda: suite.trust_device("localhost"),
        lambda: suite.trust_device("gone"),
        lambda: suite.clean_device("localhost"),
        lambda: suite.import_checkpoint("x.pth", data=images),
        lambda: suite.import_checkpoint("x.pth", data=images, model="resnet18", factory="a:b"),
        lambda: suite.import_checkpoint("x.pth", data=images, model="resnet18", mean=(0.5,)),
        lambda: suite.explain_file(tmp_path / "gone.onnx"),
        lambda: suite.report(),
        lambda: suite.recompute("gone"),
        lambda: suite.measure_more("gone", "5ms"),
    ):
        with pytest.raises(EdgeprofError) as caught:
            call()
        assert caught.value.what
        assert caught.value.exit_code in (2, 4)
    assert not (tmp_path / "devices").exists()  # no suite is made for what is refused


def test_a_board_that_is_not_there_makes_a_suite_and_no_file_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the command: the suite is made in the working folder, and the object is of it."""
    from edgeprof import Lines

    monkeypatch.chdir(tmp_path)
    suite, told = Suite(), list[str]()
    with pytest.raises((DeviceError, MissingPackageError)):
        suite.add_device("pi", "pi@127.0.0.1:1", progress=Lines(told.append))
    assert suite.path == tmp_path
    assert "made a suite" in told[0]
    assert not (tmp_path / "devices" / "pi.toml").exists()


def test_a_suite_that_is_made_names_its_files(tmp_path: Path) -> None:
    made = Suite.init(tmp_path / "mine")
    assert made.written
    assert all(one.is_file() for one in made.written)
    assert Suite.init(tmp_path / "mine").written == ()
    assert Suite(tmp_path / "mine").written == ()


def test_mistyped_runs_and_files_are_told_as_neither(recorded: Suite, tmp_path: Path) -> None:
    names = [one.run for one in recorded.finished_runs()]
    wrong = names[0][:-1] + "9"

    def error(*words: str) -> dict[str, str]:
        return typing.cast(dict[str, str], json.loads(said(recorded, "compare", *words, code=2))["error"])

    one = error(wrong, names[1][:-1] + "8")
    assert one["what"] == f"there is neither a run nor a file {wrong!r}"
    assert names[0] in one["hint"]
    assert "edgeprof show runs" in one["hint"]
    one = error(names[0], "lastest")
    assert one["what"] == f"{names[0]} is a run, and 'lastest' is none, nor is there such a file"
    assert "latest" in one["hint"]
    ready_models.onnx_file(recorded.work / "plain")
    assert "neither a run nor a file" in error("plain", wrong)["what"]
    assert "is none" in error("plain", "latest")["what"]
    empty = json.loads(said(Suite(work=tmp_path), "compare", "one", "other", code=2))["error"]
    assert empty["what"] == "there is neither a run nor a file 'one'"


def test_an_explanation_has_frames_even_of_nothing() -> None:
    from edgeprof.pipeline import Explanation, LayerError

    layer = LayerError(layer="stem", tensor="x", kind="weights", sqnr_db=12.5, relative_error=0.2)
    one = Explanation(
        subject="net.onnx",
        format="onnx",
        checkpoint="resnet18",
        cause="unknown",
        verdict="nobody knows",
        change=None,
        images=10,
        top1=0.9,
        file_top1=None,
        mended_top1=None,
        parity=None,
        layers=(layer,),
    )
    some, nothing = Explained((one,), ()), Explained((), ())
    assert some.frame()[["subject", "verdict"]].to_numpy().tolist() == [["net.onnx", "nobody knows"]]
    assert some.layers()[["subject", "layer", "sqnr_db"]].to_numpy().tolist() == [["net.onnx", "stem", 12.5]]
    assert some.layers().dtypes.to_dict() == nothing.layers().dtypes.to_dict()
    assert some.frame().dtypes.to_dict() == nothing.frame().dtypes.to_dict()
    assert len(nothing.failures()) == 0


def test_frames_of_what_is_compared(recorded: Suite) -> None:
    changes = frames.table(recorded.compare_runs("previous", "latest").changes)
    assert changes.loc[changes["model"] == "resnet18", "verdict"].eq("slower").all()


@pytest.mark.slow
def test_a_gate_measures_and_calibrates_from_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = gate_place.Place(gate_place.build(tmp_path))
    monkeypatch.setenv("PYTHONPATH", place.path)
    suite = Suite(place.root)
    found = suite.gate(place.baseline, files=[place.file("busy 1")], limit_s=20.0)
    assert found.exit_code in (0, 7), found.reason
    new = suite.calibrate_gate(place.baseline, limit_s=20.0)
    assert new.calibration is not None
    assert json.loads(place.baseline.read_text())["calibration"]["sessions"] == new.calibration.sessions
