"""Which power sensor a board has, what it covers and what it reads, in the formats of each; nothing in a file harms."""

from __future__ import annotations

from pathlib import Path

import pytest
from boards import PC, PI_4, Tree, write
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from power_board import AGX_ORIN, BATTERY, METER, RAIL, RAPL, RAPL_FILE
from testbed.personas import write_persona

from edgeprof.agent import power


def found(root: Path, tree: Tree) -> power.Sensor:
    sensor, why = power.find(write(root, tree))
    assert sensor is not None, why
    return sensor


@pytest.mark.parametrize("name", ["jetson-nano", "xavier-nx", "orin-nano"])
def test_of_a_jetson_the_rail_that_feeds_all_others_is_taken(name: str, tmp_path: Path) -> None:
    """By NVIDIA's older driver (iio, milliwatts) and by hwmon (millivolts and milliamperes)."""
    from testbed.personas import BOARDS

    sensor, why = power.find(str(write_persona(name, tmp_path)))
    assert sensor is not None, why
    jetson = BOARDS[name].jetson
    assert jetson is not None
    rail, millivolt, milliampere = jetson.power.rails[0]
    assert sensor.name == f"INA3221, rail {rail}"
    assert "carrier board" in sensor.covers
    assert sensor.read() == pytest.approx(millivolt * milliampere, abs=1000)


def test_a_jetson_without_such_a_rail_is_the_sum_of_its_rails_and_says_that_it_is_less(tmp_path: Path) -> None:
    sensor = found(tmp_path, AGX_ORIN)
    assert sensor.read() == 12_000 * 500
    assert "VDD_CPU_CV, VDD_GPU_SOC" in sensor.covers
    assert "less than the whole board" in sensor.covers
    assert sensor.update_s == 0.012


def test_of_a_pi_5_the_rails_with_a_current_are_added(tmp_path: Path) -> None:
    sensor, _ = power.find(str(write_persona("pi-5", tmp_path)))
    assert sensor is not None
    watts = 0.1083282 * 3.309105 + 1.4288 * 0.9065925 + 0.1571247 * 1.80073100 + 0.00585558 * 1.10439400
    assert sensor.read() == pytest.approx(watts * 1e6, abs=2)
    assert "less than the whole board" in sensor.covers


def test_a_meter_of_the_board_is_taken_and_a_graphics_card_is_not(tmp_path: Path) -> None:
    sensor = found(tmp_path, METER)
    assert (sensor.name, sensor.read(), sensor.update_s) == ("ina226, VIN", 4_250_000, 0.036)


def test_a_battery_counts_only_while_it_feeds_the_machine(tmp_path: Path) -> None:
    assert found(tmp_path, BATTERY).read() == 6_131_000
    (tmp_path / "sys/class/power_supply/BAT0/status").write_text("Charging\n")
    sensor, why = power.find(str(tmp_path))
    assert sensor is None
    assert why is not None
    assert "only while it discharges" in why


def test_the_processors_own_counter_is_the_last_resort(tmp_path: Path) -> None:
    sensor = found(tmp_path, {**PC, **RAPL})
    assert (sensor.name, sensor.counts, sensor.read()) == ("Intel RAPL, package-0", "energy", 114_283_338_953)
    assert sensor.wraps == 262_143_328_850
    assert "processor package alone" in sensor.covers


def test_a_counter_that_only_root_may_read_says_so(tmp_path: Path) -> None:
    sensor, why = power.find(write(tmp_path, {**PC, **RAPL, RAPL_FILE: None}))
    assert sensor is None
    assert why is not None
    assert "this user cannot read it (sudo chmod" in why


def test_rails_that_only_root_may_read_say_so(tmp_path: Path) -> None:
    hidden: Tree = {f"{RAIL}/curr1_input": None, f"{RAIL}/curr2_input": None, f"{RAIL}/curr3_input": None}
    sensor, why = power.find(write(tmp_path, {**AGX_ORIN, **hidden}))
    assert sensor is None
    assert why == "there is an INA3221, but this user cannot read its rails"


@pytest.mark.parametrize("tree", [PI_4, PC, {}], ids=["pi-4", "pc", "nothing"])
def test_a_board_without_a_sensor_says_what_was_looked_for(tree: Tree, tmp_path: Path) -> None:
    told = power.told(write(tmp_path, tree))
    assert told["power"] is None
    for one in (power.NONE_FOUND, "INA3221", "hwmon", "pmic_read_adc", "RAPL"):
        assert one in told["power_missing"]


ANY = st.sampled_from([b"", b"-5\n", b"1e9\n", b"99999999999999999999\n", b"\x1b[2J\0", b"0x10", b"\xff\xfe", b"12 13"])
FILES = [one for tree in (AGX_ORIN, METER, BATTERY, RAPL) for one in tree]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(contents=st.dictionaries(st.sampled_from(FILES), ANY, max_size=8))
def test_garbage_is_no_power_and_never_an_error(contents: dict[str, bytes], tmp_path: Path) -> None:
    write(tmp_path, AGX_ORIN, METER, BATTERY, RAPL)
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    sensor, why = power.find(str(tmp_path))
    assert (sensor is None) == (why is not None)
    if sensor is not None:
        assert sensor.name.isprintable()
        value = sensor.read()
        assert value is None or 0 <= value < 10**15


def test_a_sensor_that_goes_away_reads_as_nothing(tmp_path: Path) -> None:
    sensor = found(tmp_path, AGX_ORIN)
    (tmp_path / RAIL / "curr1_input").unlink()
    assert sensor.read() is None
    (tmp_path / RAIL / "curr1_input").write_text("nonsense\n")
    assert sensor.read() is None
