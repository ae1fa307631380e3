"""8 bits for OpenVINO, by NNCF's post-training quantization of the OpenVINO model."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from edgeprof.errors import ExportError, nearest

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def to_int8(
    model: Any,
    images: Sequence[NDArray[np.float32]],
    *,
    preset: str = "performance",
    per_channel: bool = True,
    keep_float: Sequence[str] = (),
) -> Any:
    """The openvino.Model in float32 with 8-bit weights and activations as FakeQuantize operators (static).

    Args:
        images: what the ranges of the activations are taken from, each as the model takes it.
        preset: `performance`: symmetric activations; `mixed`: asymmetric where they have two signs.
        keep_float: operator types that are not quantized.

    Raises:
        ExportError: NNCF knows no operator of such a name.
    """
    # NNCF reports its use over the network with it, and does without.
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    import nncf
    from nncf.openvino.graph.metatypes.openvino_metatypes import OV_OPERATOR_METATYPES
    from nncf.quantization.advanced_parameters import AdvancedQuantizationParameters, QuantizationParameters

    kinds = OV_OPERATOR_METATYPES.registry_dict.values()
    known = {name for kind in kinds for name in kind.get_all_aliases()}
    for name in keep_float:
        if name not in known:
            raise ExportError(f"keep_float: OpenVINO has no operator {name!r}", hint=nearest(name, known))
    advanced = None
    if not per_channel:
        advanced = AdvancedQuantizationParameters(weights_quantization_params=QuantizationParameters(per_channel=False))
    return nncf.quantize(
        model,
        nncf.Dataset(list(images)),
        preset=nncf.QuantizationPreset(preset),
        subset_size=len(images),
        ignored_scope=nncf.IgnoredScope(types=list(keep_float), validate=False) if keep_float else None,
        advanced_parameters=advanced,
    )
