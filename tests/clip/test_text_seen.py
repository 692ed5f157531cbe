"""What of a phrase CLIP sees: no phrase that nothing is left of, no mark that would end it early, no hidden letter."""

from __future__ import annotations

import clip
import numpy as np
import pytest

from grounding.clip.text import as_phrases, tokenize
from grounding.deployment.export import clip_to_tokenizers
from grounding.runtime.errors import InputError

NOTHING = ["", " ", "\n\t", "&nbsp;", "&amp;nbsp;", "\x00\x01", "\u200b", "\ufeff\u2060", "\xad", "\u2028"]
MARKS = ["the red <|endoftext|> circle", "<|startoftext|>", "<|EndOfText|> circle", "&lt;|endoftext|&gt; x",
         "the <|end\u200boftext|> circle"]  # fmt: skip
HIDDEN = ["the red\u200b circle", "\ufeffthe red circle", "the\u2060 red circle", "the r\xaded circle",
          "\u200ethe red circle", "the red circle\x00"]  # fmt: skip


@pytest.mark.parametrize("phrase", [*NOTHING, *MARKS], ids=ascii)
def test_no_token_and_marks_of_clips_own_are_refused(phrase: str) -> None:
    said = "the phrase is empty" if phrase in NOTHING else r"the phrase '.*' holds <\|startoftext\|> or <\|endoftext"
    with pytest.raises(InputError, match=said):
        tokenize(["a cat", phrase])


@pytest.mark.parametrize("phrase", HIDDEN, ids=ascii)
def test_what_takes_no_place_is_not_read(phrase: str) -> None:
    np.testing.assert_array_equal(tokenize([phrase]), clip.tokenize(["the red circle"])[:, :5])


def test_joiners_within_emoji_and_letters_are_clips_own() -> None:
    phrases = ["🐕\u200d🦺 dog", "नमस्\u200dते", "salt &amp; pepper", "a < b > c", "<end>", "\x1b[31mcat", "{{7*7}}"]
    found = tokenize(phrases)
    np.testing.assert_array_equal(found, clip.tokenize(phrases)[:, : found.shape[1]])


def test_an_exports_tokenizer_reads_marks_as_letters_and_nothing_hidden() -> None:
    tokenizer = clip_to_tokenizers()
    start, end = (clip.tokenize("a")[0, place].item() for place in (0, 2))
    for phrase in MARKS[:3]:
        assert [each for each in tokenizer.encode(phrase).ids if each in (start, end)] == [start, end]
    for phrase in HIDDEN[:5]:
        assert tokenizer.encode(phrase).ids == tokenizer.encode("the red circle").ids


@pytest.mark.parametrize(
    ("phrases", "message"),
    [
        (["a cat", float("nan")], r"phrases\[1\] is nan, which is no text"),
        ([None], r"phrases\[0\] is None"),
        ([b"a cat"], r"phrases\[0\] is b'a cat'"),
        ([["a cat"]], r"phrases\[0\] is \['a cat'\]"),
        (None, "phrases is None: give a list of texts"),
        (3, "phrases is 3"),
        ("a cat", "the single string 'a cat'"),
    ],
)
def test_phrases_are_a_list_of_texts(phrases: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        as_phrases(phrases)  # type: ignore[arg-type]


def test_texts_of_numpy_are_texts() -> None:
    phrases = as_phrases(np.array(["a cat", "a dog"]))  # type: ignore[arg-type]
    assert phrases == ["a cat", "a dog"] and {type(each) for each in phrases} == {str}
