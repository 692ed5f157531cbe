"""The tokenizer file against `clip.tokenize`, on ordinary and on strange phrases."""

# ruff: noqa: RUF001  # look-alikes are the point
from __future__ import annotations

import random
from pathlib import Path

import clip
import ftfy
from tokenizers import Tokenizer

from grounding.deployment.export import clip_to_tokenizers

PHRASES = [
    "The woman in the RED coat",
    "it's a dog's bone, don't we'll I'VE",
    "“curly” and ‘single’ quotes – and — dashes … ‚low‛",
    "  a \t tab\nnew line  and\u00a0no break ",
    "café naïve Ünï e\u0301 combining",
    "ﬁsh ﬂag ŉ ĳ ǆ",
    "ＡＢＣ１２ wide\u3000space",
    "日本語 の 犬",
    "الرجل हिन्दी नमस्ते ελληνικά русский",
    "emoji 🐶🐕‍🦺 dog",
    "3 dogs, 12 cats & 1,000 o'clock",
    "½ ² Ⅷ ① ẞ ß ſ's",
    "t-shirt!!! ... ((left)) 50% #1 @home",
    "supercalifragilisticexpialidocious " * 3,
]
CHARACTERS = [
    chr(code)
    for first, last in ((32, 127), (0xA0, 0xC1), (0xC4, 0x250), (0x400, 0x460), (0x2010, 0x2028), (0x3041, 0x3097))
    for code in range(first, last)
]


def expected(phrase: str) -> list[int]:
    ids = clip.tokenize(phrase.replace("\xad", ""), context_length=300)[0]  # a soft hyphen takes no place
    return ids[: int(ids.argmax()) + 1].tolist()


def test_phrases_and_characters_in_any_order(tmp_path: Path) -> None:
    clip_to_tokenizers().save(str(tmp_path / "tokenizer.json"))
    tokenizer = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    draw = random.Random(0)
    drawn = ["".join(draw.choices(CHARACTERS, k=draw.randint(1, 12))) for _ in range(1000)]
    phrases = PHRASES + [each for each in drawn if ftfy.fix_encoding(each) == each]  # not taken for wrongly decoded
    assert len(phrases) > 900
    for phrase in phrases:
        assert tokenizer.encode(phrase).ids == expected(phrase), phrase

    for phrase in ("cafÃ©", "salt &amp; pepper"):  # the limits that the documentation names
        assert tokenizer.encode(phrase).ids != expected(phrase)
