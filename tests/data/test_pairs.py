"""Image-phrase pairs: what is read, and that whatever is wrong with a file is said in a sentence."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from grounding.data.pairs import ImagePhrasePairs
from grounding.errors import InputError


def write(folder: Path, *lines: object, name: str = "pairs.jsonl") -> Path:
    """Lines as they are, or as JSON where they are no text."""
    path = folder / name
    text = "\n".join(line if isinstance(line, str) else json.dumps(line, ensure_ascii=False) for line in lines)
    path.write_text(text, encoding="utf-8")
    return path


def pair(image: str, phrase: str, **more: object) -> dict[str, object]:
    return {"image": image, "phrase": phrase, **more}


def save_image(path: Path, value: int) -> None:
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(np.full((4, 6, 3), value, np.uint8)).save(path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """a.png beside the file, b.png in images/."""
    save_image(tmp_path / "a.png", 10)
    save_image(tmp_path / "images" / "b.png", 20)
    return tmp_path


def test_lines_of_an_image_come_together(folder):
    lines = [pair("a.png", "the cup"), pair("b.png", "a dog"), pair("a.png", "cup on the left", license=3)]
    pairs = ImagePhrasePairs(write(folder, *lines))
    pairs.check_images()
    assert len(pairs) == 2
    assert [pairs[index].phrases for index in range(2)] == [["the cup", "cup on the left"], ["a dog"]]
    assert [int(pairs[index].image.max()) for index in range(2)] == [10, 20]
    assert [each.phrase for each in pairs.expressions_of(0)] == pairs[0].phrases
    assert [each.phrase for each in pairs.expressions] == ["the cup", "a dog", "cup on the left"]
    assert len({each.sent_id for each in pairs.expressions}) == 3
    assert [each.image_id for each in pairs.expressions] == [0, 1, 0]


def test_nobody_says_where(folder):
    pairs = ImagePhrasePairs(write(folder, pair("a.png", "the cup"), pair("b.png", "a dog")))
    assert np.isnan(pairs[0].boxes_xyxy).all() and pairs[0].regions == ()
    assert pairs.regions == {0: (), 1: ()}


def test_an_image_beside_the_file_goes_before_one_in_images(folder):
    save_image(folder / "images" / "a.png", 99)
    assert ImagePhrasePairs(write(folder, pair("a.png", "the cup")))[0].image.max() == 10


CUP, DOG = (json.dumps(pair(*each)) for each in (("a.png", "the cup"), ("b.png", "a dog")))


@pytest.mark.parametrize(
    ("text", "phrases"),
    [
        ('{"image": "a.png", "raw": "the cup"}\n{"image": "a.png", "raw": "no", "phrase": "a cup"}', "the cup|a cup"),
        (f"\ufeff{CUP}\r\n\r\n  \r\n{DOG}\r\n", "the cup|a dog"),  # as Windows writes it
        *((CUP.replace("the cup", f"a{space}cup") + f"\n{DOG}", "a cup|a dog") for space in "\u2028\u2029\x85"),
        (CUP.replace("the cup", r"  the \t red  cup\n"), "the red cup"),
    ],
)
def test_what_phrases_a_file_holds(folder, text, phrases):
    path = folder / "pairs.jsonl"
    path.write_bytes(text.encode())
    assert [each.phrase for each in ImagePhrasePairs(path).expressions] == phrases.split("|")


def refusal(path: Path) -> str:
    """The message of the refusal, checked to be one line that names the file."""
    with pytest.raises(InputError) as refused:
        ImagePhrasePairs(path)
    message = str(refused.value)
    assert str(path) in message and "\n" not in message
    return message


@pytest.mark.parametrize(
    ("line", "fragment"),
    [
        ('{"image": "a.png", "phrase": "the cup"', "line 2 is no JSON"),
        ("the cup", "line 2 is no JSON"),
        ("[" * 100_000, "line 2 is no JSON"),
        ("[]", "line 2 has no text as 'image'"),
        ('"a.png"', "line 2 has no text as 'image'"),
        ("null", "line 2 has no text as 'image'"),
        ({}, "line 2 has no text as 'image'"),
        ({"phrase": "the cup"}, "line 2 has no text as 'image'"),
        ({"image": "", "phrase": "the cup"}, "line 2 has no text as 'image'"),
        ({"image": 3, "phrase": "the cup"}, "line 2 has no text as 'image'"),
        ({"image": ["a.png"], "phrase": "the cup"}, "line 2 has no text as 'image'"),
        ({"image": "a.png"}, "line 2 has no text as 'phrase'"),
        ({"image": "a.png", "phrase": None}, "line 2 has no text as 'phrase'"),
        ({"image": "a.png", "phrase": " \t"}, "line 2 has no text as 'phrase'"),
        ({"image": "a.png", "phrase": ["the cup"]}, "line 2 has no text as 'phrase'"),
        ({"image": "a.png", "raw": 7}, "line 2 has no text as 'phrase'"),
    ],
)
def test_a_line_that_is_no_pair_is_refused(folder, line, fragment):
    path = write(folder, pair("a.png", "the cup"), line, pair("a.png", "the cup"))
    message = refusal(path)
    assert message.startswith(f"{path}, {fragment}: give ")
    assert '{"image": "street.jpg", "phrase": "the woman in the red coat"}' in message


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (rb'{"image": "a.png", "phrase": "\ud83d"}', "line 1 has half a character in 'phrase'"),
        (rb'{"image": "\ud83d", "phrase": "cup"}', "line 1 has half a character in 'image'"),
        (b"", "holds no pair: give lines such as"),
        (b"\n \n", "holds no pair: give lines such as"),
        (
            '{"image": "a.png", "phrase": "café"}'.encode("latin-1"),
            "cannot be read as UTF-8 text: give a CSV or JSON-lines file of pairs",
        ),
        (None, "there is no file"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused(folder, content, said):
    if content is not None:
        (folder / "pairs.jsonl").write_bytes(content)
    assert said in refusal(folder / "pairs.jsonl")


@pytest.mark.parametrize("missing", ["c.png", "x" * 300 + ".png", "a\0b.png"], ids=["plain", "long", "impossible"])
def test_missing_images_are_counted(folder, missing):
    path = write(folder, pair("a.png", "the cup"), pair(missing, "a dog"), pair("d.png", "a cat"))
    pairs = ImagePhrasePairs(path)
    shown = missing.replace("\0", "\\x00")
    said = rf"^2 of the 3 .* are missing from {re.escape(str(folder))}, the first {re.escape(shown)}: put them beside"
    with pytest.raises(InputError, match=said):
        pairs.check_images()


def test_an_image_that_cannot_be_read_is_refused(folder):
    (folder / "broken.png").write_bytes(b"no picture")
    with pytest.raises(InputError, match=r"broken\.png"):
        ImagePhrasePairs(write(folder, pair("broken.png", "the cup")))[0]
