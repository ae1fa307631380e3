"""ONNX by torch's own exporter."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeprof.records import Exporter

if TYPE_CHECKING:
    from torch import Tensor, nn

PACKAGES: tuple[str, ...] = ("onnx", "onnxscript", "onnxruntime")
PRECISIONS: tuple[str, ...] = ("fp32",)


def convert(module: nn.Module, example: Tensor, exporter: Exporter, about: Mapping[str, str], out: Path) -> list[Path]:
    """One self-contained `model.onnx`; see `formats.Converter`."""
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
    for key, value in about.items():
        proto.metadata_props.add(key=key, value=value)
    path = out / "model.onnx"
    path.write_bytes(proto.SerializeToString(deterministic=True))
    return [path]


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
