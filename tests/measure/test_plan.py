"""Which cells there are."""

from __future__ import annotations

import msgspec
import pytest
import tiny_models

from edgeprof.errors import UsageError
from edgeprof.measure import cells
from edgeprof.measure.plan import bound_cores, refuse_impossible
from edgeprof.records import Artifact, Cluster, Device, DeviceFacts
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
    assert failures[0].error == "2 threads were asked for, its cores setting names 1 core"


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


def test_a_kind_of_core_is_found_by_its_speed(artifact: Artifact) -> None:
    little = Cluster(cores=(0, 1, 2, 3), cpu="Cortex-A53", max_mhz=1400.0, capacity=400)
    big = Cluster(cores=(4, 5), cpu="Cortex-A73", max_mhz=2200.0, capacity=1024)
    facts = msgspec.structs.replace(FACTS, cores=6, clusters=(little, big))
    assert bound_cores(device(cores="big"), facts) == (4, 5)
    assert bound_cores(device(cores="little"), facts) == (0, 1, 2, 3)
    assert bound_cores(device(cores=(3, 1, 1)), facts) == (1, 3)
    assert bound_cores(device(), facts) is None
    made, _ = cells([artifact], device(threads=("all",), cores="big"), facts)
    assert [cell.threads for cell in made] == [2]


def test_a_kind_of_core_is_refused_where_there_is_only_one(artifact: Artifact) -> None:
    with pytest.raises(UsageError, match="only one kind of core"):
        cells([artifact], device(cores="big"), FACTS)


def test_a_cell_knows_the_provider_that_the_device_file_asks_for(artifact: Artifact) -> None:
    made, _ = cells([artifact], device(threads=(1,), providers={"onnx": "CUDAExecutionProvider"}), FACTS)
    assert [cell.provider for cell in made] == ["CUDAExecutionProvider"]
    made, _ = cells([artifact], device(threads=(1,), providers={"openvino": "GPU"}), FACTS)
    assert [cell.provider for cell in made] == [None]


def test_what_can_be_measured_at_all_is_not_refused() -> None:
    """Cores that nobody told of, one thread count that fits, a power mode that is yet to be set."""
    six = Cluster(cores=(0, 1, 2, 3), cpu="Cortex-A78AE", max_mhz=1500.0, capacity=1024)
    known = msgspec.structs.replace(FACTS, clusters=(six,))
    refuse_impossible(device(cores=(7,), threads=(1,)), FACTS)
    refuse_impossible(device(threads=(8, 1)), known)
    refuse_impossible(device(cores=(2, 3), threads=("all",)), known)
    refuse_impossible(device(cores=(4, 5), threads=(2,), nvpmodel=0), known)
    for asked in ({"cores": (3, 4)}, {"threads": (8,)}, {"cores": (1,), "threads": (2,)}):
        with pytest.raises(UsageError):
            refuse_impossible(device(**asked), known)
