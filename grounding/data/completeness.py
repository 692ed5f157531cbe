"""Whether a data set on disk is the whole of what was published: its sentences and images, counted."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from grounding.data.annotations import find_layout, read_instances, read_references
from grounding.errors import InputError


@dataclass(frozen=True)
class ExpectedCounts:
    """What was published.

    Attributes:
        sentences: number of sentences of each split.
        images: number of different images over all these splits.
    """

    sentences: Mapping[str, int]
    images: int


@dataclass(frozen=True)
class Contents:
    """What is there.

    Attributes:
        sentences: number of sentences of each split.
        images: where the file of each image that the sentences refer into belongs, in the order of the names.
    """

    sentences: Mapping[str, int]
    images: tuple[Path, ...]

    def absent_images(self) -> list[Path]:
        """The image files that are missing or empty."""
        return [path for path in self.images if not (os.path.isfile(path) and os.path.getsize(path))]


def read_contents(root: Path, split_by: str, splits: Iterable[str]) -> Contents:
    """What the annotations in `root` say there is; the images themselves are not looked for.

    Raises:
        InputError: a file is missing or cannot be read, or a split or an image record is missing.
    """
    layout = find_layout(root, split_by)
    references = {split: read_references(layout.refs_file, split) for split in splits}
    _, records = read_instances(layout.instances_file, [each for split in references.values() for each in split])
    return Contents(
        {split: sum(len(each.sentences) for each in its) for split, its in references.items()},
        tuple(sorted(layout.images_dir / record.file_name for record in records.values())),
    )


def verify(root: Path, split_by: str, expected: ExpectedCounts, remedy: str) -> None:
    """Count the data set in `root`.

    Args:
        root: the data set's folder.
        split_by: which refs file counts, "umd" or "unc".
        expected: what must be found.
        remedy: what the user can do, the end of the error's sentence.

    Raises:
        InputError: a count differs, an image is missing or empty, or a file is missing or cannot be read.
    """
    found = read_contents(root, split_by, expected.sentences)
    if dict(found.sentences) != dict(expected.sentences) or len(found.images) != expected.images:
        raise InputError(
            f"{root} holds {_in_words(found.sentences, len(found.images))}, where "
            f"{_in_words(expected.sentences, expected.images)} are expected: {remedy}"
        )
    absent = found.absent_images()
    if absent:
        raise InputError(
            f"{len(absent):,} of the {expected.images:,} images are missing or empty in {absent[0].parent}, "
            f"the first {absent[0].name}: {remedy}"
        )


def _in_words(sentences: Mapping[str, int], images: int) -> str:
    counts = " / ".join(f"{count:,}" for count in sentences.values())
    return f"{counts} sentences in {' / '.join(sentences)} over {images:,} images"
