"""Phrases reach CLIP's text tower as its own functions would give them, each once, and the tower stops early."""

from __future__ import annotations

import clip
import pytest
import torch

from grounding.clip import text
from grounding.clip.backbone import LoadedCLIP
from grounding.clip.text import TextEncoder, text_states, tokenize
from grounding.runtime.errors import InputError
from tests.clip.saved_clip import PHRASES
from tests.tiny_clip import EMBED_DIM, loaded_tiny_clip, tiny_clip

PLAIN = ["a cat", "the man in the red coat to the left of the tree", "bicycle", "a dog on a mat"]  # a token a word
LONGEST = " ".join(["cat"] * 75)  # and the start and the end token


@pytest.fixture(scope="module")
def model():
    return tiny_clip()


@pytest.fixture
def encoder() -> TextEncoder:
    return TextEncoder(loaded_tiny_clip())


@pytest.fixture
def encoded(monkeypatch) -> list[int]:
    """The number of token rows of every run of the text tower."""
    rows: list[int] = []

    def counting(model, tokens, **more):
        rows.append(len(tokens))
        assert (tokens != 0).any(dim=0).all(), "it runs no further than the longest phrase"
        return text_states(model, tokens, **more)

    monkeypatch.setattr(text, "text_states", counting)
    return rows


def assert_clips_own(model, embeddings, phrases):
    """Normalised embeddings by the `clip` package itself."""
    expected = model.encode_text(clip.tokenize(phrases))
    assert embeddings.shape == (len(phrases), EMBED_DIM) and embeddings.dtype == torch.float32
    torch.testing.assert_close(embeddings, expected / expected.norm(dim=-1, keepdim=True), atol=1e-6, rtol=0)


def test_tokens_are_clips_own_up_to_the_end_token(model, encoder):
    seen = []
    hook = model.ln_final.register_forward_hook(lambda module, arguments, output: seen.append(output))
    ids = clip.tokenize(PLAIN)
    model.encode_text(ids)
    hook.remove()
    features = encoder(PLAIN)
    lengths = [len(phrase.split()) + 2 for phrase in PLAIN]  # every word is one token
    assert features.tokens.shape == (4, max(lengths), encoder.token_width)
    words, states = features.tokens.chunk(2, dim=-1)
    for row, length in enumerate(lengths):
        assert features.is_token[row].tolist() == [column < length for column in range(max(lengths))]
        own = model.token_embedding.weight[ids[row, :length]]
        own = (own - own.mean(dim=-1, keepdim=True)) / own.std(dim=-1, correction=0, keepdim=True)
        torch.testing.assert_close(words[row, :length], own, atol=1e-3, rtol=0)
        torch.testing.assert_close(states[row, :length], seen[0][row, :length], atol=0, rtol=2e-3)
        assert (features.tokens[row, length:] == 0).all()


def test_order_is_kept_over_batches_of_like_length(model, encoder, monkeypatch, encoded):
    monkeypatch.setattr(text, "BATCH_SIZE", 2)
    phrases = [*PHRASES, "cup", LONGEST]
    assert_clips_own(model, encoder(phrases).embeddings, phrases)
    assert encoded == [2, 2, 2, 1]


def test_a_phrase_is_encoded_once_and_given_in_the_order_asked(model, encoder, encoded):
    for asked, runs in (([0, 1, 0], [2]), ([1, 2, 0, 1], [2, 1]), ([0, 1, 2], [2, 1])):
        phrases = [PLAIN[index] for index in asked]
        assert_clips_own(model, encoder(phrases).embeddings, phrases)
        assert encoded == runs


def test_phrases_asked_in_passing_are_forgotten_within_a_budget_of_bytes(model, monkeypatch, encoded):
    short, long = PLAIN[0], PLAIN[1]
    bytes_of_state = 2 * 64 * (len(long.split()) + 2)  # half precision, of each word, the start and the end
    monkeypatch.setattr(text, "BUDGET", 2 * bytes_of_state)
    encoder = TextEncoder(loaded_tiny_clip())
    encoder.remember([short])  # for good
    encoder([long])
    encoder([long])
    assert encoded == [1, 1]
    more = [f"{long} number {number}" for number in range(10)]
    assert_clips_own(model, encoder(more).embeddings, more)  # although they are more than the budget holds
    for phrase in (long, short):
        assert_clips_own(model, encoder([phrase]).embeddings, [phrase])
        assert encoded == [1, 1, 10, 1]


def test_in_bfloat16_phrases_stay_where_they_were(model, encoder):
    halved = TextEncoder(LoadedCLIP(model, "tiny", "tiny", "0", torch.bfloat16))(PLAIN)
    exact = encoder(PLAIN).embeddings
    assert halved.embeddings.dtype == halved.tokens.dtype == torch.float32
    assert (halved.embeddings * exact).sum(dim=-1).min() > 0.9995
    assert not torch.equal(halved.embeddings, exact)
    assert model.transformer.resblocks[0].mlp.c_fc.weight.dtype == torch.float32


@pytest.mark.parametrize(
    ("phrase", "message"),
    [
        ("a \ud83d cat", r"the phrase 'a \\ud83d cat' holds half a character"),
        ("dog" + " cat" * 75, r"'dog cat cat.*77 tokens"),
        ("日本語" * 20, f"'{'日本語' * 20}' is longer"),
    ],
)
def test_what_clip_cannot_read_is_refused(phrase, message):
    with pytest.raises(InputError, match=message) as info:
        tokenize(["a cat", phrase, LONGEST])
    assert len(str(info.value)) < 150
    assert tokenize([LONGEST]).shape == (1, 77)


def test_very_long_phrases_are_refused_before_they_are_tokenized(monkeypatch):
    monkeypatch.setattr(text.TOKENIZER, "encode", None)
    with pytest.raises(InputError, match=r"\.\.\.' is longer than CLIP's 77 tokens: shorten it"):
        tokenize([" " * 100_000 + "cat"])
