"""The answer of a gate for machines that build: JUnit XML, a Markdown summary, and annotations. Pure.

Names of models and words of devices stand in all of them: nothing in a name may end an element, a cell or a line.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from xml.etree import ElementTree

from edgeprof.records.gate import GateResult, GateVerdict, Judgement
from edgeprof.report.text import escape
from edgeprof.report.words import clean

LARGEST_SUMMARY = 900_000
"""Characters; a job's summary on GitHub may have 1 MiB, and what is larger is not shown at all."""
WORDS: dict[GateVerdict, str] = {
    "pass": "pass",
    "fail": "**fail**",
    "infrastructure": "**infrastructure**",
    "cannot tell": "**cannot tell**",
}
ORDER: tuple[GateVerdict, ...] = ("fail", "infrastructure", "cannot tell", "pass")
BYTES = frozenset({"size", "memory"})
SHARES = frozenset({"top1"})


def junit(result: GateResult) -> bytes:
    """JUnit XML as Jenkins, GitLab and GitHub's test reporters read it: a test case for each limit of each candidate.

    A regression is a `failure`; what the device did, or what cannot be told, is an `error`: neither passes.
    """
    judgements = result.judgements or (_whole(result),)
    counts = {
        "tests": str(len(judgements)),
        "failures": str(sum(one.verdict == "fail" for one in judgements)),
        "errors": str(sum(one.verdict in ("infrastructure", "cannot tell") for one in judgements)),
    }
    root = ElementTree.Element("testsuites", {"name": "edgeprof gate", **counts})
    suite = ElementTree.SubElement(root, "testsuite", {"name": _xml(f"edgeprof gate {result.device}"), **counts})
    properties = ElementTree.SubElement(suite, "properties")
    for name, value in (("baseline", result.baseline), ("run", result.run), ("again", result.again)):
        if value is not None:
            ElementTree.SubElement(properties, "property", {"name": name, "value": _xml(value)})
    for one in judgements:
        case = ElementTree.SubElement(
            suite,
            "testcase",
            {"classname": _xml(f"{result.device} / {one.candidate}"), "name": one.limit, "time": "0"},
        )
        told = _xml(f"{numbers(one)} {one.reason}".strip())
        if one.verdict == "pass":
            ElementTree.SubElement(case, "system-out").text = told
        else:
            kind = "failure" if one.verdict == "fail" else "error"
            found = ElementTree.SubElement(case, kind, {"message": told, "type": one.verdict})
            found.text = told
    ElementTree.SubElement(suite, "system-out").text = _xml("; ".join((result.reason, *result.notes)))
    ElementTree.indent(root)
    body: bytes = ElementTree.tostring(root, encoding="utf-8")
    return b'<?xml version="1.0" encoding="UTF-8"?>\n' + body + b"\n"


def _whole(result: GateResult) -> Judgement:
    """The gate itself, where it came to no candidate."""
    return Judgement(
        candidate="all candidates",
        identity=None,
        limit="there",
        baseline=None,
        current=None,
        change=None,
        allowed=None,
        verdict=result.verdict,
        reason=result.reason,
    )


def _xml(text: str) -> str:
    """Without what XML 1.0 has no way to write: control characters, surrogates and two non-characters."""
    return "".join("\ufffd" if one in "\ufffe\uffff" else one for one in clean(text))


def summary(result: GateResult) -> str:
    """Markdown with a table, what did not pass first."""
    parts = [
        f"### edgeprof gate on {escape(result.device)}: {result.verdict}",
        escape(result.reason),
        "\n".join(_table(ordered(result.judgements))),
    ]
    shown = _joined(parts, result)
    if len(shown) > LARGEST_SUMMARY:
        worst = [one for one in ordered(result.judgements) if one.verdict != "pass"][:500]
        parts[2] = "\n".join(_table(worst)) + "\n\nThe rest is left out: the table would be too large."
        shown = _joined(parts, result)
    return shown


def _joined(parts: list[str], result: GateResult) -> str:
    lines = [f"- {escape(one)}" for one in (*_differences(result), *result.notes)]
    return "\n\n".join([*parts, *(["\n".join(lines)] if lines else [])]) + "\n"


def _differences(result: GateResult) -> Iterable[str]:
    for one in result.differences:
        yield f"not comparable: {one}"
    for one in result.allowed:
        yield f"differs, and was allowed: {one}"


def _table(judgements: Iterable[Judgement]) -> list[str]:
    rows = [
        f"| {WORDS[one.verdict]} | {escape(one.candidate)} | {one.limit} | {shown(one, one.baseline)}"
        f" | {shown(one, one.current)} | {changed(one)} | {permitted(one)} | {escape(one.reason)} |"
        for one in judgements
    ]
    if not rows:
        return []
    head = "| | candidate | limit | baseline | now | change | must stay below | why |"
    return [head, "|---|---|---|--:|--:|--:|--:|---|", *rows]


def ordered(judgements: Iterable[Judgement]) -> list[Judgement]:
    """What did not pass first, else as they come."""
    return sorted(judgements, key=lambda one: ORDER.index(one.verdict))


def github(result: GateResult, most: int = 10) -> list[str]:
    """Workflow commands of GitHub Actions, a line each; GitHub shows ten of a kind in a step.

    See "Workflow commands for GitHub Actions": in a message %, CR and LF are escaped (of the latter `clean` leaves
    none), in a property : and , as well.
    """
    found = []
    for one in ordered(result.judgements):
        if one.verdict == "pass":
            continue
        kind = "error" if one.verdict == "fail" else "warning"
        title = _property(f"edgeprof gate: {one.verdict}: {one.limit}")
        words = " ".join(part for part in (f"{one.candidate}:", numbers(one), one.reason) if part)
        found.append(f"::{kind} title={title}::{_message(words)}")
    if not found and result.verdict != "pass":
        found.append(f"::error title={_property('edgeprof gate')}::{_message(result.reason)}")
    if len(found) > most:
        rest = f"{len(found) - most + 1} more in the summary"
        return [*found[: most - 1], f"::warning title={_property('edgeprof gate')}::{_message(rest)}"]
    return found


def _message(text: str) -> str:
    # An older form of commands, ##[error], counts anywhere in a line.
    return clean(text).replace("%", "%25").replace("##[", "## [")


def _property(text: str) -> str:
    return _message(text).replace(":", "%3A").replace(",", "%2C")


# --- numbers


def numbers(one: Judgement) -> str:
    """What was measured, in a few words; "" where nothing was."""
    if one.baseline is None or one.current is None:
        return ""
    change = changed(one)
    return f"{shown(one, one.baseline)} then, {shown(one, one.current)} now{f' ({change})' if change != '-' else ''}:"


def shown(one: Judgement, value: float | None) -> str:
    """A value with its unit."""
    if value is None:
        return "-"
    if one.limit in BYTES:
        return f"{value / 1e6:.4g} MB" if value >= 1e6 else f"{value / 1e3:.4g} kB"
    if one.limit in SHARES:
        return f"{100 * value:.2f}%"
    return f"{value:.4g} ms"


def changed(one: Judgement) -> str:
    """The change with its interval."""
    change = one.change
    if change is None:
        return "-"
    if one.limit in SHARES:  # the record holds the drop
        span = _span(change.low, change.high, lambda value: f"{-100 * value:+.2f}", turned=True)
        return f"{-100 * change.value:+.2f} pp{span}"
    if change.low == change.high == change.value:
        return f"{100 * change.value:+.1f}%"
    return f"{100 * change.value:+.1f}%" + _span(change.low, change.high, lambda value: f"{100 * value:+.1f}")


def permitted(one: Judgement) -> str:
    """The limit as it was asked for."""
    if one.allowed is None:
        return "-"
    if one.limit == "budget":
        return f"{one.allowed:g} ms"
    return f"{100 * one.allowed:g} pp" if one.limit in SHARES else f"{100 * one.allowed:g}%"


def _span(low: float | None, high: float | None, word: Callable[[float], str], *, turned: bool = False) -> str:
    if low is None or high is None:
        return ""
    first, last = (high, low) if turned else (low, high)
    return f" ({word(first)} to {word(last)})"
