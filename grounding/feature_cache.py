"""Training without the image tower: CLIP's features of all training images, computed once and kept on disk.

A cache is a folder of its own for everything that features depend on, so that a stale one is never looked at: its name
is the hash of `key.json` inside it.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
from filelock import FileLock
from tqdm import tqdm

from grounding.data.features import StoredFeatures, record_type
from grounding.data.supervision import Supervised
from grounding.decoder import STAGES_READ
from grounding.encoder import Encoder
from grounding.errors import InputError
from grounding.feature_filling import LOCKS_FOLDER, fill
from grounding.lock import NO_LOCKS
from grounding.plain import plain
from grounding.train_config import TrainConfig
from grounding.whole_file import write_whole

VERSION = 1  # raised when the same image file and CLIP come to give other records
KEY_FILE = "key.json"
STAGE_STRIDES = {"layer1": 4, "layer2": 8, "layer3": 16}  # layer4 has the output stride


def cached_features(
    config: TrainConfig, dataset: Supervised, encoder: Encoder, *, tell: Callable[[str], None] = print
) -> StoredFeatures | None:
    """The features of all images of a run's data set, computed now where they are not stored; None without a cache.

    Args:
        config: of the run.
        dataset: grouped by image.
        encoder: of the run.
        tell: is told the size before anything is computed.

    Raises:
        InputError: the run needs features of other pictures too, there is no room on the disk, an image cannot be read,
            or the folder's file system knows no locks.
    """
    if config.feature_cache is None:
        return None
    _refuse_other_pictures(config)
    key = json.dumps(cache_key(dataset, encoder), indent=2) + "\n"
    folder = config.feature_cache / hashlib.sha256(key.encode()).hexdigest()[:16]
    stored = StoredFeatures(folder, images=len(dataset), record=record_of(encoder))
    missing = stored.missing * stored.record.itemsize
    tell(f"feature cache: {_size(len(dataset) * stored.record.itemsize)} in {folder}, of which {_size(missing)} are "
         "to be computed")  # fmt: skip
    free = shutil.disk_usage(folder).free
    if missing > free:
        raise InputError(
            f"feature_cache needs {_size(missing)} more in {folder}, where {_size(free)} are free: make room, give a "
            "folder on another disk, or leave feature_cache out"
        )
    try:
        _write_key(folder, key)
        fill(stored, dataset, encoder, workers=config.workers)
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
        raise InputError(
            f"feature_cache is {config.feature_cache}, where files cannot be locked: give a folder on another disk"
        ) from error
    return stored


def _write_key(folder: Path, key: str) -> None:
    path = folder / KEY_FILE
    if path.is_file() and path.read_text(encoding="utf-8") == key:  # a finished cache may lie where nobody can write
        return
    (folder / LOCKS_FOLDER).mkdir(exist_ok=True)
    with FileLock(folder / LOCKS_FOLDER / KEY_FILE):  # processes of one launch come here at the same moment
        write_whole(path, key)


def needs_pixels(config: TrainConfig) -> bool:
    """Whether a loss of the run looks at images themselves, and not at their features alone."""
    return config.supervision != "boxes" and config.losses.weak.colour_weight > 0


def record_of(encoder: Encoder) -> np.dtype:
    """The type of an image's record: what a decoder reads of the encoder's features."""
    dense, size = encoder.dense, encoder.model_size
    stages = {
        stage: (dense.pyramid_channels[stage], size // STAGE_STRIDES.get(stage, dense.output_stride))
        for stage in STAGES_READ[dense.output_stride]
    }
    return record_type(stages, (dense.embed_dim, size // dense.output_stride))


def cache_key(dataset: Supervised, encoder: Encoder) -> dict[str, object]:
    """All that the records depend on: the network, its input, and which images in which order.

    An image file counts as the same while its name, length and time of change are the same, as `make` and `rsync` have
    it: to read all photographs of a large data set at every start would take minutes. The size that annotations give
    belongs to it, for `read_image` turns a photograph by it.
    """
    images = hashlib.sha256()
    for index in range(len(dataset)):
        path = dataset.expressions_of(index)[0].image_path
        status = path.stat()
        images.update(json.dumps([path.name, status.st_size, status.st_mtime_ns, dataset.stated_size(index)]).encode())
    return {
        "version": VERSION,
        "clip_sha256": encoder.clip.sha256,
        "computed_in": str(encoder.dense.visual.conv1.weight.dtype),
        "model_size": encoder.model_size,
        "output_stride": encoder.dense.output_stride,
        "images": len(dataset),
        "images_sha256": images.hexdigest(),
    }


def _refuse_other_pictures(config: TrainConfig) -> None:
    """Does nothing where the features of unchanged images at the model's own size are all that training asks for."""
    changing = [f"augmentation.{name}" for name, on in plain(config.augmentation).items() if on]
    if changing:
        raise InputError(
            f"{' and '.join(changing)} would change images whose features feature_cache keeps: give --augmentation."
            "NAME false for each, or leave feature_cache out"
        )
    weak = config.losses.weak
    sizes, mirror = weak.map_weight and weak.teacher_sizes, weak.mirror_weight
    if config.supervision != "boxes" and (sizes or mirror):
        name, off = ("teacher_sizes", "[]") if sizes else ("mirror_weight", "0")
        raise InputError(
            f"losses.weak.{name} asks CLIP of pictures that feature_cache does not keep: give --losses.weak.{name} "
            f"{off}, or leave feature_cache out"
        )


def _size(count: int) -> str:
    """Bytes for people: "1.50GB"."""
    return str(tqdm.format_sizeof(count, "B"))
