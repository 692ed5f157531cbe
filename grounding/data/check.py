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
from pathlib import Path
from typing import Any, TypeVar

from jsonargparse import auto_cli
from tqdm import tqdm

from grounding.data import records as reader
from grounding.data.annotations import find_layout, read_instance_records, read_reference_records
from grounding.data.images import EndsEarlyWarning, read_image
from grounding.data.phrases import fault_of
from grounding.errors import InputError, visible
from grounding.runtime.cli import exit_on_input_error

SHOWN, MOST_LETTERS = 5, 200  # places of a kind, and letters of a place, which quotes what the files hold
Problem = tuple[str, str]  # its kind, and which entry or file has it
Entry = TypeVar("Entry")


def check(data: Path, split_by: str = "umd", images: bool = True) -> Iterator[Problem]:
    """Look for everything that is wrong with a data set in RefCOCOg's layout; what the reader refuses comes first.

    Args:
        data: root folder of the data set.
        split_by: who made the split: "umd" or "google" (RefCOCOg), "unc" (RefCOCO, RefCOCO+).
        images: whether every image is decoded, which takes most of the time; else files are only looked for.

    Raises:
        InputError: a whole file is missing or is no list of entries.
    """
    layout = find_layout(data, split_by)
    content = read_instance_records(layout.instances_file)
    references = yield from _read("references", read_reference_records(layout.refs_file), reader.reference_of)
    categories = dict((yield from _read("categories", content["categories"], reader.category_of)))
    image_entries = yield from _read("images", content["images"], lambda record, where: (
        reader.field_of(record, "id", int, where), reader.image_record_of(record, where)))  # fmt: skip
    by_id = dict(image_entries)
    region_entries = yield from _read("annotations", content["annotations"], lambda record, where: reader.region_of(
        record, by_id, categories, f"annotation {reader.field_of(record, 'id', int, where)}"))  # fmt: skip
    regions = {region.ann_id: region for region in region_entries}

    ids = [("ref_id", each.ref_id) for each in references]
    ids += [("sent_id", sentence.sent_id) for each in references for sentence in each.sentences]
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

    used = [image for image_id, image in by_id.items() if image_id in splits]
    for image in tqdm(used, desc="images", unit="image", disable=not images, leave=False):
        path = layout.images_dir / image.file_name
        try:
            if not os.path.isfile(path):  # unlike Path.is_file, it knows no name that it cannot take
                yield "missing image", str(path)
            elif images:
                with warnings.catch_warnings():
                    warnings.simplefilter("error", EndsEarlyWarning)
                    height, width = read_image(path, image.size).shape[:2]
                if image.size not in (None, (width, height)):
                    yield "image of another size", f"{path}: {width}x{height}, instances.json says {image.size}"
        except (InputError, EndsEarlyWarning) as error:
            yield "broken image", str(error)


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
