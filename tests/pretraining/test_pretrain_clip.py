from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from typing import Any

import pytest
import torch
from clip.model import CLIP, build_model
from safetensors.torch import load_file
from torch import Tensor

from grounding.clip.backbone import load_clip
from grounding.clip.text import tokenize
from grounding.runtime.errors import InputError
from pretraining import clip as pretrain_module
from pretraining.catalogue import SIMPLE_SHARE
from pretraining.clip import (
    CaptionedBatches,
    PretrainConfig,
    new_embedded_clip,
    pretrain,
    simple_share,
)
from pretraining.losses import WordPrediction, contrast_loss, symmetric_infonce, word_loss

TINY = PretrainConfig(word_steps=2, contrast_steps=2, batch_size=4, save_every=2, warmup_steps=1, word_image_size=32)
RESOLUTION = 64


def tiny_untrained_clip() -> CLIP:
    """The smallest that `build_model` rebuilds from its weights alone: it takes width // 64 heads."""
    return CLIP(
        embed_dim=16, image_resolution=RESOLUTION, vision_layers=(1, 1, 1, 1), vision_width=8, vision_patch_size=None,
        context_length=77, vocab_size=49408, transformer_width=64, transformer_heads=1, transformer_layers=1,
    ).float()  # fmt: skip


@pytest.fixture
def tiny_and_repeatable(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The tiny model, on one thread: sums over several are not bit for bit the same each time."""
    monkeypatch.setattr(pretrain_module, "new_embedded_clip", tiny_untrained_clip)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def test_symmetric_infonce_is_the_mean_over_images_and_texts_of_minus_log_probability():
    torch.manual_seed(0)
    logits = 3 * torch.randn(6, 6, dtype=torch.float64)
    also_true = (torch.rand(6, 6) < 0.3) | torch.eye(6, dtype=torch.bool)
    terms = []
    for i in range(len(logits)):
        texts = [j for j in range(len(logits)) if j == i or not also_true[i, j]]
        images = [j for j in range(len(logits)) if j == i or not also_true[j, i]]
        terms.append(-logits[i, i] + torch.stack([logits[i, j] for j in texts]).exp().sum().log())
        terms.append(-logits[i, i] + torch.stack([logits[j, i] for j in images]).exp().sum().log())
    torch.testing.assert_close(symmetric_infonce(logits, also_true), torch.stack(terms).mean())


def test_word_prediction_is_a_cross_entropy_with_the_words_of_the_caption():
    torch.manual_seed(0)
    words = WordPrediction(8)
    features = torch.randn(2, 8, 2, 3)
    captions = ["a red star with a blue ring", "photo of nothing known"]
    loss = words(features, tokenize(captions))
    known = words.ids.tolist()
    expected = 0.0
    for image, caption in zip(features, captions, strict=True):
        said = [known.index(token) for token in tokenize([caption])[0].tolist() if token in known]
        for logits in (
            words.linear(image.mean(dim=(1, 2))),
            torch.stack([words.linear(image[:, y, x]) for y in range(2) for x in range(3)]).logsumexp(dim=0),
        ):
            log_share = logits.log_softmax(dim=0)
            expected -= sum(log_share[index] for index in said) / max(len(said), 1) / len(captions)
    torch.testing.assert_close(loss, expected)
    assert {int(tokenize([word])[0, 1]) for word in ("red", "star", "striped", "glass")} <= set(known)


def test_pictures_are_small_and_simple_first():
    config = PretrainConfig(word_steps=10, contrast_steps=10, simple_steps=4, mixed_from=8)
    assert [simple_share(config, step) for step in (0, 4)] == [1, 1]
    assert simple_share(config, 6) == pytest.approx((1 + SIMPLE_SHARE) / 2)
    assert [simple_share(config, step) for step in (8, 19)] == pytest.approx([SIMPLE_SHARE] * 2)
    batches = [batch.images for batch in CaptionedBatches(TINY, RESOLUTION, 0)]
    assert [batch.shape[-1] for batch in batches] == [32, 32, RESOLUTION, RESOLUTION]
    assert not torch.equal(batches[0], batches[1]), "each step draws anew"


@pytest.mark.usefixtures("tiny_and_repeatable")
def test_an_interrupted_run_resumes_to_the_same_weights(tmp_path, monkeypatch):
    whole, resumed = (replace(TINY, output=tmp_path / name / "clip.safetensors") for name in ("whole", "resumed"))
    pretrain(whole)
    calls = count(1)

    def interrupted(*arguments: Any) -> Tensor:
        if next(calls) == 2:
            raise KeyboardInterrupt
        return contrast_loss(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(pretrain_module, "contrast_loss", interrupted)
        with pytest.raises(KeyboardInterrupt):
            pretrain(resumed)
    assert not resumed.output.exists()
    with pytest.raises(InputError, match=r"clip\.state\.pt belongs to a run with other settings"):
        pretrain(replace(resumed, contrast_steps=1, seed=1))
    done: list[str] = []
    with monkeypatch.context() as patch:
        patch.setattr(pretrain_module, "word_loss", lambda *a: done.append("words") or word_loss(*a))
        patch.setattr(pretrain_module, "contrast_loss", lambda *a: done.append("contrast") or contrast_loss(*a))
        pretrain(resumed)
    assert done == ["contrast", "contrast"]  # the third step, done but not saved, is done again
    assert whole.output.read_bytes() == resumed.output.read_bytes()
    assert [path.name for path in resumed.output.parent.iterdir()] == ["clip.safetensors"]


@pytest.mark.usefixtures("tiny_and_repeatable")
def test_a_damaged_state_is_refused_in_a_sentence(tmp_path):
    torch.save({"step": 1}, tmp_path / "clip.state.pt")
    with pytest.raises(InputError, match=r"clip\.state\.pt .* saved state.*: remove the file") as caught:
        pretrain(replace(TINY, output=tmp_path / "clip.safetensors"))
    assert "\n" not in str(caught.value) and not (tmp_path / "clip.safetensors").exists()


@pytest.mark.usefixtures("tiny_and_repeatable")
def test_the_written_file_is_a_clip_and_another_seed_another_one(tmp_path):
    config = replace(TINY, output=tmp_path / "clip.safetensors", contrast_steps=1)
    trained = pretrain(config)
    weights = load_file(config.output)
    assert {tensor.dtype for tensor in weights.values()} == {torch.float16}
    rebuilt = build_model(dict(weights))
    loaded = load_clip(config.output)
    assert rebuilt.visual.input_resolution == loaded.model.visual.input_resolution == RESOLUTION
    tokens = tokenize(["the red star", "a disc"])
    with torch.no_grad():
        difference = loaded.model.encode_text(tokens) - trained.encode_text(tokens)
    assert difference.abs().max() < 2e-2  # half precision
    other = replace(config, output=tmp_path / "other.safetensors", seed=1)
    pretrain(other)
    assert other.output.read_bytes() != config.output.read_bytes()


def test_the_real_architecture_is_that_of_the_file_in_the_package():
    """By its heads too, which are no weights: `build_model` infers them."""
    model, shipped = new_embedded_clip(), load_clip().model
    shapes = ({name: each.shape for name, each in clip.state_dict().items()} for clip in (model, shipped))
    assert next(shapes) == next(shapes)
    heads = [[b.attn.num_heads for b in clip.transformer.resblocks] for clip in (model, shipped)]
    assert heads[0] == heads[1] and model.visual.attnpool.num_heads == shipped.visual.attnpool.num_heads
