"""Numbers and names as people read them, the same in the page and in the summary."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Callable, Sequence
from typing import NamedTuple

from edgeprof.records import Candidate, Failure, Identity

UNKNOWN = "–"


def clean(text: str) -> str:
    """The text on one line: line breaks become spaces; control, bidirectional and lone surrogate characters, which
    could make it read as something else, become U+FFFD.
    """
    if text.isascii() and text.isprintable():  # nearly all of them, and a page has a hundred thousand
        return text
    return "".join(_visible(char) for char in text)


def _visible(char: str) -> str:
    if char in "\t\n\r\x0b\x0c\x85\u2028\u2029":
        return " "
    return "\ufffd" if unicodedata.category(char) in ("Cc", "Cf", "Cs") else char


def shorten(text: str, length: int) -> str:
    """At most `length` characters, the middle taken out: the ends of names are what differs."""
    text = clean(text)
    if len(text) <= length:
        return text
    head = (length - 1 + 1) // 2
    return text[:head] + "…" + text[len(text) - (length - 1 - head) :]


def number(value: float | None) -> str:
    """Three significant digits, never in powers of ten: 0.0123, 1.04, 12.3, 123, 1 234."""
    if value is None or not math.isfinite(value):
        return UNKNOWN
    if value == 0:
        return "0"
    decimals = max(0, 2 - math.floor(math.log10(abs(value))))
    shown = f"{value:.{min(decimals, 9)}f}"
    # Rounding may have carried into the next digit: 9.999 is 10.0, not 10.00.
    if decimals and float(shown) != 0:
        shown = f"{value:.{max(0, min(9, 2 - math.floor(math.log10(abs(float(shown))))))}f}"
    whole, point, fraction = shown.partition(".")
    return f"{int(whole):,}".replace(",", "\u202f") + point + fraction if len(whole) > 4 else shown


def ms(value: float | None) -> str:
    """Milliseconds with the unit, which no line break parts from the number."""
    return UNKNOWN if value is None else f"{number(value)}\u00a0ms"


def span(low: float | None, high: float | None) -> str:
    """An interval of numbers; "no interval" where there is none."""
    return "no interval" if low is None or high is None else f"{number(low)} to {number(high)}"


def percent(share: float | None, digits: int = 1) -> str:
    """A share in percent, without the sign."""
    return UNKNOWN if share is None else f"{100 * share:.{digits}f}"


def percent_span(low: float | None, high: float | None) -> str:
    """An interval of shares in percent, without the sign."""
    return "no interval" if low is None or high is None else f"{percent(low)} to {percent(high)}"


def drop(value: float | None) -> str:
    """Top-1 that a file lost, in percentage points; below zero where it gained."""
    if value is None:
        return UNKNOWN
    shown = f"{100 * value:.2f}"
    return "0" if float(shown) == 0 else shown.replace("-", "\u2212")


def drop_span(low: float | None, high: float | None) -> str:
    """An interval of such drops."""
    return "no interval" if low is None or high is None else f"{drop(low)} to {drop(high)}"


def share(value: float) -> str:
    """A share as people write it: 1%, 0.5%, 12.5%."""
    return f"{100 * value:.3g}%"


def megabytes(size: int | None) -> str:
    """Bytes in MB (10^6), without the unit."""
    return UNKNOWN if size is None else number(size / 1e6)


def gibibytes(size: int | None) -> str:
    """Bytes in GiB with the unit."""
    return UNKNOWN if size is None else f"{number(size / 2**30)} GiB"


def plural(count: int, one: str, many: str | None = None) -> str:
    """ "1 thread", "2 threads"."""
    return f"{count} {one if count == 1 else many or one + 's'}"


class Ordered(NamedTuple):
    """A column for what the candidates are ordered by."""

    name: str
    value: Callable[[Candidate], float | None]
    shown: Callable[[Candidate], str]


def ordered_by(by: str) -> Ordered | None:
    """None where the table has that column anyway."""
    if "=" in by:
        return Ordered(f"Score ({clean(by)}), × of the best", lambda one: one.score, lambda one: number(one.score))
    if by == "memory":
        return Ordered("Memory MB", lambda one: one.peak_rss_bytes, lambda one: megabytes(one.peak_rss_bytes))
    if by == "energy":
        return Ordered("Energy mJ", lambda one: one.energy_mj, lambda one: number(one.energy_mj))
    return None


NO_PLACES = "Nothing is trusted, so there are no places."


def placed(candidates: Sequence[Candidate]) -> bool:
    """Whether there are places: where nothing is trusted, every one may belong anywhere."""
    return any(one.trusted for one in candidates)


def place(one: Candidate, known: bool = True) -> str:
    """The bounds of a rank: "2" or "2 to 5"; a dash where there are no places."""
    if not known:
        return UNKNOWN
    return str(one.rank_low) if one.rank_low == one.rank_high else f"{one.rank_low} to {one.rank_high}"


class Names:
    """Names candidates by what differs between those of one ranking."""

    def __init__(self, candidates: Sequence[Candidate]) -> None:
        self._inits = len({one.init for one in candidates}) > 1
        self._seeds = len({one.seed for one in candidates}) > 1

    def variant(self, one: Candidate) -> str:
        """Initialisation and seed where the ranking has several; "" otherwise."""
        parts = [one.init if self._inits else None]
        parts.append(f"seed {one.seed}" if self._seeds and one.seed is not None else None)
        return clean(" · ".join(part for part in parts if part))

    def full(self, one: Candidate) -> str:
        """Model, variant, exporter and threads on one line."""
        parts = [one.model, self.variant(one), one.exporter, plural(one.threads, "thread")]
        return clean(" · ".join(part for part in parts if part))

    def short(self, one: Candidate, length: int = 40) -> str:
        """The same, cut to fit a plot."""
        return self._cut(one, length, f"{one.threads}t")

    def file(self, one: Candidate, length: int = 40) -> str:
        """Without the threads: the file, cut to fit a plot."""
        return self._cut(one, length)

    def _cut(self, one: Candidate, length: int, *more: str) -> str:
        if self._inits:  # the seed, the exporter and a piece of the initialisation must stay
            length += 8
        seed = f"s{one.seed}" if self._seeds and one.seed is not None else None
        known = [part for part in (seed, one.exporter, *more) if part]
        left = length - 15 - sum(len(part) + 3 for part in known)
        init = shorten((one.init or UNKNOWN).removeprefix("training:"), max(5, left)) if self._inits else None
        tail = " · ".join(part for part in (init, *known) if part)
        room = max(12, length - len(tail) - 3)
        return f"{shorten(one.model, room)} · {shorten(tail, max(12, length - 15))}"


def identity(one: Candidate) -> Identity:
    """Which file it is, without device and threads."""
    return Identity(model=one.model, training=one.training, init=one.init, seed=one.seed, exporter=one.exporter)


def failure_name(one: Failure) -> str:
    """What failed, on one line."""
    return clean(one.identity.label())
