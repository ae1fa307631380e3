"""What proxies hide: one point a model, exporters never mixed, no number of few models, and only sure swaps."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
import rank_records

from edgeprof.rank.proxies import device_swaps, in_short, of_device, proxies
from edgeprof.records import Candidate, Ranking
from edgeprof.records.proxies import RankAgreement

MODELS = ("a", "b", "c", "d", "e")


def one(model: str, ms: float, macs: int | None, **more: Any) -> Candidate:
    fields: dict[str, Any] = {
        "model": model,
        "macs": macs,
        "params": macs,
        "size_bytes": macs or 1,
        "median_ms": ms,
        "median_low_ms": 0.99 * ms,
        "median_high_ms": 1.01 * ms,
        "artifact_sha": f"{model}-{more.get('exporter', 'onnx-fp32')}",
    }
    job = "-".join(map(str, (model, *more.values())))
    return rank_records.candidate(job, **{**fields, **more})


def ranking(*candidates: Candidate, **more: Any) -> Ranking:
    return msgspec.structs.replace(rank_records.ranking_of(*candidates), **more)


def line(times: str = "12345", **more: Any) -> list[Candidate]:
    """A candidate for each model: its latency, and MACs that rise in the order of the models."""
    return [one(model, float(ms), 10 * (place + 1), **more) for place, (model, ms) in enumerate(zip(MODELS, times))]  # noqa: B905


def the(found: tuple[RankAgreement, ...], kind: str) -> RankAgreement:
    (only,) = [each for each in found if each.kind == kind]
    return only


@pytest.mark.parametrize(("times", "value"), [("12345", 1.0), ("54321", -1.0), ("21345", 0.8)])
def test_the_correlation_of_latency_with_macs(times: str, value: float) -> None:
    found = the(of_device(ranking(*line(times))).agreements, "macs")
    assert found.models == 5
    assert found.tau is not None
    assert found.tau.value == pytest.approx(value)


def test_few_models_have_no_number_and_nothing_is_told_in_the_report() -> None:
    few = ranking(*line()[:3])
    found = the(of_device(few).agreements, "macs")
    assert found.tau is None
    assert found.why == "too few: 3 models, it takes 4"
    assert in_short(few) is None
    assert in_short(ranking(*line())) is not None
    assert in_short(ranking()) is None


def test_ready_files_have_no_macs() -> None:
    found = of_device(ranking(*(msgspec.structs.replace(each, macs=None, params=None) for each in line())))
    assert the(found.agreements, "macs").why == "too few: 0 models, it takes 4"
    assert the(found.agreements, "size").tau is not None
    assert found.swaps == ()


def test_exporters_and_threads_are_never_mixed() -> None:
    """Int8 is faster throughout, which says nothing of models: in each group the order is perfect."""
    both = [*line("56789"), *line("12345", exporter="onnx-int8", precision="int8")]
    found = [each for each in of_device(ranking(*both)).agreements if each.kind == "macs"]
    assert [each.second for each in found] == ["onnx-fp32", "onnx-int8"]
    assert all(each.tau is not None and each.tau.value == 1 for each in found)


def test_seeds_and_initialisations_of_a_model_are_one_point() -> None:
    seeds = [each for seed in (0, 1, 2) for init in ("scratch", "pretrained") for each in line(seed=seed, init=init)]
    found = of_device(ranking(*seeds))
    assert the(found.agreements, "macs").models == 5
    assert len(found.swaps) == 0


def test_runtimes_of_one_precision_and_precisions_of_one_runtime() -> None:
    forms = [
        *line("12345"),
        *line("21345", exporter="tflite-fp32", format="tflite"),
        *line("54321", exporter="onnx-int8", precision="int8"),
        *line("12345", exporter="onnx-fp32", threads=4),
    ]
    found = of_device(ranking(*forms)).agreements
    runtime, precision = the(found, "runtime"), the(found, "precision")
    assert (runtime.first, runtime.second, runtime.threads) == ("onnx-fp32", "tflite-fp32", 1)
    assert runtime.tau is not None
    assert runtime.tau.value == pytest.approx(0.8)
    assert (precision.first, precision.second) == ("onnx-fp32", "onnx-int8")
    assert precision.tau is not None
    assert precision.tau.value == -1


def test_initialisations_are_compared_by_the_accuracy_of_one_exporter_over_the_seeds() -> None:
    def arm(init: str, scores: str, exporter: str = "onnx-fp32") -> list[Candidate]:
        return [
            msgspec.structs.replace(
                each, init=init, seed=seed, top1=int(score) / 10, artifact_sha=f"{init}{seed}{each.model}"
            )
            for seed in (0, 1)
            for each, score in zip(line(exporter=exporter), scores, strict=True)
        ]

    found = of_device(ranking(*arm("scratch", "12345"), *arm("pretrained", "54321"))).agreements
    swapped = the(found, "initialisation")
    assert (swapped.first, swapped.second, swapped.threads, swapped.models) == ("pretrained", "scratch", None, 5)
    assert swapped.tau is not None
    assert swapped.tau.value == -1


def test_the_host_and_other_devices_are_compared_over_the_same_files_alone() -> None:
    here, there = ranking(*line("12345"), device="localhost", run="h"), ranking(*line("54321"), device="pi")
    found = proxies([here, there], {"pi": here})
    assert [each.device for each in found.devices] == ["localhost", "pi"]
    host = the(found.devices[1].agreements, "host")
    assert (host.first, host.second, host.models) == ("localhost", "onnx-fp32", 5)
    assert found.devices[1].host_run == "h"
    assert found.devices[0].host_run is None
    (between,) = found.between
    assert (between.first, between.second) == ("localhost onnx-fp32", "pi onnx-fp32")
    assert between.tau is not None
    assert between.tau.value == -1
    others = [msgspec.structs.replace(each, artifact_sha="x" + each.artifact_sha) for each in line("54321")]
    assert proxies([here, ranking(*others, device="pi")]).between == ()


def test_pairs_swap_where_intervals_do_not_touch_the_largest_factor_first() -> None:
    found = of_device(ranking(one("light", 9.0, 10), one("middle", 4.0, 20), one("heavy", 1.0, 30))).swaps
    assert [(each.slower, each.faster) for each in found] == [
        ("light", "heavy"),
        ("middle", "heavy"),
        ("light", "middle"),
    ]
    assert found[0].factor == pytest.approx(9)
    assert (found[0].slower_macs, found[0].faster_macs) == (10, 30)


@pytest.mark.parametrize(
    "light",
    [
        one("light", 9.0, 10, median_low_ms=1.0),  # its interval touches
        one("light", 9.0, 10, median_low_ms=None),
        one("light", 9.0, 10, trusted=False),
        one("light", 9.0, 30),  # no fewer MACs
        one("light", 9.0, None),
        one("light", 0.5, 10),
    ],
)
def test_what_is_not_sure_is_no_swap(light: Candidate) -> None:
    assert of_device(ranking(light, one("heavy", 1.0, 30))).swaps == ()


def test_a_pair_is_told_once_with_the_number_of_settings() -> None:
    settings = [
        each
        for threads, factor in ((1, 2.0), (4, 3.0))
        for each in (one("light", factor, 10, threads=threads), one("heavy", 1.0, 30, threads=threads))
    ]
    (swap,) = of_device(ranking(*settings)).swaps
    assert (swap.threads, swap.settings) == (4, 2)
    assert swap.factor == pytest.approx(3)


def test_all_alike_is_said_so() -> None:
    alike = [msgspec.structs.replace(each, size_bytes=7) for each in line()]
    assert the(of_device(ranking(*alike)).agreements, "size").why == "all are alike"


def test_two_devices_that_turn_a_pair_round_are_told_the_largest_first() -> None:
    """Surely: no interval touches on either device; of several settings the clearest."""
    here = ranking(*line("12345"), *line("12345", exporter="tflite"), device="pi")
    there = ranking(*line("15342"), *line("31245", exporter="tflite"), device="jetson")
    found = device_swaps([here, there])
    assert (found[0].slower, found[0].faster, found[0].exporter) == ("e", "b", "onnx-fp32")
    assert found[0].first_factor == pytest.approx(5 / 2)
    assert found[0].second_factor == pytest.approx(5 / 2)
    pairs = {(one.slower, one.faster) for one in found}
    assert pairs == {("e", "b"), ("c", "b"), ("d", "b"), ("e", "c"), ("e", "d"), ("b", "a"), ("c", "a")}
    assert all((one.first, one.second) == ("pi", "jetson") for one in found)
    again = proxies([here, there])
    assert again.swaps == found
    assert {one.devices for one in again.between} == {("pi", "jetson")}


def test_what_touches_is_not_trusted_or_another_file_is_no_swap_between_devices() -> None:
    here = ranking(*line("12345"), device="pi")
    near = [
        msgspec.structs.replace(each, median_low_ms=0.1 * each.median_ms, median_high_ms=9 * each.median_ms)
        for each in line("54321")
    ]
    doubted = [msgspec.structs.replace(each, trusted=False) for each in line("54321")]
    others = [msgspec.structs.replace(each, artifact_sha=f"other-{each.model}") for each in line("54321")]
    unknown = [msgspec.structs.replace(each, median_low_ms=None) for each in line("54321")]
    for rows in (near, doubted, others, unknown, line("12345")):
        assert device_swaps([here, ranking(*rows, device="jetson")]) == ()
    assert device_swaps([]) == ()
