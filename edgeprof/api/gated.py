"""What a gate found, as a record, a data frame, and the texts that machines that build read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from edgeprof.frames import DataFrame
    from edgeprof.records.gate import GateResult, GateVerdict, Judgement


class GateRow(NamedTuple):
    """A judgement in words, each on one line and without what could steer a terminal."""

    verdict: str
    candidate: str
    limit: str
    baseline: str
    now: str
    change: str
    below: str
    """What the change must stay below."""
    why: str


@dataclass(frozen=True)
class Gated:
    """What a gate found."""

    result: GateResult

    @property
    def verdict(self) -> GateVerdict:
        """ "pass", "fail", "cannot tell" or "infrastructure"."""
        return self.result.verdict

    @property
    def exit_code(self) -> int:
        """As that of `edgeprof gate`."""
        return self.result.exit_code

    @property
    def reason(self) -> str:
        """In a sentence."""
        return self.result.reason

    @property
    def judgements(self) -> tuple[Judgement, ...]:
        """Every limit of every candidate."""
        return self.result.judgements

    def frame(self) -> DataFrame:
        """The judgements, a row each: candidate, limit, baseline, current, change, allowed, verdict, reason."""
        from edgeprof import frames
        from edgeprof.records.gate import Judgement

        return frames.table(self.judgements, Judgement)

    def rows(self) -> list[GateRow]:
        """The judgements in words, what did not pass first."""
        from edgeprof.report.gate import changed, ordered, permitted, shown

        return [
            GateRow(
                one.verdict,
                one_line(one.candidate),
                one.limit,
                shown(one, one.baseline),
                shown(one, one.current),
                changed(one),
                permitted(one),
                one_line(one.reason),
            )
            for one in ordered(self.judgements)
        ]

    def junit(self) -> bytes:
        """JUnit XML as Jenkins, GitLab and GitHub's test reporters read it."""
        from edgeprof.report import gate

        return gate.junit(self.result)

    def summary(self) -> str:
        """Markdown for a job's summary (GITHUB_STEP_SUMMARY and the like)."""
        from edgeprof.report import gate

        return gate.summary(self.result)

    def annotations(self) -> list[str]:
        """Commands for GitHub Actions, a line each: what did not pass as errors and warnings of the build."""
        from edgeprof.report import gate

        return list(gate.github(self.result))


def one_line(text: str) -> str:
    """On one line, without what could steer a terminal."""
    from edgeprof.report.words import clean

    return clean(text)
