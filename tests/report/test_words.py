"""Numbers and names as people read them."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeprof.report.words import UNKNOWN, clean, ms, number, shorten


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (1.0449, "1.04"),
        (12.34, "12.3"),
        (123.4, "123"),
        (999.6, "1000"),
        (9.999, "10.0"),
        (0.9996, "1.00"),
        (0.01234, "0.0123"),
        (12345.0, "12\u202f345"),
        (0.0, "0"),
        (None, UNKNOWN),
        (float("nan"), UNKNOWN),
    ],
)
def test_three_digits_and_never_powers_of_ten(value: float | None, shown: str) -> None:
    assert number(value) == shown


@given(st.floats(1e-6, 1e9))
def test_what_is_shown_is_the_value_to_half_a_percent(value: float) -> None:
    assert float(number(value).replace("\u202f", "")) == pytest.approx(value, rel=0.0051)


def test_no_break_parts_a_number_from_its_unit() -> None:
    assert ms(1.5) == "1.50\u00a0ms"


@given(st.text())
def test_clean_text_is_one_line_without_hidden_characters(text: str) -> None:
    done = clean(text)
    assert len(done) == len(text)
    assert not any(unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp") for char in done)


@given(st.text(max_size=80), st.integers(3, 40))
def test_shortened_text_fits_and_keeps_its_ends(text: str, length: int) -> None:
    done = shorten(text, length)
    assert len(done) <= length
    assert done[:1] == clean(text)[:1]
