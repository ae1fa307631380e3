"""Parts of data sets and Tiny ImageNet: the same images every time, labels that fit both splits, faults by name."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from edgeprof.errors import DataError
from edgeprof.records import Data
from edgeprof.zoo import images

DIGITS = Data(name="digits")
WNIDS = ("n02124075", "n01443537", "n04067472")


def _with(data: Data, **changes: Any) -> Data:
    return msgspec.structs.replace(data, **changes)


# --- some classes


def test_classes_are_renumbered_in_the_order_of_the_data_set_in_both_splits() -> None:
    splits: tuple[images.Split, ...] = ("train", "test")
    part = _with(DIGITS, classes=("9", "5", "7"))
    for split in splits:
        full, found = images.open_split(DIGITS, split), images.open_split(part, split)
        assert found.classes == ("5", "7", "9")
        wanted = np.flatnonzero(np.isin(full.labels, (5, 7, 9)))
        assert found.pixels is not None
        assert full.pixels is not None
        assert np.array_equal(found.pixels, full.pixels[wanted])
        assert [int(found.classes[label]) for label in found.labels] == full.labels[wanted].tolist()


def test_an_unknown_class_is_told_with_the_nearest(tmp_path: Path) -> None:
    data = _folder(tmp_path, {"apple": 2, "pear": 2, "plum": 2})
    with pytest.raises(DataError, match="no class 'aple'") as caught:
        images.open_split(_with(data, classes=("aple", "pear")), "test")
    assert "apple" in (caught.value.hint or "")


# --- so many of each class


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 130), st.integers(1, 130), st.sets(st.sampled_from("0123456789"), min_size=2))
def test_the_draw_is_even_fixed_and_fewer_are_among_more(one: int, other: int, classes: set[str]) -> None:
    fewer, more = sorted((one, other))
    data = _with(DIGITS, classes=tuple(sorted(classes)))
    small, large = (images.open_split(_with(data, train_per_class=count), "train") for count in (fewer, more))
    assert np.bincount(small.labels).tolist() == [fewer] * len(classes)
    assert small.pixels is not None
    assert large.pixels is not None
    held = {image.tobytes() + bytes([label]) for image, label in zip(large.pixels, large.labels, strict=True)}
    assert all(
        image.tobytes() + bytes([label]) in held for image, label in zip(small.pixels, small.labels, strict=True)
    )
    assert len(images.open_split(_with(data, train_per_class=fewer), "test")) == len(images.open_split(data, "test"))


def test_the_draw_never_changes() -> None:
    """Another draw would be another experiment under the same name and the same stored keys."""
    found = images.open_split(_with(DIGITS, train_per_class=2, classes=("0", "1")), "train")
    whole = images.open_split(_with(DIGITS, classes=("0", "1")), "train")
    assert found.pixels is not None
    assert whole.pixels is not None
    places = [int(np.flatnonzero((whole.pixels == image).all(axis=(1, 2, 3)))[0]) for image in found.pixels]
    assert places == DRAWN


DRAWN = [99, 136, 154, 263]


def test_too_few_images_are_told_with_how_many_there_are() -> None:
    with pytest.raises(DataError, match=r"train_per_class = 1000, but the class '0' has 133 training images"):
        images.open_split(_with(DIGITS, train_per_class=1000), "train")


def test_the_fingerprint_is_of_the_part_that_is_asked_for(tmp_path: Path) -> None:
    data = _folder(tmp_path, {"a": 3, "b": 3, "c": 3})
    for base in (data, DIGITS):
        names = images.open_split(base, "test").classes[:2]
        parts = [
            base,
            _with(base, classes=names),
            _with(base, train_per_class=2),
            _with(base, classes=names, train_per_class=2),
        ]
        assert len({images.fingerprint(part) for part in parts}) == 4
        assert images.fingerprint(parts[1]) == images.fingerprint(_with(base, classes=names[::-1]))


# --- Tiny ImageNet


def _picture(path: Path, value: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((8, 8, 3), value, dtype=np.uint8)).save(path)


def _folder(root: Path, classes: dict[str, int]) -> Data:
    for label, (name, count) in enumerate(classes.items()):
        for number in range(count):
            _picture(root / "train" / name / f"{number}.png", 10 * label + number)
            _picture(root / "test" / name / f"{number}.png", 10 * label + number + 5)
    return Data(name="imagefolder", root=str(root))


@pytest.fixture
def tiny(tmp_path: Path) -> Data:
    """As the distributed archive unpacks: labels of the images to test lie in a file of their own."""
    root = tmp_path / "tiny-imagenet-200"
    lines = []
    for label, wnid in enumerate(WNIDS):
        for number in range(3):
            _picture(root / "train" / wnid / "images" / f"{wnid}_{number}.JPEG", 60 * label + number)
        (root / "train" / wnid / f"{wnid}_boxes.txt").write_text("x")
        for number in range(2):
            file = f"val_{2 * label + number}.JPEG"
            _picture(root / "val" / "images" / file, 60 * label + 30)
            lines.append(f"{file}\t{wnid}\t0\t0\t7\t7\n")
    (root / "wnids.txt").write_text("".join(f"{wnid}\n" for wnid in WNIDS))
    (root / "val" / "val_annotations.txt").write_text("".join(reversed(lines)))
    _picture(root / "test" / "images" / "test_0.JPEG", 1)
    return Data(name="tiny_imagenet", root=str(root))


def test_tiny_imagenet_as_it_is_distributed(tiny: Data) -> None:
    train, test = images.open_split(tiny, "train"), images.open_split(tiny, "test")
    assert train.classes == test.classes == tuple(sorted(WNIDS))
    assert np.bincount(train.labels).tolist() == [3, 3, 3]
    assert np.bincount(test.labels).tolist() == [2, 2, 2]
    for found in (train, test):
        for index, label in enumerate(found.labels):
            value = int(np.asarray(found.image(index)).mean())
            assert abs(value // 60 - WNIDS.index(found.classes[label])) == 0


def test_tiny_imagenet_with_its_test_images_moved_into_folders_is_the_same(tiny: Data) -> None:
    """Many scripts do that for ImageFolder."""
    before = images.open_split(tiny, "test")
    val = Path(tiny.root or "") / "val"
    for path, label in zip(before.files, before.labels, strict=True):
        (val / before.classes[label]).mkdir(exist_ok=True)
        path.rename(val / before.classes[label] / path.name)
    shutil.rmtree(val / "images")
    (val / "val_annotations.txt").unlink()
    after = images.open_split(tiny, "test")
    assert after.labels.tolist() == before.labels.tolist()
    assert [path.name for path in after.files] == [path.name for path in before.files]


def test_tiny_imagenet_in_part(tiny: Data) -> None:
    found = images.open_split(_with(tiny, classes=WNIDS[:2], train_per_class=1), "train")
    assert found.classes == tuple(sorted(WNIDS[:2]))
    assert found.labels.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda root: (root / "wnids.txt").unlink(), "wnids.txt"),
        (lambda root: (root / "val" / "val_annotations.txt").unlink(), "val_annotations.txt"),
        (lambda root: (root / "val" / "val_annotations.txt").write_text("val_0.JPEG\tn99999999\t0\n"), "n99999999"),
        (lambda root: (root / "val" / "val_annotations.txt").write_text(f"val_0.JPEG\t{WNIDS[0]}\n"), "no images"),
        (lambda root: shutil.rmtree(root / "train" / WNIDS[1]), WNIDS[1]),
    ],
)
def test_tiny_imagenet_that_is_not_whole_says_what_is_wrong_and_where_to_get_it(
    tiny: Data, damage: Any, words: str
) -> None:
    damage(Path(tiny.root or ""))
    with pytest.raises(DataError) as caught:
        images.fingerprint(tiny)
    assert words in str(caught.value)
    assert "tiny-imagenet-200.zip" in (caught.value.hint or "") or "images end in" in (caught.value.hint or "")


def test_other_labels_are_another_fingerprint(tiny: Data) -> None:
    before = images.fingerprint(tiny)
    notes = Path(tiny.root or "") / "val" / "val_annotations.txt"
    lines = notes.read_text().splitlines()
    swapped = [lines[0].replace(WNIDS[2], WNIDS[0]), *lines[1:]]
    notes.write_text("\n".join(swapped))
    assert images.fingerprint(tiny) != before


# --- faults of folders


def test_a_wrong_split_names_the_folders_that_are_there(tmp_path: Path) -> None:
    data = _folder(tmp_path, {"a": 2, "b": 2})
    (tmp_path / "test").rename(tmp_path / "validation")
    with pytest.raises(DataError, match="the test split is missing") as caught:
        images.open_split(data, "test")
    assert "validation" in (caught.value.hint or "")
    assert "data.test_split" in (caught.value.hint or "")
    assert len(images.open_split(_with(data, test_split="validation"), "test")) == 4


def test_a_corrupt_image_and_an_empty_class_name_their_place(tmp_path: Path) -> None:
    data = _folder(tmp_path, {"a": 2, "b": 2})
    (tmp_path / "train" / "b" / "1.png").write_bytes(b"\x89PNG and no more")
    with pytest.raises(DataError, match=r"train/b/1\.png: this image does not decode"):
        images.open_split(data, "train").image(3)
    for path in (tmp_path / "test" / "a").iterdir():
        path.unlink()
    with pytest.raises(DataError, match="this class has no images") as caught:
        images.open_split(data, "test")
    assert caught.value.where == str(tmp_path / "test" / "a")
