"""Toy data and their feature cache, filled and held against what the tower says."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from grounding.data.features import StoredFeatures
from grounding.data.refcocog import RefCOCOg
from grounding.encoder import Encoder
from grounding.feature_cache import record_of
from grounding.feature_filling import fill
from tests.tiny_clip import loaded_tiny_clip

SIZE = 64
IMAGES = 20  # three blocks, the last one not full
BLOCKS = ["00000000", "00000001", "00000002"]


def dataset_of(data: Path) -> RefCOCOg:
    return RefCOCOg(data, "train", group_by="image")


def encoder_of(*, seed: int = 0, model_size: int = SIZE, output_stride: int = 32) -> Encoder:
    return Encoder(loaded_tiny_clip(seed), model_size=model_size, output_stride=output_stride)


def filled(folder: Path, dataset: RefCOCOg, encoder: Encoder, **settings: int) -> StoredFeatures:
    stored = StoredFeatures(folder, images=len(dataset), record=record_of(encoder))
    fill(stored, dataset, encoder, **settings)
    return stored


def files_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.is_file())


def assert_holds(stored: StoredFeatures, dataset: RefCOCOg, encoder: Encoder, *, by_another: bool = False) -> None:
    """Every record is the float16 of what the encoder says of the image, computed in the same batches.

    Another process may have another number of threads: its sums differ in float32's last digits, and where these decide
    how a number is rounded, in float16's last one.
    """
    for start in range(0, len(dataset), 8):
        indices = range(start, min(start + 8, len(dataset)))
        images = [dataset[index].image for index in indices]
        features = encoder.encode(images).features
        for place, index in enumerate(indices):
            record = stored[index]
            assert tuple(record["size"]) == images[place].shape[1::-1]
            for name in set(record.dtype.names or ()) - {"size"}:
                values = features.embeddings if name == "embeddings" else features.pyramid[name]
                expected = values[place].permute(1, 2, 0).half().numpy()
                np.testing.assert_array_max_ulp(np.asarray(record[name]), expected, maxulp=int(by_another))
