"""What is told of another's process: whose it is and what it runs, and nothing that may be a secret."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeprof.agent import programs


def told(root: Path, words: bytes) -> str | None:
    folder = root / "proc/7"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "cmdline").write_bytes(words)
    return programs.program(str(root), 7)


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        (["/usr/bin/python3", "-u", "/home/anna/train.py", "--token", "s3cret"], "python3 train.py"),
        (["python", "-m", "torch.distributed.run", "--key=s3cret"], "python -m torch.distributed.run"),
        (["python3.11", "-c", "s3cret"], "python3.11"),
        (["python3", "-W", "s3cret"], "python3"),
        (["python3", "-m", "s3cret = 1"], "python3"),
        (["bash", "-lc", "export TOKEN=s3cret"], "bash"),
        (["sh", "backup.sh", "s3cret"], "sh backup.sh"),
        (["node", "--eval", "s3cret"], "node"),
        (["/opt/stress", "--cpu", "s3cret"], "stress"),
        (["nginx: worker process --key s3cret"], "nginx"),
        (["/srv/my job/\x1b[31m s3cret"], "my"),
        (["\x1b[31m"], None),
        (["TOKEN=s3cret"], None),
        (["a" * 5000], None),
        ([], None),
    ],
)
def test_program_and_script_by_name_and_no_argument(words: list[str], shown: str | None, tmp_path: Path) -> None:
    found = told(tmp_path, "\0".join([*words, ""]).encode())
    assert found == shown
    assert "s3cret" not in (found or "")


@given(words=st.binary(max_size=300))
def test_whatever_a_process_calls_itself_is_short_and_printable(
    words: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    found = told(tmp_path_factory.getbasetemp() / "any", words)
    assert found is None or (found.isprintable() and len(found) < 150)


def test_a_process_of_this_machine() -> None:
    running = subprocess.Popen([sys.executable, "-c", "print(flush=True); input()"], stdin=-1, stdout=-1)
    try:
        assert running.stdout is not None
        running.stdout.readline()  # until then it may still be this process's own copy
        assert programs.program("/", running.pid) == Path(sys.executable).name
        assert programs.user("/", running.pid) == pwd.getpwuid(os.getuid()).pw_name
    finally:
        running.kill()
        running.communicate()
    assert programs.program("/", running.pid) is None
    assert programs.user("/", running.pid) is None


@pytest.mark.parametrize(
    ("status", "shown"), [("Uid:\t4123456789\t0\t0\t0\n", "4123456789"), ("Name:\tx\n", None), ("Uid:\tx", None)]
)
def test_a_user_without_a_name(status: str, shown: str | None, tmp_path: Path) -> None:
    (tmp_path / "proc/7").mkdir(parents=True)
    (tmp_path / "proc/7/status").write_text(status)
    assert programs.user(str(tmp_path), 7) == shown
