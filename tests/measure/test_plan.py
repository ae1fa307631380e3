"""Which cells there are, and in what order their rounds are measured."""

from __future__ import annotations

import msgspec
import pytest
import tiny_models
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeprof.measure import cells, order
from edgeprof.records import Artifact, Cell, Device, DeviceFacts, Identity, Method
from edgeprof.store import Store

FACTS = DeviceFacts(
    architecture="aarch64",
    os="Debian 12",
    kernel="6",
    cpu="4 x Cortex-A76",
    cores=4,
    memory_bytes=None,
    python="3.11.2",
    runtimes={"onnxruntime": "1.20.0", "tflite-runtime": "2.14.0"},
)


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    store = Store(tmp_path_factory.mktemp("store"))
    made = tiny_models.stand_in_artifact(store, "echo")
    store.close()
    return made


def device(**fields: object) -> Device:
    return msgspec.structs.replace(Device(name="pi", transport="local"), **fields)


def test_all_is_the_number_of_cores_and_counts_are_not_doubled(artifact: Artifact) -> None:
    for counts, cores, wanted in [
        ((1, "all"), 4, [1, 4]),
        ((1, "all"), 1, [1]),
        ((4, "all", 2), 4, [4, 2]),
    ]:
        made, failures = cells([artifact], device(threads=counts), msgspec.structs.replace(FACTS, cores=cores))
        assert ([cell.threads for cell in made], failures) == (wanted, [])


def test_all_means_the_cores_that_the_device_file_names(artifact: Artifact) -> None:
    made, _ = cells([artifact], device(threads=("all",), cores=(2, 3)), FACTS)
    assert [cell.threads for cell in made] == [2]


def test_more_threads_than_cores_is_a_failure_never_changed(artifact: Artifact) -> None:
    made, failures = cells([artifact], device(threads=(1, 8)), FACTS)
    assert [cell.threads for cell in made] == [1]
    assert failures[0].error == "8 threads were asked for, the device has 4 cores"
    assert failures[0].identity.threads == 8
    assert "devices/pi.toml" in (failures[0].hint or "")
    _, failures = cells([artifact], device(threads=(2,), cores=(0,)), FACTS)
    assert failures[0].error == "2 threads were asked for, its cores list names 1 core"


def test_a_runtime_that_the_device_lacks_fails_its_format_alone(artifact: Artifact) -> None:
    others = [msgspec.structs.replace(artifact, format=format, exporter=format) for format in ("openvino", "tflite")]
    made, failures = cells([artifact, *others], device(threads=(1,)), FACTS)
    # tflite-runtime does where ai-edge-litert is not.
    assert [cell.format for cell in made] == ["onnx", "tflite"]
    assert [failure.error_class for failure in failures] == ["missing_runtime"]
    assert "Python 3.11.2, aarch64" in failures[0].error
    assert failures[0].hint == 'pip install "edgeprof[runtimes]"'
    _, failures = cells(others, device(threads=(1,), python="/opt/py/bin/python"), FACTS)
    assert failures[0].hint == "on the device: /opt/py/bin/python -m pip install openvino"


def test_the_same_bytes_under_two_identities_are_two_cells(artifact: Artifact) -> None:
    """Two seeds can end in the same file only by chance, but the ranking joins by what was asked."""
    twin = msgspec.structs.replace(artifact, exporter="onnx-again")
    made, _ = cells([artifact, twin, artifact], device(threads=(1,)), FACTS)
    assert len(made) == 2
    assert len({cell.job for cell in made}) == 2
    assert made[0].job == f"{artifact.artifact_sha[:12]}-t1"


def some_cells(count: int) -> list[Cell]:
    return [
        Cell(
            job=f"{number:012x}-t1",
            identity=Identity(model=str(number)),
            artifact_sha=str(number),
            format="onnx",
            precision="fp32",
            threads=1,
        )
        for number in range(count)
    ]


@settings(deadline=None)
@given(count=st.integers(1, 12), rounds=st.integers(1, 6), seed=st.integers(0, 1000), data=st.data())
def test_what_is_left_of_an_interrupted_run_keeps_its_order(
    count: int, rounds: int, seed: int, data: st.DataObject
) -> None:
    made, method = some_cells(count), Method(rounds=rounds, order_seed=seed)
    whole = order(made, method, [])
    assert [place.position for place in whole] == list(range(count * rounds))
    for number in range(rounds):
        block = whole[number * count : (number + 1) * count]
        assert {place.round for place in block} == {number}
        assert {place.job for place in block} == {cell.job for cell in made}
    done = data.draw(st.sets(st.sampled_from([(place.job, place.round) for place in whole])))
    left = [place for place in whole if (place.job, place.round) not in done]
    shuffled = data.draw(st.permutations(made))
    assert order(shuffled, method, done) == left


def test_rounds_differ_in_their_order_and_seeds_too() -> None:
    """Else the same neighbour would always warm the machine for the next."""
    made = some_cells(9)
    places = order(made, Method(rounds=4), [])
    orders = {tuple(place.job for place in places if place.round == number) for number in range(4)}
    assert len(orders) == 4
    assert places != order(made, Method(rounds=4, order_seed=1), [])
