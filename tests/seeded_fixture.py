"""One small checkpoint, really trained, and its exported files, for all tests of explanations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from edgeprof import suite as suites
from edgeprof.export.explain import Explanation
from edgeprof.records import Exporter, Format, Trained
from edgeprof.store import Store


@dataclass(frozen=True)
class Seeded:
    """A checkpoint in a store, its ONNX file, and the folder that they lie in. Tests must not change what is there."""

    store: Store
    trained: Trained
    module: Any
    onnx: Path
    root: Path

    def explain(self, format: Format, files: Mapping[str, Path], **options: Any) -> Explanation:
        """The explanation of a file."""
        from edgeprof.export.explain.explain import explain

        return explain(self.store, self.trained, format, files, "a file", **options)


@pytest.fixture(scope="session")
def seeded(tmp_path_factory: pytest.TempPathFactory) -> Seeded:
    root = tmp_path_factory.mktemp("explain")
    import torch
    from seeded import SIDE, make_images, train

    from edgeprof.export import onnx
    from edgeprof.zoo import checkpoint

    store = Store(root / "suite" / ".edgeprof")
    trained = train(store, make_images(root / "images"))
    module = checkpoint.restore(trained, store)
    exporter = Exporter(name="onnx-fp32", format="onnx", precision="fp32")
    (file,) = onnx.convert(module, torch.randn(1, 3, SIDE, SIDE), exporter, {}, root)
    suite = root / "suite"
    suites.init(suite)
    return Seeded(store, trained, module, file, root)
