"""RefCOCOg's annotation files: where they lie, and what they hold."""

from __future__ import annotations

import json
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from grounding.data.records import (
    GET_AGAIN,
    ImageRecord,
    Reference,
    boxes_in_doubt,
    field_of,
    image_record_of,
    reference_of,
    region_of,
)
from grounding.data.untrusted import load_plain_pickle
from grounding.runtime.errors import InputError
from grounding.runtime.files import read_text
from grounding.types import Region

# References by split, as the refer project's files have them: (data set, split_by) -> split -> objects referred to.
PUBLISHED_REFERENCES = {
    ("RefCOCOg", "umd"): {"train": 42_226, "val": 2_573, "test": 5_023},
    ("RefCOCOg", "google"): {"train": 44_822, "val": 5_000},
    ("RefCOCO", "unc"): {"train": 42_404, "val": 3_811, "testA": 1_975, "testB": 1_810},
    ("RefCOCO", "google"): {"train": 40_000, "val": 5_000, "test": 5_000},
    ("RefCOCO+", "unc"): {"train": 42_278, "val": 3_805, "testA": 1_975, "testB": 1_798},
}
Entry = TypeVar("Entry")
Around = Callable[[], AbstractContextManager[None]]  # what each entry is read with: `telling`, to go on after refusals


@dataclass(frozen=True)
class Layout:
    """The three parts of a data set on disk."""

    refs_file: Path
    instances_file: Path
    images_dir: Path


def find_layout(root: Path, split_by: str, *, sets: bool = False) -> Layout:
    """Where a data set's files are: its refs(SPLIT_BY).p, or with `sets` gRefCOCO's grefs(SPLIT_BY).json or .p.

    The boxes are in instances.json, or where refs(SPLIT_BY).p has boxes of its own in instances(SPLIT_BY).json.

    Annotations lie in `root/annotations` or, as the refer project unpacks them, in `root` itself; images in
    `root/images/train2014`, `root/images/saiapr_tc-12` (RefCLEF's), `root/images` or `root/train2014`: the first that
    exists.
    """
    download = f"python -m grounding.data.download refcocog --root {root}"
    if not root.is_dir():
        generate = f"python -m grounding.data.refshapes --root {root}"
        raise InputError(
            f"there is no data folder {root}: correct the path, or run {download} for RefCOCOg, "
            f"or {generate} for RefShapes"
        )
    places = (root / "annotations", root)
    names = [f"grefs({split_by}).json", f"grefs({split_by}).p"] if sets else [f"refs({split_by}).p"]
    refs_file = next((place / name for place in places for name in names if (place / name).is_file()), None)
    if refs_file is None:
        present = sorted(path.name for place in places for path in place.glob("grefs(*).*" if sets else "refs(*).p"))
        found = f"only {', '.join(present)}: set split_by to one of these, or" if present else "nor any other:"
        raise InputError(f"{root} has no {' or '.join(names)}, {found} run {download}")
    instances_file = refs_file.with_name(f"instances({split_by}).json")
    if sets or not instances_file.is_file():
        instances_file = refs_file.with_name("instances.json")
    if not instances_file.is_file():
        raise InputError(f"{instances_file} is missing: copy it beside {refs_file.name}, or run {download}")
    folders = [root / "images" / "train2014", root / "images" / "saiapr_tc-12", root / "images", root / "train2014"]
    images_dir = next((folder for folder in folders if folder.is_dir()), None)
    if images_dir is None:
        raise InputError(f"there is no images folder {root / 'images'}: put COCO's train2014 photographs there")
    return Layout(refs_file, instances_file, images_dir)


@contextmanager
def telling(places: list[str]) -> Iterator[None]:
    """What the block refuses, or warns of where warnings are errors, goes to `places`, and ends the block only."""
    try:
        yield
    except (InputError, UserWarning) as problem:
        places.append(str(problem))


def read_references(path: Path, split: str | None, *, around: Around = nullcontext) -> list[Reference]:
    """The references of one split in the file's order, or with None of all; each is read with `around()`.

    As in the refer project's `getRefIds`, "test" is every split of that kind, testA and testB of RefCOCO; RefCLEF's
    "testA" has what is in "testAB" too; every other name means itself.
    """
    references, splits = [], Counter[str]()
    for position, record in enumerate(read_reference_records(path)):
        where = f"{path}, reference {position}"
        with around():
            its = field_of(record, "split", str, where)
            splits[its] += 1
            if split in (None, its) or _is_part_of(its, str(split)):
                references.append(reference_of(record, where))
    for (name, split_by), published in PUBLISHED_REFERENCES.items():
        if path.stem == f"refs({split_by})" and splits.total() == sum(published.values()) and splits != published:
            found, wanted = (", ".join(f"{n:,} {split}" for split, n in each.items()) for each in (splits, published))
            with around():
                raise InputError(
                    f"{path} has all {splits.total():,} references of {name}, but {found} where {wanted} are published "
                    f"as {split_by}: {GET_AGAIN}"
                )
    if split is not None and not any(each.sentences for each in references):
        hint = "; the google split publishes no test set, use split_by='umd'" if "(google)" in path.name else ""
        raise InputError(f"{path} has no split {split!r} with a sentence: use one of {', '.join(sorted(splits))}{hint}")
    return references


def _is_part_of(name: str, split: str) -> bool:
    if split in ("testA", "testB", "testC"):
        return name.startswith("test") and split[-1] in name
    return split == "test" and "test" in name


def read_reference_records(path: Path) -> list[Any]:
    """The entries of a refs file, of whatever kind they are; an `InputError` where it holds no list of them."""
    records = _read_json(path) if path.suffix == ".json" else load_plain_pickle(path)
    if not isinstance(records, list) or not records:
        raise InputError(f"{path} does not hold a list of references: {GET_AGAIN}")
    return records


def read_instances(
    path: Path, references: Iterable[Reference], *, around: Around = nullcontext
) -> tuple[dict[int, Region], dict[int, ImageRecord]]:
    """Regions by annotation id and images by image id: all of the images that the references are in.

    A crowd is left out unless a reference is about it, and so is an object of which nothing lies in its image. Each
    entry is read with `around()`.
    """
    content, references = read_instance_records(path), list(references)
    referred = {ann_id for reference in references for ann_id in reference.ann_ids}
    wanted = {reference.image_id for reference in references}
    categories: dict[int, str] = {}
    images: dict[int, ImageRecord] = {}
    regions: dict[int, Region] = {}
    boxes: list[tuple[list[float], tuple[int, int]]] = []

    def entries(name: str) -> Iterator[tuple[str, Any]]:
        return ((f"{path}, entry {position} of '{name}'", record) for position, record in enumerate(content[name]))

    for where, record in entries("categories"):
        with around():
            _keep(categories, field_of(record, "id", int, where), field_of(record, "name", str, where), where)
    for where, record in entries("images"):
        with around():
            image_id = field_of(record, "id", int, where)
            if image_id in wanted:
                where = f"{path}, image {image_id}"
                _keep(images, image_id, image_record_of(record, where), where)
    for where, record in entries("annotations"):
        with around():
            ann_id = field_of(record, "id", int, where)
            where = f"{path}, annotation {ann_id}"
            image_id = field_of(record, "image_id", int, where)
            crowd = record.get("iscrowd")
            if crowd not in (None, 0, 1):
                raise InputError(f"{where} has iscrowd {crowd!r}, which is no number 0 or 1: correct it in the file")
            if image_id in images and (ann_id in referred or crowd != 1):
                region = region_of(record, images[image_id].size, categories, where)
                boxes.append((record["bbox"], images[image_id].size))
                if region is not None:
                    _keep(regions, ann_id, region, where)
    if doubt := boxes_in_doubt(boxes):
        warnings.warn(f"{path}: {doubt}", stacklevel=2)
    for reference in references:
        where, remedy = f"{path} lacks what ref_id {reference.ref_id} is about:", "take both files from one source"
        with around():
            if reference.image_id not in images:
                raise InputError(f"{where} image_id {reference.image_id}: {remedy}")
            for ann_id in reference.ann_ids:
                if ann_id not in regions or regions[ann_id].image_id != reference.image_id:
                    raise InputError(f"{where} ann_id {ann_id} with a box in image {reference.image_id}: {remedy}")
    return regions, images


def _keep(kept: dict[int, Entry], entry_id: int, entry: Entry, where: str) -> None:
    """Puts an entry under its id, where no other one is."""
    if kept.setdefault(entry_id, entry) != entry:
        raise InputError(f"{where} stands twice, with different content: give each entry an id of its own")


def read_instance_records(path: Path) -> dict[str, list[Any]]:
    """The entries of instances.json in "categories", "images" and "annotations", without their polygons."""
    content = _read_json(path)
    if not isinstance(content, dict):
        raise InputError(f"{path} holds no 'images' and 'annotations': {GET_AGAIN}")
    content.setdefault("categories", [])
    return {name: field_of(content, name, list, str(path)) for name in ("categories", "images", "annotations")}


def _read_json(path: Path) -> Any:
    def without_polygons(record: dict[str, Any]) -> dict[str, Any]:
        # COCO's file is 400 MB, most of it polygons: dropped as they are parsed, they never fill the memory.
        record.pop("segmentation", None)
        return record

    try:
        return json.loads(read_text(path), object_hook=without_polygons)
    except (OSError, ValueError, RecursionError) as problem:
        raise InputError(f"{path} is not readable JSON ({problem}): {GET_AGAIN}") from problem
