"""Every kind of damage, put into a sound data set one at a time, is found and named; a sound one has none."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from grounding.data.check import SHOWN, CheckConfig, Problem, check, told
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
    assert check(CheckConfig(root)) == []
    assert told([]) == ""


def of_first(field: str, value: Any) -> Callable[[list[dict], dict], None]:
    return lambda refs, instances: refs[0].update({field: value})


def box_of_first(box: list[Any]) -> Callable[[list[dict], dict], None]:
    return lambda refs, instances: instances["annotations"][0].update(bbox=box)


DAMAGE: dict[str, tuple[Callable[[list[dict], dict], None], str]] = {
    "sentence without words": (lambda r, i: r[0]["sentences"][0].update(sent=" . ", raw="?!"), "ref_id 1, sent_id 0"),
    "reference without sentences": (of_first("sentences", []), "ref_id 1"),
    "reference without ann_id": (of_first("ann_id", "1"), "reference 0, ref_id 1"),
    "reference that is no dictionary": (lambda r, i: r.append("x"), "reference 24"),
    "reference to an image that instances.json lacks": (of_first("image_id", 999), "ref_id 1"),
    "reference to an annotation that instances.json lacks": (of_first("ann_id", 999), "ref_id 1"),
    "reference whose annotation is in another image": (of_first("image_id", 2), "ref_id 1"),
    "ref_id given twice": (of_first("ref_id", 2), "2, 2 times"),
    "sent_id given twice": (lambda r, i: r[0]["sentences"][0].update(sent_id=1), "1, 2 times"),
    "image in more than one split": (of_first("split", "test"), "image_id 1: test, train"),
    "image id given twice": (lambda r, i: i["images"].append(dict(i["images"][0])), "1, 2 times"),
    "annotation id given twice": (lambda r, i: i["annotations"].append(dict(i["annotations"][0])), "1, 2 times"),
    "bbox that is not four numbers": (box_of_first([1, 2, None, 4]), "annotation 1"),
    "empty box": (box_of_first([1, 2, 0, 4]), "annotation 1: [1, 2, 0, 4]"),
    "box outside of its image": (box_of_first([1, 2, 500, 4]), "annotation 1: [1, 2, 500, 4] in"),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_each_damage_is_found_and_named(root: Path, kind: str) -> None:
    damage, where = DAMAGE[kind]
    change(root, damage)
    found = [problem for problem in check(CheckConfig(root, images=False)) if problem.kind == kind]
    assert len(found) == 1 and found[0].where.startswith(where)


def test_images_are_looked_for_and_decoded(root: Path) -> None:
    missing, broken, cut, small = sorted((root / "images").iterdir())[:4]
    missing.unlink()
    broken.write_bytes(b"no image")
    Image.open(cut).convert("RGB").save(cut.with_suffix(".jpg"), quality=95)
    cut.write_bytes(cut.with_suffix(".jpg").read_bytes()[:-200])
    Image.new("RGB", (5, 5)).save(small)
    kinds = {problem.kind for problem in check(CheckConfig(root))}
    assert kinds == {"missing image", "broken image", "image that ends early", "image of another size"}
    assert [problem.kind for problem in check(CheckConfig(root, images=False))] == ["missing image"]


def test_of_many_the_first_are_shown() -> None:
    text = told([Problem("empty box", f"annotation {number}") for number in range(SHOWN + 3)])
    assert text.splitlines()[0] == f"{SHOWN + 3} x empty box" and text.splitlines()[-1] == "    and 3 more"


@pytest.mark.parametrize("value", [None, [1], {"a": [1]}, "one", 10**400, float("inf"), True])
@pytest.mark.parametrize(
    "place",
    [
        lambda refs, instances: (refs[0], "ref_id"),
        lambda refs, instances: (refs[0], "image_id"),
        lambda refs, instances: (refs[0], "ann_id"),
        lambda refs, instances: (refs[0], "split"),
        lambda refs, instances: (refs[0], "sentences"),
        lambda refs, instances: (refs[0]["sentences"][0], "sent_id"),
        lambda refs, instances: (refs[0]["sentences"][0], "sent"),
        lambda refs, instances: (instances["images"][0], "id"),
        lambda refs, instances: (instances["images"][0], "file_name"),
        lambda refs, instances: (instances["annotations"][0], "image_id"),
        lambda refs, instances: (instances["annotations"][0], "bbox"),
    ],
)
def test_a_field_of_any_kind_stops_no_check(root: Path, place: Callable[..., Any], value: Any) -> None:
    def put(refs: list[dict], instances: dict) -> None:
        record, field = place(refs, instances)
        record[field] = value

    change(root, put)
    assert isinstance(told(check(CheckConfig(root, images=False))), str)


@pytest.mark.parametrize("name", ["images", "annotations"])
def test_what_is_no_list_is_said(root: Path, name: str) -> None:
    change(root, lambda refs, instances: instances.update({name: None}))
    with pytest.raises(InputError, match=rf"instances\.json has no list '{name}'"):
        check(CheckConfig(root))


def test_what_is_told_is_a_line_for_each_place() -> None:
    shown = told([Problem("missing image", "a\x1b[31m\nb" + "x" * 1000)])
    assert shown.splitlines()[1].startswith("    a\\x1b[31m\\nbxxx") and len(shown) < 300
