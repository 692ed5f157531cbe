"""`python -m grounding.data.check --data DIR`: everything that is wrong with a data set, before it spoils a long run.

Reading a data set stops at the first thing that cannot be used; this has the same functions read one entry after the
other, and looks also at what can be used but should not be: phrases without words, ids that stand for two things,
images that a split shares with another.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jsonargparse import auto_cli
from tqdm import tqdm

from grounding.data.annotations import (
    MAX_INT,
    ImageRecord,
    category_of,
    field_of,
    find_layout,
    image_record_of,
    read_json_records,
    region_of,
    sentence_of,
)
from grounding.data.images import EndsEarlyWarning, read_image
from grounding.data.unpickle import load_plain_pickle
from grounding.errors import InputError, visible
from grounding.runtime.cli import exit_on_input_error

SHOWN = 5  # of each kind
MOST_LETTERS = 200  # of a place: it quotes what the files hold


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        kind: what, in words that are the same for all of its kind.
        where: which entry or file.
    """

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
    """All problems, in the order of the files: references, instances, images.

    Raises:
        InputError: a whole file is missing or is no list of entries.
    """
    layout = find_layout(config.data, config.split_by)
    references = load_plain_pickle(layout.refs_file)
    if not isinstance(references, list) or not references:
        raise InputError(f"{layout.refs_file} does not hold a list of references: get the file again from its source")
    content = {"categories": [], **read_json_records(layout.instances_file)}
    categories, images, annotations = (
        field_of(content, name, list, str(layout.instances_file)) for name in ("categories", "images", "annotations")
    )
    wanted = {_id_in(reference, "image_id") for reference in references} - {None}
    referred = {_id_in(reference, "ann_id") for reference in references} - {None}
    records, refused = _image_records(images, wanted)
    return [
        *_reference_problems(references, {_id_in(each, "id") for each in images}, _by_id(annotations)),
        *_category_problems(categories),
        *refused,
        *_twice("image id", (_id_in(record, "id") for record in images)),
        *_twice("annotation id", (_id_in(each, "id") for each in annotations)),
        *_annotation_problems(annotations, records, wanted, referred),
        *_image_problems(records, layout.images_dir, decode=config.images),
    ]


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


def _id_in(record: Any, name: str) -> int | None:
    """A field of an entry that is an id; None where it is none, of whatever kind entry and field are."""
    value = record.get(name) if isinstance(record, dict) else None
    return value if isinstance(value, int) and abs(value) <= MAX_INT else None


def _by_id(records: list[Any]) -> dict[Any, dict[str, Any]]:
    return {each["id"]: each for each in records if _id_in(each, "id") is not None}


def _refusal(kind: str, read: Callable[..., object], *arguments: object) -> Iterator[Problem]:
    """What a function by which data sets are read says of an entry, if it refuses it."""
    try:
        read(*arguments)
    except InputError as error:
        yield Problem(kind, str(error))


def _unreadable(name: str) -> str:
    """The kind of what is refused in one of the lists in instances.json."""
    return f"entry of {name!r} that cannot be read"


def _reference_problems(
    references: list[Any], images: Collection[Any], annotations: Mapping[Any, Any]
) -> Iterator[Problem]:
    sentence_ids: list[Any] = []
    for position, reference in enumerate(references):
        if not isinstance(reference, dict):
            yield Problem("reference that is no dictionary", f"reference {position}")
            continue
        where = f"ref_id {_id_in(reference, 'ref_id')}"
        for name in ("ref_id", "ann_id", "image_id"):
            if _id_in(reference, name) is None:
                yield Problem(f"reference without {name}", f"reference {position}, {where}")
        yield from _refusal("reference that cannot be read", field_of, reference, "split", str, where)
        yield from _link_problems(reference, images, annotations, where)
        sentences = reference.get("sentences")
        if not isinstance(sentences, list) or not sentences:
            yield Problem("reference without sentences", where)
            continue
        for sentence in sentences:
            sentence_ids.append(_id_in(sentence, "sent_id"))
            yield from _sentence_problems(sentence, where)
    yield from _twice("ref_id", (_id_in(each, "ref_id") for each in references))
    yield from _twice("sent_id", sentence_ids)
    yield from _shared_images(references)


def _link_problems(
    reference: dict[str, Any], images: Collection[Any], annotations: Mapping[Any, Any], where: str
) -> Iterator[Problem]:
    """What a reference's ids lead to and should not; of one that is none, that is said already."""
    image_id, ann_id = _id_in(reference, "image_id"), _id_in(reference, "ann_id")
    if image_id is not None and image_id not in images:
        yield Problem("reference to an image that instances.json lacks", where)
    if ann_id is not None and ann_id not in annotations:
        yield Problem("reference to an annotation that instances.json lacks", where)
    elsewhere = _id_in(annotations.get(ann_id), "image_id")
    if image_id is not None and elsewhere not in (None, image_id):
        yield Problem("reference whose annotation is in another image", where)


def _shared_images(references: list[Any]) -> Iterator[Problem]:
    splits: dict[int, set[str]] = defaultdict(set)
    for reference in references:
        image_id = _id_in(reference, "image_id")
        if image_id is not None and isinstance(reference.get("split"), str):
            splits[image_id].add(reference["split"])
    for image_id, names in splits.items():
        if len(names) > 1:
            yield Problem("image in more than one split", f"image_id {image_id}: {', '.join(sorted(names))}")


def _sentence_problems(sentence: Any, where: str) -> Iterator[Problem]:
    if isinstance(sentence, dict):
        texts = [sentence[name] for name in ("sent", "raw") if isinstance(sentence.get(name), str)]
        if not any(any(map(str.isalnum, text)) for text in texts):
            yield Problem("sentence without words", f"{where}, sent_id {_id_in(sentence, 'sent_id')}")
            sentence = {**sentence, "sent": "said already"}  # so that reading says what else is wrong
    yield from _refusal("sentence that cannot be read", sentence_of, sentence, where)


def _twice(name: str, ids: Iterable[Any]) -> Iterator[Problem]:
    for key, times in Counter(key for key in ids if key is not None).items():
        if times > 1:
            yield Problem(f"{name} given twice", f"{key}, {times} times")


def _category_problems(entries: list[Any]) -> Iterator[Problem]:
    for position, entry in enumerate(entries):
        yield from _refusal(_unreadable("categories"), category_of, entry, f"entry {position}")


def _image_records(entries: list[Any], wanted: Collection[Any]) -> tuple[dict[int, ImageRecord], list[Problem]]:
    """The entries by id of the images that are wanted, and what is wrong with any entry."""
    records: dict[int, ImageRecord] = {}
    problems: list[Problem] = []
    for position, entry in enumerate(entries):
        try:
            image_id = field_of(entry, "id", int, f"entry {position}")
            if image_id in wanted:
                records[image_id] = image_record_of(entry, f"image {image_id}")
        except InputError as error:
            problems.append(Problem(_unreadable("images"), str(error)))
    return records, problems


def _annotation_problems(
    entries: list[Any], images: Mapping[int, ImageRecord], wanted: Collection[Any], referred: Collection[Any]
) -> Iterator[Problem]:
    kind = _unreadable("annotations")
    for position, entry in enumerate(entries):
        ann_id = _id_in(entry, "id")
        if ann_id is None:
            yield from _refusal(kind, field_of, entry, "id", int, f"entry {position}")
        elif ann_id in referred or _id_in(entry, "image_id") in wanted:
            where = f"annotation {ann_id}"
            said = list(_box_problems(entry, images, where))
            yield from said
            if ann_id in referred:  # any other is left out by reading, and missed by nobody
                other = {**entry, "bbox": [0, 0, 1, 1]} if said else entry  # so that reading says what else is wrong
                yield from _refusal(kind, region_of, other, {} if said else images, {}, where)


def _box_problems(entry: dict[str, Any], images: Mapping[int, ImageRecord], where: str) -> Iterator[Problem]:
    box = entry.get("bbox")
    if not isinstance(box, list) or len(box) != 4 or not all(_is_finite(value) for value in box):
        yield Problem("bbox that is not four numbers", where)
        return
    x, y, width, height = box
    if width <= 0 or height <= 0:
        yield Problem("empty box", f"{where}: {box}")
    image_id = _id_in(entry, "image_id")
    size = images[image_id].size if image_id is not None and image_id in images else None
    # COCO's own boxes reach over the border by rounding, which costs nothing: they are clipped when read.
    if size is not None and (x < -1 or y < -1 or x + width > size[0] + 1 or y + height > size[1] + 1):
        yield Problem("box outside of its image", f"{where}: {box} in {size[0]}x{size[1]}")


def _is_finite(value: Any) -> bool:
    return isinstance(value, int | float) and abs(value) <= MAX_INT


def _image_problems(images: Mapping[int, ImageRecord], folder: Path, *, decode: bool) -> Iterator[Problem]:
    for image_id, record in tqdm(images.items(), desc="images", unit="image", disable=not decode, leave=False):
        path = folder / record.file_name
        if not os.path.isfile(path):  # unlike Path.is_file, it knows no name that it cannot take
            yield Problem("missing image", f"image {image_id}: {path}")
        elif decode:
            yield from _decoding_problems(path, record.size)


def _decoding_problems(path: Path, size: tuple[int, int] | None) -> Iterator[Problem]:
    try:
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            height, width = read_image(path, size).shape[:2]
    except InputError as error:
        yield Problem("broken image", str(error))
        return
    if any(issubclass(each.category, EndsEarlyWarning) for each in said):  # PIL warns of much that costs no pixel
        yield Problem("image that ends early", str(path))
    if size is not None and size != (width, height):
        yield Problem("image of another size", f"{path}: {width}x{height}, instances.json says {size[0]}x{size[1]}")


if __name__ == "__main__":
    with exit_on_input_error():
        found = check(
            auto_cli(CheckConfig, args=sys.argv[1:], as_positional=False, prog="python -m grounding.data.check")
        )
        print(told(found) or "nothing is wrong")
        sys.exit(1 if found else 0)
