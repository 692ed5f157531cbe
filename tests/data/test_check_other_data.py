"""The check of Flickr30k Entities and of tables of one's own: nothing of sound ones, and every damage named."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from PIL import Image

from grounding.data import check as checking
from grounding.data.check import check
from tests.data.flickr30k.files import FIELD, IMAGES, STREET, write_flickr30k, xml

UNUSABLE = "image that cannot be used, or not with its boxes"


@pytest.fixture
def flickr(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(checking, "PUBLISHED_IMAGES", {"train": 1, "test": 1})
    return write_flickr30k(tmp_path / "flickr", {"train": [STREET], "test": [FIELD]})


def test_a_sound_flickr30k_has_no_problem(flickr: Path) -> None:
    assert list(check(flickr)) == []


def test_damage_of_flickr30k_is_named(flickr: Path) -> None:
    (flickr / "Annotations" / f"{FIELD}.xml").write_text(
        xml(FIELD, (80, 70), [*IMAGES[FIELD][2], ((20,), (90, 1, 95, 9))])
    )
    (flickr / "Sentences" / f"{STREET}.txt").write_text("[/EN#1/people A man")
    (flickr / "train.txt").write_text(f"{STREET}\n{FIELD}\n")
    found = list(check(flickr))
    assert [kind for kind, _ in found] == [
        "list of another length than the published one", "captions or annotation that cannot be read",
        "box outside of its image", "image in more than one split", UNUSABLE,
    ]  # fmt: skip
    assert "has 80x80 pixels where the annotations say 80x70" in found[-1][1]
    (flickr / "test.txt").unlink()
    (flickr / "flickr30k-images" / f"{STREET}.jpg").unlink()
    kinds = [kind for kind, _ in check(flickr, images=False)]
    assert "list of images that cannot be read" in kinds and kinds[-1] == "missing image"


def test_a_table(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        Image.new("RGB", (40, 30)).save(tmp_path / name)
    table = tmp_path / "data.csv"
    sound = "image,phrase,x1,y1,x2,y2,split\na.png,a cup,1,2,11,9,train\nb.png,a dog,,,,,test\n"
    table.write_text(sound)
    assert list(check(table)) == []
    table.write_text(sound + "c.png,a cat,,,,,test\nb.png,a cow,1,2,90,9,train\n")
    shutil.copy(tmp_path / "a.png", tmp_path / "d.png")
    (tmp_path / "a.png").write_bytes(b"no picture")
    found = list(check(table))
    assert sorted(kind for kind, _ in found) == ["image in more than one split", UNUSABLE, UNUSABLE, "missing image"]
    assert any("has box [1.0, 2.0, 90.0, 9.0] of b.png" in place for _, place in found)
    table.write_text(sound + "b.png,,,,,,train\nb.png,a cow,0.1,0.2,0.3,0.4,train\n")
    assert [kind for kind, _ in check(table)] == ["entry of rows that cannot be read"] * 2


def test_a_phrase_of_a_table_that_clip_cannot_read_is_named_by_its_line(tmp_path: Path) -> None:
    Image.new("RGB", (20, 10)).save(tmp_path / "a.png")
    table = tmp_path / "own.csv"
    table.write_text(f"image,phrase\na.png,the cup\na.png,{'word ' * 90}\n")
    [(kind, place)] = check(table)
    assert kind == "sentence that CLIP cannot read" and f"{table}, line 3" in place and "77" in place
