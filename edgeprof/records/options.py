"""Which option of an exporter means something where: what has no effect is refused, never ignored. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from edgeprof.errors import nearest
from edgeprof.records.inputs import Exporter, Format, Precision

PRECISIONS: dict[Format, tuple[Precision, ...]] = {
    "onnx": ("fp32", "fp16", "int8"),
    "openvino": ("fp32", "fp16", "int8"),
    "tflite": ("fp32", "fp16", "int8", "dynamic-int8"),
}
ARCHITECTURES = ("x86_64", "aarch64", "armv7l", "armv6l", "riscv64")
"""As `platform.machine()` says."""
PRESETS = ("performance", "mixed")
FLOAT_PORTS = ("INPUT", "OUTPUT")
"""What the quantizer of TFLite calls the ends of the graph."""

# Option -> the forms that have it.
_FORMS: dict[str, set[tuple[Format, Precision]]] = {
    "opset": {(format, one) for format in ("onnx", "openvino") for one in PRECISIONS[format]},
    "activations": {("onnx", "int8")},
    "per_channel": {("onnx", "int8"), ("openvino", "int8"), ("tflite", "int8")},
    "calibration_images": {("onnx", "int8"), ("openvino", "int8"), ("tflite", "int8")},
    "calibration_seed": {("onnx", "int8"), ("openvino", "int8"), ("tflite", "int8")},
    "keep_float": {
        ("onnx", "fp16"),
        ("onnx", "int8"),
        ("openvino", "int8"),
        ("tflite", "int8"),
        ("tflite", "dynamic-int8"),
    },
    "preset": {("openvino", "int8")},
}


def faults(exporter: Exporter) -> Iterator[tuple[str, str | None]]:
    """(what is wrong, what to do) of everything that the exporter asks for and cannot have."""
    form = (exporter.format, exporter.precision)
    possible = PRECISIONS[exporter.format]
    if exporter.precision not in possible:
        yield (
            f"precision {exporter.precision} is not possible for {exporter.format}",
            f"possible: {', '.join(possible)}",
        )
        return
    plain = Exporter(name=exporter.name, format=exporter.format, precision=exporter.precision)
    for option, forms in _FORMS.items():
        given = getattr(exporter, option)
        if given != getattr(plain, option) and form not in forms:
            yield _out_of_place(option, given, form, forms)
    if exporter.opset is not None and exporter.opset < 18:
        yield (
            f"opset = {exporter.opset} is not possible: torch's exporter writes 18 or newer",
            "leave opset out for the exporter's default",
        )
    if exporter.calibration_images < 1:
        yield "calibration_images must be 1 or more", None
    if exporter.calibration_seed < 0:
        yield "calibration_seed must be 0 or more", None
    if exporter.preset is not None and exporter.preset not in PRESETS:
        yield f"preset = {exporter.preset!r} is not allowed", nearest(exporter.preset, PRESETS)
    for name in exporter.architectures:
        if name not in ARCHITECTURES:
            hint = "perhaps you meant: aarch64" if name.lower() in ("arm64", "arm") else nearest(name, ARCHITECTURES)
            yield f"architectures: {name!r} is not known", hint
    # The quantizer leaves the ends of the graph in 8 bits unless it is told not to.
    if form == ("tflite", "int8") and not set(FLOAT_PORTS) <= set(exporter.keep_float):
        yield "keep_float must name INPUT and OUTPUT: all files take and give float32", None
    most, least = exporter.max_abs_diff, exporter.min_top1_agreement
    if most is not None and not most > 0:
        yield "max_abs_diff must be more than 0", None
    if least is not None and not 0 <= least <= 1:
        yield "min_top1_agreement must lie in 0..1", None


def _out_of_place(
    option: str, given: object, form: tuple[Format, Precision], forms: set[tuple[Format, Precision]]
) -> tuple[str, str]:
    shown = str(given).lower() if isinstance(given, bool) else list(given) if isinstance(given, tuple) else given
    if form == ("tflite", "dynamic-int8") and option == "per_channel":
        return (
            "per_channel = false is not possible for tflite in dynamic-int8: LiteRT computes such files wrongly",
            "leave per_channel out",
        )
    where = ", ".join(f"{format} in {precision}" for format, precision in sorted(forms))
    return f"{option} = {shown} has no effect for {form[0]} in {form[1]}", f"leave it out; it is for: {where}"
