from __future__ import annotations

import struct
import zlib
from pathlib import Path
from unittest import mock

import pytest
from PIL import Image, ImageFile

from grounding.runtime.errors import InputError
from grounding.webapp.uploads import examples_from_data, phrases_of, receive


def png_that_claims(width: int, height: int) -> bytes:
    """A PNG's signature and header, without any pixels."""
    content = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + content + struct.pack(">I", zlib.crc32(content))
    return data + struct.pack(">I", 0) + b"IDAT" + struct.pack(">I", zlib.crc32(b"IDAT"))


def test_too_many_pixels_are_refused_before_they_are_decoded(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(ImageFile.ImageFile, "load", mock.Mock(side_effect=AssertionError("the image was decoded")))
    path = tmp_path / "large.png"
    for size in ((7000, 8000), (60_000, 60_000)):  # PIL itself refuses the second
        path.write_bytes(png_that_claims(*size))
        with pytest.raises(InputError, match=r"^large\.png has .*pixels.*: give a"):
            receive(path, max_pixels=25_000_000)


def test_a_photo_is_known_by_its_content(tmp_path: Path) -> None:
    for name, colour in (("a", "red"), ("b", "red"), ("c", "blue")):
        Image.new("RGB", (20, 12), colour).save(tmp_path / f"{name}.png")
    a, b, c = (receive(tmp_path / f"{name}.png", max_pixels=240) for name in "abc")
    assert a.key == b.key != c.key and a.name == "a.png"


def test_phrases_are_lines() -> None:
    assert phrases_of("  the red   car \n\n a dog\t\nthe red car\n") == ("the red car", "a dog")


def test_another_split_serves_where_there_is_no_test(tmp_path: Path) -> None:
    Image.new("RGB", (20, 10)).save(tmp_path / "a.png")
    (tmp_path / "own.csv").write_text("image,phrase,x1,y1,x2,y2,split\na.png,the cup,1,1,9,9,train\n")
    [example] = examples_from_data(tmp_path, split_by="umd", split="test")
    assert example.path == tmp_path / "a.png" and example.phrases == ("the cup",)
