import clip
import pytest
import torch

from grounding.clip import text
from grounding.clip.backbone import LoadedCLIP
from grounding.clip.text import TextEncoder
from grounding.errors import InputError
from tests.tiny_clip import EMBED_DIM, loaded_tiny_clip, tiny_clip

PHRASES = ["a cat", "the man in the red coat to the left of the tree", "bicycle", "a dog on a mat"]


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
    own = text.encode_tokens

    def counting(model, tokens, **more):
        rows.append(len(tokens))
        return own(model, tokens, **more)

    monkeypatch.setattr(text, "encode_tokens", counting)
    return rows


def assert_clips_own(model, embeddings, phrases):
    """Normalised embeddings by the `clip` package itself."""
    expected = model.encode_text(clip.tokenize(phrases))
    assert embeddings.shape == (len(phrases), EMBED_DIM) and embeddings.dtype == torch.float32
    torch.testing.assert_close(embeddings, expected / expected.norm(dim=-1, keepdim=True), atol=1e-6, rtol=0)


def test_tokens_are_clips_own_up_to_the_end_token(model, encoder):
    seen = []
    hook = model.ln_final.register_forward_hook(lambda module, arguments, output: seen.append(output))
    ids = clip.tokenize(PHRASES)
    model.encode_text(ids)
    hook.remove()
    features = encoder(PHRASES)
    lengths = [len(phrase.split()) + 2 for phrase in PHRASES]  # every word is one token
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
    phrases = [*PHRASES, "cup", "the second cup from the right"]
    assert_clips_own(model, encoder(phrases).embeddings, phrases)
    assert encoded == [2, 2, 2]


def test_a_phrase_is_encoded_once_and_given_in_the_order_asked(model, encoder, encoded):
    for asked, runs in (([0, 1, 0], [2]), ([1, 2, 0, 1], [2, 1]), ([0, 1, 2], [2, 1])):
        phrases = [PHRASES[index] for index in asked]
        assert_clips_own(model, encoder(phrases).embeddings, phrases)
        assert encoded == runs


def test_phrases_asked_in_passing_are_forgotten_within_a_budget_of_bytes(model, monkeypatch, encoded):
    short, long = PHRASES[0], PHRASES[1]
    bytes_of_state = 2 * 64 * (len(long.split()) + 2)  # half precision, of each word, the start and the end
    monkeypatch.setattr(text, "BUDGET", 2 * bytes_of_state)
    encoder = TextEncoder(loaded_tiny_clip())
    encoder.remember([short])  # for good
    encoder([long])
    encoder([long])
    assert encoded == [1, 1]
    more = [f"{long} number {number}" for number in range(10)]
    assert_clips_own(model, encoder(more).embeddings, more)  # although they are more than the budget holds
    encoder([long])
    assert encoded == [1, 1, 10, 1]
    assert_clips_own(model, encoder([short]).embeddings, [short])
    assert encoded == [1, 1, 10, 1]


def test_in_bfloat16_phrases_stay_where_they_were(model, encoder):
    halved = TextEncoder(LoadedCLIP(model, "tiny", "tiny", "0", torch.bfloat16))(PHRASES)
    exact = encoder(PHRASES).embeddings
    assert halved.embeddings.dtype == halved.tokens.dtype == torch.float32
    assert (halved.embeddings * exact).sum(dim=-1).min() > 0.9995
    assert not torch.equal(halved.embeddings, exact)
    assert model.transformer.resblocks[0].mlp.c_fc.weight.dtype == torch.float32


def test_two_encoders_share_nothing():
    one, other = (TextEncoder(loaded_tiny_clip(seed))(PHRASES).embeddings for seed in (0, 1))
    assert (one - other).abs().max() > 0.1


def test_embeddings_asked_for_while_evaluating_serve_training_later(encoder):
    with torch.inference_mode():
        encoder(PHRASES)
    weight = torch.ones(EMBED_DIM, requires_grad=True)
    embeddings = encoder(PHRASES).embeddings
    assert not embeddings.requires_grad
    (embeddings * weight).sum().backward()  # autograd keeps `embeddings`, which it refuses for an inference tensor
    torch.testing.assert_close(weight.grad, embeddings.sum(dim=0))


def test_embeddings_asked_for_under_autocast_are_the_same(encoder):
    with torch.autocast("cpu", torch.bfloat16):
        halved = encoder(PHRASES).embeddings
    torch.testing.assert_close(halved, TextEncoder(loaded_tiny_clip())(PHRASES).embeddings, atol=0, rtol=0)


def test_unusable_phrase_is_refused_and_not_remembered(encoder):
    for _ in range(2):
        with pytest.raises(InputError, match="empty"):
            encoder(["a cat", " "])
