"""Pairs of image and phrase that are streamed from tar files: memory does not grow with their number."""

from __future__ import annotations

import hashlib
import math
import random
import warnings
from collections.abc import Iterator, Sequence
from itertools import chain, islice
from pathlib import Path

from torch.utils.data import IterableDataset, get_worker_info

from grounding.clip.text import tokenize
from grounding.data.batches import TrainingBatch, TrainingItem, TrainingItems, collate
from grounding.data.dataset import NOWHERE
from grounding.data.images import as_image
from grounding.data.tar_samples import TarSample, read_tar
from grounding.errors import InputError
from grounding.types import Example, Expression

SHUFFLED = 1000  # samples, as files, that each reading process holds and draws the next one from


class StreamedItems(IterableDataset["TrainingItem | InputError | None"]):
    """What one process learns from in an epoch, of tar files that all processes, and the workers of each, share.

    An epoch has as many images as the files. They are divided anew for each; who has read all of his begins them again
    until the epoch's steps are done. The order depends on the seed, the epoch, and how many read. What was done before
    `first_step` is read and not decoded.

    Args:
        files: of the data set.
        items: draws phrases and makes letterboxes.
        images: in all files.
        images_per_batch: of one step, over all processes.
        seed: of the order.
        process: which one of the processes, from 0.
        processes: how many share a batch.
        skip_broken: whether what cannot be read is left out, with a warning, as None in its place.

    Attributes:
        epoch, first_step: as of `GlobalBatches`.
        batch: images of a step in this process.

    Raises:
        InputError: a batch cannot be shared evenly, or there are fewer images than it has.
    """

    def __init__(self, files: Sequence[Path], items: TrainingItems, images: int, images_per_batch: int, *, seed: int,
                 process: int, processes: int, skip_broken: bool) -> None:  # fmt: skip
        if images_per_batch % processes or images < images_per_batch:
            raise InputError(
                f"images_per_batch is {images_per_batch}, for {processes} processes and {images} images: give a "
                f"multiple of {processes} of at most so many"
            )
        self.batch = images_per_batch // processes
        self.epoch = self.first_step = 0
        self._files, self._items, self._seed, self._skip_broken = list(files), items, seed, skip_broken
        self._process, self._processes = process, processes
        self._steps = math.ceil(images / images_per_batch)

    def __len__(self) -> int:
        """Steps of a whole epoch."""
        return self._steps

    def __iter__(self) -> Iterator[TrainingItem | InputError | None]:
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

        if len(self._files) < streams:
            raise InputError(f"{len(self._files)} tar files are shared by {streams} that read: give --workers less, or "
                             "make more files")  # fmt: skip
        own = random.Random(f"{self._seed} {self.epoch}").sample(self._files, len(self._files))[stream::streams]
        rng, found = random.Random(f"{self._seed} {self.epoch} {stream}"), True
        while found:
            found = False
            rng.shuffle(own)
            files = (read_tar(file, str(path)) for path in own for file in [path.open("rb")])
            for sample in shuffle(SHUFFLED, initial=SHUFFLED, rng=rng)(chain.from_iterable(files)):
                found = True
                yield sample
        raise InputError(f"{own[0]} and the {len(own) - 1} files read with it hold no image: remove them")

    def _item(self, sample: TarSample, stream: int, number: int) -> TrainingItem | None:
        name = f"{sample.tar}, {sample.key}"
        try:
            image, phrases = as_image(sample.image), sample.phrases()
            if not phrases:
                raise InputError("there is no phrase: give it a .txt with one a line")
            tokenize(phrases)  # which training would refuse later
        except InputError as error:
            if not self._skip_broken:
                raise InputError(f"{name}: {error}; or leave such out with --skip_broken true") from error
            warnings.warn(f"{name} is left out: {error}", stacklevel=2)
            return None
        image_id = int.from_bytes(hashlib.sha256(name.encode()).digest()[:7], "big")
        expressions = tuple(Expression(phrase, NOWHERE, image_id, each, each, each, Path(name))
                            for each, phrase in enumerate(phrases))  # fmt: skip
        return self._items.item_of(Example(image, expressions, ()), stream, number)


def collate_readable(items: Sequence[TrainingItem | None]) -> TrainingBatch:
    """`collate` of those that could be read.

    Raises:
        InputError: they are too few to be told apart.
    """
    readable = [item for item in items if item is not None]
    if len(readable) < 2:
        raise InputError(f"of the {len(items)} images of a batch {len(readable)} can be used: look at what is left out")
    return collate(readable)
