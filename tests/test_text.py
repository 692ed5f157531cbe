import clip
import pytest
import torch

from grounding import text
from grounding.clip_backbone import LoadedCLIP
from grounding.errors import InputError
from grounding.text import TextEncoder
from tests.tiny_clip import EMBED_DIM, loaded_tiny_clip, tiny_clip

PHRASES = ["a cat", "the man in the red coat to the left of the tree", "bicycle", "a dog on a mat"]


@pytest.fixture(scope="module")
def model():
    return tiny_clip()


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


def loaded(model, precision=torch.float32) -> LoadedCLIP:
    return LoadedCLIP(model, "tiny", "tiny", "0", precision)


def reference(model, phrases):
    """Normalised embeddings by the `clip` package itself."""
    embeddings = model.encode_text(clip.tokenize(phrases))
    return embeddings / embeddings.norm(dim=-1, keepdim=True)


def test_equals_clips_own_in_the_order_asked(model):
    asked = [PHRASES[i] for i in (3, 1, 0, 1, 2, 3)]
    embeddings = TextEncoder(loaded(model))(asked).embeddings
    assert embeddings.shape == (6, EMBED_DIM) and embeddings.dtype == torch.float32
    torch.testing.assert_close(embeddings, reference(model, asked), atol=1e-6, rtol=0)
    assert not torch.allclose(embeddings[0], embeddings[1], atol=1e-2)


def test_tokens_are_clips_own_up_to_the_end_token(model):
    seen = []
    hook = model.ln_final.register_forward_hook(lambda module, arguments, output: seen.append(output))
    ids = clip.tokenize(PHRASES)
    model.encode_text(ids)
    hook.remove()
    features = TextEncoder(loaded(model))(PHRASES)
    lengths = [len(phrase.split()) + 2 for phrase in PHRASES]  # every word is one token
    assert features.tokens.shape == (4, max(lengths), TextEncoder(loaded(model)).token_width)
    words, states = features.tokens.chunk(2, dim=-1)
    for row, length in enumerate(lengths):
        assert features.is_token[row].tolist() == [column < length for column in range(max(lengths))]
        own = model.token_embedding.weight[ids[row, :length]]
        own = (own - own.mean(dim=-1, keepdim=True)) / own.std(dim=-1, correction=0, keepdim=True)
        torch.testing.assert_close(words[row, :length], own, atol=1e-3, rtol=0)
        torch.testing.assert_close(states[row, :length], seen[0][row, :length], atol=0, rtol=2e-3)
        assert (features.tokens[row, length:] == 0).all()


def test_order_is_kept_over_batches_of_like_length(model, monkeypatch, encoded):
    monkeypatch.setattr(text, "BATCH_SIZE", 2)
    phrases = [*PHRASES, "cup", "the second cup from the right"]
    torch.testing.assert_close(
        TextEncoder(loaded(model))(phrases).embeddings, reference(model, phrases), atol=1e-6, rtol=0
    )
    assert encoded == [2, 2, 2]


def test_a_phrase_is_encoded_once(model, encoded):
    encoder = TextEncoder(loaded(model))
    first = encoder([PHRASES[0], PHRASES[1], PHRASES[0]]).embeddings
    again = encoder([PHRASES[1], PHRASES[2], PHRASES[0]]).embeddings
    assert encoded == [2, 1]
    encoder(PHRASES[:3])
    assert encoded == [2, 1]
    torch.testing.assert_close(again[[2, 0]], first[:2], atol=0, rtol=0)
    torch.testing.assert_close(again, reference(model, [PHRASES[1], PHRASES[2], PHRASES[0]]), atol=1e-6, rtol=0)


def test_phrases_asked_in_passing_are_forgotten_within_a_budget_of_bytes(model, monkeypatch, encoded):
    short, long = PHRASES[0], PHRASES[1]
    bytes_of_state = 2 * 64 * (len(long.split()) + 2)  # half precision, of each word, the start and the end
    monkeypatch.setattr(text, "BUDGET", 2 * bytes_of_state)
    encoder = TextEncoder(loaded(model))
    encoder.remember([short])
    encoder([long])
    encoder([long])
    assert encoded == [1, 1]
    encoder([f"{long} number {number}" for number in range(10)])
    encoder([long])
    assert encoded == [1, 1, 10, 1]
    encoder([short])
    assert encoded == [1, 1, 10, 1]


def test_more_phrases_at_once_than_the_budget_holds(model, monkeypatch):
    monkeypatch.setattr(text, "BUDGET", 1)
    torch.testing.assert_close(
        TextEncoder(loaded(model))(PHRASES).embeddings, reference(model, PHRASES), atol=1e-6, rtol=0
    )


def test_in_bfloat16_phrases_stay_where_they_were(model):
    halved = TextEncoder(loaded(model, torch.bfloat16))(PHRASES)
    assert halved.embeddings.dtype == halved.tokens.dtype == torch.float32
    assert (halved.embeddings * reference(model, PHRASES)).sum(dim=-1).min() > 0.9995
    assert not torch.equal(halved.embeddings, TextEncoder(loaded(model))(PHRASES).embeddings)
    assert model.transformer.resblocks[0].mlp.c_fc.weight.dtype == torch.float32


def test_remembered_phrases_are_not_encoded_again(model, encoded):
    encoder = TextEncoder(loaded(model))
    encoder.remember(PHRASES)
    assert encoded == [len(PHRASES)]
    torch.testing.assert_close(encoder(PHRASES).embeddings, reference(model, PHRASES), atol=1e-6, rtol=0)
    assert encoded == [len(PHRASES)]


def test_two_encoders_share_nothing():
    one, other = (TextEncoder(loaded_tiny_clip(seed))(PHRASES).embeddings for seed in (0, 1))
    assert (one - other).abs().max() > 0.1


def test_embeddings_asked_for_while_evaluating_serve_training_later(model):
    encoder = TextEncoder(loaded(model))
    with torch.inference_mode():
        encoder(PHRASES)
    weight = torch.ones(EMBED_DIM, requires_grad=True)
    embeddings = encoder(PHRASES).embeddings
    assert not embeddings.requires_grad
    (embeddings * weight).sum().backward()  # autograd keeps `embeddings`, which it refuses for an inference tensor
    torch.testing.assert_close(weight.grad, embeddings.sum(dim=0))


def test_embeddings_asked_for_under_autocast_are_the_same(model):
    with torch.autocast("cpu", torch.bfloat16):
        halved = TextEncoder(loaded(model))(PHRASES).embeddings
    torch.testing.assert_close(halved, TextEncoder(loaded(model))(PHRASES).embeddings, atol=0, rtol=0)


def test_unusable_phrase_is_refused_and_not_remembered(model):
    encoder = TextEncoder(loaded(model))
    for _ in range(2):
        with pytest.raises(InputError, match="empty"):
            encoder(["a cat", " "])
