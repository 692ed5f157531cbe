"""`python -m grounding.data.check --data DIR`: everything that is wrong with a data set, before it spoils a long run.

Reading a data set stops at the first thing that cannot be used; this looks at all of it, and also at what can be used
but should not be: phrases without words, ids that stand for two things, images that a split shares with another.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jsonargparse import auto_cli
from tqdm import tqdm

from grounding.cli import exit_on_input_error
from grounding.data.annotations import MAX_INT, find_layout, read_json_records
from grounding.data.images import read_image
from grounding.data.unpickle import load_plain_pickle
from grounding.errors import InputError, visible

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
    if not isinstance(references, list):
        raise InputError(f"{layout.refs_file} does not hold a list of references: get the file again from its source")
    content = read_json_records(layout.instances_file)
    for name in ("images", "annotations"):
        if not isinstance(content.get(name, []), list):
            raise InputError(f"{layout.instances_file} has no list {name!r}: get the file again from its source")
    images, annotations = (_by_id(content.get(name, [])) for name in ("images", "annotations"))
    wanted = {_id_in(reference, "image_id") for reference in references} - {None}
    return [
        *_reference_problems(references, images, annotations),
        *_twice("image id", (_id_in(record, "id") for record in content.get("images", []))),
        *_twice("annotation id", (_id_in(each, "id") for each in content.get("annotations", []))),
        *_box_problems(annotations, images, wanted),
        *_image_problems(
            {key: images[key] for key in images if key in wanted}, layout.images_dir, decode=config.images
        ),
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


def _reference_problems(
    references: list[Any], images: Mapping[Any, Any], annotations: Mapping[Any, Any]
) -> Iterator[Problem]:
    splits: dict[Any, set[str]] = defaultdict(set)
    sentence_ids: list[Any] = []
    for position, reference in enumerate(references):
        if not isinstance(reference, dict):
            yield Problem("reference that is no dictionary", f"reference {position}")
            continue
        where = f"ref_id {_id_in(reference, 'ref_id')}"
        for name in ("ref_id", "ann_id", "image_id"):
            if _id_in(reference, name) is None:
                yield Problem(f"reference without {name}", f"reference {position}, {where}")
        image_id = _id_in(reference, "image_id")
        split = reference.get("split")
        splits[image_id].add(split if isinstance(split, str) else f"a {type(split).__name__}")
        if image_id not in images:
            yield Problem("reference to an image that instances.json lacks", where)
        annotation = annotations.get(_id_in(reference, "ann_id"))
        if annotation is None:
            yield Problem("reference to an annotation that instances.json lacks", where)
        elif annotation.get("image_id") != reference.get("image_id"):
            yield Problem("reference whose annotation is in another image", where)
        sentences = reference.get("sentences")
        if not isinstance(sentences, list) or not sentences:
            yield Problem("reference without sentences", where)
            continue
        for sentence in sentences:
            said = sentence if isinstance(sentence, dict) else {}
            sentence_ids.append(_id_in(said, "sent_id"))
            texts = [said[name] for name in ("sent", "raw") if isinstance(said.get(name), str)]
            if not any(any(map(str.isalnum, text)) for text in texts):
                yield Problem("sentence without words", f"{where}, sent_id {sentence_ids[-1]}")
    yield from _twice("ref_id", (_id_in(each, "ref_id") for each in references))
    yield from _twice("sent_id", sentence_ids)
    for of_id, of_image in splits.items():
        if of_id is not None and len(of_image) > 1:
            yield Problem("image in more than one split", f"image_id {of_id}: {', '.join(sorted(of_image))}")


def _twice(name: str, ids: Iterable[Any]) -> Iterator[Problem]:
    for key, times in Counter(key for key in ids if key is not None).items():
        if times > 1:
            yield Problem(f"{name} given twice", f"{key}, {times} times")


def _box_problems(
    annotations: Mapping[int, dict[str, Any]], images: Mapping[int, dict[str, Any]], wanted: set[Any]
) -> Iterator[Problem]:
    for ann_id, record in annotations.items():
        if _id_in(record, "image_id") not in wanted:
            continue
        box, where = record.get("bbox"), f"annotation {ann_id}"
        if not isinstance(box, list) or len(box) != 4 or not all(_is_finite(value) for value in box):
            yield Problem("bbox that is not four numbers", where)
            continue
        x, y, width, height = box
        if width <= 0 or height <= 0:
            yield Problem("empty box", f"{where}: {box}")
        image = images.get(record["image_id"], {})
        across, down = image.get("width"), image.get("height")
        if not (isinstance(across, int) and isinstance(down, int)):
            continue
        # COCO's own boxes reach over the border by rounding, which costs nothing: they are clipped when read.
        if x < -1 or y < -1 or x + width > across + 1 or y + height > down + 1:
            yield Problem("box outside of its image", f"{where}: {box} in {across}x{down}")


def _is_finite(value: Any) -> bool:
    return isinstance(value, int | float) and abs(value) <= MAX_INT


def _image_problems(images: Mapping[int, dict[str, Any]], folder: Path, *, decode: bool) -> Iterator[Problem]:
    for image_id, record in tqdm(images.items(), desc="images", unit="image", disable=not decode, leave=False):
        path = folder / str(record.get("file_name"))
        if not os.path.isfile(path):  # unlike Path.is_file, it knows no name that it cannot take
            yield Problem("missing image", f"image {image_id}: {path}")
        elif decode:
            yield from _decoding_problems(path, (record.get("width"), record.get("height")))


def _decoding_problems(path: Path, size: tuple[Any, Any]) -> Iterator[Problem]:
    given = size if all(isinstance(side, int) for side in size) else None
    try:
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            height, width = read_image(path, given).shape[:2]
    except InputError as error:
        yield Problem("broken image", str(error))
        return
    if said:
        yield Problem("image that ends early", str(path))
    if given is not None and given != (width, height):
        yield Problem("image of another size", f"{path}: {width}x{height}, instances.json says {size[0]}x{size[1]}")


if __name__ == "__main__":
    with exit_on_input_error():
        found = check(
            auto_cli(CheckConfig, args=sys.argv[1:], as_positional=False, prog="python -m grounding.data.check")
        )
        print(told(found) or "nothing is wrong")
        sys.exit(1 if found else 0)
