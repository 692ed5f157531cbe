"""`python -m grounding.data.check --data DIR`: everything that is wrong with a data set, before it spoils a long run.

Reading a data set stops at the first entry that cannot be used; this has the same functions read every entry, and looks
also at what can be used but should not be: phrases without words, ids that stand for two things, images that a split
shares with another.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from jsonargparse import auto_cli
from tqdm import tqdm

from grounding.data import records as reader
from grounding.data.annotations import find_layout, read_instance_records, read_reference_records
from grounding.data.images import EndsEarlyWarning, read_image
from grounding.errors import InputError, visible
from grounding.runtime.cli import exit_on_input_error
from grounding.types import Region

SHOWN = 5  # of each kind
MOST_LETTERS = 200  # of a place: it quotes what the files hold

Entry = TypeVar("Entry")


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong: `kind` in words that are the same for all of its kind, and `where`, entry or file."""

    kind: str
    where: str


@dataclass(frozen=True)
class CheckConfig:
    """Look for everything that is wrong with a data set in RefCOCOg's layout.

    Attributes:
        data: root folder of the data set.
        split_by: who made the split: "umd" or "google" (RefCOCOg), "unc" (RefCOCO, RefCOCO+).
        images: whether every image is decoded, which takes most of the time; else files are only looked for.
    """

    data: Path
    split_by: str = "umd"
    images: bool = True


def check(config: CheckConfig) -> list[Problem]:
    """All problems: first what the reader refuses, by file, and then what is wrong with the rest.

    Raises:
        InputError: a whole file is missing or is no list of entries.
    """
    layout = find_layout(config.data, config.split_by)
    content = read_instance_records(layout.instances_file)
    problems: list[Problem] = []

    def readable(name: str, records: list[Any], read: Callable[[Any, str], Entry]) -> list[Entry]:
        entries = []
        for position, record in enumerate(records):
            try:
                entries.append(read(record, f"entry {position} of {name}"))
            except InputError as error:
                problems.append(Problem(f"entry of {name} that cannot be read", str(error)))
        return entries

    def image_of(record: Any, where: str) -> tuple[int, reader.ImageRecord]:
        return reader.field_of(record, "id", int, where), reader.image_record_of(record, where)

    def region_of(record: Any, where: str) -> Region:
        where = f"annotation {reader.field_of(record, 'id', int, where)}"
        region = reader.region_of(record, images, categories, where)
        x, y, width, height = record["bbox"]
        moved = np.subtract(region.box_xyxy, (x, y, x + width, y + height))
        if np.abs(moved).max() > 1:  # COCO's own boxes reach over the border by rounding, which costs nothing
            problems.append(Problem("box outside of its image", f"{where}: {record['bbox']}"))
        return region

    references = readable("references", read_reference_records(layout.refs_file), reader.reference_of)
    categories = dict(readable("categories", content["categories"], reader.category_of))
    image_entries = readable("images", content["images"], image_of)
    images = dict(image_entries)
    region_entries = readable("annotations", content["annotations"], region_of)
    regions = {region.ann_id: region for region in region_entries}
    problems += _twice("ref_id", (each.ref_id for each in references))
    problems += _twice("sent_id", (sentence.sent_id for each in references for sentence in each.sentences))
    problems += _twice("image id", (image_id for image_id, _ in image_entries))
    problems += _twice("annotation id", (region.ann_id for region in region_entries))
    splits = defaultdict(set)
    for reference in references:
        problems += _reference_problems(reference, images, regions)
        splits[reference.image_id].add(reference.split)
    for image_id, names in splits.items():
        if len(names) > 1:
            problems.append(Problem("image in more than one split", f"image_id {image_id}: {sorted(names)}"))
    used = [image for image_id, image in images.items() if image_id in splits]
    for image in tqdm(used, desc="images", unit="image", disable=not config.images, leave=False):
        problems += _image_problems(layout.images_dir / image.file_name, image.size, decode=config.images)
    return problems


def told(problems: Iterable[Problem]) -> str:
    """A line per kind of problem with its number, and the first few of each."""
    by_kind: dict[str, list[str]] = defaultdict(list)
    for problem in problems:
        by_kind[problem.kind].append(problem.where)
    lines = []
    for kind, places in by_kind.items():
        lines.append(f"{len(places)} x {kind}")
        lines += [f"    {visible(place)[:MOST_LETTERS]}" for place in places[:SHOWN]]
        if len(places) > SHOWN:
            lines.append(f"    and {len(places) - SHOWN} more")
    return "\n".join(lines)


def _twice(name: str, ids: Iterable[int]) -> Iterator[Problem]:
    return (Problem(f"{name} given twice", f"{key}, {times} times") for key, times in Counter(ids).items() if times > 1)


def _reference_problems(
    reference: reader.Reference, images: dict[int, reader.ImageRecord], regions: dict[int, Region]
) -> Iterator[Problem]:
    where = f"ref_id {reference.ref_id}"
    if reference.image_id not in images:
        yield Problem("reference to an image without a sound entry", where)
    if reference.ann_id not in regions:
        yield Problem("reference to an annotation without a sound entry", where)
    elif regions[reference.ann_id].image_id != reference.image_id:
        yield Problem("reference whose annotation is in another image", where)
    if not reference.sentences:
        yield Problem("reference without sentences", where)
    for sentence in reference.sentences:
        if not any(map(str.isalnum, sentence.phrase)):
            yield Problem("sentence without words", f"{where}, sent_id {sentence.sent_id}")


def _image_problems(path: Path, size: tuple[int, int] | None, *, decode: bool) -> Iterator[Problem]:
    if not os.path.isfile(path):  # unlike Path.is_file, it knows no name that it cannot take
        yield Problem("missing image", str(path))
    elif decode:
        try:
            with warnings.catch_warnings(record=True) as said:
                warnings.simplefilter("always")
                height, width = read_image(path, size).shape[:2]
        except InputError as error:
            yield Problem("broken image", str(error))
            return
        if any(issubclass(each.category, EndsEarlyWarning) for each in said):  # PIL warns of much that costs no pixel
            yield Problem("image that ends early", str(path))
        if size not in (None, (width, height)):
            yield Problem("image of another size", f"{path}: {width}x{height}, instances.json says {size}")


if __name__ == "__main__":
    with exit_on_input_error():
        found = check(
            auto_cli(CheckConfig, args=sys.argv[1:], as_positional=False, prog="python -m grounding.data.check")
        )
        print(told(found) or "nothing is wrong")
        sys.exit(1 if found else 0)
