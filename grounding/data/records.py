"""One record of RefCOCOg's annotation files after the other, checked: nobody knows what a stranger's file holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PureWindowsPath
from typing import Any, TypeVar

import numpy as np

from grounding.geometry import box_xywh_to_xyxy
from grounding.runtime.errors import InputError, writable
from grounding.types import Region

Field = TypeVar("Field", int, str, list[Any])
Box = tuple[float, float, float, float]

MAX_INT = 2**63 - 1  # as in NumPy and torch, whose arrays hold the ids
NO_TARGET = -1  # in the place of an annotation's id
MANY_BEYOND = 1 / 3  # share of boxes that reach more than a pixel beyond their image: rounding reaches less far
GET_AGAIN = "get the file again from its source"


@dataclass(frozen=True)
class Sentence:
    """One expression of a reference."""

    sent_id: int
    phrase: str
    tags: tuple[str, ...]


@dataclass(frozen=True)
class Reference:
    """What expressions are about: an object, or in gRefCOCO any number of objects, of which `ann_ids` has each."""

    ref_id: int
    ann_ids: tuple[int, ...]
    image_id: int
    split: str
    sentences: tuple[Sentence, ...]

    @property
    def ann_id(self) -> int:
        """The object; an `InputError` where there are several or none."""
        if len(self.ann_ids) != 1:
            raise InputError(
                f"ref_id {self.ref_id} names {len(self.ann_ids)} objects: data with sets of objects is read by GRefCOCO"
            )
        return self.ann_ids[0]


@dataclass(frozen=True)
class ImageRecord:
    """An image's file name below the images folder, and its (width, height) in pixels."""

    file_name: str
    size: tuple[int, int]


# Of the functions below, `where` names the record in what is said of it: each raises an `InputError` where a field is
# missing or cannot be used.


def reference_of(record: Any, where: str) -> Reference:
    """One entry of a refs file."""
    ref_id = field_of(record, "ref_id", int, where)
    where = f"{where}, ref_id {ref_id}"
    return Reference(
        ref_id,
        ann_ids=_ann_ids(record, where),
        image_id=field_of(record, "image_id", int, where),
        split=field_of(record, "split", str, where),
        sentences=tuple(_sentence(item, where) for item in field_of(record, "sentences", list, where)),
    )


def _ann_ids(record: dict[str, Any], where: str) -> tuple[int, ...]:
    """One id as in RefCOCOg, or a list as in gRefCOCO, where -1 stands for no object."""
    if not isinstance(record.get("ann_id"), list):
        return (field_of(record, "ann_id", int, where),)
    ids = tuple(field_of({"ann_id": each}, "ann_id", int, where) for each in record["ann_id"])
    if not ids or len(set(ids)) < len(ids):
        raise InputError(f"{where} has ann_id {list(ids)}, which is empty or names an object twice: {GET_AGAIN}")
    return () if ids == (NO_TARGET,) else ids


def _sentence(record: Any, where: str) -> Sentence:
    sent_id = field_of(record, "sent_id", int, f"a sentence of {where}")
    where = f"{where}, sent_id {sent_id}"
    # Published results are on `sent`, the cleaned lower-case form; `raw` has the annotators' typing in it.
    used = next((name for name in ("sent", "raw") if isinstance(record.get(name), str) and record[name].strip()), "")
    if not used:
        # Left out, it would change the number of test examples without anyone's seeing it.
        raise InputError(f"{where} has an empty phrase: give it a text, or take it out of the file")
    tags = field_of({"tags": [], **record}, "tags", list, where)
    return Sentence(
        sent_id, field_of(record, used, str, where), tuple(field_of({"tag": tag}, "tag", str, where) for tag in tags)
    )


def image_record_of(record: Any, where: str) -> ImageRecord:
    """One entry of `images`. A file name that leads out of the images folder cannot be used, nor an empty image."""
    file_name = field_of(record, "file_name", str, where)
    place = PureWindowsPath(file_name)  # which takes both kinds of slashes for what they are
    if place.anchor or ".." in place.parts:
        raise InputError(f"{where} has file_name {file_name!r}, which leads out of the images folder: {GET_AGAIN}")
    width, height = (field_of(record, name, int, where) for name in ("width", "height"))
    if min(width, height) < 1:
        raise InputError(f"{where} has a size of {width} x {height} pixels: correct it in the file")
    return ImageRecord(file_name, (width, height))


def region_of(record: Any, size: tuple[int, int], categories: Mapping[int, str], where: str) -> Region | None:
    """One entry of `annotations`, its box clipped to its image of this (width, height); None where nothing is left."""
    box_xywh = field_of(record, "bbox", list, where)
    if len(box_xywh) != 4 or not all(isinstance(value, int | float) and abs(value) <= MAX_INT for value in box_xywh):
        raise InputError(f"{where} has a bbox that is not four numbers: {GET_AGAIN}")
    ann_id, image_id = (field_of(record, name, int, where) for name in ("id", "image_id"))
    box_xyxy = box_in_image(box_xywh_to_xyxy(np.array(box_xywh, dtype=float)), size)
    category_id = _whole_number(record.get("category_id"))
    category = "" if category_id is None else categories.get(category_id, "")
    return None if box_xyxy is None else Region(ann_id, image_id, box_xyxy, category)


def box_in_image(box_xyxy: np.ndarray, size: tuple[int, int]) -> Box | None:
    """A box (4,) clipped to an image of this (width, height) in pixels; None where nothing of it is left."""
    x1, y1, x2, y2 = np.clip(box_xyxy, 0, np.tile(size, 2)).astype(float).tolist()
    return (x1, y1, x2, y2) if x1 < x2 and y1 < y2 else None


def boxes_in_doubt(boxes: Sequence[tuple[list[float], tuple[int, int]]]) -> str:
    """A sentence where boxes, each with its image's (width, height), are hardly (x, y, width, height) in pixels."""
    if not boxes:
        return ""
    boxes_xywh, sizes = (np.array(each, dtype=float) for each in zip(*boxes, strict=True))
    if boxes_xywh.max() <= 1:
        return "all boxes lie within 0 and 1: multiply them by the width and height of their image"
    beyond = int((boxes_xywh[:, :2] + boxes_xywh[:, 2:] > sizes + 1).any(axis=1).sum())
    if beyond <= MANY_BEYOND * len(boxes):
        return ""
    return (
        f"{beyond} of {len(boxes)} boxes reach beyond their image and are cut off: bbox is x, y, width, height, and "
        "not two corners"
    )


def _whole_number(value: Any) -> int | None:
    """An id as JSON has it: 5, and 5.0, which pandas makes of it; None where it is none, such as a text or a truth."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def field_of(record: Any, name: str, kind: type[Field], where: str) -> Field:
    """A field of this kind; what no file or array can hold cannot be used."""
    value = record.get(name) if isinstance(record, dict) else None
    if kind is int:
        value = _whole_number(value)
    if not isinstance(value, kind):
        raise InputError(f"{where} has no {kind.__name__} {name!r}: {GET_AGAIN}")
    if isinstance(value, str) and writable(value) != value:
        raise InputError(f"{where} has {name!r} with half a character: {GET_AGAIN}")
    if isinstance(value, int) and abs(value) > MAX_INT:
        raise InputError(f"{where} has {name!r} beyond 64 bits: {GET_AGAIN}")
    return value
