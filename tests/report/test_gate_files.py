"""What a gate writes for machines that build: valid whatever stands in names, and the same verdicts everywhere."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path
from xml.etree import ElementTree

import msgspec
import pytest
import xmlschema
from gate_records import baseline, candidate, failure, numbers, quiet
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeprof.rank import gate as gates
from edgeprof.records.gate import GateLimits, GateResult
from edgeprof.report.gate import github, junit, summary

SCHEMA = xmlschema.XMLSchema11(str(Path(__file__).parent / "junit.xsd"))
HOSTILE = [
    "</testcase><script>alert(1)</script>",
    "a\x00b\x1b[31m\x07\ufffe",
    "line\r\n::error::mine\u2028and|cell|`code`",
    "=HYPERLINK(1)",
    "../../etc/passwd",
    "\u202egnp.exe",
    "\ud800",
    '"]]>&amp;<!--',
    "@everyone https://evil.example [x](javascript:alert(1)) ##[error]x",
]


def answer(name: str = "net") -> GateResult:
    """One that fails, one that cannot be told, one that is gone for the device's fault, and passes."""
    old = baseline(candidate(name, label=name), candidate("grows"), candidate("gone"), candidate("unsure"), device=name)
    new = baseline(
        candidate(name, label=name),
        candidate("grows", sha="new", size_bytes=2_000_000),
        candidate("unsure", sha="new", rounds=numbers(quiet(seed=1), peak=None)),
        device=name,
    )
    limits = GateLimits()
    found = gates.judge(old, new, limits, failures=[failure("gone", error=f"lost {name}")])
    return gates.result(found, old, limits, file=name, run=name)


def test_junit_is_valid_and_counts_what_did_not_pass() -> None:
    data = junit(answer())
    SCHEMA.validate(data.decode())
    (suite,) = ElementTree.fromstring(data)
    cases = suite.findall("testcase")
    assert int(suite.attrib["tests"]) == len(cases) == len(answer().judgements)
    failures = [case for case in cases if case.find("failure") is not None]
    errors = [case for case in cases if case.find("error") is not None]
    assert (len(failures), len(errors)) == (int(suite.attrib["failures"]), int(suite.attrib["errors"]))
    assert [(case.attrib["name"], "grows" in case.attrib["classname"]) for case in failures] == [("size", True)]
    kinds = {error.attrib["type"] for case in cases for error in case.findall("error")}
    assert kinds == {"infrastructure", "cannot tell"}


def test_a_gate_that_came_to_nothing_is_an_error_too() -> None:
    lost = GateResult(
        device="pi",
        baseline="b.json",
        run=None,
        verdict="infrastructure",
        exit_code=5,
        reason="pi: no route",
        limits=GateLimits(),
    )
    data = junit(lost)
    SCHEMA.validate(data.decode())
    assert b'errors="1"' in data
    assert "no route" in summary(lost)
    assert github(lost) == ["::error title=edgeprof gate::pi: no route"]


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_stay_names(name: str) -> None:
    check(name)


@settings(deadline=None)
@given(st.text(min_size=1, max_size=30))
def test_any_name_stays_a_name(name: str) -> None:
    check(name)


def check(name: str) -> None:
    found = answer(name)
    data = junit(found)
    SCHEMA.validate(data.decode())
    root = ElementTree.fromstring(data)
    known = {"testsuites", "testsuite", "properties", "property", "testcase", "failure", "error", "system-out"}
    assert {one.tag for one in root.iter()} <= known
    text = summary(found)
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len(rows) == 2 + len(found.judgements), "no name ends a row"
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {9}, "no name makes a cell"
    assert "<" not in text
    for line in github(found):
        assert re.fullmatch(r"::(error|warning) title=[^:,\r\n]*::[^\r\n]*", line)
        assert not {unicodedata.category(char) for char in line} & {"Cc", "Cf", "Cs"}
        assert "##[" not in line


def test_the_summary_puts_what_did_not_pass_first_and_stays_within_what_github_shows() -> None:
    lines = [line for line in summary(answer()).splitlines() if line.startswith("|")][2:]
    verdicts = [line.split("|")[1].strip().strip("*") for line in lines]
    order = ["fail", "infrastructure", "cannot tell", "pass"]
    assert verdicts == sorted(verdicts, key=order.index)
    assert set(verdicts) == set(order)
    many = msgspec.structs.replace(answer(), judgements=answer().judgements * 2000)
    text = summary(many)
    assert len(text.encode()) < 1_000_000
    assert "left out" in text


def test_github_shows_ten_and_the_rest_is_named() -> None:
    many = msgspec.structs.replace(answer(), judgements=answer().judgements * 20)
    lines = github(many)
    assert len(lines) == 10
    assert "more in the summary" in lines[-1]
    assert lines[0].startswith("::error ")
