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
    assert [each.phrase for each in pairs.expressions] == ["the cup", "cup on the left", "a dog"]
    assert len({each.sent_id for each in pairs.expressions}) == 3
    assert [each.image_id for each in pairs.expressions] == [0, 0, 1]


def test_nobody_says_where(folder):
    pairs = ImagePhrasePairs(write(folder, pair("a.png", "the cup"), pair("b.png", "a dog")))
    assert np.isnan(pairs[0].boxes_xyxy).all() and pairs[0].regions == ()
    assert pairs.regions == {0: (), 1: ()}


def test_an_image_beside_the_file_goes_before_one_in_images(folder):
    save_image(folder / "images" / "a.png", 99)
    assert ImagePhrasePairs(write(folder, pair("a.png", "the cup")))[0].image.max() == 10


def test_the_name_of_refcocog_is_read_too(folder):
    lines = [{"image": "a.png", "raw": "the cup"}, {"image": "a.png", "raw": "no", "phrase": "a cup"}]
    assert ImagePhrasePairs(write(folder, *lines))[0].phrases == ["the cup", "a cup"]


def test_empty_lines_line_ends_of_windows_and_its_mark_are_no_matter(folder):
    path = folder / "windows.jsonl"
    text = f"{json.dumps(pair('a.png', 'the cup'))}\r\n\r\n  \r\n{json.dumps(pair('b.png', 'a dog'))}\r\n"
    path.write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert [each.phrase for each in ImagePhrasePairs(path).expressions] == ["the cup", "a dog"]


@pytest.mark.parametrize("separator", ["\u2028", "\u2029", "\x85"])
def test_what_ends_no_line_in_json_ends_none_here(folder, separator):
    path = write(folder, pair("a.png", f"the cup{separator}on the left"), pair("b.png", "a dog"))
    assert [each.phrase for each in ImagePhrasePairs(path).expressions] == ["the cup on the left", "a dog"]


def test_spaces_are_one_between_words_and_none_around(folder):
    assert ImagePhrasePairs(write(folder, pair("a.png", "  the \t red  cup\n")))[0].phrases == ["the red cup"]


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


@pytest.mark.parametrize("line", [r'{"image": "a.png", "phrase": "\ud83d"}', r'{"image": "\ud83d", "phrase": "cup"}'])
def test_half_a_character_is_refused(folder, line):
    assert "line 2 has half a character in" in refusal(write(folder, pair("a.png", "the cup"), line))


@pytest.mark.parametrize("content", ["", "\n \n"])
def test_a_file_without_pairs_is_refused(folder, content):
    assert "holds no pair: give lines such as" in refusal(write(folder, content))


def test_what_is_no_text_file_is_refused(folder):
    (folder / "folder.jsonl").mkdir()
    (folder / "latin.jsonl").write_bytes('{"image": "a.png", "phrase": "café"}'.encode("latin-1"))
    for name in ("nowhere.jsonl", "folder.jsonl", "latin.jsonl"):
        assert "cannot be read as UTF-8 text: give a JSON-lines file of pairs" in refusal(folder / name)


@pytest.mark.parametrize("missing", ["c.png", "x" * 300 + ".png", "a\0b.png"], ids=["plain", "long", "impossible"])
def test_missing_images_are_counted(folder, missing):
    path = write(folder, pair("a.png", "the cup"), pair(missing, "a dog"), pair("d.png", "a cat"))
    pairs = ImagePhrasePairs(path)
    shown = missing.replace("\0", "\\x00")
    said = rf"^2 of the 3 images of {re.escape(str(path))} are missing, the first {re.escape(shown)}: put them"
    with pytest.raises(InputError, match=said):
        pairs.check_images()


def test_an_image_that_cannot_be_read_is_refused(folder):
    (folder / "broken.png").write_bytes(b"no picture")
    with pytest.raises(InputError, match=r"broken\.png"):
        ImagePhrasePairs(write(folder, pair("broken.png", "the cup")))[0]
