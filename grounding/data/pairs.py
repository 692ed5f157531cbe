"""Image-phrase pairs without a box: a JSON-lines file beside its images."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch.utils.data import Dataset

from grounding.data.images import read_image
from grounding.errors import InputError, is_writable
from grounding.runtime.text_files import numbered_lines, read_text
from grounding.types import Example, Expression, Region

NOWHERE = (float("nan"),) * 4


class ImagePhrasePairs(Dataset[Example]):
    """Images with phrases that refer into them, nobody says where.

    One JSON object a line: `{"image": "street.jpg", "phrase": "the woman in the red coat"}`; an image may come in
    several lines, and other keys are ignored. Where there is no "phrase", RefCOCOg's name for it, "raw", is read.
    Images lie beside the file or in `images/` beside it.

    Attributes:
        path: of the file.
        expressions: of all images; their boxes are NaN.
        regions: empty for every image.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Reads the file; images are read one by one, in `__getitem__`.

        Raises:
            InputError: the file cannot be read, has no pair, or a line is no pair.
        """
        self.path = Path(path)
        try:
            lines = numbered_lines(read_text(self.path))
        except (OSError, ValueError) as error:
            raise InputError(f"{self.path} cannot be read as UTF-8 text: give a JSON-lines file of pairs") from error
        pairs = [_pair(self.path, number, line) for number, line in lines]
        if not pairs:
            raise InputError(f"{self.path} holds no pair: give lines such as {EXAMPLE}")
        images: dict[str, int] = {}
        self._examples: list[tuple[Expression, ...]] = []
        for sent_id, (image, phrase) in enumerate(pairs):
            index = images.setdefault(image, len(images))
            if index == len(self._examples):
                self._examples.append(())
            expression = Expression(phrase, NOWHERE, index, sent_id, sent_id, sent_id, self._path_of(image))
            self._examples[index] += (expression,)
        self.expressions = tuple(expression for of_image in self._examples for expression in of_image)
        self.regions: Mapping[int, tuple[Region, ...]] = dict.fromkeys(range(len(images)), ())

    def __len__(self) -> int:
        return len(self._examples)

    def __getitem__(self, index: int) -> Example:
        """The image with all its phrases.

        Raises:
            InputError: the image cannot be read.
        """
        expressions = self._examples[index]
        return Example(read_image(expressions[0].image_path), expressions)

    def expressions_of(self, index: int) -> tuple[Expression, ...]:
        """The expressions of an image, without reading it."""
        return self._examples[index]

    def check_images(self) -> None:
        """Look for every image's file.

        Raises:
            InputError: files are missing; it says how many and names the first.
        """
        paths = [expressions[0].image_path for expressions in self._examples]
        missing = [path for path in paths if not os.path.isfile(path)]
        if missing:
            raise InputError(
                f"{len(missing)} of the {len(paths)} images of {self.path} are missing, the first {missing[0].name}: "
                "put them beside the file or into images/ beside it"
            )

    def _path_of(self, image: str) -> Path:
        beside = self.path.parent / image
        return beside if os.path.isfile(beside) else self.path.parent / "images" / image


EXAMPLE = '{"image": "street.jpg", "phrase": "the woman in the red coat"}'


def _pair(path: Path, number: int, line: str) -> tuple[str, str]:
    try:
        record: Any = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}, line {number} is no JSON: give one object a line, such as {EXAMPLE}") from error
    record = record if isinstance(record, dict) else {}
    image, phrase = record.get("image"), record.get("phrase", record.get("raw"))
    for field, value in (("image", image), ("phrase", phrase)):
        if not isinstance(value, str) or not value.strip():
            raise InputError(f"{path}, line {number} has no text as {field!r}: give an object such as {EXAMPLE}")
        if not is_writable(value):
            raise InputError(f"{path}, line {number} has half a character in {field!r}: give whole Unicode text")
    return str(image), " ".join(str(phrase).split())
