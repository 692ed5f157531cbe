"""Features of images on disk: what a frozen network says of an image has to be computed only once.

One fixed-size record per image, some images to a file: .npy files of structured type, mapped into memory to be read.
A file that has its name is whole, so that neither a killed writer nor a second one spoils what others read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from grounding.blocks import Blocks
from grounding.dense_clip import DenseFeatures
from grounding.errors import InputError
from grounding.whole_file import made_whole

IMAGES_PER_BLOCK = 8
SIZE, EMBEDDINGS = "size", "embeddings"  # a record's fields besides the stages


def record_type(stages: Mapping[str, tuple[int, int]], embeddings: tuple[int, int]) -> np.dtype:
    """What is kept of an image: its size in pixels as (width, height), and float16 features, channels last.

    Channels last, as convolutions leave them: so they are read as they would be computed, without a copy.

    Args:
        stages: name of each stage that is kept -> its channels and the cells along a side.
        embeddings: the same of the dense embeddings.
    """
    maps = {**stages, EMBEDDINGS: embeddings}
    features = [(name, np.float16, (cells, cells, channels)) for name, (channels, cells) in maps.items()]
    return np.dtype([(SIZE, np.int32, (2,)), *features])


def as_records(record: np.dtype, sizes: Tensor, features: DenseFeatures) -> np.ndarray:
    """The records of a batch.

    Args:
        record: their type.
        sizes: (B, 2) int32, width and height of each image in its own pixels.
        features: of the B images.

    Returns:
        (B,) records.

    Raises:
        InputError: a feature is no finite number in float16.
    """
    records = np.empty(len(sizes), record)
    records[SIZE] = sizes.numpy()
    for name in _maps_of(record):
        values = features.embeddings if name == EMBEDDINGS else features.pyramid[name]
        halves = values.permute(0, 2, 3, 1).half()
        if not halves.isfinite().all():
            raise InputError(f"the features {name!r} exceed half precision: leave feature_cache out")
        records[name] = halves.cpu().numpy()
    return records


def as_features(records: Sequence[np.ndarray]) -> DenseFeatures:
    """The features of B records as a batch, float16 and on the CPU; of the stages, those that were kept."""
    maps = {
        name: torch.from_numpy(np.stack([record[name] for record in records])).permute(0, 3, 1, 2)
        for name in _maps_of(records[0].dtype)
    }
    return DenseFeatures(embeddings=maps.pop(EMBEDDINGS), pyramid=maps)


class StoredFeatures:
    """The records of a data set's images, those that have been written.

    Args:
        folder: of the files; made where it is not there.
        images: how many there are.
        record: the type of an image's record.

    Raises:
        InputError: the folder cannot be made.
    """

    def __init__(self, folder: Path, *, images: int, record: np.dtype) -> None:
        self.record = record
        try:
            self.blocks = Blocks(folder, items=images, size=IMAGES_PER_BLOCK)
        except OSError as error:
            raise InputError(f"{folder} cannot be made ({error.strerror}): give another feature_cache") from error

    @property
    def missing(self) -> int:
        """How many images have no record yet."""
        return sum(len(self.blocks.items_of(block)) for block in self.blocks.unfinished())

    def __getitem__(self, index: int) -> np.ndarray:
        """() record of an image, still on disk: what is looked at of it is read then.

        Raises:
            InputError: the file is damaged.
        """
        block, place = divmod(index, self.blocks.size)
        path = self.blocks.path(block)
        try:
            records = np.load(path, mmap_mode="r")
        except (OSError, ValueError, EOFError) as error:
            raise InputError(f"{path} is damaged: remove it, and the next start makes it again") from error
        return records[place, ...]

    def write(self, block: int, records: np.ndarray) -> None:
        """The records of a block's images, all or none.

        One process at a time may write a block. What a killed one left is written over.

        Raises:
            InputError: they cannot be written.
        """
        path = self.blocks.path(block)
        try:
            with made_whole(path) as unfinished, unfinished.open("wb") as file:
                np.save(file, records)  # not through a map: on a full disk that ends the process without a word
        except OSError as error:
            raise InputError(f"{path} cannot be written ({error}): make room, or give another feature_cache") from error


def _maps_of(record: np.dtype) -> list[str]:
    return [name for name in record.names or () if name != SIZE]
