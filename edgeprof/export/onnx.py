"""ONNX by torch's own exporter; half precision and 8 bits by ONNX Runtime's tools."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeprof.export import onnx_quantize
from edgeprof.records import Exporter, Precision

if TYPE_CHECKING:
    from torch import Tensor, nn

    from edgeprof.export.calibrate import CalibrationImages

PACKAGES: tuple[str, ...] = ("onnx", "onnxscript", "onnxruntime")
QUANTIZERS: Mapping[Precision, tuple[str, ...]] = {}


def convert(
    module: nn.Module,
    example: Tensor,
    exporter: Exporter,
    about: Mapping[str, str],
    out: Path,
    calibration: CalibrationImages | None = None,
) -> list[Path]:
    """One self-contained `model.onnx`; see `formats.Converter`."""
    path = out / "model.onnx"
    proto = traced(module, example, exporter)
    if exporter.precision == "fp16":
        proto = onnx_quantize.to_fp16(proto, exporter.keep_float)
    elif exporter.precision == "int8":
        assert calibration is not None
        write(proto, {}, path)
        proto = onnx_quantize.to_int8(
            path,
            calibration.arrays,
            activations=exporter.activations or "int8",
            per_channel=exporter.per_channel,
            keep_float=exporter.keep_float,
        )
    if exporter.precision != "fp32":
        _strip(proto)
    write(proto, about, path)
    return [path]


def traced(module: nn.Module, example: Tensor, exporter: Exporter) -> Any:
    """The graph in float32 as a ModelProto, in the exporter's layout and opset.

    Raises:
        ValueError: torch wrote another opset.
    """
    import torch

    if exporter.layout == "NHWC":
        module, example = channels_last_input(module), example.permute(0, 2, 3, 1).contiguous()
    program: Any = torch.onnx.export(
        module,
        (example,),
        dynamo=True,
        external_data=False,
        verbose=False,
        opset_version=exporter.opset,
        input_names=["input"],
        output_names=["logits"],
    )
    proto = program.model_proto
    written = next(one.version for one in proto.opset_import if one.domain in ("", "ai.onnx"))
    if exporter.opset is not None and written != exporter.opset:
        raise ValueError(f"opset {exporter.opset} was asked for, the exporter wrote {written}")
    _strip(proto)
    return proto


def write(proto: Any, about: Mapping[str, str], path: Path) -> None:
    """The model as a file, with `about` in its metadata; the same bytes for the same model."""
    for key, value in about.items():
        proto.metadata_props.add(key=key, value=value)
    path.write_bytes(proto.SerializeToString(deterministic=True))


def channels_last_input(module: nn.Module) -> nn.Module:
    """`module` behind a transpose, so that it takes [N, H, W, 3]."""
    import torch

    class ChannelsLastInput(torch.nn.Module):  # type: ignore[misc]  # torch has no types for mypy here
        def __init__(self) -> None:
            super().__init__()
            self.inner = module

        def forward(self, x: Any) -> Any:
            return self.inner(x.permute(0, 3, 1, 2))

    return ChannelsLastInput().eval()


def _strip(proto: Any) -> None:
    """Take out what torch writes for debugging: stack traces with this machine's paths. Names of nodes stay."""
    graph = proto.graph
    parts = [proto, graph, *graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer]
    for function in proto.functions:
        parts += [function, *function.node, *function.value_info]
    for part in parts:
        part.ClearField("doc_string")
        part.ClearField("metadata_props")
