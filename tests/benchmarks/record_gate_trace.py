"""Record what this machine does to a gate: two files that differ in their bytes alone, measured in turn for so many
sessions, one after the other. Writes tests/benchmarks/traces/gate-NAME.json, which bench_gate.py draws from.

    python tests/benchmarks/record_gate_trace.py NAME [SESSIONS]
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

import numpy as np

from edgeprof import pipeline
from edgeprof.pipeline import Subject
from edgeprof.progress import Lines
from edgeprof.records import Device, Pair, Round
from edgeprof.store import Store

HERE = Device(name="localhost", transport="local", threads=(1,))
TRACES = Path(__file__).parent / "traces"
SIDE = 48


def model(path: Path, words: str) -> str:
    """A convolutional network of about a millisecond; `words` change its bytes and nothing else."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    generator = np.random.default_rng(0)
    tensors, nodes, name, channels = [], [], "x", 3
    for layer, wide in enumerate((16, 32, 32)):
        weights = generator.standard_normal((wide, channels, 3, 3)).astype(np.float32) / 10
        tensors.append(numpy_helper.from_array(weights, f"w{layer}"))
        nodes.append(
            helper.make_node("Conv", [name, f"w{layer}"], [f"c{layer}"], kernel_shape=[3, 3], pads=[1, 1, 1, 1])
        )
        nodes.append(helper.make_node("Relu", [f"c{layer}"], [f"r{layer}"]))
        name, channels = f"r{layer}", wide
    nodes.append(helper.make_node("GlobalAveragePool", [name], ["y"]))
    shape = [1, 3, SIDE, SIDE]
    graph = helper.make_graph(
        nodes,
        "trace",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, channels, 1, 1])],
        tensors,
        doc_string=words,
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), str(path))
    return str(path)


def numbers(rounds: list[Round]) -> dict[str, list[int]]:
    ordered = sorted(rounds, key=lambda one: one.round)
    found = {f"p{q}": [int(np.quantile(one.samples_ns, q / 100)) for one in ordered] for q in (50, 90, 99)}
    return {**found, "canary": [int(np.median(one.canary_ns)) for one in ordered]}


def main(name: str, sessions: int) -> None:
    TRACES.mkdir(exist_ok=True)
    kept: list[dict[str, object]] = []
    for number in range(sessions):
        with tempfile.TemporaryDirectory() as folder:
            store = Store(Path(folder) / ".edgeprof")
            files = [model(Path(folder) / f"{each}.onnx", each) for each in ("one", "other")]
            one, other = (Subject(file, HERE) for file in files)
            # A zone that nothing fits in: all 60 pairs are measured.
            pipeline.compare(store, one, other, zone=1e-9, limit_s=600, progress=Lines(print, lambda _: None))
            (pair,) = store.all(Pair.KIND, Pair)
            rounds = store.all(Round.KIND, Round)
            kept.append(
                {
                    "began": min(one.started_at for one in rounds),
                    "samples": int(np.median([len(one.samples_ns) for one in rounds])),
                    "before": numbers([one for one in rounds if one.job == pair.first.job]),
                    "now": numbers([one for one in rounds if one.job == pair.second.job]),
                }
            )
            store.close()
        (TRACES / f"gate-{name}.json").write_text(json.dumps({"sessions": kept}, separators=(",", ":")) + "\n")
        print(f"{number + 1} of {sessions} sessions")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 8)
