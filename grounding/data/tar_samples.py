"""Images with phrases in tar files, as WebDataset has them: KEY.jpg and, beside it, KEY.txt with a phrase a line.

Training streams them: its memory does not grow with their number.
"""

from __future__ import annotations

import glob
import hashlib
import math
import os
import random
import tarfile
from collections.abc import Iterator
from importlib.util import find_spec
from itertools import chain, islice
from pathlib import Path
from typing import BinaryIO, NamedTuple

from torch.utils.data import IterableDataset, get_worker_info

from grounding.clip.text import tokenize
from grounding.data.batches import TrainingBatch, TrainingItems
from grounding.data.dataset import NOWHERE, GroundingDataset
from grounding.data.images import SUFFIXES, as_image
from grounding.runtime.errors import InputError, SettingsError
from grounding.runtime.files import decode_text
from grounding.types import Example, Expression

SHUFFLED = 1000  # samples, as files, that each reading process holds and draws the next one from


class ImagePhraseShards(GroundingDataset):
    """Tar files of images with phrases, for training without boxes; `StreamedItems` reads them."""

    boxed_splits: frozenset[str] = frozenset()  # nobody says where anything is

    def __init__(self, root: Path, split: str, *, boxed: bool, subset: int | float | None = None) -> None:
        """Looks for the files, in the folder `root` or by that pattern, and into none; nothing in them says `split`."""
        if find_spec("webdataset") is None:
            raise InputError(f"{root} needs the package webdataset: pip install -r requirements-ray.txt")
        files = [Path(each) for each in sorted(glob.glob(str(root / "*.tar" if root.is_dir() else root)))]
        if not files:
            raise InputError(f"there is no file {root}: correct the path or pattern")
        if boxed or subset is not None:
            raise SettingsError(f"{root} is a stream without boxes: give --model.decoder.kind adapters and no subset")
        super().__init__(root, split, (), (), {}, images_dir=root.parent, files=files)


class TarSample(NamedTuple):
    """An image with its phrases: what names it in messages, the sample's key, and the content of the two files."""

    name: str
    key: str
    image: bytes
    text: bytes

    def phrases(self) -> list[str]:
        """The lines of the text that are not blank."""
        try:
            return [line.strip() for line in decode_text(self.text).split("\n") if line.strip()]
        except ValueError as error:
            raise InputError(f"{self.name}.txt is no UTF-8 text ({error}): save it as UTF-8") from error


def read_tar(file: BinaryIO, name: str) -> Iterator[TarSample]:
    """The samples of a tar file in its order, of all keys that have an image."""
    from webdataset.tariterators import group_by_keys, tar_file_expander  # which not every installation has

    try:
        for files in group_by_keys(tar_file_expander([{"url": name, "stream": _whole(file)}])):
            image = next((content for ending, content in files.items() if f".{ending}" in SUFFIXES), None)
            if image is not None:
                yield TarSample(f"{name}, {files['__key__']}", files["__key__"], image, files.get("txt", b""))
    except (tarfile.TarError, OSError, ValueError) as error:
        raise InputError(f"{name} cannot be read as a tar file ({error}): get it again") from error


def count_samples(path: Path) -> int:
    """How many samples `read_tar` gives, from the headers alone."""
    from webdataset.tariterators import base_plus_ext

    try:
        with path.open("rb") as file, tarfile.open(fileobj=_whole(file)) as tar:
            parts = [base_plus_ext(member.name) for member in tar if member.isfile()]
    except (tarfile.TarError, OSError) as error:
        raise InputError(f"{path} cannot be read as a tar file ({error}): get it again") from error
    return len({key for key, ending in parts if f".{ending}".lower() in SUFFIXES})


def _whole(file: BinaryIO) -> BinaryIO:
    """A tar file with the 1024 zeros at its end, without which the readers would take a torn one for a shorter one."""
    file.seek(max(0, file.seek(0, os.SEEK_END) - 1024))
    if any(file.read()):
        raise tarfile.ReadError("its end is missing")
    file.seek(0)
    return file


class StreamedItems(IterableDataset["TrainingBatch | InputError"]):
    """What one process learns from in an epoch, of tar files that all processes, and the workers of each, share.

    The files are divided anew for each epoch; who has read all of his begins them again until its steps are done. The
    order depends on the seed, the epoch, and how many read. What was done before `first_step` is read and not decoded.
    All else is as in `GlobalBatches`.
    """

    def __init__(self, items: TrainingItems, images: int, images_per_batch: int, *, seed: int, process: int,
                 processes: int) -> None:  # fmt: skip
        if images_per_batch % processes or images < images_per_batch:
            raise InputError(f"images_per_batch is {images_per_batch}, for {processes} processes and {images} images: "
                             f"give a multiple of {processes} of at most so many")  # fmt: skip
        self.batch = images_per_batch // processes
        self.epoch = self.first_step = 0
        self._items, self._seed, self._process, self._processes = items, seed, process, processes
        self._steps = math.ceil(images / images_per_batch)

    def __len__(self) -> int:  # steps of a whole epoch
        return self._steps

    def __iter__(self) -> Iterator[TrainingBatch | InputError]:
        """A worker's items, as many for each batch; an error in the place of the first that cannot be read."""
        worker = get_worker_info()
        workers = worker.num_workers if worker else 1
        # The loader takes a batch of each worker in turn, from the first one on, wherever the epoch is taken up.
        turn = (self.first_step + (worker.id if worker else 0)) % workers
        stream = self._process + self._processes * turn
        done, end = (self.batch * len(range(turn, steps, workers)) for steps in (self.first_step, self._steps))
        try:
            samples = islice(self._samples(stream, self._processes * workers), end)
            for number, sample in islice(enumerate(samples), done, None):
                yield self._item(sample, stream, number)
        except InputError as error:
            yield error

    def _samples(self, stream: int, streams: int) -> Iterator[TarSample]:
        """Of one of the streams, without end."""
        from webdataset.filters import shuffle  # which not every installation has

        files = self._items.dataset.files
        if len(files) < streams:
            raise InputError(f"{len(files)} tar files are shared by {streams} that read: give --workers less, or make "
                             "more files")  # fmt: skip
        own = random.Random(f"{self._seed} {self.epoch}").sample(files, len(files))[stream::streams]
        rng, found = random.Random(f"{self._seed} {self.epoch} {stream}"), True
        while found:
            found = False
            rng.shuffle(own)
            read = chain.from_iterable(read_tar(file, str(path)) for path in own for file in [path.open("rb")])
            for sample in shuffle(SHUFFLED, initial=SHUFFLED, rng=rng)(read):
                found = True
                yield sample
        raise InputError(f"{own[0]} and the {len(own) - 1} files read with it hold no image: remove them")

    def _item(self, sample: TarSample, stream: int, number: int) -> TrainingBatch:
        try:
            image, phrases = as_image(sample.image), sample.phrases()
            if not phrases:
                raise InputError("there is no phrase: give it a .txt with one a line")
            tokenize(phrases)  # which training would refuse later
        except InputError as error:
            raise InputError(f"{sample.name}: {error}") from error
        image_id = int.from_bytes(hashlib.sha256(sample.name.encode()).digest()[:7], "big")
        expressions = tuple(Expression(phrase, NOWHERE, image_id, each, each, each, Path(sample.name))
                            for each, phrase in enumerate(phrases))  # fmt: skip
        return self._items.item_of(Example(image, expressions, ()), stream, number)
