"""The suite's files: what is right is read, what is wrong is named with its file, its key and the nearest name."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeprof.errors import EdgeprofError, SuiteError, UsageError
from edgeprof.records import Device, Exporter, Training
from edgeprof.suite import FOLDERS, Suite, builtin_root, holds_suite, init, load


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def demo_text() -> str:
    return (builtin_root() / "training" / "demo.toml").read_text(encoding="utf-8")


def test_every_file_of_the_builtin_suite_is_right() -> None:
    results = list(Suite(builtin_root()).check())
    assert len(results) >= 7
    assert [str(error) for _, error in results if error] == []


def test_init_makes_a_suite_that_is_right_and_keeps_what_is_there(tmp_path: Path) -> None:
    mine = write(tmp_path / "devices" / "localhost.toml", 'transport = "local"\nthreads = [1]\n')
    written = init(tmp_path)
    assert holds_suite(tmp_path)
    assert mine not in written
    assert Suite(tmp_path).device("localhost").threads == (1,)
    assert all(error is None for _, error in Suite(tmp_path).check())
    assert init(tmp_path) == []


def test_the_suite_is_the_one_asked_for_else_here_else_the_builtin(tmp_path: Path) -> None:
    assert Suite.find(None, tmp_path).builtin
    init(tmp_path)
    assert Suite.find(None, tmp_path).root == tmp_path
    assert not Suite.find(None, tmp_path).builtin
    assert Suite.find(None, tmp_path / "devices").builtin, "a suite is never searched upwards"
    with pytest.raises(UsageError, match="training/"):
        Suite.find(tmp_path / "nothing", tmp_path)


@pytest.mark.parametrize(
    ("text", "what", "hint"),
    [
        ("transprot = 'local'", "unknown key 'transprot'", "transport"),
        ("transport = 'locl'", "transport = 'locl' is not allowed", "local"),
        ("transport = 'ssh'", "host is missing", None),
        ("transport = 'local'\nhost = 'x'", "host is for transport", None),
        ("transport = 'local'\nthreads = [0]", "threads must be 1 or more", None),
        ("transport = 'local'\nthreads = ['al']", "threads = 'al' is not allowed", "all"),
        ("transport = 'local'\nthreads = []", "threads is empty", None),
        ("transport = 'local'\nport = 'x'", "port", None),
        ("transport = 'ssh'\nhost = 'x'\nport = 70000", "port must lie in", None),
        ("transport = 'ssh'\nhost = 'x'\npassword_env = 'a b'", "never the password", None),
        ("transport = 'local'\nname = 'x'", "'name' is not allowed", None),
        ("transport = ", "this is not TOML", None),
        ("", "transport", None),
    ],
)
def test_a_wrong_device_file_is_named_with_file_key_and_nearest_name(
    tmp_path: Path, text: str, what: str, hint: str | None
) -> None:
    path = write(tmp_path / "board.toml", text)
    with pytest.raises(SuiteError) as caught:
        load(path, Device)
    assert what in caught.value.what
    assert caught.value.where == str(path)
    assert hint is None or hint in str(caught.value.hint)


@pytest.mark.parametrize(
    ("old", "new", "what", "hint"),
    [
        ("epochs", "epoch", "unknown key 'recipe.epoch'", "epochs"),
        ('name = "digits"', 'name = "digit"', "data.name = 'digit' is not allowed", "digits"),
        ('inits = ["scratch"]', 'inits = ["scrach"]', "inits: 'scrach' is not allowed", None),
        ('inits = ["scratch"]', "inits = []", "inits is empty", None),
        ("seeds = [0]", "seeds = [0, 0]", "seeds names something twice", None),
        ("seeds = [0]", "seeds = [-1]", "seeds must be 0 or more", None),
        ('name = "digits"', 'name = "imagefolder"', "data.root is missing", None),
        ("label_smoothing = 0.1", "label_smoothing = 1.0", "label_smoothing must be below 1", None),
        ("std = [0.5, 0.5, 0.5]", "std = [0.5, 0.0, 0.5]", "std must be more than 0", None),
        ("std = [0.5, 0.5, 0.5]", "std = [0.5, 0.5]", "preprocessing.std", None),
    ],
)
def test_a_wrong_training_file_is_named_with_file_key_and_nearest_name(
    tmp_path: Path, old: str, new: str, what: str, hint: str | None
) -> None:
    text = demo_text()
    assert old in text, "the demo recipe changed; change this test with it"
    path = write(tmp_path / "mine.toml", text.replace(old, new, 1))
    with pytest.raises(SuiteError) as caught:
        load(path, Training)
    assert what in caught.value.what
    assert caught.value.where == str(path)
    assert hint is None or hint in str(caught.value.hint)


def test_an_opset_that_torch_would_silently_raise_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "old.toml", 'format = "onnx"\nprecision = "fp32"\nopset = 13\n')
    with pytest.raises(SuiteError, match="opset = 13 is not possible"):
        load(path, Exporter)


def test_unknown_names_come_with_the_nearest_ones() -> None:
    suite = Suite(builtin_root())
    with pytest.raises(UsageError) as caught:
        suite.device("jetsn")
    assert "jetson" in str(caught.value.hint)
    with pytest.raises(UsageError, match="no exporter named 'onnx-fp23'"):
        suite.exporter("onnx-fp23")
    for hostile in ("../devices/jetson", "", "/etc/passwd", "a/b"):
        with pytest.raises(UsageError):
            suite.training(hostile)


def test_check_finds_an_exporter_that_a_device_names_wrongly(tmp_path: Path) -> None:
    init(tmp_path)
    write(tmp_path / "devices" / "pi.toml", 'transport = "local"\nexporters = ["onnx-fp23"]\n')
    wrong = [error for _, error in Suite(tmp_path).check() if error]
    assert len(wrong) == 1
    assert "onnx-fp23" in str(wrong[0])


def test_the_sha_of_a_suite_follows_its_contents(tmp_path: Path) -> None:
    init(tmp_path)
    suite = Suite(tmp_path)
    before = suite.sha()
    assert before == suite.sha()
    write(tmp_path / "devices" / "new.toml", 'transport = "local"\n')
    assert suite.sha() != before


@given(st.text(max_size=200))
def test_no_text_in_a_file_raises_anything_but_our_errors(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = write(tmp_path_factory.mktemp("any") / "any.toml", text)
    for kind in (Device, Exporter, Training):
        with contextlib.suppress(EdgeprofError):
            load(path, kind)  # type: ignore[type-var]


@given(
    st.dictionaries(
        st.sampled_from([*Training.__struct_fields__, "x"]),
        st.one_of(
            st.integers(), st.text(alphabet="ab", max_size=3), st.lists(st.integers(), max_size=2), st.booleans()
        ),
        max_size=6,
    )
)
def test_no_values_in_a_file_raise_anything_but_our_errors(
    tmp_path_factory: pytest.TempPathFactory, table: dict[str, object]
) -> None:
    lines = [
        f"{key} = {str(value).lower() if isinstance(value, bool) else repr(value)}" for key, value in table.items()
    ]
    path = write(tmp_path_factory.mktemp("any") / "any.toml", "\n".join(lines))
    with pytest.raises(SuiteError):
        load(path, Training)


def test_paths_in_a_recipe_are_relative_to_the_suite(tmp_path: Path) -> None:
    init(tmp_path)
    text = demo_text().replace('name = "digits"', 'name = "imagefolder"\nroot = "flowers"', 1)
    write(tmp_path / "training" / "demo.toml", text.replace('["scratch"]', '["scratch", "file:a b.safetensors"]', 1))
    found = Suite(tmp_path).training("demo")
    assert found.data.root == str(tmp_path / "flowers")
    assert found.inits == ("scratch", f"file:{tmp_path / 'a b.safetensors'}")


def test_folders_are_three() -> None:
    assert FOLDERS == ("training", "exporters", "devices")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('tflite = "GPU"', "XNNPACK, or none"),
        ('openvino = "AUTO"', "name the device"),
        ('openvino = "HETERO:GPU,CPU"', "name"),
    ],
)
def test_a_provider_that_could_never_be_what_was_asked_is_refused(tmp_path: Path, line: str, words: str) -> None:
    init(tmp_path)
    (tmp_path / "devices" / "odd.toml").write_text(f'transport = "local"\n[providers]\n{line}\n')
    with pytest.raises(SuiteError) as caught:
        Suite(tmp_path).device("odd")
    assert words in (caught.value.hint or "")
