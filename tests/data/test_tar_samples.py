"""Pairs in tar files: every image once an epoch, shared by all that read, and taken up in the middle."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from grounding import InputError, open_dataset
from grounding.data import tar_samples
from grounding.data.batches import TrainingItems, collate
from grounding.data.dataloader import ImageLoader
from grounding.data.tar_samples import StreamedItems, count_samples
from grounding.geometry import Letterbox
from tests.tar_files import jpeg, write_tar

pytest.importorskip("webdataset", reason="needs pip install -r requirements-ray.txt")
IMAGES, BATCH = 40, 4  # in 5 files


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tar_samples, "SHUFFLED", 5)
    for start in range(0, IMAGES, 8):
        samples = {
            f"{number:03}": (jpeg(number), f"thing {number}\n\nthe other {number}")
            for number in range(start, start + 8)
        }
        write_tar(tmp_path / f"{start:03}.tar", samples)
    return tmp_path


def stream(folder: Path, *, process: int = 0, processes: int = 1) -> StreamedItems:
    dataset = open_dataset(folder, "train", boxed=False)
    items = TrainingItems(dataset, model_size=64, stride=8, phrases_per_image=6, boxed=False, seed=0)
    return StreamedItems(items, IMAGES, BATCH, seed=0, process=process, processes=processes)


def batches(given: StreamedItems, workers: int = 0) -> list[list[str]]:
    """The phrases of each batch, with the sum of its image's pixels behind each."""
    loader = ImageLoader(given, batch_size=given.batch, collate_fn=collate, num_workers=workers)
    return [
        [f"{words} {int(each.squares[i].sum())}" for words, i in zip(each.phrases, each.image_index, strict=True)]
        for each in loader
    ]


def numbers(of: list[list[str]]) -> list[int]:
    return sorted({int(phrase.split()[-2]) for batch in of for phrase in batch})


def test_every_image_once_with_its_phrases_and_another_order_each_epoch(folder: Path) -> None:
    given = stream(folder)
    assert sum(map(count_samples, folder.glob("*.tar"))) == IMAGES
    first = batches(given)
    assert len(first) == len(given) == IMAGES // BATCH and numbers(first) == list(range(IMAGES))
    assert all(len(batch) == 2 * BATCH for batch in first)
    for number in (0, 17):
        image = np.array(Image.open(BytesIO(jpeg(number))))
        square = Letterbox.fit((48, 40), 64).apply(image)
        assert any(f"thing {number} {square.sum()}" in batch for batch in first)
    assert batches(given) == first
    given.epoch = 1
    assert batches(given) != first and numbers(batches(given)) == list(range(IMAGES))


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("step", [1, 5])
def test_taken_up_in_the_middle(folder: Path, workers: int, step: int) -> None:
    whole, again = stream(folder), stream(folder)
    again.first_step = step
    assert batches(again, workers) == batches(whole, workers)[step:]


def test_processes_and_workers_share_the_files(folder: Path) -> None:
    shares = [batches(stream(folder, process=each, processes=2), workers=2) for each in range(2)]
    assert [len(share) for share in shares] == [IMAGES // BATCH] * 2
    assert all(len(batch) == BATCH for share in shares for batch in share)  # two images of two phrases
    assert not set(numbers(shares[0])) & set(numbers(shares[1]))
    with pytest.raises(InputError, match="5 tar files are shared by 6"):
        batches(stream(folder, process=0, processes=2), workers=3)


@pytest.mark.parametrize(
    ("image", "text", "message"),
    [
        (b"no image", "a dog", ""),
        (jpeg(1), "", "no phrase"),
        (jpeg(2), "dog " * 100, "77"),
        (jpeg(3), b"\xff", "UTF-8"),
    ],
)
def test_what_cannot_be_read_is_named(folder: Path, image: bytes, text: str | bytes, message: str) -> None:
    samples = {f"{number:03}": (jpeg(number), f"thing {number}") for number in range(7)}
    write_tar(folder / "000.tar", {"a": (image, text)} | samples)
    with pytest.raises(InputError, match=rf"000\.tar, a.*{message}"):
        batches(stream(folder))


def test_a_tar_file_that_ends_early_is_named(folder: Path) -> None:
    (folder / "000.tar").write_bytes((folder / "000.tar").read_bytes()[:3000])
    for use in (lambda: count_samples(folder / "000.tar"), lambda: batches(stream(folder))):
        with pytest.raises(InputError, match=r"000\.tar cannot be read as a tar file"):
            use()


def test_what_cannot_be_had_of_streams_is_refused(folder: Path) -> None:
    for options, message in (({}, "without boxes"), ({"boxed": False, "subset": 3}, "no subset")):
        with pytest.raises(InputError, match=message):
            open_dataset(folder, "train", **options)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="there is no file"):
        open_dataset(folder / "x*.tar", "train", boxed=False)
    assert len(open_dataset(folder / "0[01]*.tar", "train", boxed=False).files) == 3
    with pytest.raises(InputError, match="multiple of 3"):
        stream(folder, processes=3)
