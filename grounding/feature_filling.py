"""The work of filling a feature cache, shared by all processes that want it at once."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

import numpy as np
import torch
from filelock import FileLock, Timeout
from torch.utils.data import Dataset
from tqdm import tqdm

from grounding.blocks import Blocks
from grounding.data.features import StoredFeatures, as_records
from grounding.data.reading import ReadingLoader
from grounding.data.supervision import Supervised
from grounding.encoder import Encoder
from grounding.geometry import Letterbox
from grounding.processes import is_main

LOCKS_FOLDER = "locks"


def fill(stored: StoredFeatures, dataset: Supervised, encoder: Encoder, *, workers: int = 0) -> None:
    """Compute the records that are missing, and come back when all are there.

    Any number of processes may do so at once, those of one training or of several: each takes blocks that no other one
    has, and at the end waits for those of the others. A process that is killed loses its locks, and another one, or the
    next start, does its blocks.

    Args:
        stored: where the records go.
        dataset: grouped by image.
        encoder: of the features.
        workers: processes that read images; 0 reads in this one.

    Raises:
        InputError: an image cannot be read, its features exceed half precision, or they cannot be written.
    """
    blocks, squares = stored.blocks, _Squares(dataset, encoder.model_size)
    hidden = blocks.are_complete or not is_main()
    with tqdm(total=len(dataset), desc="encoding images", unit="image", disable=hidden) as bar:
        while not blocks.are_complete:
            bar.update(len(dataset) - stored.missing - bar.n)  # by others, and by earlier starts
            free = _FreeBlocks(blocks)
            # A generator of its own: the run's random numbers must not depend on whether there was work to do.
            loader = ReadingLoader(squares, batch_sampler=free, num_workers=workers, generator=torch.Generator())
            try:
                for pixels, sizes in loader:
                    block, lock = free.taken[0]
                    stored.write(block, as_records(stored.record, sizes, encoder.encode_squares(pixels)))
                    free.taken.popleft()
                    lock.release()
                    bar.update(len(sizes))
            finally:
                free.release()
            for block in blocks.unfinished():
                with _lock_of(blocks, block):
                    break  # its holder has finished, or is dead


class _FreeBlocks:
    """Batches for a loader: blocks that are not finished and that no process works on, locked while they are out.

    Attributes:
        taken: blocks that are out, in the order of the batches, with their locks.
    """

    def __init__(self, blocks: Blocks) -> None:
        self._blocks = blocks
        self.taken: deque[tuple[int, FileLock]] = deque()

    def __iter__(self) -> Iterator[list[int]]:
        for block in self._blocks.unfinished():
            lock = _lock_of(self._blocks, block)
            try:
                lock.acquire(blocking=False)
            except Timeout:
                continue
            if self._blocks.path(block).is_file():  # finished between our look and our lock
                lock.release()
                continue
            self.taken.append((block, lock))
            yield list(self._blocks.items_of(block))

    def release(self) -> None:
        """Give back what is out."""
        while self.taken:
            self.taken.popleft()[1].release()


class _Squares(Dataset[tuple[np.ndarray, np.ndarray]]):
    """The images of a data set, each letterboxed, with its (width, height) in its own pixels."""

    def __init__(self, dataset: Supervised, model_size: int) -> None:
        self._dataset, self._model_size = dataset, model_size

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        image = self._dataset[index].image
        size = (image.shape[1], image.shape[0])
        return Letterbox.fit(size, self._model_size).apply(image), np.array(size, np.int32)


def _lock_of(blocks: Blocks, block: int) -> FileLock:
    # Lock files stay, empty: nobody can know that no other process is about to open one.
    return FileLock(blocks.folder / LOCKS_FOLDER / blocks.path(block).name)
