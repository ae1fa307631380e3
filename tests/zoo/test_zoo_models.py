"""Models by name, and weights to begin from: what fits is loaded, what does not is refused by name, nothing hangs."""

from __future__ import annotations

import hashlib
import os
import pickle
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from edgeprof.errors import TrainError, UsageError
from edgeprof.zoo import download, models
from edgeprof.zoo.torchvision_ops import import_timm, import_torchvision

SMALL = "test_resnet"


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.mark.parametrize(
    ("name", "named"),
    [
        ("resnet81", "resnet18"),
        ("mobilenetv3_smal_100", "mobilenetv3_small_100"),
        ("torchvision:squeezenet", "torchvision:squeezenet1_1"),
        ("shufflenet_v2_x1_0", "torchvision:shufflenet_v2_x1_0"),
        ("resnet18.a1_in2k", "resnet18.a1_in1k"),
        ("", ""),
        ("../resnet18", "resnet18"),
    ],
)
def test_unknown_name_is_refused_with_the_nearest(name: str, named: str) -> None:
    with pytest.raises(UsageError) as caught:
        models.check_name(name)
    assert named in (caught.value.hint or "")


def test_models_with_auxiliary_outputs_are_refused() -> None:
    with pytest.raises(UsageError, match="auxiliary"):
        models.check_name("torchvision:googlenet")


def test_known_names_pass() -> None:
    for name in (*models.STUDY, "vit_tiny_patch16_224", "torchvision:resnet50", "resnet18.a1_in1k"):
        models.check_name(name)
    assert set(models.STUDY) <= set(models.names())


def test_the_study_is_known_without_importing_torch() -> None:
    """What the command line checks before it starts must not cost seconds."""
    code = (
        "import sys; import edgeprof.train; from edgeprof.zoo import models, images, checkpoint;"
        "from edgeprof.records import Data;"
        "[models.check_name(n) for n in models.STUDY]; images.fingerprint(Data(name='digits'));"
        "heavy = {'torch', 'timm', 'torchvision', 'sklearn', 'PIL', 'safetensors'} & set(sys.modules);"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_settings_for_torchs_threads_are_not_inherited_by_child_processes() -> None:
    """What the agent measures must not run under a setting of ours."""
    code = (
        "import os; from edgeprof.zoo.torchvision_ops import import_torch; before = dict(os.environ);"
        "import_torch(); assert {k: v for k, v in os.environ.items() if 'OMP' in k} =="
        " {k: v for k, v in before.items() if 'OMP' in k}"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("name", models.STUDY)
def test_every_model_of_the_study_can_be_made_and_taught(name: str) -> None:
    module = models.create(name, 7)
    module.train()
    logits = module(torch.randn(2, 3, 64, 64))
    assert logits.shape == (2, 7)
    logits.sum().backward()
    assert models.count_params(module) > 1e5
    assert len(models.head_names(name, 7)) in (2, 4)


def test_macs_equal_the_known_count_of_a_cnn() -> None:
    assert models.count_macs(models.create("resnet18", 1000), 224) == 1_814_073_344


def test_macs_of_attention_are_not_lost() -> None:
    """torch's fused attention kernels are counted as zero; exact count of ViT-Tiny by hand."""
    tokens, width, depth = 197, 192, 12
    block = tokens * width * 3 * width + 2 * tokens * tokens * width + tokens * width * width
    block += 2 * tokens * width * 4 * width
    by_hand = depth * block + 196 * 16 * 16 * 3 * width + width * 1000
    assert models.count_macs(models.create("vit_tiny_patch16_224", 1000), 224) == by_hand


def test_macs_leave_the_mode_as_it_was() -> None:
    module = models.create(SMALL, 3).train()
    models.count_macs(module, 32)
    assert module.training


def test_a_size_that_the_model_cannot_take_is_an_error_of_ours() -> None:
    with pytest.raises(TrainError) as caught:
        models.count_macs(models.create("vit_tiny_patch16_224", 3), 48)
    assert "image_size" in (caught.value.hint or "")


def _saved(path: Path, name: str = SMALL, classes: int = 5) -> dict[str, Any]:
    torch.manual_seed(7)
    tensors = dict(models.create(name, classes).state_dict())
    save_file(tensors, path) if path.suffix == ".safetensors" else torch.save(tensors, path)
    return tensors


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
@pytest.mark.parametrize("name", [SMALL, "torchvision:shufflenet_v2_x0_5"])
def test_file_is_loaded_and_a_head_of_another_size_replaced(tmp_path: Path, suffix: str, name: str) -> None:
    path = tmp_path / f"gewichte für alles{suffix}"
    tensors = _saved(path, name)
    torch.manual_seed(1)
    same = models.create(name, 5, f"file:{path}").state_dict()
    assert all(torch.equal(same[key], tensors[key]) for key in tensors)
    torch.manual_seed(1)
    other = models.create(name, 3, f"file:{path}").state_dict()
    head = models.head_names(name, 3)
    assert all(torch.equal(other[key], tensors[key]) for key in tensors if key not in head)
    assert all(len(other[key]) == 3 for key in head)


def test_random_init_depends_on_the_seed_alone() -> None:
    """Finding the head makes other modules; that must not move the generator of the caller."""
    torch.manual_seed(3)
    models.head_names(SMALL, 3)
    one = models.create(SMALL, 3).state_dict()
    torch.manual_seed(3)
    other = models.create(SMALL, 3).state_dict()
    assert all(torch.equal(one[key], other[key]) for key in one)


def test_wrapped_state_dict_is_found(tmp_path: Path) -> None:
    tensors = _saved(tmp_path / "plain.pth")
    wrapped = {"epoch": 3, "state_dict": {f"module.{key}": value for key, value in tensors.items()}}
    torch.save(wrapped, tmp_path / "wrapped.pth")
    loaded = models.create(SMALL, 5, f"file:{tmp_path / 'wrapped.pth'}").state_dict()
    assert all(torch.equal(loaded[key], tensors[key]) for key in tensors)


def test_prefix_of_data_parallel_is_taken_off_in_either_format(tmp_path: Path) -> None:
    tensors = _saved(tmp_path / "plain.pth")
    save_file({f"module.{key}": value for key, value in tensors.items()}, tmp_path / "wrapped.safetensors")
    loaded = models.create(SMALL, 5, f"file:{tmp_path / 'wrapped.safetensors'}").state_dict()
    assert all(torch.equal(loaded[key], tensors[key]) for key in tensors)


def test_a_model_whose_own_names_begin_so_keeps_them() -> None:
    own = torch.nn.Sequential()
    own.add_module("module", torch.nn.Linear(2, 2))
    assert set(models.unwrapped(dict(own.state_dict()), own)) == {"module.weight", "module.bias"}


def test_foreign_file_names_five_tensors(tmp_path: Path) -> None:
    _saved(tmp_path / "other.safetensors", "test_efficientnet")
    with pytest.raises(TrainError) as caught:
        models.create(SMALL, 5, f"file:{tmp_path / 'other.safetensors'}")
    assert "other.safetensors" in str(caught.value)
    assert caught.value.what.count(";") == 4
    assert " more" in caught.value.what
    assert "conv" in caught.value.what


def test_nan_weights_are_refused(tmp_path: Path) -> None:
    tensors = _saved(tmp_path / "a.safetensors")
    key = next(key for key in tensors if key.endswith("conv1.weight"))
    tensors[key] = torch.full_like(tensors[key], float("nan"))
    save_file(tensors, tmp_path / "nan.safetensors")
    with pytest.raises(TrainError, match="NaN"):
        models.create(SMALL, 5, f"file:{tmp_path / 'nan.safetensors'}")


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
@pytest.mark.parametrize("keep", [0, 7, 1000, -1])
def test_truncated_file_is_refused(tmp_path: Path, suffix: str, keep: int) -> None:
    path = tmp_path / f"weights{suffix}"
    _saved(path)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(TrainError, match="weights"):
        models.create(SMALL, 5, f"file:{path}")


class _Hostile:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.marker}",)


@pytest.mark.parametrize("how", ["torch", "pickle"])
def test_code_in_a_file_never_runs(tmp_path: Path, how: str) -> None:
    path, marker = tmp_path / "hostile.pth", tmp_path / "ran"
    if how == "torch":
        torch.save({"state_dict": _Hostile(marker)}, path)
    else:
        path.write_bytes(pickle.dumps(_Hostile(marker), protocol=2))
    with pytest.raises(TrainError, match=r"tensors alone: it asks for posix\.system") as caught:
        models.create(SMALL, 5, f"file:{path}")
    assert not marker.exists()
    # torch advises to load it all the same, which would run the code.
    assert "weights_only" not in str(caught.value)


def test_refusal_of_a_whole_module_is_plain_words(tmp_path: Path) -> None:
    torch.save(torch.nn.Linear(2, 2), tmp_path / "whole.pth")
    with pytest.raises(TrainError) as caught:
        models.create(SMALL, 5, f"file:{tmp_path / 'whole.pth'}")
    assert caught.value.what == "this file cannot be read as tensors alone: it asks for torch.nn.modules.linear.Linear"


def test_no_state_dict_in_the_file(tmp_path: Path) -> None:
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(TrainError, match="no state dict"):
        models.create(SMALL, 5, f"file:{tmp_path / 'list.pth'}")


def test_missing_file_and_unknown_init(tmp_path: Path) -> None:
    with pytest.raises(TrainError, match="no weights file"):
        models.create(SMALL, 5, f"file:{tmp_path / 'none.pth'}")
    with pytest.raises(UsageError):
        models.create(SMALL, 5, "imagenet")


# --- pretrained


@pytest.fixture
def empty_caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    for name in ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.mark.parametrize("name", ["resnet18", "torchvision:squeezenet1_1"])
def test_pretrained_with_the_network_down_says_how_to_give_a_file(
    name: str, empty_caches: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{closed.getsockname()[1]}")
        with pytest.raises(TrainError) as caught:
            models.create(name, 5, "pretrained")
    assert 'inits = ["file:PATH"]' in (caught.value.hint or "")


@pytest.mark.parametrize("name", ["resnet18", "torchvision:squeezenet1_1"])
def test_pretrained_does_not_wait_for_a_network_that_swallows_everything(
    name: str, empty_caches: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "REACH_S", 0.3)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{silent.getsockname()[1]}")
        with pytest.raises(TrainError, match="cannot be fetched"):
            models.create(name, 5, "pretrained")


def test_the_deadline_is_within_what_was_promised() -> None:
    assert download.REACH_S < 15


def test_a_model_without_pretrained_weights_says_so(empty_caches: Path) -> None:
    plain = next(name for name in import_timm().list_models() if not import_timm().list_pretrained(name))
    with pytest.raises(TrainError, match="no pretrained weights"):
        models.create(plain, 5, "pretrained")


def test_cached_weights_are_used_without_a_network(empty_caches: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:1")
    repository = empty_caches / "hub" / f"models--{_hub_id().replace('/', '--')}"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text("abc")
    (repository / "snapshots" / "abc").mkdir(parents=True)
    tensors = _saved(repository / "snapshots" / "abc" / "model.safetensors", SMALL, 1000)
    loaded = models.create(SMALL, 5, "pretrained").state_dict()
    head = models.head_names(SMALL, 5)
    assert all(torch.equal(loaded[key], tensors[key]) for key in tensors if key not in head)

    url = import_torchvision().models.get_model_weights("squeezenet1_1").DEFAULT.url
    cached = empty_caches / "torch" / "hub" / "checkpoints" / url.rpartition("/")[2]
    cached.parent.mkdir(parents=True)
    tensors = _saved(cached, "torchvision:squeezenet1_1", 1000)
    loaded = models.create("torchvision:squeezenet1_1", 5, "pretrained").state_dict()
    assert torch.equal(loaded["features.0.weight"], tensors["features.0.weight"])


def test_damaged_cached_weights_name_the_file(empty_caches: Path) -> None:
    snapshot = empty_caches / "hub" / f"models--{_hub_id().replace('/', '--')}" / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    (snapshot.parent.parent / "refs").mkdir()
    (snapshot.parent.parent / "refs" / "main").write_text("abc")
    (snapshot / "model.safetensors").write_bytes(b"\x08\0\0\0")
    with pytest.raises(TrainError, match=r"model\.safetensors"):
        models.create(SMALL, 5, "pretrained")


def _hub_id() -> str:
    return str(import_timm().get_pretrained_cfg(SMALL).hf_hub_id)


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    folder = tmp_path / "served"
    folder.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield folder, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_download_is_kept_only_if_its_sha_is_right(
    served: tuple[Path, str], empty_caches: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, base = served
    content = b"weights" * 1000
    right = f"net-{hashlib.sha256(content).hexdigest()[:8]}.pth"
    (folder / right).write_bytes(content)
    path = download._downloaded(f"{base}/{right}", "net")
    assert path.read_bytes() == content
    (folder / "net-00000000.pth").write_bytes(content)
    with pytest.raises(TrainError, match="damaged"):
        download._downloaded(f"{base}/net-00000000.pth", "net")
    with pytest.raises(TrainError, match="cannot be fetched"):
        download._downloaded(f"{base}/missing-00000000.pth", "net")
    assert [entry.name for entry in path.parent.iterdir()] == [right]
