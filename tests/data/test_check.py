"""Every kind of damage, put into a sound data set one at a time, is found and named; a sound one has none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from grounding.data import flickr30k
from grounding.data.check import SHOWN, check, summary_text
from tests.data.flickr30k.files import FIELD, IMAGES, STREET, write_flickr30k, xml
from tests.toy_data import edit_toy_data, write_toy_data

Spoil = Callable[[list[dict], dict], Any]
UNUSABLE = "entry that cannot be used"
UNUSABLE_IMAGE = "image that cannot be used, or not with its boxes"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_toy_data(tmp_path / "data")


def phrase(text: str) -> Spoil:
    return lambda refs, instances: refs[0]["sentences"][0].update(sent=text)


# What can be read and should not be, and some of what is refused: how it is spoilt, and what is then told.
DAMAGE: dict[str, tuple[Spoil, str, str]] = {
    "no words": (phrase(" . "), "phrase without words", "ref_id 1, sent_id 0"),
    "too long": (phrase("box " * 90), "phrase that CLIP cannot read", "ref_id 1, sent_id 0: the phrase "),
    "two objects": (lambda r, i: r[0].update(ann_id=[1, 2]), "reference that is not about one object", "ref_id 1"),
    "same sent_id": (lambda r, i: r[0]["sentences"][0].update(sent_id=1), "id given twice", "sent_id 1 2 times"),
    "two splits": (lambda r, i: r[0].update(split="test"), "image in several splits", "toy_001.png: ['test', 't"),
    "shares": (
        lambda r, i: [each.update(bbox=[0.1, 0.1, 0.2, 0.3]) for each in i["annotations"]],
        "boxes in another form", "instances.json: all boxes lie within 0 and 1",
    ),
    "no reference": (lambda r, i: r.append("x"), UNUSABLE, "refs(umd).p, reference 24 has no str 'split'"),
    "no id": (lambda r, i: i["annotations"].append({}), UNUSABLE, "entry 24 of 'annotations' has no int 'id'"),
}  # fmt: skip


@pytest.mark.parametrize("name", DAMAGE)
def test_each_damage_is_found_and_named(root: Path, name: str) -> None:
    damage, kind, place = DAMAGE[name]
    edit_toy_data(root, damage)
    found = check(root, images=False)
    assert place in found[kind].pop(0) and found.keys() <= {kind, UNUSABLE}
    assert kind == UNUSABLE or not found[kind]
    assert all("is about" in said for said in found.get(UNUSABLE, [])), "what refers to it, and no more"


def test_images_are_looked_for_and_decoded(root: Path) -> None:
    missing, broken, cut, small = sorted((root / "images").iterdir())[:4]
    missing.unlink()
    broken.write_bytes(b"no image")
    Image.open(cut).convert("RGB").save(cut.with_suffix(".jpg"), quality=95)
    cut.write_bytes(cut.with_suffix(".jpg").read_bytes()[:-200])
    Image.new("RGB", (5, 5)).save(small)
    found = check(root)
    assert found == {"missing image": [str(missing)], UNUSABLE_IMAGE: found[UNUSABLE_IMAGE]}
    assert [said in place for said, place in zip(("cannot be read as an image", "ends early", "has 5x5 pixels"),
                                                 found[UNUSABLE_IMAGE], strict=True)] == [True] * 3  # fmt: skip
    assert check(root, images=False) == {"missing image": [str(missing)]}


def test_of_many_the_first_are_shown_a_line_each() -> None:
    text = summary_text({"missing image": [f"a{number}\x1b[31m\nb" + "x" * 1000 for number in range(SHOWN + 3)]})
    lines = text.splitlines()
    assert lines[0] == f"{SHOWN + 3} x missing image" and lines[-1] == "    and 3 more"
    assert lines[1].startswith("    a0\\x1b[31m\\nbxxx") and len(lines) == SHOWN + 2 and len(lines[1]) < 300


def test_flickr30k(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flickr30k, "PUBLISHED_IMAGES", {"train": 1, "test": 1})
    root = write_flickr30k(tmp_path / "flickr", {"train": [STREET], "test": [FIELD]})
    assert check(root) == {}
    (root / "Annotations" / f"{FIELD}.xml").write_text(xml(FIELD, (80, 70), IMAGES[FIELD][2]))
    (root / "Sentences" / f"{STREET}.txt").write_text("[/EN#1/people A man")
    (root / "train.txt").write_text(f"{STREET}\n{FIELD}\n")
    found = {kind: " ".join(places) for kind, places in check(root).items()}
    assert list(found) == [UNUSABLE, "list of another length", "image in several splits", UNUSABLE_IMAGE]
    assert f"{STREET}.txt, caption 1" in found[UNUSABLE] and found["list of another length"].startswith("train.txt: 2,")
    assert f"{FIELD}.jpg: ['test', 'train']" in found["image in several splits"]
    assert "has 80x80 pixels where the annotations say 80x70" in found[UNUSABLE_IMAGE]
    (root / "test.txt").unlink()
    (root / "flickr30k-images" / f"{STREET}.jpg").unlink()
    problems = check(root, images=False)
    assert any("test.txt is missing" in said for said in problems[UNUSABLE])
    assert problems["missing image"] == [str(root / "flickr30k-images" / f"{STREET}.jpg")]


def test_a_table(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        Image.new("RGB", (40, 30)).save(tmp_path / name)
    table = tmp_path / "data.csv"
    sound = "image,phrase,x1,y1,x2,y2,split\na.png,a cup,1,2,11,9,train\nb.png,a dog,,,,,test\n"
    table.write_text(sound)
    assert check(table) == {}
    table.write_text(sound + f"c.png,{'cat ' * 90},,,,,test\nb.png,a cow,1,2,90,9,train\n")
    (tmp_path / "a.png").write_bytes(b"no picture")
    found = check(table)
    assert {kind: len(places) for kind, places in found.items()} == {
        "phrase that CLIP cannot read": 1, "image in several splits": 1, UNUSABLE_IMAGE: 2, "missing image": 1,
    }  # fmt: skip
    [unread] = found["phrase that CLIP cannot read"]
    assert f"{table}, line 4" in unread and "77" in unread
    assert "has box [1.0, 2.0, 90.0, 9.0] of b.png" in found[UNUSABLE_IMAGE][1]
    table.write_text(sound + "b.png,,,,,,train\nb.png,a cow,0.1,0.2,0.3,0.4,train\n")
    assert [(kind, len(places)) for kind, places in check(table).items()] == [(UNUSABLE, 2)]
