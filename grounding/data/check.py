"""`python -m grounding.data.check --data DIR`: everything that is wrong with a data set, before it spoils a long run.

Reading a data set stops at the first entry that cannot be used; this has the same functions read every entry, and looks
also at what can be used but should not be: phrases without words, or that CLIP cannot read, ids that stand for two
things, shared images.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Generator, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from jsonargparse import auto_cli
from tqdm import tqdm

from grounding.data import flickr30k_files as flickr30k
from grounding.data import records as reader
from grounding.data.annotations import find_layout, read_instance_records, read_reference_records
from grounding.data.flickr30k import PUBLISHED_IMAGES
from grounding.data.images import EndsEarlyWarning, read_annotated_image
from grounding.data.open_dataset import table_at
from grounding.data.pairs import ImagePhrasePairs, read_records, row_of
from grounding.data.phrases import fault_of
from grounding.errors import InputError, visible
from grounding.runtime.cli import exit_on_input_error
from grounding.types import Region

SHOWN, MOST_LETTERS = 5, 200  # places of a kind, and letters of a place, which quotes what the files hold
Problem = tuple[str, str]  # its kind, and which entry or file has it
Entry = TypeVar("Entry")
Images = list[tuple[Path, Callable[[], object]]]  # files of images, each with what reads it as its data set does


def check(data: Path, split_by: str = "umd", images: bool = True) -> Iterator[Problem]:
    """Look for everything that is wrong with a data set; what its reader refuses comes first.

    Args:
        data: the data set, a folder or a table (docs/data.md).
        split_by: who made the split: "umd" or "google" (RefCOCOg), "unc" (RefCOCO, RefCOCO+).
        images: whether every image is decoded, which takes most of the time; else files are only looked for.

    Raises:
        InputError: a whole file is missing or is no list of entries.
    """
    if flickr30k.is_flickr30k(data):
        used = yield from _check_flickr30k(data)
    elif table := table_at(data):
        used = yield from _check_table(table)
    else:
        used = yield from _check_references(data, split_by)
    for path, read in tqdm(used, desc="images", unit="image", disable=not images, leave=False):
        try:
            if not os.path.isfile(path):  # unlike Path.is_file, it knows no name that it cannot take
                yield "missing image", str(path)
            elif images:
                with warnings.catch_warnings():
                    warnings.simplefilter("error", EndsEarlyWarning)
                    read()
        except (InputError, EndsEarlyWarning) as error:
            yield "image that cannot be used, or not with its boxes", str(error)


def _check_references(data: Path, split_by: str) -> Generator[Problem, None, Images]:
    """What is wrong with annotations in RefCOCOg's layout; returns the images of its references."""
    layout = find_layout(data, split_by)
    content = read_instance_records(layout.instances_file)
    references = yield from _read("references", read_reference_records(layout.refs_file), reader.reference_of)
    category_entries = yield from _read("categories", content["categories"], reader.category_of)
    categories = dict(category_entries)
    image_entries = yield from _read("images", content["images"], lambda record, where: (
        reader.field_of(record, "id", int, where), reader.image_record_of(record, where)))  # fmt: skip
    by_id = dict(image_entries)
    boxes_xywh: list[list[float]] = []

    def region_of(record: Any, where: str) -> Region:
        ann_id = reader.field_of(record, "id", int, where)
        region = reader.region_of(record, by_id, categories, f"annotation {ann_id}")
        boxes_xywh.append(record["bbox"])
        return region

    region_entries = yield from _read("annotations", content["annotations"], region_of)
    regions = {region.ann_id: region for region in region_entries}
    sizes = [by_id[each.image_id].size if each.image_id in by_id else None for each in region_entries]
    doubt = reader.boxes_in_doubt(boxes_xywh, sizes)
    if doubt:
        yield "boxes in another form", f"{layout.instances_file}: {doubt}"

    ids = [("ref_id", each.ref_id) for each in references]
    ids += [("sent_id", sentence.sent_id) for each in references for sentence in each.sentences]
    ids += [("category id", category_id) for category_id, _ in category_entries]
    ids += [("image id", image_id) for image_id, _ in image_entries]
    ids += [("annotation id", region.ann_id) for region in region_entries]
    for (name, value), times in Counter(ids).items():
        if times > 1:
            yield f"{name} given twice", f"{value}, {times} times"
    splits = defaultdict(set)
    for reference in references:
        where = f"ref_id {reference.ref_id}"
        splits[reference.image_id].add(reference.split)
        if reference.image_id not in by_id:
            yield "reference to an image without a sound entry", where
        if len(reference.ann_ids) != 1:
            yield "reference that is not about one object", where
        if any(each not in regions or regions[each].image_id != reference.image_id for each in reference.ann_ids):
            yield "reference to an annotation of its image without a sound entry", where
        if not reference.sentences:
            yield "reference without sentences", where
        for sentence in reference.sentences:
            if not any(map(str.isalnum, sentence.phrase)):
                yield "sentence without words", f"{where}, sent_id {sentence.sent_id}"
            if fault := fault_of(sentence.phrase):
                yield "sentence that CLIP cannot read", f"{where}, sent_id {sentence.sent_id}: {fault}"
    shared = {image_id: sorted(names) for image_id, names in splits.items() if len(names) > 1}
    yield from (("image in more than one split", f"image_id {image_id}: {names}") for image_id, names in shared.items())

    used = [
        (layout.images_dir / image.file_name, image.size) for image_id, image in by_id.items() if image_id in splits
    ]
    return [(path, partial(read_annotated_image, path, size)) for path, size in used]


def _check_flickr30k(root: Path) -> Generator[Problem, None, Images]:
    """What is wrong with the files of Flickr30k Entities; returns the images of all lists."""
    used: Images = []
    known: set[int] = set()
    flickr30k.read_unrelated(root)
    for split, published in PUBLISHED_IMAGES.items():
        try:
            ids = flickr30k.read_list(root, split)
        except InputError as error:
            yield "list of images that cannot be read", str(error)
            continue
        if len(ids) != published:
            yield "list of another length than the published one", f"{split}.txt: {len(ids):,}, {published:,} published"
        for image_id in ids:
            captions, annotation = flickr30k.annotation_files(root, image_id)
            path = root / flickr30k.IMAGES / f"{image_id}.jpg"
            if image_id in known:
                yield "image in more than one split", f"{image_id}, again in {split}.txt"
                continue
            known.add(image_id)
            size = None
            try:
                flickr30k.read_captions(captions)
                chains = flickr30k.read_chains(annotation)
                size = chains.size
                if chains.outside:
                    yield "box outside of its image", f"{annotation}, {chains.outside} times"
            except InputError as error:
                yield "captions or annotation that cannot be read", str(error)
            used.append((path, partial(read_annotated_image, path, size)))
    return used


def _check_table(path: Path) -> Generator[Problem, None, Images]:
    """What is wrong with a table of one's own; returns the images of all rows, where every row can be read."""
    records = read_records(path)
    rows = yield from _read("rows", [record for _, record in records], row_of)
    if len(rows) < len(records):
        return []
    splits: dict[str, set[str]] = defaultdict(set)
    for (where, _), row in zip(records, rows, strict=True):
        splits[row.image].add(row.split)
        if fault := fault_of(row.phrase):
            yield "sentence that CLIP cannot read", f"{where}: {fault}"
    for image, names in splits.items():
        if len(names) > 1:
            yield "image in more than one split", f"{image}: {sorted(names)}"
    dataset = ImagePhrasePairs(path)
    return [(dataset.expressions_of(i)[0].image_path, partial(dataset.__getitem__, i)) for i in range(len(dataset))]


def _read(name: str, records: list[Any], read: Callable[[Any, str], Entry]) -> Generator[Problem, None, list[Entry]]:
    """What the reader raises of the entries of one list; returns those that it can use."""
    entries = []
    for position, record in enumerate(records):
        try:
            entries.append(read(record, f"entry {position} of {name}"))
        except InputError as error:
            yield f"entry of {name} that cannot be read", str(error)
    return entries


def summary_text(problems: Iterable[Problem]) -> str:
    """A line per kind of problem with its number, and the first few of each."""
    by_kind: dict[str, list[str]] = defaultdict(list)
    for kind, where in problems:
        by_kind[kind].append(f"    {visible(where)[:MOST_LETTERS]}")
    lines = []
    for kind, places in by_kind.items():
        lines += [f"{len(places)} x {kind}", *places[:SHOWN]]
        lines += [f"    and {len(places) - SHOWN} more"] if len(places) > SHOWN else []
    return "\n".join(lines)


if __name__ == "__main__":
    with exit_on_input_error():
        found = summary_text(
            auto_cli(check, args=sys.argv[1:], as_positional=False, prog="python -m grounding.data.check")
        )
        print(found or "nothing is wrong")
        sys.exit(1 if found else 0)
