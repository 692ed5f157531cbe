"""Files of other programs, with a mark or none, any line ends, blank lines or none: the same in every reader."""

from __future__ import annotations

import codecs
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from grounding.data.pairs import ImagePhrasePairs
from grounding.data.refcocog import RefCOCOg
from grounding.deployment.bulk import read_requests, request_lines
from grounding.evaluation.predictions import Prediction
from grounding.evaluation.score import read_answers
from grounding.runtime.config_io import read_yaml
from grounding.runtime.files import decode_text, numbered_lines
from tests.toy_data import write_toy_data

PHRASE = "the café's\u2028\U0001f534 sign"  # what `splitlines` would divide, and what one UTF-16 unit cannot hold


def prediction(sent_id: int) -> Prediction:
    return Prediction(1, 1, 1, sent_id, PHRASE, (0.0, 0.0, 4.0, 4.0), ((0.0, 0.0, 4.0, 3.0),), (1.0,))


DIALECTS: dict[str, Callable[[str], bytes]] = {
    "plain": lambda text: text.encode(),
    "mark": lambda text: codecs.BOM_UTF8 + text.encode(),
    "windows": lambda text: codecs.BOM_UTF8 + text.replace("\n", "\r\n").encode(),
    "blank last lines": lambda text: (text + "\n  \n\n").encode(),
    "no last line end": lambda text: text.rstrip("\n").encode(),
    "utf-16": lambda text: text.replace("\n", "\r\n").encode("utf-16"),  # of PowerShell's >
    "utf-16, big end first": lambda text: codecs.BOM_UTF16_BE + text.encode("utf-16-be"),
}


def requests(path: Path) -> list[Any]:
    return [each.phrases for each in read_requests(path, request_lines(path, path.read_bytes()))]


def refs(path: Path) -> Any:
    """What a data set says whose instances.json is this file."""
    root = write_toy_data(path.parent / "toy")
    (root / "annotations" / "instances.json").write_bytes(path.read_bytes())
    return len(RefCOCOg(root, "train").expressions)


def toy_instances() -> str:
    entries = {
        "images": [{"id": i, "file_name": f"{i}.png", "width": 30, "height": 20} for i in range(1, 13)],
        "annotations": [{"id": i, "image_id": (i + 1) // 2, "bbox": [9, 9, 9, 9]} for i in range(1, 25)],
    }
    return json.dumps(entries, indent=1)


READERS: dict[str, tuple[str, Callable[[Path], Any], Any]] = {
    "pairs": (
        "".join(json.dumps({"image": "a.png", "phrase": PHRASE}, ensure_ascii=False) + "\n" for _ in range(2)),
        lambda path: [each.phrase for each in ImagePhrasePairs(path).expressions],
        [" ".join(PHRASE.split())] * 2,
    ),
    "own predictions": (
        "".join(prediction(number).to_json() + "\n" for number in (1, 2)),
        lambda path: read_answers(path.rename(path.with_suffix(".jsonl")), {}),
        [prediction(1), prediction(2)],
    ),
    "coco": (
        json.dumps([{"image_id": 1, "bbox": [0, 0, 4, 3], "score": 1}], indent=1) + "\n",
        lambda path: len(read_answers(path, {1: RefCOCOg(write_toy_data(path.parent), "train").expressions[0]})),
        1,
    ),
    "requests": (
        "".join(json.dumps({"image": "a.png", "phrases": [PHRASE]}, ensure_ascii=False) + "\n" for _ in range(2)),
        requests,
        [[PHRASE]] * 2,
    ),
    "instances.json": (toy_instances() + "\n", refs, 18),
    "settings": (f"train:\n  data: {json.dumps('the café', ensure_ascii=False)}\n", read_yaml,
                 {"train": {"data": "the café"}}),
}  # fmt: skip


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("reader", READERS)
def test_a_dialect_changes_nothing(tmp_path: Path, reader: str, dialect: str) -> None:
    text, read, expected = READERS[reader]
    (tmp_path / "file").write_bytes(DIALECTS[dialect](text))
    assert read(tmp_path / "file") == expected


def test_lines_keep_their_numbers() -> None:
    text = decode_text("a\r\n\r\nb\u2028c\x0c\r  \nd".encode())
    assert list(numbered_lines(text)) == [(1, "a"), (3, "b\u2028c\x0c"), (5, "d")]
