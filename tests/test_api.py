"""`from edgeprof import Suite`: what the commands do, for Python; typed as a user would type it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import typing
from pathlib import Path

import msgspec
import pandas as pd
import pytest
import ready_models
import report_records
import stored_runs
from conftest import Done, edgeprof
from hypothesis import given
from hypothesis import strategies as st

from edgeprof import Lines, RunResult, Suite, frames, records
from edgeprof.errors import (
    DeviceBusyError,
    EdgeprofError,
    MissingPackageError,
    SuiteError,
    UsageError,
)
from edgeprof.records import Candidate, Failure, Identity, Ranking, Scored, from_json, to_json
from edgeprof.store import Store

EXAMPLE = Path(__file__).parent.parent / "docs" / "examples" / "choose_in_python.py"
HEAVY = (
    *("torch", "timm", "onnx", "onnxruntime", "openvino", "paramiko", "jinja2", "vl_convert", "pandas", "pyarrow"),
    *("scipy", "numpy", "typer", "rich"),
)
HOSTILE = "<script>alert(1)</script>=cmd|' /C calc'!A0\u202e../../etc"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A suite of one's own with three ready files, of which one is damaged. Tests must not change it."""
    folder = tmp_path_factory.mktemp("api") / "my süite"
    Suite.init(folder)
    ready_models.onnx_file(folder / "good.onnx")
    ready_models.tflite_file(folder / "good.tflite")
    (folder / "damaged.onnx").write_bytes(b"\x08\x07no model")
    return folder


@pytest.fixture(scope="module")
def profiled(folder: Path) -> RunResult:
    """One real measurement of these files."""
    files = [folder / name for name in ("good.onnx", "good.tflite", "damaged.onnx")]
    return Suite(folder).profile(files, threads=[1], rounds=2, precision=0.5)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Suite:
    """A working folder with a run that a board might have made, and the built-in suite."""
    work = tmp_path_factory.mktemp("recorded")
    report_records.store_of(work)
    return Suite(work=work)


def loaded(code: str) -> set[str]:
    """Which heavy packages a fresh Python has after it."""
    code += f"\nimport sys\nprint(*[name for name in {HEAVY!r} if name in sys.modules])\n"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    return set(done.stdout.split())


def test_importing_and_listing_load_nothing_heavy() -> None:
    assert loaded("import edgeprof, sys\nassert 'edgeprof.api' not in sys.modules\ndir(edgeprof)") == set()
    listing = "s = Suite()\ns.models(), s.trainings(), s.exporters(), s.devices(), s.check()"
    assert loaded(f"from edgeprof import Suite\n{listing}") == set()
    assert "torch" not in loaded("from edgeprof import Suite\nimport edgeprof.pipeline")


def test_the_package_has_what_it_names_and_nothing_else() -> None:
    import edgeprof as package

    for name in package.__all__:
        assert getattr(package, name) is not None
        assert name in dir(package)
    with pytest.raises(AttributeError, match="nothing_of_the_kind"):
        vars(package)["__getattr__"]("nothing_of_the_kind")


def test_a_suite_says_what_it_holds(folder: Path) -> None:
    suite = Suite(folder)
    assert {one.name for one in suite.devices()} >= {"localhost", "jetson"}
    assert suite.devices(["localhost", "all"])[0].name == "localhost"
    assert {one.name for one in suite.exporters()} >= {"onnx-fp32", "tflite-fp32"}
    assert set(suite.models()) >= {model for one in suite.trainings() for model in one.models}
    assert all(error is None for error in suite.check().values())
    assert suite.path == folder
    assert repr(str(folder)) in repr(suite)


def test_profiling_gives_candidates_failures_and_every_sample(profiled: RunResult) -> None:
    frame, failures, samples = profiled.frame(), profiled.failures(), profiled.samples()
    assert sorted(frame["format"]) == ["onnx", "tflite"]
    assert frame["run"].eq(profiled.name).all()
    assert frame["device"].eq("localhost").all()
    assert failures["model"].str.contains("damaged").all()
    assert len(failures) == len(profiled.failed) == 1
    assert samples.groupby("job").size().to_dict() == dict(zip(frame["job"], frame["samples"], strict=True))
    assert samples.groupby("job")["round"].nunique().eq(2).all()
    for _, one in samples.groupby(["job", "round"]):
        assert one["index"].tolist() == list(range(len(one)))
    assert samples["latency_ms"].gt(0).all()


def test_what_is_not_known_is_na_and_never_zero(profiled: RunResult) -> None:
    """Ready files have no accuracy, seed or parity."""
    frame = profiled.frame()
    for name in ("top1", "top1_low", "seed", "training", "init", "macs", "parity_max_abs_diff"):
        assert frame[name].isna().all(), name
    assert frame["median_ms"].notna().all()


def test_columns_are_the_keys_of_the_ranking_with_nullable_types(recorded: Suite) -> None:
    run = recorded.latest()
    for frame, kind in ((run.frame(), Candidate), (run.failures(), Failure)):
        hints = typing.get_type_hints(kind)
        expected = {int: "Int64", float: "Float64", bool: "boolean", str: "string"}
        for name, dtype in frame.dtypes.items():
            plain = [one for one in expected if hints.get(str(name)) in (one, one | None)]
            if plain:
                assert dtype == expected[plain[0]], name
    missing = set(msgspec.json.decode(to_json(run.ranking.candidates[0]))) - set(run.frame().columns)
    assert missing == {"ran"}
    assert {"ran_provider", "ran_nodes"} <= set(run.frame().columns)
    for value, one in zip(run.frame()["reasons"], run.ranking.candidates, strict=True):
        assert value == one.reasons


def test_every_frame_has_its_types_even_when_it_is_empty(
    recorded: Suite, tmp_path_factory: pytest.TempPathFactory
) -> None:
    nothing = Suite(work=tmp_path_factory.mktemp("empty"))
    Store(nothing.work / ".edgeprof").close()
    for name in ("runs", "trained", "artifacts"):
        empty = getattr(nothing, name)()
        assert len(empty) == 0
        assert getattr(recorded, name)().dtypes.to_dict() == empty.dtypes.to_dict()
    with pytest.raises(UsageError, match="no checkpoint"):
        nothing.accuracy()
    assert len(recorded.artifacts()) == len(recorded.latest().frame()) / 2
    runs = recorded.runs()
    assert isinstance(runs["started_at"].dtype, pd.DatetimeTZDtype)
    assert runs["failures"].tolist() == [2]


def test_accuracy_says_what_is_not_in_it(recorded: Suite) -> None:
    with pytest.warns(UserWarning, match="there are no predictions of resnet18"):
        found = recorded.accuracy()
    assert {"top1", "top1_low", "drop", "drop_low", "drop_p"} <= set(found.columns)


def test_the_numbers_are_those_of_the_commands(recorded: Suite) -> None:
    work = ("--work", str(recorded.work))
    for by in ("latency", "top1"):
        said = edgeprof(*work, "rank", "--by", by, "--json", cwd=recorded.work).stdout
        run = recorded.latest("raspberry-pi").rank(by)
        assert from_json(said, Ranking) == run.ranking
        table = [(one["job"], one["rank"], one["median_ms"], one["top1"]) for one in json.loads(said)["candidates"]]
        frame = run.frame()
        assert table == [tuple(row) for row in frame[["job", "rank", "median_ms", "top1"]].itertuples(index=False)]
    said = edgeprof(*work, "choose", "--budget", "20ms", "--json", cwd=recorded.work).stdout
    assert said.strip() == msgspec.json.format(to_json(run.rank().choose("20ms")), indent=2).decode()


def test_a_frame_goes_to_parquet_and_back(recorded: Suite, tmp_path: Path) -> None:
    run = recorded.latest()
    for name, frame in (("candidates", run.frame()), ("samples", run.samples()), ("runs", recorded.runs())):
        frame.to_parquet(tmp_path / name)
        again = pd.read_parquet(tmp_path / name)
        plain = [column for column in frame.columns if frame[column].dtype != object]
        pd.testing.assert_frame_equal(again[plain], frame[plain])


def test_a_choice_that_nothing_meets_is_no_error(recorded: Suite) -> None:
    run = recorded.load_run(report_records.RUN.run)
    assert run.choose("1us").chosen is None
    best, small = run.choose("1s").chosen, run.choose("1s", max_size="10MB").chosen
    assert best is not None
    assert small is not None
    assert small.size_bytes <= 10_000_000 < best.size_bytes


@pytest.mark.parametrize(
    "asked",
    [
        {"budget": "20"},
        {"budget": 20},
        {"budget": "-1ms"},
        {},
        {"budget": "5ms", "percentile": 12},
        {"budget": "5ms", "maximize": "speed"},
        {"min_top1": "2"},
        {"max_size": 0},
        {"max_size": 1.5},
        {"max_energy": 5},
    ],
)
def test_a_limit_that_means_nothing_is_refused(recorded: Suite, asked: dict[str, typing.Any]) -> None:
    with pytest.raises(UsageError):
        recorded.latest().choose(**asked)


def test_a_report_is_written_beside_the_store(recorded: Suite) -> None:
    files = recorded.latest().report()
    assert {"html", "json", "csv"} <= files.keys()
    assert all(path.is_relative_to(recorded.work / "reports" / "runs") for path in files.values())
    assert from_json(files["json"].read_bytes(), Ranking) == recorded.latest().ranking


def test_hostile_names_are_kept_as_they_are(tmp_path: Path) -> None:
    """A frame is data: nothing is run, cut or escaped in it."""
    report_records.store_of(tmp_path, {HOSTILE: next(iter(report_records.MODELS.values()))})
    run = Suite(work=tmp_path).latest()
    assert run.frame()["model"].eq(HOSTILE).all()
    assert run.samples()["model"].eq(HOSTILE).all()
    assert all(path.is_relative_to(tmp_path) for path in run.report().values())


@given(
    st.lists(st.tuples(st.text(), st.none() | st.text(), st.none() | st.integers(0, 2**62), st.booleans()), max_size=5)
)
def test_a_table_holds_what_the_records_hold(rows: list[tuple[str, str | None, int | None, bool]]) -> None:
    some = [
        Failure(
            stage="profile",
            identity=Identity(model=model, seed=seed),
            error=model,
            error_class="X",
            transient=transient,
            hint=hint,
        )
        for model, hint, seed, transient in rows
    ]
    found = frames.failures(some)
    assert found["model"].tolist() == [row[0] for row in rows]
    for name, place in (("hint", 1), ("seed", 2), ("transient", 3)):
        assert [None if value is pd.NA else value for value in found[name]] == [row[place] for row in rows]
    assert found.dtypes.to_dict() == frames.failures([]).dtypes.to_dict()


def test_an_interval_becomes_three_columns_with_the_unit_last() -> None:
    columns = list(frames.columns_of(Scored))
    assert columns[columns.index("top1") :][:3] == ["top1", "top1_low", "top1_high"]
    assert frames._unit_of("median_ms") == ("median", "_ms")
    assert frames._unit_of("max_abs_diff") == ("max_abs_diff", "")


def test_every_kind_of_record_has_a_table() -> None:
    kinds = [kind for kind in vars(records).values() if isinstance(kind, type) and issubclass(kind, records.Record)]
    assert len(kinds) > 50
    for kind in kinds:
        assert len(frames.table([], kind)) == 0
    shipped = [name for name in frames.table([], records.BudgetChoice).columns if str(name).startswith("chosen_")]
    assert "chosen_p90_high_ms" in shipped


def wrong(name: str, value: object) -> dict[str, typing.Any]:
    """A keyword that a type checker would refuse."""
    return {name: value}


def test_mistakes_are_errors_of_ours(folder: Path, tmp_path: Path) -> None:
    suite = Suite(folder, work=tmp_path / "work")
    good = [folder / "good.onnx"]
    for call in (
        lambda: Suite(tmp_path),
        lambda: suite.latest(),
        lambda: suite.load_run("gone"),
        lambda: suite.run("loaclhost"),
        lambda: suite.run(training="gone"),
        lambda: suite.run(exporters=["gone"]),
        lambda: suite.fleet(["tag:gone"]),
        lambda: suite.train("gone"),
        lambda: suite.profile(str(good[0])),
        lambda: suite.profile([tmp_path / "gone.onnx"]),
        lambda: suite.profile(good, training="demo"),
        lambda: suite.profile(good, test_images=4),
        lambda: suite.profile(shapes={"x": (1, 4)}),
        lambda: suite.profile(good, shapes={"x": (0, 4)}),
        lambda: suite.profile(good, threads=[0]),
        lambda: suite.profile(good, rounds=0),
        lambda: suite.profile(good, precision=1.5),
        lambda: suite.profile(good, cell_s=-1.0),
        lambda: suite.run(test_images=0),
        lambda: suite.run(**wrong("test_images", "some")),
        lambda: suite.run(**wrong("rounds", "5")),
        lambda: suite.train("demo", **wrong("threads", "two")),
        lambda: suite.gate(tmp_path / "baseline.json", **wrong("latency", 5)),
        lambda: suite.fleet("localhost"),
        lambda: suite.profile(good, **wrong("threads", [1.5])),
        lambda: suite.profile(good, **wrong("threads", 1)),
        lambda: suite.profile(good, **wrong("cores", ["0"])),
        lambda: suite.profile(good, **wrong("cores", "all")),
        lambda: suite.run(exporters="onnx-fp32"),
    ):
        with pytest.raises(UsageError) as caught:
            call()
        assert caught.value.what
    assert not (tmp_path / "work" / "reports").exists()
    (folder / "devices" / "wrong.toml").write_text("transport = 'telepathy'\n")
    try:
        with pytest.raises(SuiteError):
            suite.run("wrong")
    finally:
        (folder / "devices" / "wrong.toml").unlink()
    (tmp_path / "file").write_text("")
    with pytest.raises(EdgeprofError):
        Suite(folder, work=tmp_path / "file").profile(good)


def test_faults_of_the_system_are_errors_of_ours(recorded: Suite, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    run = recorded.latest()
    monkeypatch.setattr("edgeprof.pipeline.assemble", full)
    with pytest.raises(EdgeprofError, match="disk is full"):
        run.report()


def test_one_at_a_time_works_in_a_folder(folder: Path, tmp_path: Path) -> None:
    store = Store(tmp_path / ".edgeprof")
    with store.lock("somebody else"), pytest.raises(DeviceBusyError, match="somebody else"):
        Suite(folder, work=tmp_path).profile([folder / "good.onnx"])
    store.close()


def test_without_pandas_a_frame_names_the_extra(recorded: Suite, monkeypatch: pytest.MonkeyPatch) -> None:
    run = recorded.latest()
    monkeypatch.setitem(sys.modules, "pandas", None)
    monkeypatch.delitem(sys.modules, "edgeprof.frames")
    monkeypatch.delattr("edgeprof.frames")
    with pytest.raises(MissingPackageError) as caught:
        run.frame()
    assert "edgeprof[frames]" in str(caught.value.hint)


def test_two_files_are_compared_in_turn(folder: Path, tmp_path: Path) -> None:
    suite = Suite(folder, work=tmp_path)
    found = suite.compare(folder / "good.onnx", folder / "good.tflite", limit_s=0.1)
    assert (found.first.cell.format, found.second.cell.format) == ("onnx", "tflite")
    assert found.verdict in ("faster", "same", "undecided")
    for one, other, more in (("a", None, {}), ("a", "b", {"threads": [1, 2, 4]}), ("a", "b", {"devices": ["gone"]})):
        with pytest.raises(UsageError):
            suite.compare(one, other, **typing.cast(typing.Any, more))


def test_measuring_more_keeps_the_run_and_what_was_measured(folder: Path, profiled: RunResult) -> None:
    more = Suite(folder).measure_more(profiled, "1s", maximize="throughput", limit_s=0.01)
    assert more.name == profiled.name
    assert set(more.frame()["job"]) == set(profiled.frame()["job"])
    assert len(more.samples()) >= len(profiled.samples())
    with pytest.raises(UsageError, match="unit"):
        Suite(folder).measure_more(profiled, "20")


@pytest.fixture(scope="module")
def slower(tmp_path_factory: pytest.TempPathFactory) -> tuple[Suite, list[RunResult]]:
    """Three runs: two alike, then one with a slower file."""
    root = tmp_path_factory.mktemp("runs")
    new = stored_runs.Kind(slower={"resnet18": 2.0}, files={"resnet18": "new-"})
    names = stored_runs.write(root, [stored_runs.Kind(), stored_runs.Kind(), new])
    suite = Suite(work=root)
    return suite, [suite.load_run(name) for name in names]


def test_what_changed_since_an_earlier_run(slower: tuple[Suite, list[RunResult]]) -> None:
    suite, (first, _, last) = slower
    changes = frames.table(last.changes_since(first).changes)
    found = changes.groupby("model")["verdict"].unique().map(list).to_dict()
    assert found == {"resnet18": ["slower"], "mobilenetv3_small_100": ["same"]}
    assert changes["median_ms_ratio"].between(1.9, 2.1).sum() == 6
    with pytest.raises(UsageError):
        last.changes_since(first, allow=["nothing"])
    history = suite.history("raspberry-pi", "resnet18", exporter="onnx-fp32")
    assert history["run"].tolist() == [one.name for one in slower[1]] * 2
    assert history["verdict"].tolist() == [pd.NA, "same", "slower"] * 2
    assert history["median_low_ms"].dtype == "Float64"
    assert [one.device for one in suite.proxies().devices] == ["raspberry-pi"]


def test_a_run_is_held_against_a_baseline(slower: tuple[Suite, list[RunResult]], tmp_path: Path) -> None:
    suite, (first, same, worse) = slower
    file = tmp_path / "baselines" / "pi.json"
    assert first.write_baseline(file).run == first.name
    assert suite.gate(file, same, again=False).verdict in ("pass", "cannot tell")
    failed = suite.gate(file, worse, again=False, size="none")
    assert (failed.verdict, failed.exit_code) == ("fail", 1)
    judged = frames.table(failed.judgements)
    assert judged.loc[judged["verdict"] == "fail", "model"].unique().tolist() == ["resnet18"]
    with pytest.raises(UsageError, match="no share above 0"):
        suite.gate(file, same, latency="p50:5")
    with pytest.raises(UsageError, match="no such baseline"):
        suite.gate(tmp_path / "gone.json", same)


def test_several_devices_at_once_and_a_dead_one_beside_them(folder: Path, tmp_path: Path) -> None:
    suite = Suite.init(tmp_path / "two")
    (suite.path / "devices" / "dead.toml").write_text('transport = "local"\npython = "/no/such/python"\n')
    told: list[str] = []
    fleet = suite.fleet(["localhost", "dead"])
    found = fleet.profile([folder / "good.onnx"], threads=[1], rounds=2, progress=Lines(told.append))
    assert [one.device for one in found] == ["localhost"]
    assert len(found) == 1
    assert found.failures()["stage"].tolist() == ["connect"]
    assert found.frame()["device"].tolist() == ["localhost"]
    assert len(found["localhost"].samples()) == found.frame()["samples"].sum()
    assert any("dead" in line for line in told)
    with pytest.raises(UsageError, match="dead"):
        found["dead"]
    assert found.choose("1s").chosen == ()
    assert "localhost: 1 candidates" in repr(found)
    assert suite.latest("localhost").ranking == found["localhost"].ranking
    assert suite.fleet(["localhost"]).latest().frame().equals(found.frame())
    with pytest.raises(UsageError, match="dead"):
        fleet.latest()


@pytest.mark.slow
def test_the_example_of_the_python_page_runs_from_the_suite_to_the_report(done: Done, tmp_path: Path) -> None:
    copy = tmp_path / "suite"
    shutil.copytree(done.root, copy)
    ran = subprocess.run(
        [sys.executable, str(EXAMPLE)], cwd=copy, capture_output=True, text=True, timeout=280, check=False
    )
    assert ran.returncode == 0, ran.stderr
    assert "reusing 1 of 1 checkpoints" in ran.stdout
    assert "3 candidates, 0 failures" in ran.stdout
    assert "gate: pass" in ran.stdout or "gate: cannot tell" in ran.stdout
    for model in ("mobilenetv3_small_050 as ", "mobilenetv3_small_050 tflite-fp32"):
        assert model in " ".join(ran.stdout.split()) or "nothing." in ran.stdout
    assert Path(ran.stdout.splitlines()[-1].removeprefix("report: ")).is_file()
