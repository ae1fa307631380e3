"""What each candidate computes on the device, beside what the same file computes on the host."""

from __future__ import annotations

from edgeprof.records import Candidate, OnDevice, Ranking, Record
from edgeprof.report.words import UNKNOWN, plural

SHOWN = 5
"""Images with another class that are told for each candidate; `ranking.json` has more."""

VERDICTS = {
    "same": "exactly the same",
    "rounding": "differs by rounding",
    "differs": "computes something else",
}


class There(Record):
    """One candidate and what it computes there, in words."""

    candidate: Candidate
    found: OnDevice
    difference: str
    """Largest, as a share of the logits' spread."""
    allowed: str
    verdict: str
    changed: str
    """The images for which it names another class than the host."""


def there(ranking: Ranking) -> list[There]:
    """Of the candidates that were looked at, in the ranking's order."""
    by_job = {one.job: one for one in ranking.on_device}
    return [_there(one, by_job[one.job]) for one in ranking.candidates if one.job in by_job]


def _there(candidate: Candidate, found: OnDevice) -> There:
    return There(
        candidate=candidate,
        found=found,
        difference=UNKNOWN if found.max_abs_diff is None else f"{100 * found.max_abs_diff:.2g}%",
        allowed=f"{100 * found.allowed:.2g}%",
        verdict=VERDICTS[found.verdict],
        changed=_changed(found),
    )


def _changed(found: OnDevice) -> str:
    if not found.changed_images:
        return "none"
    told = [f"{one.image} ({one.host} there {one.device})" for one in found.changed[:SHOWN]]
    more = found.changed_images - len(told)
    text = f"{plural(found.changed_images, 'image')}: number " + ", ".join(told)
    text += f" and {more} more" if more else ""
    return text.replace("there -1", "there none")
