"""A gate's answer for people, on stdout."""

from __future__ import annotations

from rich.markup import escape

from edgeprof.api.gated import Gated, one_line
from edgeprof.cli import console
from edgeprof.cli.tables import new_table
from edgeprof.records.gate import GateCalibration


def tell(found: Gated) -> None:
    """The verdict in a sentence, then every limit of every candidate, what did not pass first."""
    result = found.result
    print(f"{result.verdict}: {one_line(result.reason)}")
    if result.judgements:
        columns = ("verdict", "candidate", "limit", "baseline", "now", "change", "below", "why")
        table = new_table(*columns, right=("baseline", "now", "change", "below"), folded=("candidate", "why"))
        for one in found.rows():
            told = one._replace(candidate=escape(one.candidate), why=escape(one.why))
            table.add_row(*told)
        console.out().print(table)
    for said in result.differences:
        console.say(f"not comparable: {one_line(said)}")
    for said in result.allowed:
        console.say(f"differs, and was allowed: {one_line(said)}")
    for said in result.notes:
        console.say(f"note: {one_line(said)}")
    if result.differences:
        names = " ".join(f"--allow {said.partition(': ')[0]}" for said in result.differences)
        if any(said.startswith("method: ") for said in result.differences):
            console.say("  hint: without --run, the gate measures as the baseline was measured")
        console.say(f"  hint: to compare all the same: {one_line(names)}; or write a new baseline: --update")


def tell_calibration(found: GateCalibration) -> None:
    """What the gate finds on this device."""
    print(
        f"calibrated on {found.sessions} sessions, {found.pairs} pairs of rounds: from session to session the median"
        f" moves by {100 * found.between_sd:.2g}% (sd), the ratio of a pair by {100 * found.pair_sd:.2g}%"
    )
    print(
        f"false alarms: {found.false_failures} of {found.gates} gates drawn from these pairs"
        f" (at most {100 * found.false_alarm_high:.2g}%); {found.undecided} could not tell"
    )
    smallest = "none of those tried" if found.smallest_change is None else f"{100 * found.smallest_change:g}%"
    print(f"smallest slow-down caught in 95% at a limit of {100 * found.limit:g}%: {smallest}")
