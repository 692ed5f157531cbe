"""Pairs of image and phrase that are streamed from tar files: memory does not grow with their number."""

from __future__ import annotations

import hashlib
import math
import random
from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path

from torch.utils.data import IterableDataset, get_worker_info

from grounding.clip.text import tokenize
from grounding.data.batches import TrainingItem, TrainingItems
from grounding.data.dataset import NOWHERE
from grounding.data.images import as_image
from grounding.data.tar_samples import TarSample, read_tar
from grounding.errors import InputError
from grounding.types import Example, Expression

SHUFFLED = 1000  # samples, as files, that each reading process holds and draws the next one from


class StreamedItems(IterableDataset["TrainingItem | InputError"]):
    """What one process learns from in an epoch, of tar files that all processes, and the workers of each, share.

    The files are divided anew for each epoch; who has read all of his begins them again until its steps are done. The
    order depends on the seed, the epoch, and how many read. What was done before `first_step` is read and not decoded.

    Args:
        items: draws phrases and makes letterboxes; of an `ImagePhraseShards`.
        images: in all its files.
        images_per_batch: of one step, over all processes.
        seed, process, processes: as of `GlobalBatches`.

    Attributes:
        epoch, first_step: as of `GlobalBatches`.
        batch: images of a step in this process.

    Raises:
        InputError: a batch cannot be shared evenly, or there are fewer images than it has.
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

    def __iter__(self) -> Iterator[TrainingItem | InputError]:
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

    def _item(self, sample: TarSample, stream: int, number: int) -> TrainingItem:
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
