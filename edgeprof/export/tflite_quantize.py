"""Half precision and 8 bits for TFLite, by ai-edge-quantizer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeprof.errors import ExportError, nearest

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def to_fp16(path: Path) -> bytes:
    """The float32 file with weights in float16; they are widened when the file is opened."""
    from ai_edge_quantizer import recipe_manager
    from ai_edge_quantizer.algorithm_manager import AlgorithmName
    from ai_edge_quantizer.qtyping import TFLOperationName

    recipe = recipe_manager.RecipeManager()
    everything = TFLOperationName.ALL_SUPPORTED
    recipe.add_weight_only_config(".*", everything, 16, algorithm_key=AlgorithmName.FLOAT_CASTING)
    return _quantized(path, recipe, [], ())


def to_int8(
    path: Path, images: Sequence[NDArray[np.float32]], *, per_channel: bool = True, keep_float: Sequence[str] = ()
) -> bytes:
    """The float32 file with 8-bit weights and activations (static).

    Args:
        images: what the ranges of the activations are taken from, each as the file takes it.
        keep_float: operator types that are not quantized; INPUT and OUTPUT: the file takes and gives float32.

    Raises:
        ExportError: the quantizer knows no operator of such a name.
    """
    from ai_edge_quantizer import recipe_manager
    from ai_edge_quantizer.qtyping import QuantGranularity, TFLOperationName

    recipe = recipe_manager.RecipeManager()
    grain = QuantGranularity.CHANNELWISE if per_channel else QuantGranularity.TENSORWISE
    recipe.add_static_config(".*", TFLOperationName.ALL_SUPPORTED, 8, 8, weight_granularity=grain)
    return _quantized(path, recipe, images, keep_float)


def to_dynamic_int8(path: Path, *, keep_float: Sequence[str] = ()) -> bytes:
    """The float32 file with 8-bit weights; the runtime quantizes activations as it goes. Arguments as for `to_int8`."""
    from ai_edge_quantizer import recipe_manager
    from ai_edge_quantizer.qtyping import TFLOperationName

    recipe = recipe_manager.RecipeManager()
    recipe.add_dynamic_config(".*", TFLOperationName.ALL_SUPPORTED, 8)
    return _quantized(path, recipe, [], keep_float)


def _quantized(path: Path, recipe: Any, images: Sequence[NDArray[np.float32]], keep_float: Sequence[str]) -> bytes:
    from ai_edge_litert.interpreter import Interpreter
    from ai_edge_quantizer import quantizer
    from ai_edge_quantizer.algorithm_manager import AlgorithmName
    from ai_edge_quantizer.qtyping import TFLOperationName

    known = {one.value for one in TFLOperationName} - {TFLOperationName.ALL_SUPPORTED.value}
    for name in keep_float:
        if name not in known:
            raise ExportError(f"keep_float: the quantizer of TFLite has no {name!r}", hint=nearest(name, known))
        recipe.add_quantization_config(".*", TFLOperationName(name), algorithm_key=AlgorithmName.NO_QUANTIZE)
    model = quantizer.Quantizer(str(path))
    model.load_quantization_recipe(recipe.get_quantization_recipe())
    ranges = None
    if images:
        signature, ports = next(iter(Interpreter(str(path)).get_signature_list().items()))
        ranges = model.calibrate({signature: [{ports["inputs"][0]: image} for image in images]})
    return bytes(model.quantize(ranges).quantized_model)
