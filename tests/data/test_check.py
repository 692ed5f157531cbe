"""Every kind of damage, put into a sound data set one at a time, is found and named; a sound one has none."""

from __future__ import annotations

import json
import pickle
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from grounding.data.check import SHOWN, check, summary_text
from grounding.data.images import read_image
from grounding.data.refcocog import RefCOCOg
from grounding.errors import InputError
from tests.toy_data import write_toy_data

Records = Any


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_toy_data(tmp_path / "data")


def change(root: Path, how: Callable[[list[dict], dict], None]) -> None:
    refs_file, instances_file = root / "annotations" / "refs(umd).p", root / "annotations" / "instances.json"
    refs, instances = pickle.loads(refs_file.read_bytes()), json.loads(instances_file.read_text())
    how(refs, instances)
    refs_file.write_bytes(pickle.dumps(refs))
    instances_file.write_text(json.dumps(instances))


def test_a_sound_one_has_no_problem(root: Path) -> None:
    assert list(check(root)) == []
    assert summary_text([]) == ""


def of_first(field: str, value: Any) -> Callable[[list[dict], dict], None]:
    return lambda refs, instances: refs[0].update({field: value})


def box_of_first(box: list[Any]) -> Callable[[list[dict], dict], None]:
    return lambda refs, instances: instances["annotations"][0].update(bbox=box)


def no_key(part: str, field: str) -> Callable[[list[dict], dict], None]:
    return lambda refs, instances: instances[part][0].pop(field)


# What can be read and should not be: how it is spoilt, and where it is then found.
DAMAGE: dict[str, tuple[Callable[[list[dict], dict], None], str]] = {
    "sentence without words": (lambda r, i: r[0]["sentences"][0].update(sent=" . "), "ref_id 1, sent_id 0"),
    "reference without sentences": (of_first("sentences", []), "ref_id 1"),
    "reference to an image without a sound entry": (of_first("image_id", 999), "ref_id 1"),
    "reference to an annotation of its image without a sound entry": (of_first("image_id", 2), "ref_id 1"),
    "reference that is not about one object": (of_first("ann_id", [1, 2]), "ref_id 1"),
    "ref_id given twice": (of_first("ref_id", 2), "2, 2 times"),
    "sent_id given twice": (lambda r, i: r[0]["sentences"][0].update(sent_id=1), "1, 2 times"),
    "image in more than one split": (of_first("split", "test"), "image_id 1: ['test', 'train']"),
    "image id given twice": (lambda r, i: i["images"].append(dict(i["images"][0])), "1, 2 times"),
    "annotation id given twice": (lambda r, i: i["annotations"].append(dict(i["annotations"][0])), "1, 2 times"),
}

# What the reader itself refuses, one of each list: how it is spoilt, and what is then told of it.
REFUSED: dict[str, tuple[Callable[[list[dict], dict], None], str, str]] = {
    "no dictionary": (lambda r, i: r.append("x"), "references", "a reference in entry 24 of references has no int"),
    "no ann_id": (of_first("ann_id", "1"), "references", "entry 0 of references, ref_id 1 has no int 'ann_id'"),
    "tags": (lambda r, i: r[0]["sentences"][0].update(tags="x"), "references", "sent_id 0 has no list 'tags'"),
    "empty phrase": (lambda r, i: r[0]["sentences"][0].update(sent=" ", raw=""), "references", "has an empty phrase"),
    "no category name": (no_key("categories", "name"), "categories", "entry 0 of categories has no str 'name'"),
    "a path": (lambda r, i: i["images"][0].update(file_name="../a.png"), "images", "entry 0 of images has file_name"),
    "no annotation id": (lambda r, i: i["annotations"].append({}), "annotations", "entry 24 of annotations has no int"),
    "empty box": (box_of_first([1, 2, 0, 4]), "annotations", "annotation 1 has bbox [1, 2, 0, 4], of which nothing"),
}


def refuses(root: Path) -> bool:
    """Whether any split of the data set cannot be read."""
    try:
        for split in ("train", "val", "test"):
            RefCOCOg(root, split)
    except InputError:
        return True
    return False


@pytest.mark.parametrize("name", REFUSED)
def test_what_the_reader_refuses_is_told_first(root: Path, name: str) -> None:
    damage, part, where = REFUSED[name]
    change(root, damage)
    assert refuses(root)
    (kind, place), *others = check(root, images=False)
    assert kind == f"entry of {part} that cannot be read" and where in place
    assert all(other.endswith("without a sound entry") for other, _ in others), "what refers to it, and no more"


def test_faults_of_several_entries_are_all_told(root: Path) -> None:
    def spoil(refs: list[dict], instances: dict) -> None:
        for index in (0, 3):
            refs[index]["sentences"][0].update(tags="x")
        instances["annotations"][5].update(bbox=[1, 2, 0, 4])

    change(root, spoil)
    kinds = [kind for kind, _ in check(root, images=False)]
    assert kinds[:3] == [*["entry of references that cannot be read"] * 2, "entry of annotations that cannot be read"]


@pytest.mark.parametrize("kind", DAMAGE)
def test_each_damage_is_found_and_named(root: Path, kind: str) -> None:
    damage, where = DAMAGE[kind]
    change(root, damage)
    (place,) = [place for found, place in check(root, images=False) if found == kind]
    assert place.startswith(where)


def test_images_are_looked_for_and_decoded(root: Path) -> None:
    missing, broken, cut, small = sorted((root / "images").iterdir())[:4]
    missing.unlink()
    broken.write_bytes(b"no image")
    Image.open(cut).convert("RGB").save(cut.with_suffix(".jpg"), quality=95)
    cut.write_bytes(cut.with_suffix(".jpg").read_bytes()[:-200])
    Image.new("RGB", (5, 5)).save(small)
    found = list(check(root))
    unusable = "image that cannot be used, or not with its boxes"
    assert [kind for kind, _ in found] == ["missing image", unusable, unusable, unusable]
    assert [said in place for said, (_, place) in zip(("cannot be read as an image", "ends early", "has 5x5 pixels"),
                                                      found[1:], strict=True)] == [True] * 3  # fmt: skip
    assert [kind for kind, _ in check(root, images=False)] == ["missing image"]


def test_of_many_the_first_are_shown() -> None:
    text = summary_text(("empty box", f"annotation {number}") for number in range(SHOWN + 3))
    assert text.splitlines()[0] == f"{SHOWN + 3} x empty box" and text.splitlines()[-1] == "    and 3 more"


def damaged_exif(path: Path) -> None:
    entries = b"\x02\x00" + b"\x0f\x01\x02\x00\xff\x00\x00\x00\xff\x00\x00\x00" + bytes(12)
    with Image.open(path) as image:
        image.convert("RGB").save(path, format="JPEG", exif=b"Exif\x00\x00II*\x00\x08\x00\x00\x00" + entries)


@pytest.mark.parametrize("warned_of", ["exif", "pixels"])
def test_a_whole_image_of_which_pil_warns_is_sound(root: Path, warned_of: str, monkeypatch: pytest.MonkeyPatch) -> None:
    first = min((root / "images").iterdir())
    if warned_of == "exif":
        damaged_exif(first)
    else:
        with Image.open(first) as image:
            monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", image.width * image.height - 1)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        read_image(first)
    assert said
    assert list(check(root)) == []


@pytest.mark.parametrize("value", [None, [1], {"a": [1]}, "one", 10**400, float("inf"), True])
@pytest.mark.parametrize(
    ("place", "field"),
    [
        *(("reference", field) for field in ("ref_id", "image_id", "ann_id", "split", "sentences")),
        *(("sentence", field) for field in ("sent_id", "sent", "tags")),
        *(("images", field) for field in ("id", "file_name", "width")),
        *(("categories", field) for field in ("id", "name")),
        *(("annotations", field) for field in ("id", "image_id", "bbox")),
    ],
)
def test_a_field_of_any_kind_is_told_where_it_is_refused(root: Path, place: str, field: str, value: Any) -> None:
    def put(refs: list[dict], instances: dict) -> None:
        record = {"reference": refs[0], "sentence": refs[0]["sentences"][0]}.get(place) or instances[place][0]
        record[field] = value

    change(root, put)
    assert summary_text(check(root, images=False)) or not refuses(root)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        *(
            (lambda r, i, name=name: i.update({name: None}), f"has no list '{name}'")
            for name in ("images", "categories")
        ),
        (lambda r, i: i.pop("annotations"), "has no list 'annotations'"),
        (lambda r, i: r.clear(), "does not hold a list of references"),
    ],
)
def test_a_file_that_lacks_a_list_is_said(root: Path, spoil: Callable[..., Any], message: str) -> None:
    change(root, spoil)
    with pytest.raises(InputError, match=message):
        list(check(root))


def test_what_is_told_is_a_line_for_each_place() -> None:
    shown = summary_text([("missing image", "a\x1b[31m\nb" + "x" * 1000)])
    assert shown.splitlines()[1].startswith("    a\\x1b[31m\\nbxxx") and len(shown) < 300
