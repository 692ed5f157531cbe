"""RefCOCOg's annotation files: where they lie, and their records once checked."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath
from typing import Any, TypeGuard, TypeVar

import numpy as np

from grounding.data.unpickle import load_plain_pickle
from grounding.errors import InputError
from grounding.geometry import box_xywh_to_xyxy
from grounding.plain_text import is_writable
from grounding.types import Region

Field = TypeVar("Field", int, str, list[Any])

MAX_INT = 2**63 - 1  # as in NumPy and torch, whose arrays hold the ids
GET_AGAIN = "get the file again from its source"


@dataclass(frozen=True)
class Layout:
    """The three parts of a data set on disk."""

    refs_file: Path
    instances_file: Path
    images_dir: Path


@dataclass(frozen=True)
class Sentence:
    """One expression of a reference."""

    sent_id: int
    phrase: str
    tags: tuple[str, ...]


@dataclass(frozen=True)
class Reference:
    """One referred object with its expressions."""

    ref_id: int
    ann_id: int
    image_id: int
    sentences: tuple[Sentence, ...]


@dataclass(frozen=True)
class ImageRecord:
    """An image's file name below the images folder, and its (width, height) where the annotations give it."""

    file_name: str
    size: tuple[int, int] | None


def find_layout(root: Path, split_by: str) -> Layout:
    """Where a data set's files are.

    Annotations lie in `root/annotations` or, as the refer project unpacks them, in `root` itself; images in
    `root/images/train2014`, `root/images` or `root/train2014`: the first that exists.

    Raises:
        InputError: the root, its refs file for `split_by`, instances.json or the images folder is missing.
    """
    download = f"python -m grounding.data.download refcocog --root {root}"
    if not root.is_dir():
        generate = f"python -m grounding.data.refshapes --root {root}"
        raise InputError(
            f"there is no data folder {root}: correct the path, or run {download} for RefCOCOg, "
            f"or {generate} for RefShapes"
        )
    annotations = next((place for place in (root / "annotations", root) if any(place.glob("refs(*).p"))), None)
    if annotations is None:
        raise InputError(f"{root} has no refs({split_by}).p, neither in annotations nor at its top: run {download}")
    refs_file = annotations / f"refs({split_by}).p"
    if not refs_file.is_file():
        present = ", ".join(sorted(file.name for file in annotations.glob("refs(*).p")))
        raise InputError(
            f"{annotations} has no {refs_file.name}, only {present}: set split_by to one of these, or run {download}"
        )
    instances_file = annotations / "instances.json"
    if not instances_file.is_file():
        raise InputError(f"{instances_file} is missing: copy it beside {refs_file.name}, or run {download}")
    folders = [root / "images" / "train2014", root / "images", root / "train2014"]
    images_dir = next((folder for folder in folders if folder.is_dir()), None)
    if images_dir is None:
        raise InputError(f"there is no images folder {root / 'images'}: put COCO's train2014 photographs there")
    return Layout(refs_file, instances_file, images_dir)


def read_references(path: Path, split: str) -> list[Reference]:
    """The references of one split, in the file's order.

    Raises:
        InputError: the file does not hold references, lacks the split, or an expression is empty.
    """
    records = load_plain_pickle(path)
    if not isinstance(records, list) or not records:
        raise InputError(f"{path} does not hold a list of references: {GET_AGAIN}")
    splits = [field_of(record, "split", str, f"{path}, reference {i}") for i, record in enumerate(records)]
    if split not in splits:
        hint = "; the google split publishes no test set, use split_by='umd'" if "(google)" in path.name else ""
        raise InputError(f"{path} has no split {split!r}: use one of {', '.join(sorted(set(splits)))}{hint}")
    return [_reference(record, path) for record, its_split in zip(records, splits, strict=True) if its_split == split]


def _reference(record: Any, path: Path) -> Reference:
    ref_id = field_of(record, "ref_id", int, f"a reference in {path}")
    where = f"{path}, ref_id {ref_id}"
    sentences = tuple(sentence_of(item, where) for item in field_of(record, "sentences", list, where))
    ann_id, image_id = field_of(record, "ann_id", int, where), field_of(record, "image_id", int, where)
    return Reference(ref_id, ann_id, image_id, sentences)


def sentence_of(record: Any, where: str) -> Sentence:
    """One entry of a reference's `sentences`; `where` names the reference in what is said of it.

    Raises:
        InputError: it has no sent_id or phrase, or what cannot be written, or tags that are not strings.
    """
    sent_id = field_of(record, "sent_id", int, f"a sentence of {where}")
    where = f"{where}, sent_id {sent_id}"
    # Published results are on `sent`, the cleaned lower-case form; `raw` has the annotators' typing in it.
    phrases = [record[name] for name in ("sent", "raw") if isinstance(record.get(name), str) and record[name].strip()]
    if not phrases:
        # Left out, it would change the number of test examples without anyone's seeing it.
        raise InputError(f"{where} has an empty phrase: give it a text, or take it out of the file")
    if not is_writable(phrases[0]):
        raise InputError(f"{where} has a phrase with half a character: {GET_AGAIN}")
    tags = field_of(record, "tags", list, where) if "tags" in record else []
    if not all(isinstance(tag, str) and is_writable(tag) for tag in tags):
        raise InputError(f"{where} has 'tags' that are not strings: {GET_AGAIN}")
    return Sentence(sent_id, phrases[0], tuple(tags))


def read_instances(path: Path, references: Iterable[Reference]) -> tuple[dict[int, Region], dict[int, ImageRecord]]:
    """Regions by annotation id and images by image id: all of the images that the references are in.

    A crowd, and an object of which nothing lies in its image, is left out unless a reference is about it.

    Raises:
        InputError: the file is not COCO's instances.json, or does not have an annotation or image of a reference.
    """
    content = read_json_records(path)
    references = list(references)
    referred = {reference.ann_id for reference in references}
    categories = dict(
        category_of(record, f"a category in {path}")
        for record in (field_of(content, "categories", list, str(path)) if "categories" in content else ())
    )
    wanted = {reference.image_id for reference in references}
    images = {}
    for record in field_of(content, "images", list, str(path)):
        image_id = field_of(record, "id", int, f"an entry of 'images' in {path}")
        if image_id in wanted:
            images[image_id] = image_record_of(record, f"{path}, image {image_id}")
    regions = {}
    for record in field_of(content, "annotations", list, str(path)):
        ann_id = field_of(record, "id", int, f"an entry of 'annotations' in {path}")
        image_id = record.get("image_id")
        if ann_id not in referred and (not _is_id(image_id) or image_id not in images or record.get("iscrowd")):
            continue
        try:
            regions[ann_id] = region_of(record, images, categories, f"{path}, annotation {ann_id}")
        except InputError:
            if ann_id in referred:
                raise
    for reference in references:
        where = f"{path} does not fit the references: ref_id {reference.ref_id} needs"
        if reference.image_id not in images:
            raise InputError(f"{where} image_id {reference.image_id}, which it lacks: take both files from one source")
        region = regions.get(reference.ann_id)
        if region is None or region.image_id != reference.image_id:
            raise InputError(
                f"{where} ann_id {reference.ann_id} in image {reference.image_id}, which it lacks: "
                "take both files from one source"
            )
    return regions, images


def read_json_records(path: Path) -> dict[str, Any]:
    """The lists of records in instances.json, without their polygons.

    Raises:
        InputError: the file is no JSON object.
    """

    def without_polygons(record: dict[str, Any]) -> dict[str, Any]:
        # COCO's file is 400 MB, most of it polygons: dropped as they are parsed, they never fill the memory.
        record.pop("segmentation", None)
        return record

    try:
        content = json.loads(path.read_text(encoding="utf-8"), object_hook=without_polygons)
    except (OSError, ValueError, RecursionError) as problem:
        raise InputError(f"{path} is not readable JSON ({problem}): {GET_AGAIN}") from problem
    if not isinstance(content, dict):
        raise InputError(f"{path} holds no 'images' and 'annotations': {GET_AGAIN}")
    return content


def category_of(record: Any, where: str) -> tuple[int, str]:
    """Id and name in an entry of `categories`; `where` names it in what is said of it.

    Raises:
        InputError: one of the two is missing.
    """
    return field_of(record, "id", int, where), field_of(record, "name", str, where)


def image_record_of(record: Any, where: str) -> ImageRecord:
    """One entry of `images`; `where` names it in what is said of it.

    Raises:
        InputError: it has no file name, one that leads out of the images folder, or a size that is no whole number.
    """
    file_name = field_of(record, "file_name", str, where)
    place = PureWindowsPath(file_name)  # which takes both kinds of slashes for what they are
    if place.anchor or ".." in place.parts:
        raise InputError(f"{where} has file_name {file_name!r}, which leads out of the images folder: {GET_AGAIN}")
    if "width" not in record or "height" not in record:
        return ImageRecord(file_name, None)
    return ImageRecord(file_name, (field_of(record, "width", int, where), field_of(record, "height", int, where)))


def region_of(
    record: dict[str, Any], images: Mapping[int, ImageRecord], categories: Mapping[int, str], where: str
) -> Region:
    """One entry of `annotations` that has an id, its box clipped to its image.

    Args:
        record: the entry.
        images: by id; of one that is not among them, or has no size, nothing is clipped.
        categories: names by id; of one that is not among them the name is "".
        where: what names the entry in what is said of it.

    Raises:
        InputError: it has no image_id or no box of four numbers, or nothing of the box lies in the image.
    """
    box_xywh = field_of(record, "bbox", list, where)
    if len(box_xywh) != 4 or not all(isinstance(value, int | float) and abs(value) <= MAX_INT for value in box_xywh):
        raise InputError(f"{where} has a bbox that is not four numbers: {GET_AGAIN}")
    image_id = field_of(record, "image_id", int, where)
    box = box_xywh_to_xyxy(np.array(box_xywh, dtype=float))
    size = images[image_id].size if image_id in images else None
    box_xyxy = box_in_image(box, size, box_xywh, where)
    category_id = record.get("category_id")
    category = categories.get(category_id, "") if _is_id(category_id) else ""
    return Region(record["id"], image_id, box_xyxy, category)


def box_in_image(
    box_xyxy: np.ndarray, size: tuple[int, int] | None, box_xywh: list[Any], where: str
) -> tuple[float, float, float, float]:
    """A box clipped to its image.

    Args:
        box_xyxy: (4,) in pixels of the image.
        size: (width, height) of the image in pixels; None where it is not known, and nothing is clipped.
        box_xywh: the box as the file has it, which is quoted.
        where: what names the annotation in what is said of it.

    Raises:
        InputError: the box is empty, or nothing of it lies in the image.
    """
    if size is not None:
        box_xyxy = np.clip(box_xyxy, 0, np.tile(size, 2))
    x1, y1, x2, y2 = (float(value) for value in box_xyxy)
    if x1 >= x2 or y1 >= y2:
        raise InputError(f"{where} has bbox {box_xywh}, of which nothing lies in the image: correct it in the file")
    return x1, y1, x2, y2


def _is_id(value: Any) -> TypeGuard[int]:
    return isinstance(value, int)


def field_of(record: Any, name: str, kind: type[Field], where: str) -> Field:
    """A field of an entry; `where` names the entry in what is said of it.

    Raises:
        InputError: the entry is no dictionary, or has no such field of this kind, or one that no file can hold.
    """
    value = record.get(name) if isinstance(record, dict) else None
    if not isinstance(value, kind):
        raise InputError(f"{where} has no {kind.__name__} {name!r}: {GET_AGAIN}")
    if isinstance(value, str) and not is_writable(value):
        raise InputError(f"{where} has {name!r} with half a character: {GET_AGAIN}")
    if isinstance(value, int) and abs(value) > MAX_INT:
        raise InputError(f"{where} has {name!r} beyond 64 bits: {GET_AGAIN}")
    return value
