"""A converter's fault reaches the user in the converter's own words, and short."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeprof.errors import ExportError, MissingPackageError, RecordError
from edgeprof.export import words


@given(st.text())
def test_any_message_becomes_one_short_line(text: str) -> None:
    said = words.of_error(RuntimeError(text))
    assert said.startswith("RuntimeError")
    assert len(said) <= 500
    assert len(said.splitlines()) == 1


def test_the_root_cause_is_told_not_the_advice_around_it() -> None:
    try:
        try:
            raise KeyError("No ONNX function found for aten._linalg_svd\n\nUse tlparse to see the graph")
        except KeyError as inner:
            raise RuntimeError("Failed to convert. \x1b[96mThis is step 3/3\x1b[0m. Next steps:\n- debug") from inner
    except RuntimeError as error:
        said = words.of_error(error)
    assert "No ONNX function found for aten._linalg_svd" in said
    assert "Next steps" not in said


def test_source_lines_and_colours_are_left_out() -> None:
    said = words.of_error(
        ValueError('\x1b[31m/home/x/site-packages/a/b.cpp:12: op is not legal\n  File "x.py", line 3')
    )
    assert said == "ValueError: op is not legal"


def test_a_key_errors_traceback_is_left_out_though_its_repr_is_one_line() -> None:
    said = words.of_error(KeyError('torch.complex64\n\nWhile executing %x\nOriginal traceback:\nFile "/home/x/y.py"'))
    assert said == "KeyError: torch.complex64"


def test_what_is_no_fault_of_the_model_is_left_out_of_the_last_words(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("Failed to load /x/torchao/_C.so: Could not load this library\nLLVM ERROR: IO failure\n", "utf-8")
    assert words.of_log(log) == "LLVM ERROR: IO failure"


def test_the_last_words_of_a_log_are_its_errors(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(
        b"(00:01) [START] Convert\nall is well\nloc(x): error: failed to legalize 'tfl.pad'\nW1122 noise\n\xff"
    )
    assert words.of_log(log) == "loc(x): error: failed to legalize 'tfl.pad'"
    log.write_text("first\nsecond\n", encoding="utf-8")
    assert words.of_log(log) == "first / second"
    assert words.of_log(tmp_path / "none") == ""


@pytest.mark.parametrize(
    ("raised", "expected", "says"),
    [
        (RuntimeError("cannot lower x"), ExportError, "it failed: RuntimeError: cannot lower x"),
        (SystemExit(3), ExportError, "it failed: SystemExit: 3"),
        (MemoryError(), ExportError, "out of memory"),
        (OSError(errno.EIO, "Input/output error"), ExportError, "Input/output error"),
        (ModuleNotFoundError("No module named 'onnx.x'", name="onnx.x"), MissingPackageError, "the package onnx"),
    ],
)
def test_whatever_is_raised_becomes_ours(
    raised: BaseException, expected: type[Exception], says: str, tmp_path: Path
) -> None:
    with pytest.raises(expected, match=says), words.converting("it", tmp_path):
        raise raised


def test_a_full_disk_is_no_fault_of_the_converter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # OpenVINO says only "Can't open bin file"; a disk of no size cannot be had without privileges.
    monkeypatch.setattr(words, "FULL_BYTES", 1 << 62)
    with pytest.raises(RecordError, match="the disk is full"), words.converting("it", tmp_path):
        raise RuntimeError("Can't open bin file")


def test_ctrl_c_passes(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), words.converting("it", tmp_path):
        raise KeyboardInterrupt
