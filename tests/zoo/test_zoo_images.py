"""Data sets: what is on disk comes out in a fixed order, what is wrong is named, and nothing in a file can run."""

from __future__ import annotations

import io
import pickle
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from edgeprof.errors import DataError
from edgeprof.records import Data, Preprocessing
from edgeprof.zoo import cifar, images

PRE = Preprocessing(image_size=16, mean=(0.5, 0.5, 0.5), std=(0.5, 0.25, 0.5))
DIGITS = Data(name="digits")


# --- digits


def test_digits_split_is_fixed_stratified_and_disjoint() -> None:
    train, test = images.open_split(DIGITS, "train"), images.open_split(DIGITS, "test")
    assert (len(train), len(test)) == (1347, 450)
    assert test.classes == tuple("0123456789")
    assert np.ptp(np.bincount(test.labels) - np.bincount(train.labels) / 3) <= 2
    assert train.pixels is not None
    assert test.pixels is not None
    seen = {image.tobytes() for image in train.pixels}
    assert not any(image.tobytes() in seen for image in test.pixels)
    assert test.pixels.max() == 255


def test_digits_fingerprint_is_the_same_each_time() -> None:
    assert images.fingerprint(DIGITS) == images.fingerprint(Data(name="digits", root="/elsewhere"))


# --- folders of images


def _picture(path: Path, value: int, mode: str = "RGB", size: tuple[int, int] = (20, 10)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(np.full((size[1], size[0], 3), value, dtype=np.uint8))
    image.convert(mode).save(path)


@pytest.fixture
def folder(tmp_path: Path) -> Data:
    root = tmp_path / "mit Leerzeichen ü"
    for split, count in (("train", 3), ("test", 2)):
        for label, name in enumerate(("apfel", "Birne", "çilek")):
            for number in range(count):
                _picture(root / split / name / f"{number}.png", 10 * label + number)
    return Data(name="imagefolder", root=str(root))


def _path(data: Data) -> Path:
    return Path(data.root or "")


def test_folder_classes_are_sorted_by_name_and_images_by_path(folder: Data) -> None:
    found = images.open_split(folder, "test")
    assert found.classes == ("Birne", "apfel", "çilek")
    assert found.labels.tolist() == [0, 0, 1, 1, 2, 2]
    assert np.asarray(found.image(3))[0, 0].tolist() == [1, 1, 1]


def test_folder_takes_any_mode_and_depth_and_leaves_out_what_is_no_image(folder: Data) -> None:
    base = _path(folder) / "train" / "apfel"
    for mode in ("L", "P", "RGBA", "CMYK"):
        suffix = "jpg" if mode == "CMYK" else "png"
        _picture(base / "deeper" / f"{mode}.{suffix}", 200, mode)
    (base / "notes.txt").write_text("not an image")
    (base / "._0.png").write_bytes(b"left by another system")
    (_path(folder) / "train" / ".cache").mkdir()
    found = images.open_split(folder, "train")
    assert len(found) == 13
    assert {found.image(index).mode for index in range(len(found))} == {"RGB"}


def test_own_split_names(folder: Data) -> None:
    (_path(folder) / "test").rename(_path(folder) / "val")
    data = Data(name="imagefolder", root=folder.root, test_split="val")
    assert len(images.open_split(data, "test")) == 6
    with pytest.raises(DataError, match="test split is missing") as caught:
        images.open_split(folder, "test")
    assert "ROOT/test/CLASS/IMAGE" in (caught.value.hint or "")


def test_missing_root_names_it_and_the_layout(tmp_path: Path) -> None:
    for name in ("imagefolder", "cifar10", "cifar100"):
        data = Data(name=name, root=str(tmp_path / "nowhere"))
        for call in (lambda data=data: images.open_split(data, "train"), lambda data=data: images.fingerprint(data)):
            with pytest.raises(DataError) as caught:
                call()
            assert "nowhere" in str(caught.value)
            assert "wanted" in (caught.value.hint or "")
    with pytest.raises(DataError, match=r"data\.root"):
        images.open_split(Data(name="imagefolder"), "train")


@pytest.mark.parametrize("same", ["train", "./train", "apart/../train"])
def test_testing_on_the_training_images_is_refused(folder: Data, same: str) -> None:
    (_path(folder) / "apart").mkdir()
    with pytest.raises(DataError, match="would be the training images"):
        images.open_split(Data(name="imagefolder", root=folder.root, test_split=same), "test")


def test_empty_and_one_class_data_are_refused(tmp_path: Path) -> None:
    (tmp_path / "train").mkdir()
    (tmp_path / "test").mkdir()
    data = Data(name="imagefolder", root=str(tmp_path))
    with pytest.raises(DataError, match="empty"):
        images.open_split(data, "train")
    for split in ("train", "test"):
        _picture(tmp_path / split / "only" / "1.png", 3)
    with pytest.raises(DataError, match="one class only"):
        images.open_split(data, "train")
    (tmp_path / "train" / "hollow").mkdir()
    (tmp_path / "test" / "hollow").mkdir()
    with pytest.raises(DataError, match="no images") as caught:
        images.open_split(data, "train")
    assert "hollow" in str(caught.value)


@pytest.mark.parametrize("split", ["train", "test"])
def test_classes_that_differ_between_the_splits_are_refused(folder: Data, split: images.Split) -> None:
    _picture(_path(folder) / "test" / "dattel" / "1.png", 3)
    with pytest.raises(DataError, match="differ: dattel"):
        images.open_split(folder, split)


@pytest.mark.parametrize("damage", ["truncated", "text", "empty"])
def test_an_image_that_does_not_decode_is_named(folder: Data, damage: str) -> None:
    path = _path(folder) / "test" / "apfel" / "1.png"
    whole = path.read_bytes()
    path.write_bytes({"truncated": whole[: len(whole) - 30], "text": b"hello", "empty": b""}[damage])
    with pytest.raises(DataError, match="does not decode") as caught:
        list(images.test_batches(folder, PRE, 4))
    assert caught.value.where == str(path)


def test_unknown_split(folder: Data) -> None:
    with pytest.raises(DataError, match="no split"):
        images.open_split(folder, "val")  # type: ignore[arg-type]


def test_fingerprint_follows_the_content_and_not_the_place(folder: Data, tmp_path: Path) -> None:
    first = images.fingerprint(folder)
    copy = tmp_path / "copy"
    shutil.copytree(_path(folder), copy)
    moved = Data(name="imagefolder", root=str(copy))
    assert images.fingerprint(moved) == first
    (copy / "test" / "apfel" / "0.png").rename(copy / "test" / "apfel" / "9.png")
    renamed = images.fingerprint(moved)
    _picture(copy / "train" / "apfel" / "0.png", 99)
    assert len({first, renamed, images.fingerprint(moved)}) == 3


# --- batches


def test_batches_are_timms_eval_transform_in_test_order(folder: Data) -> None:
    batches = list(images.test_batches(folder, PRE, 4))
    assert [len(labels) for _, labels in batches] == [4, 2]
    pixels, labels = np.concatenate([b for b, _ in batches]), np.concatenate([n for _, n in batches])
    assert pixels.shape == (6, 3, 16, 16)
    assert [str(pixels.dtype), str(labels.dtype)] == ["float32", "int64"]
    assert labels.tolist() == [0, 0, 1, 1, 2, 2]
    # Flat pictures stay flat: only the scaling and the normalisation are left to see.
    value = 11 / 255
    assert pixels[1, :, 3, 3] == pytest.approx([(value - 0.5) / 0.5, (value - 0.5) / 0.25, (value - 0.5) / 0.5])
    again = np.concatenate([b for b, _ in images.test_batches(folder, PRE, 3)])
    assert np.array_equal(pixels, again)


def test_crop_and_interpolation_are_honoured(tmp_path: Path) -> None:
    """A white frame around a black centre: a crop of half leaves no frame."""
    for split in ("train", "test"):
        for name in ("a", "b"):
            picture = np.full((64, 64, 3), 255, dtype=np.uint8)
            picture[14:50, 14:50] = 0
            path = tmp_path / split / name / "x.png"
            path.parent.mkdir(parents=True)
            Image.fromarray(picture).save(path)
    data = Data(name="imagefolder", root=str(tmp_path))
    plain = Preprocessing(image_size=16, mean=(0, 0, 0), std=(1, 1, 1))
    cropped = Preprocessing(image_size=16, mean=(0, 0, 0), std=(1, 1, 1), crop_pct=0.5)
    nearest = Preprocessing(image_size=16, mean=(0, 0, 0), std=(1, 1, 1), interpolation="nearest")
    first = {
        name: next(images.test_batches(data, pre, 1))[0]
        for name, pre in {"plain": plain, "cropped": cropped, "nearest": nearest}.items()
    }
    assert first["plain"][0, 0, 0, 0] == 1
    assert first["cropped"].max() == 0
    assert set(np.unique(first["nearest"])) == {0, 1}
    assert len(np.unique(first["plain"])) > 2


# --- CIFAR


_Pickler: Any = pickle._Pickler


class _Python2(_Pickler):  # type: ignore[misc]
    """Writes bytes as Python 2 wrote its strings, as in the files that the world has."""

    dispatch: dict[type, Any] = dict(_Pickler.dispatch)  # noqa: RUF012

    def save_bytes(self, data: bytes) -> None:
        self.write(b"T" + len(data).to_bytes(4, "little") + data)
        self.memoize(data)

    dispatch[bytes] = save_bytes


def _python2(table: dict[bytes, Any]) -> bytes:
    buffer = io.BytesIO()
    _Python2(buffer, protocol=2).dump(table)
    return buffer.getvalue()


def _cifar(root: Path, name: str, binary: bool, count: int = 4) -> dict[str, Any]:
    """Small files in CIFAR's own form; returns labels and pixels [N, 3072] of both splits."""
    random = np.random.default_rng(1)
    folder, train, test, meta = (cifar._BINARY if binary else cifar._PYTHON)[name]
    classes = [f"class {number}" for number in range(10 if name == "cifar10" else 100)]
    (root / folder).mkdir(parents=True)
    fine = "labels" if name == "cifar10" else "fine_labels"
    truth: dict[str, Any] = {"classes": tuple(classes)}
    for split, names in (("train", train), ("test", test)):
        labels, pixels = [], []
        for file in names:
            numbers = random.permutation(len(classes))[:count]
            data = random.integers(0, 256, (count, 3072), dtype=np.uint8)
            if binary:
                heads = [numbers[:, None]] if name == "cifar10" else [np.zeros((count, 1)), numbers[:, None]]
                (root / folder / file).write_bytes(np.hstack([*heads, data]).astype(np.uint8).tobytes())
            else:
                table = {b"data": data, fine.encode(): numbers.tolist(), b"filenames": [b"x.png"] * count}
                (root / folder / file).write_bytes(_python2(table))
            labels.append(numbers)
            pixels.append(data)
        truth[split] = np.concatenate(labels), np.concatenate(pixels)
    if binary:
        (root / folder / meta).write_text("\n".join(classes) + "\n\n")
    else:
        key = b"label_names" if name == "cifar10" else b"fine_label_names"
        (root / folder / meta).write_bytes(_python2({key: [one.encode() for one in classes]}))
    return truth


@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize("name", ["cifar10", "cifar100"])
def test_cifar_comes_out_as_it_was_written(tmp_path: Path, name: Any, binary: bool) -> None:
    truth = _cifar(tmp_path, name, binary)
    for root in (tmp_path, next(tmp_path.iterdir())):
        data = Data(name=name, root=str(root))
        for split in ("train", "test"):
            found = images.open_split(data, split)
            labels, pixels = truth[split]
            assert found.classes == truth["classes"]
            assert found.labels.tolist() == labels.tolist()
            first = np.asarray(found.image(0))
            assert np.array_equal(first.transpose(2, 0, 1).ravel(), pixels[0])
        assert len(images.fingerprint(data)) == 64


def test_cifar_agrees_with_torchvisions_reading(tmp_path: Path) -> None:
    """torchvision reads the same pixels from the same files (its own check of the real files' md5 left out)."""
    from edgeprof.zoo.torchvision_ops import import_torchvision

    _cifar(tmp_path, "cifar10", binary=False)
    import_torchvision()
    from torchvision.datasets import CIFAR10

    class Unchecked(CIFAR10):  # type: ignore[misc]
        meta = {**CIFAR10.meta, "md5": None}  # noqa: RUF012

        def _check_integrity(self) -> bool:
            return True

    for split in ("train", "test"):
        theirs = Unchecked(str(tmp_path), train=split == "train")
        ours = images.open_split(Data(name="cifar10", root=str(tmp_path)), split)
        assert len(theirs) == len(ours)
        for index in range(len(ours)):
            picture, label = theirs[index]
            assert np.array_equal(np.asarray(picture), np.asarray(ours.image(index)))
            assert label == ours.labels[index]


@pytest.mark.parametrize("protocol", [2, 3, 4])
def test_cifar_written_again_by_python_3_is_read_too(tmp_path: Path, protocol: int) -> None:
    _, pixels = _cifar(tmp_path, "cifar10", binary=False)["test"]
    batch = tmp_path / "cifar-10-batches-py" / "test_batch"
    batch.write_bytes(pickle.dumps({"data": pixels, "labels": [1, 2, 3, 4]}, protocol=protocol))
    found = images.open_split(Data(name="cifar10", root=str(tmp_path)), "test")
    assert found.labels.tolist() == [1, 2, 3, 4]
    assert np.array_equal(np.asarray(found.image(2)).transpose(2, 0, 1).ravel(), pixels[2])


def test_cifar_file_missing_or_damaged(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no cifar10 here"):
        images.open_split(Data(name="cifar10", root=str(tmp_path)), "train")
    _cifar(tmp_path, "cifar10", binary=True)
    data, folder = Data(name="cifar10", root=str(tmp_path)), tmp_path / "cifar-10-batches-bin"
    batch = folder / "data_batch_3.bin"
    batch.write_bytes(batch.read_bytes()[:-1])
    with pytest.raises(DataError, match="no whole number of images"):
        images.open_split(data, "train")
    batch.write_bytes(b"\xff" + b"\0" * 3072)
    with pytest.raises(DataError, match="label is outside"):
        images.open_split(data, "train")
    batch.unlink()
    with pytest.raises(DataError, match="is missing") as caught:
        images.fingerprint(data)
    assert "data_batch_3" in str(caught.value)


class _Hostile:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return exec, (f"open({str(self.marker)!r}, 'w')",)


def test_code_in_cifars_python_files_never_runs(tmp_path: Path) -> None:
    _cifar(tmp_path, "cifar10", binary=False)
    batch = tmp_path / "cifar-10-batches-py" / "test_batch"
    batch.write_bytes(pickle.dumps({b"data": _Hostile(tmp_path / "ran"), b"labels": [1]}, protocol=2))
    with pytest.raises(DataError, match="exec"):
        images.open_split(Data(name="cifar10", root=str(tmp_path)), "test")
    assert not (tmp_path / "ran").exists()


@settings(max_examples=60)
@given(st.binary(max_size=300))
def test_any_bytes_are_read_as_cifar_or_refused(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "batch"
    path.write_bytes(data)
    for reader in (cifar._python_batch, cifar._binary_batch):
        with pytest.raises(DataError):
            reader(path, "cifar10")
