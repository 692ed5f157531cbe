"""`python -m grounding.data.check --data DIR`: everything that is wrong with a data set, before it spoils a long run.

Reading a data set stops at the first entry that cannot be used; this has the same functions tell of every entry, and
looks also at what can be used but should not be: phrases without words, or that CLIP cannot read, shared images.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from jsonargparse import auto_cli
from tqdm import tqdm

from grounding.data import flickr30k
from grounding.data.annotations import find_layout, read_instances, read_references, telling
from grounding.data.dataset import fault_of
from grounding.data.images import EndsEarlyWarning, read_image
from grounding.data.pairs import ImagePhrasePairs, read_rows, table_at
from grounding.data.refcocog import repeated_ids
from grounding.runtime.cli import exit_on_input_error
from grounding.runtime.errors import visible

SHOWN, MOST_LETTERS = 5, 200  # places of a kind, and letters of a place, which quotes what the files hold
Problems = dict[str, list[str]]  # kind -> which entries or files have it
Use = tuple[Path, str, Callable[[], object], list[tuple[str, str]]]  # of an image: file, split, reader, named phrases


def check(data: Path, split_by: str = "umd", images: bool = True) -> Problems:
    """Look for everything that is wrong with a data set; what its reader refuses comes first.

    Args:
        data: the data set, a folder or a table (docs/data.md).
        split_by: who made the split: "umd" or "google" (RefCOCOg), "unc" (RefCOCO, RefCOCO+).
        images: whether every image is decoded, which takes most of the time; else files are only looked for.
    """
    problems: Problems = defaultdict(list)
    splits: dict[Path, set[str]] = defaultdict(set)
    readers: dict[Path, Callable[[], object]] = {}
    for path, split, reader, phrases in _uses(data, split_by, problems):
        splits[path].add(split)
        readers[path] = reader
        for where, phrase in phrases:
            if not any(map(str.isalnum, phrase)):
                problems["phrase without words"].append(where)
            if fault := fault_of(phrase):
                problems["phrase that CLIP cannot read"].append(f"{where}: {fault}")
    problems["image in several splits"] += [f"{path}: {sorted(its)}" for path, its in splits.items() if len(its) > 1]
    with warnings.catch_warnings():
        warnings.simplefilter("error", EndsEarlyWarning)
        for path, reader in tqdm(readers.items(), desc="images", unit="image", disable=not images, leave=False):
            with telling(problems["image that cannot be used, or not with its boxes"]):
                if not os.path.isfile(path):  # unlike Path.is_file, it knows no name that it cannot take
                    problems["missing image"].append(str(path))
                elif images:
                    reader()
    return {kind: places for kind, places in problems.items() if places}


def _uses(data: Path, split_by: str, problems: Problems) -> Iterator[Use]:
    """Every use of an image that its data set's reader does not refuse; `problems` gets what it does."""
    around = partial(telling, problems["entry that cannot be used"])
    if flickr30k.is_flickr30k(data):
        flickr30k.read_unrelated(data)
        for split, published in flickr30k.PUBLISHED_IMAGES.items():
            with around():
                ids = flickr30k.read_list(data, split)
                if len(ids) != published:
                    problems["list of another length"].append(f"{split}.txt: {len(ids):,}, {published:,} published")
                for image_id in ids:
                    path, size = data / flickr30k.IMAGES / f"{image_id}.jpg", None
                    captions, annotation = flickr30k.annotation_files(data, image_id)
                    with around():
                        flickr30k.read_captions(captions)
                        size = flickr30k.read_chains(annotation).size
                    yield path, split, partial(read_image, path, size), []
    elif table := table_at(data):
        rows = read_rows(table, around=around)
        if not any(problems.values()):
            dataset = ImagePhrasePairs(table)
            for (where, row), expression in zip(rows, dataset.expressions, strict=True):
                reader = partial(dataset.__getitem__, expression.image_id)
                yield expression.image_path, row.split, reader, [(where, row.phrase)]
    else:
        layout = find_layout(data, split_by)
        references = read_references(layout.refs_file, None, around=around)
        with warnings.catch_warnings(record=True) as doubts:
            warnings.simplefilter("always")
            _, images = read_instances(layout.instances_file, references, around=around)
        problems["boxes in another form"] += [str(each.message) for each in doubts]
        problems["id given twice"] += repeated_ids(references)
        for each in references:
            if len(each.ann_ids) != 1:
                problems["reference that is not about one object"].append(f"ref_id {each.ref_id}")
            if image := images.get(each.image_id):
                path = layout.images_dir / image.file_name
                phrases = [(f"ref_id {each.ref_id}, sent_id {said.sent_id}", said.phrase) for said in each.sentences]
                yield path, each.split, partial(read_image, path, image.size), phrases


def summary_text(problems: Problems) -> str:
    """A line per kind of problem with its number, and the first few of each."""
    lines = []
    for kind, places in problems.items():
        lines += [f"{len(places)} x {kind}", *(f"    {visible(place)[:MOST_LETTERS]}" for place in places[:SHOWN])]
        lines += [f"    and {len(places) - SHOWN} more"] if len(places) > SHOWN else []
    return "\n".join(lines)


if __name__ == "__main__":
    with exit_on_input_error():
        found = auto_cli(check, args=sys.argv[1:], as_positional=False, prog="python -m grounding.data.check")
        print(summary_text(found) or "nothing is wrong")
        sys.exit(1 if found else 0)
