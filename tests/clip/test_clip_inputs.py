"""Pixels and phrases reach CLIP as its own functions would give them, and the text tower stops early."""

import json

import clip
import numpy as np
import pytest
import torch
from clip.clip import _transform
from PIL import Image

from grounding.clip.backbone import encode_tokens, normalise_pixels, tokenize
from grounding.errors import InputError
from tests.clip.saved_clip import PHRASES
from tests.shared_data import SHARED_DATA, needs_shared_data
from tests.tiny_clip import RESOLUTION, tiny_clip

LONGEST = " ".join(["cat"] * 75)  # and the start and the end token


@pytest.fixture(scope="module")
def model():
    return tiny_clip()


def test_pixels_are_normalised_as_clip_does():
    image = np.random.default_rng(0).integers(0, 256, (RESOLUTION, RESOLUTION, 3), dtype=np.uint8)
    expected = _transform(RESOLUTION)(Image.fromarray(image))
    result = normalise_pixels(torch.from_numpy(image).permute(2, 0, 1)[None])
    torch.testing.assert_close(result[0], expected, atol=1e-6, rtol=0)


def test_tokens_are_clips_own():
    tokens = tokenize(PHRASES)
    assert tokens.dtype == torch.int64 and tokens.shape == (len(PHRASES), 77)
    np.testing.assert_array_equal(tokens, clip.tokenize(PHRASES))


@pytest.mark.parametrize(
    ("phrase", "message"),
    [
        ("", "empty"),
        ("\n\t", "empty"),
        ("a \ud83d cat", r"the phrase 'a \\ud83d cat' holds half a character"),
        ("dog" + " cat" * 76, r"'dog cat cat.*77 tokens"),
        ("日本語" * 20, f"'{'日本語' * 20}' is longer"),
    ],
)
def test_what_clip_cannot_read_is_refused(phrase, message):
    with pytest.raises(InputError, match=message) as info:
        tokenize(["a cat", phrase, LONGEST])
    assert len(str(info.value)) < 150
    assert (tokenize([LONGEST]) != 0).all()


@pytest.mark.parametrize("phrase", ["a" * 100_000, "日" * 20_000, " " * 100_000 + "cat"])
def test_very_long_phrases_are_refused_before_they_are_tokenized(phrase, monkeypatch):
    monkeypatch.setattr(clip, "tokenize", None)
    with pytest.raises(InputError, match=rf"has {len(phrase)} characters: shorten it"):
        tokenize(["a cat", phrase])


@pytest.mark.parametrize("phrase", ["a \x00 cat", "\x1b[31mcat", "\u202etac", "z" + "\u0301" * 20, "$x$", "{{7*7}}"])
def test_odd_characters_are_text_like_any_other(phrase):
    np.testing.assert_array_equal(tokenize([phrase]), clip.tokenize([phrase]))


@pytest.mark.parametrize(
    "phrases",
    [PHRASES, PHRASES[:1], [LONGEST], [LONGEST, "dog", " ".join(["the tree"] * 20)]],
    ids=["mixed", "one short", "77 tokens", "77 tokens among others"],
)
def test_the_text_tower_stopped_early_equals_the_whole(model, phrases):
    tokens = clip.tokenize(phrases)
    with torch.no_grad():
        expected = model.encode_text(tokens)
        assert (encode_tokens(model, tokens)[0] - expected).abs().max() < 1e-5
    assert expected.std() > 0.1


def test_the_text_tower_runs_no_further_than_the_longest_phrase(model):
    lengths = []
    hook = model.ln_final.register_forward_hook(lambda module, arguments, output: lengths.append(output.shape[1]))
    encode_tokens(model, clip.tokenize(["cat", "a dog on a mat"]))
    hook.remove()
    assert lengths == [7]  # five words between the start and the end token


@needs_shared_data("google-refexp-val5000")
def test_the_text_tower_stopped_early_equals_the_whole_on_real_expressions(model):
    lines = (SHARED_DATA / "google-refexp-val5000" / "expressions.jsonl").read_text().splitlines()
    sentences = [json.loads(line)["sent"] for line in lines]
    assert len(sentences) == 5000
    with torch.no_grad():
        for start in range(0, len(sentences), 500):
            tokens = tokenize(sentences[start : start + 500])
            assert (encode_tokens(model, tokens)[0] - model.encode_text(tokens)).abs().max() < 1e-5
