"""Photos to begin with: those of a data set, or generated scenes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from grounding.data.refcocog import RefCOCOg
from grounding.data.refshapes.writer import write_refshapes

COUNT = 8
PHRASES = 2  # of each
SEED = 20_261_125  # of the generated scenes: none of the benchmark's


@dataclass(frozen=True)
class ExampleImage:
    """A photo with phrases that refer to different objects of it.

    Attributes:
        path: its file.
        phrases: at least one.
    """

    path: Path
    phrases: tuple[str, ...]


def from_data(root: Path, *, split_by: str, split: str) -> list[ExampleImage]:
    """The first images of a split.

    Raises:
        InputError: the data set is missing or cannot be read.
    """
    dataset = RefCOCOg(root, split, split_by=split_by, group_by="image")
    by_image: dict[Path, dict[int, str]] = {}
    for expression in dataset.expressions:
        if expression.image_path not in by_image and len(by_image) == COUNT:
            break
        of_image = by_image.setdefault(expression.image_path, {})
        of_image.setdefault(expression.ann_id, expression.phrase)
    return [ExampleImage(path, tuple(phrases.values())[:PHRASES]) for path, phrases in by_image.items()]


def generated(folder: Path) -> list[ExampleImage]:
    """New scenes, written into a folder that does not exist yet."""
    write_refshapes(folder, {"test": 2 * COUNT}, seed=SEED)
    return from_data(folder, split_by="umd", split="test")
