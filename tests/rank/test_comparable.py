"""Runs whose facts differ are told apart by closed names; what is not comparable is refused until it is allowed."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
import rank_records
import report_records
from hypothesis import given
from hypothesis import strategies as st

from edgeprof.errors import UsageError
from edgeprof.pipeline.ask import method_of
from edgeprof.rank import comparable
from edgeprof.records import Method, PowerMode
from edgeprof.records.compared import Basis

FACTS = msgspec.structs.replace(report_records.FACTS, libc="glibc 2.36", power_mode=PowerMode(id=0, name="MAXN"))
ONE = Basis(device="pi", facts=FACTS, method=Method(), formats=("onnx", "tflite"), training="demo", suite_sha="a" * 64)


def changed(**facts: Any) -> Basis:
    return msgspec.structs.replace(ONE, facts=msgspec.structs.replace(FACTS, **facts))


def names(other: Basis, allow: frozenset[str] = frozenset()) -> dict[str, bool]:
    """Name -> whether it is refused."""
    found = comparable.differences(ONE, other, allow)
    return {one.name: one in comparable.refused(found) for one in found}


def test_two_runs_in_the_same_state_do_not_differ() -> None:
    assert names(ONE) == {}


@pytest.mark.parametrize(
    ("facts", "name"),
    [
        ({"kernel": "6.12"}, "kernel"),
        ({"governor": "powersave"}, "governor"),
        ({"governor": None}, "governor"),
        ({"power_mode": PowerMode(id=1, name="15W")}, "power_mode"),
        ({"clock_mhz": (600.0, 1800.0)}, "clock"),
        ({"cpu": "Cortex-A72"}, "cpu"),
        ({"cores": 2}, "cores"),
        ({"board": "another"}, "board"),
        ({"virtual_machine": "kvm"}, "virtual_machine"),
        ({"runtimes": {**FACTS.runtimes, "onnxruntime": "1.33.0"}}, "runtime:onnxruntime"),
    ],
)
def test_what_moves_latencies_is_refused_by_name_until_it_is_allowed(facts: dict[str, Any], name: str) -> None:
    other = changed(**facts)
    assert names(other) == {name: True}
    assert names(other, comparable.allowed([name])) == {name: False}
    with pytest.raises(UsageError, match=name) as refusal:
        comparable.check(comparable.differences(ONE, other))
    assert f"--allow {name}" in str(refusal.value.hint)


@pytest.mark.parametrize(
    ("other", "name"),
    [
        (changed(os="Debian GNU/Linux 13 (trixie)"), "os"),
        (changed(python="3.12.0"), "python"),
        (changed(runtimes={**FACTS.runtimes, "openvino": "2027.0"}), "runtime:openvino"),  # no file of that format
        (msgspec.structs.replace(ONE, method=Method(precision=0.05, max_rounds=60)), "effort"),
        (msgspec.structs.replace(ONE, suite_sha="b" * 64), "suite"),
    ],
)
def test_what_is_not_known_to_matter_is_only_told(other: Basis, name: str) -> None:
    assert names(other) == {name: False}


def test_another_way_to_take_samples_is_refused_and_another_number_of_them_told() -> None:
    quick = msgspec.structs.replace(ONE, method=Method(block_s=0.1, min_rounds=5, again=False))
    assert names(quick) == {"method": True, "effort": False}


def test_every_field_of_the_method_is_told_by_its_option_or_in_words() -> None:
    """The names in the code are in no page, so they help nobody who compares runs."""
    other = msgspec.structs.replace(
        ONE,
        method=Method(
            precision=0.005,
            min_rounds=5,
            max_rounds=6,
            cell_s=9,
            again=False,
            warmup_s=1,
            warmup_min=2,
            block_s=2,
            block_min=3,
            block_max=4,
            allow_fallback=True,
        ),
    )
    method, effort = comparable.differences(ONE, other)
    assert method.other == (
        "warm-up of 1 s, warm-up of at least 2 inferences, blocks of 2 s, at least 3 samples a block, at most 4 samples"
        " a block"
    )
    assert effort.one.startswith("--precision 1%, at least 9 rounds, at most 30 rounds, --cell-time 5s, doubtful")
    assert "--precision 0.5%" in effort.other
    assert "measured once" in effort.other
    assert "with --allow-fallback" in effort.other
    assert not any(name in method.one + effort.one for name in Method.__struct_fields__ if "_" in name)


def test_a_quick_run_and_a_full_one_are_told_by_the_option_with_the_command_that_makes_them_alike() -> None:
    quick = method_of(quick=True)
    other = msgspec.structs.replace(ONE, method=quick)
    found = comparable.differences(other, ONE)
    assert (found[0].one, found[0].other) == (
        "measured with --quick (blocks of 0.1 s)",
        "measured without --quick (blocks of 0.15 s)",
    )
    run = msgspec.structs.replace(rank_records.RUN, run="r1", device="pi", training="demo", method=quick)
    hint = "measure as run r1 was: edgeprof run --training demo --device pi --quick --fresh"
    assert comparable.measured_alike(found, run) == hint
    full = msgspec.structs.replace(run, training=None, method=Method())
    assert comparable.measured_alike(found, full).endswith("edgeprof profile FILES --device pi --fresh")
    with pytest.raises(UsageError, match="with --quick") as refusal:
        comparable.check(found, instead=hint)
    assert refusal.value.hint == f"{hint}; if that is what you want to compare: --allow method"
    assert comparable.measured_alike(comparable.differences(other, changed(kernel="x")), run) == ""
    unusual = msgspec.structs.replace(run, method=Method(warmup_s=3))
    assert comparable.measured_alike(found, unusual) == "", "no option asks for that"


def test_other_cores_to_run_on_are_refused() -> None:
    big, two = (msgspec.structs.replace(ONE, bound_to=bound) for bound in ("big", (2, 3)))
    assert names(big) == {"bound_to": True}
    (told,) = comparable.differences(big, two)
    assert (told.one, told.other) == ("big", "cores 2, 3")


def test_nothing_known_of_a_device_is_a_difference_even_if_of_both() -> None:
    nothing = msgspec.structs.replace(ONE, facts=None)
    assert names(nothing) == {"facts": True}
    found = comparable.differences(nothing, nothing)
    assert [one.name for one in comparable.refused(found)] == ["facts"]


def test_the_agent_is_told_where_both_know_it() -> None:
    one, other = (msgspec.structs.replace(ONE, agents=(sha * 64,)) for sha in "ab")
    assert [one.name for one in comparable.differences(one, other)] == ["agent"]
    assert comparable.differences(one, ONE) == ()


def test_names_to_allow_are_closed_and_the_nearest_is_named() -> None:
    assert comparable.allowed(["kernel, governor", "runtime"]) == {"kernel", "governor", "runtime"}
    with pytest.raises(UsageError, match="kernal") as error:
        comparable.allowed(["kernal"])
    assert "kernel" in str(error.value.hint)
    with pytest.raises(UsageError, match="only told"):
        comparable.allowed(["os"])


def test_all_runtimes_are_allowed_at_once() -> None:
    other = changed(runtimes={"onnxruntime": "2", "ai-edge-litert": "3"})
    assert names(other)["runtime:onnxruntime"]
    assert names(other)["runtime:ai-edge-litert"]
    assert not any(names(other, frozenset({"runtime"})).values())


@given(st.lists(st.sampled_from(comparable.names()), unique=True))
def test_every_name_is_allowed_by_itself_alone(some: list[str]) -> None:
    other = msgspec.structs.replace(
        changed(kernel="x", governor="y", libc="z", runtimes={}), device="other", method=Method(block_s=1.0)
    )
    refused = {one.name for one in comparable.refused(comparable.differences(ONE, other, frozenset(some)))}
    all_of_them = {one.name for one in comparable.refused(comparable.differences(ONE, other))}
    runtimes = {name for name in all_of_them if name.startswith("runtime:")} if "runtime" in some else set()
    assert refused == all_of_them - set(some) - runtimes


def test_the_basis_of_a_run_and_of_its_ranking_are_alike() -> None:
    ranking, measurements = report_records.study()
    run, *_ = report_records.records()
    assert comparable.basis_of(run, measurements) == comparable.basis_of(ranking, measurements)
    assert comparable.basis(rank_records.RUN).formats == ()
