"""The examples in the documents are executed: every `$ ` line of a ```console block, in order, in a small suite.

A line of the form `# exit N` right above a command says the exit code that it ends with. Commands that a reader runs
once on a fresh machine (git clone, make, pip, ssh) are not run here: `.ci/run` and the wheel's tests do. Files that
the reader is to have (`old.onnx`, see READERS) lie in the suite, copies of what it exports.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import Done, edgeprof

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
ELSEWHERE = ("git", "make", "pip", "cd", "ssh", "sudo", "apt-get")
READERS = ("old.onnx", "new.onnx", "model.onnx", "other.tflite")


def examples(text: str) -> list[tuple[str, int]]:
    """(command, exit code) of every example."""
    found = []
    for block in re.findall(r"^```console\n(.*?)^```", text, re.M | re.S):
        code = 0
        for line in block.splitlines():
            if line.startswith("# exit "):
                code = int(line.removeprefix("# exit "))
            elif line.startswith("$ "):
                found.append((line.removeprefix("$ ").split("  #")[0].strip(), code))
                code = 0
    return found


def test_there_are_examples() -> None:
    assert sum(len(examples(page.read_text(encoding="utf-8"))) for page in PAGES) >= 8


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_examples_of_a_page_run(page: Path, done: Done, tmp_path: Path) -> None:
    suite = tmp_path / "suite"
    shutil.copytree(done.root, suite)
    edgeprof("export", "--out", str(tmp_path / "files"), cwd=suite)
    for name in READERS:
        (exported,) = (tmp_path / "files").glob(f"*{Path(name).suffix}")
        shutil.copyfile(exported, suite / name)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    for command, code in examples(page.read_text(encoding="utf-8")):
        words = shlex.split(command)
        if words[0] in ELSEWHERE:
            continue
        assert words[0] == "edgeprof", f"{page.name}: {command}: examples use edgeprof itself"
        ran = subprocess.run(
            words,
            cwd=suite,
            env={**os.environ, "PATH": path},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=280,
            check=False,
        )
        assert ran.returncode == code, f"{page.name}: $ {command}\nexit {ran.returncode}\n{ran.stdout}\n{ran.stderr}"


def test_links_between_the_documents_lead_somewhere() -> None:
    for page in [*PAGES, ROOT / "CONTRIBUTING.md", *ROOT.glob("*/README.md")]:
        for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8")):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{page.name} links to {target}"
