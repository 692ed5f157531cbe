"""`python -m grounding.data.check --data DIR`: everything that is wrong with a data set, before it spoils a long run.

Reading a data set stops at the first entry that cannot be used; this has the same functions tell of every entry, and
looks also at what can be used but should not be: phrases without words, or that CLIP cannot read, shared images.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

from jsonargparse import auto_cli
from tqdm import tqdm

from grounding.data import flickr30k
from grounding.data.annotations import find_layout, read_instances, read_references
from grounding.data.dataset import fault_of
from grounding.data.images import EndsEarlyWarning, read_image
from grounding.data.pairs import ImagePhrasePairs, read_rows, table_at
from grounding.data.refcocog import repeated_ids
from grounding.runtime.cli import exit_on_input_error
from grounding.runtime.errors import InputError, visible

SHOWN, MOST_LETTERS = 5, 200  # places of a kind, and letters of a place, which quotes what the files hold
Problem = tuple[str, str]  # its kind, and which entry or file has it
Images = list[tuple[Path, Callable[[], object]]]  # files of images, each with what reads it as its data set does


def check(data: Path, split_by: str = "umd", images: bool = True) -> Iterator[Problem]:
    """Look for everything that is wrong with a data set; what its reader refuses comes first.

    Args:
        data: the data set, a folder or a table (docs/data.md).
        split_by: who made the split: "umd" or "google" (RefCOCOg), "unc" (RefCOCO, RefCOCO+).
        images: whether every image is decoded, which takes most of the time; else files are only looked for.
    """
    problems: list[Problem] = []
    if flickr30k.is_flickr30k(data):
        used = _check_flickr30k(data, problems)
    elif table := table_at(data):
        used = _check_table(table, problems)
    else:
        used = _check_references(data, split_by, problems)
    yield from problems
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


def _check_references(data: Path, split_by: str, problems: list[Problem]) -> Images:
    """Adds what is wrong with annotations in RefCOCOg's layout; returns the images of its references."""
    layout = find_layout(data, split_by)
    references = read_references(layout.refs_file, None, tell=partial(_add_refused, problems))
    with warnings.catch_warnings(record=True) as doubts:
        warnings.simplefilter("always")
        _, images = read_instances(layout.instances_file, references, tell=partial(_add_refused, problems))
    problems += [("boxes in another form", str(each.message)) for each in doubts]
    problems += [("id given twice", each) for each in repeated_ids(references)]
    _add_shared(problems, ((f"image_id {each.image_id}", each.split) for each in references))
    for reference in references:
        if len(reference.ann_ids) != 1:
            problems.append(("reference that is not about one object", f"ref_id {reference.ref_id}"))
        for sentence in reference.sentences:
            _add_unreadable(problems, f"ref_id {reference.ref_id}, sent_id {sentence.sent_id}", sentence.phrase)
    used = [(layout.images_dir / image.file_name, image.size) for image in images.values()]
    return [(path, partial(read_image, path, size)) for path, size in used]


def _check_flickr30k(root: Path, problems: list[Problem]) -> Images:
    """Adds what is wrong with the files of Flickr30k Entities; returns the images of all lists."""
    used: Images = []
    splits: list[tuple[str, str]] = []
    flickr30k.read_unrelated(root)
    for split, published in flickr30k.PUBLISHED_IMAGES.items():
        try:
            ids = flickr30k.read_list(root, split)
        except InputError as error:
            _add_refused(problems, error)
            continue
        if len(ids) != published:
            said = f"{split}.txt: {len(ids):,}, {published:,} published"
            problems.append(("list of another length than the published one", said))
        for image_id in ids:
            splits.append((str(image_id), split))
            captions, annotation = flickr30k.annotation_files(root, image_id)
            path, size = root / flickr30k.IMAGES / f"{image_id}.jpg", None
            try:
                flickr30k.read_captions(captions)
                size = flickr30k.read_chains(annotation).size
            except InputError as error:
                _add_refused(problems, error)
            used.append((path, partial(read_image, path, size)))
    _add_shared(problems, splits)
    return used


def _check_table(path: Path, problems: list[Problem]) -> Images:
    """Adds what is wrong with a table of one's own; returns the images of all rows, where every row can be read."""
    rows = read_rows(path, tell=partial(_add_refused, problems))
    if problems:
        return []
    for where, row in rows:
        _add_unreadable(problems, where, row.phrase)
    _add_shared(problems, ((row.image, row.split) for _, row in rows))
    dataset = ImagePhrasePairs(path)
    return [(dataset.expressions_of(i)[0].image_path, partial(dataset.__getitem__, i)) for i in range(len(dataset))]


def _add_refused(problems: list[Problem], error: InputError) -> None:
    problems.append(("entry that cannot be used", str(error)))


def _add_unreadable(problems: list[Problem], where: str, phrase: str) -> None:
    if not any(map(str.isalnum, phrase)):
        problems.append(("phrase without words", where))
    if fault := fault_of(phrase):
        problems.append(("phrase that CLIP cannot read", f"{where}: {fault}"))


def _add_shared(problems: list[Problem], images: Iterable[tuple[str, str]]) -> None:
    """Adds the images that are in several splits, of each use of an image with its split."""
    splits: dict[str, set[str]] = defaultdict(set)
    for image, split in images:
        splits[image].add(split)
    shared = {image: sorted(names) for image, names in splits.items() if len(names) > 1}
    problems += [("image in more than one split", f"{image}: {names}") for image, names in shared.items()]


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
