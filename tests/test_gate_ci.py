"""The action, the workflow and the GitLab job of docs/gate.md: what their systems read, and steps that do what the page
says when a shell runs them."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from gate_place import Place, build
from typer.main import get_command

from edgeprof.cli.app import app

ROOT = Path(__file__).parent.parent
ACTION: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
PAGE = (ROOT / "docs" / "gate.md").read_text(encoding="utf-8")
EXAMPLES = {
    text.splitlines()[0].removeprefix("# "): yaml.safe_load(text)
    for text in re.findall(r"^```yaml\n(.*?)^```", PAGE, re.M | re.S)
}
WORKFLOW = EXAMPLES[".github/workflows/gate.yml"]
GITLAB = EXAMPLES[".gitlab-ci.yml"]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("gate"))


@pytest.fixture
def place(made: Path, tmp_path: Path) -> Place:
    shutil.copytree(made, tmp_path / "a place")
    return Place(tmp_path / "a place")


def environment(place: Place, **more: str) -> dict[str, str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "PYTHONPATH": place.path, "HOME": str(place.root), **more}


def bash(script: str, place: Place, **more: str) -> subprocess.CompletedProcess[str]:
    """As GitHub runs `shell: bash`."""
    return subprocess.run(
        ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", "-c", script],
        cwd=place.root,
        env=environment(place, **more),
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )


def step(place: Place, **given: str) -> tuple[int, dict[str, str], str]:
    """The action's gate with these inputs (`_` for `-`): its exit code, its outputs, and what it said."""
    asked = {name.replace("_", "-"): value for name, value in given.items()}
    assert asked.keys() <= ACTION["inputs"].keys()
    inputs = {name: str(asked.get(name, one.get("default", ""))) for name, one in ACTION["inputs"].items()}
    (gate,) = [one for one in ACTION["runs"]["steps"] if one.get("id") == "gate"]
    variables = {
        name: re.sub(r"\$\{\{ inputs\.([a-z0-9-]+) \}\}", lambda match: inputs[match[1]], value)
        for name, value in gate["env"].items()
    }
    outputs, summary = place.root / "outputs", place.root / "summary.md"
    outputs.write_text("")
    github = {"GITHUB_OUTPUT": str(outputs), "GITHUB_STEP_SUMMARY": str(summary), "GITHUB_ACTIONS": "true"}
    ran = bash(gate["run"], place, **variables, **github)
    told = dict(line.split("=", 1) for line in outputs.read_text().splitlines())
    return ran.returncode, told, ran.stdout + ran.stderr


def test_the_action_names_only_options_and_inputs_that_there_are() -> None:
    steps = ACTION["runs"]["steps"]
    used = {
        name for one in steps for value in one["env"].values() for name in re.findall(r"inputs\.([a-z0-9-]+)", value)
    }
    assert used == set(ACTION["inputs"])
    assert all("${{" not in one["run"] for one in steps), "an input pasted into a script could be a command"
    command = get_command(app)
    gate = command.commands["gate"]  # type: ignore[attr-defined]
    known = {option for one in (*gate.params, *command.params) for option in one.opts}
    assert set(re.findall(r'"(--[a-z0-9-]+)=', "".join(one["run"] for one in steps))) <= known
    assert {one["value"].split(".")[-1].rstrip(" }") for one in ACTION["outputs"].values()} == {"verdict", "exit-code"}


def test_the_workflow_uses_the_action_as_it_is() -> None:
    (job,) = WORKFLOW["jobs"].values()
    (uses,) = [one for one in job["steps"] if "edgeprof" in one["uses"]]
    assert uses["with"].keys() <= ACTION["inputs"].keys()
    required = {name for name, one in ACTION["inputs"].items() if one.get("required")}
    assert required <= uses["with"].keys()
    (upload,) = [one for one in job["steps"] if "upload-artifact" in one["uses"]]
    assert upload["with"]["path"] == ACTION["inputs"]["junit"]["default"]
    assert upload["if"] == "always()"
    assert "self-hosted" in job["runs-on"]
    assert True in WORKFLOW or "on" in WORKFLOW  # YAML 1.1 reads `on` as true


@pytest.mark.slow
def test_the_actions_step_passes_and_fails_and_says_which(place: Place) -> None:
    (job,) = WORKFLOW["jobs"].values()
    (uses,) = [one for one in job["steps"] if "edgeprof" in one["uses"]]
    baseline = uses["with"]["baseline"]
    code, told, said = step(place, baseline=baseline, files=place.file("busy 1") + "\n")
    assert (code, told) == (0, {"verdict": "pass", "exit-code": "0"}), said
    assert (place.root / ACTION["inputs"]["junit"]["default"]).exists()
    assert "edgeprof gate on here: pass" in (place.root / "summary.md").read_text()
    code, told, said = step(place, baseline=baseline, files=place.file("busy 2"), size="none", latency="p50:10%")
    assert (code, told["verdict"]) == (1, "fail"), said
    assert "::error " in said


@pytest.mark.slow
def test_the_actions_step_lets_what_cannot_be_told_through_only_where_asked(place: Place) -> None:
    given = {"baseline": str(place.baseline), "files": place.file("busy 1"), "top1": "1pp"}
    code, told, said = step(place, **given)
    assert (code, told["verdict"]) == (7, "cannot tell"), said
    code, told, said = step(place, **given, cannot_tell="pass")
    assert (code, told["verdict"]) == (0, "cannot tell"), said
    assert "::warning " in said


def test_nothing_in_an_input_is_a_command(place: Place) -> None:
    evil = '"; touch evil; $(touch evil) `touch evil` #'
    code, told, _ = step(place, baseline=evil, latency=evil, files=evil, device=evil)
    assert (code, told["verdict"]) == (2, "error")
    assert not (place.root / "evil").exists()


@pytest.mark.slow
def test_the_gitlab_job_runs_as_it_stands_on_the_page(place: Place) -> None:
    job = GITLAB["gate"]
    (line,) = job["script"]
    # Of ready files here: the page's own job is of a training, which takes minutes.
    ran = bash(f"{line} {shlex.quote(place.file('busy 1'))}", place)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert (place.root / job["artifacts"]["reports"]["junit"]).exists()
    assert job["artifacts"]["when"] == "always"
    assert job["allow_failure"]["exit_codes"] == [7]
    assert (place.root / "edgeprof-work" / ".edgeprof").is_dir(), "results outlive the checkout"
