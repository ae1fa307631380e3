"""The energy in the report: the numbers of the candidates, the sensor by name, and why there is none."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import msgspec
import numpy as np
import pytest
from energy_records import metered
from report_records import records

from edgeprof.rank import ranking
from edgeprof.records import Energy, Measurement, Ranking, to_json
from edgeprof.report.energy import told
from edgeprof.report.page import page
from edgeprof.report.table import to_csv
from edgeprof.report.text import summary
from edgeprof.report.words import number
from edgeprof.stats.energy import of_cell

HOSTILE = "<script>alert(1)</script>|`x`\x1b[2J"


def study(*reasons: str | None, **changes: Any) -> tuple[Ranking, list[Measurement]]:
    """Six candidates; those for which there is a reason have no energy."""
    from report_records import MODELS

    run, artifacts, measurements, _ = records(models={"resnet18": MODELS["resnet18"]})
    rng = np.random.default_rng(5)
    energies: list[Energy] = []
    for place, one in enumerate(measurements):
        reason = reasons[place] if place < len(reasons) else None
        rounds = [metered(n, 5 * float(np.exp(0.02 * rng.standard_normal())), **changes) for n in range(5)]
        energies.append(of_cell(one.cell.job, [] if reason else rounds, reason))
    asked = msgspec.structs.replace(run, energy=True)
    return ranking(asked, measurements, artifacts, [], energies=energies), measurements


def test_the_page_has_every_figure_its_sensor_and_what_reading_cost() -> None:
    found, measurements = study()
    text = page(found, measurements)
    assert '<h2 id="energy">Energy</h2>' in text
    assert "INA3221, rail VDD_IN" in text
    assert "all that the module takes in" in text
    assert ">1.0%<small>1.0 to 1.0</small>" in text  # slowed: 9.8 against 9.7 ms
    assert "Student&#39;s t interval over the processes" in text
    assert len(found.candidates) == 6
    for one in found.candidates:
        assert one.energy_mj is not None
        assert f'data-key="energy_mj" data-value="{one.energy_mj}">{number(one.energy_mj)}<small>' in text


def test_a_run_that_did_not_ask_has_no_section() -> None:
    found, measurements = study()
    plain = msgspec.structs.replace(found, energy=())
    assert told(plain) is None
    assert 'id="energy"' not in page(plain, measurements)
    assert "## Energy" not in summary(plain)


@pytest.mark.parametrize("count", [2, 6])
def test_why_there_is_none_is_told_once_and_counted(count: int) -> None:
    found, measurements = study(*["no power sensor was found"] * count)
    for text in (page(found, measurements), summary(found)):
        assert f"o energy of {count} candidates" in text
        assert "no power sensor was found" in text
    assert ("Millijoule an inference" in page(found, measurements)) == (count < 6)


def test_csv_and_json_hold_what_the_records_hold() -> None:
    found, _ = study("no power sensor was found")
    rows = {row["job"]: row for row in csv.DictReader(io.StringIO(to_csv([found])))}
    whole = {one["job"]: one for one in json.loads(to_json(found))["candidates"]}
    for one in found.candidates:
        row = rows[one.job]
        assert row["energy_reason"] == (one.energy_reason or "")
        assert (row["energy_mj"] or None) == (None if one.energy_mj is None else str(one.energy_mj))
        assert whole[one.job]["idle_power_w"] == one.idle_power_w


def test_markdown_has_a_row_each() -> None:
    found, _ = study()
    text = summary(found)
    assert "## Energy" in text
    section = text.partition("## Energy")[2]
    for one in found.candidates:
        assert f"| {number(one.energy_mj)} (" in section


def test_hostile_names_of_sensors_stay_text() -> None:
    found, measurements = study(HOSTILE, sensor=HOSTILE, covers=HOSTILE)
    text = page(found, measurements)
    assert "<script>alert" not in text
    assert "\x1b" not in text
    markdown = summary(found)
    assert "<script>" not in markdown
    assert "\x1b" not in markdown


def test_the_place_says_that_it_is_by_energy() -> None:
    from report_records import MODELS

    run, artifacts, measurements, _ = records(models={"resnet18": MODELS["resnet18"]})
    energies = [of_cell(one.cell.job, [metered(n) for n in range(3)]) for one in measurements]
    asked = msgspec.structs.replace(run, energy=True)
    found = ranking(asked, measurements, artifacts, [], by="energy", energies=energies)
    assert "Places are by energy" in summary(found)
