from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch
from clip.model import CLIP, build_model
from jsonargparse import ArgumentError, ArgumentParser
from safetensors.torch import load_file
from torch import Tensor

from grounding.clip.backbone import load_clip
from grounding.clip.text import tokenize
from grounding.errors import InputError
from grounding.runtime.config_io import plain
from pretraining import clip as pretrain_module
from pretraining.clip import (
    CaptionedBatches,
    PretrainConfig,
    contrastive_loss,
    new_embedded_clip,
    pretrain,
    pretraining_loss,
)
from pretraining.yolo import PretrainYoloConfig

TINY = PretrainConfig(steps=4, batch_size=4, save_every=2, warmup_steps=2, dense_from=1)
RESOLUTION = 64


def tiny_untrained_clip() -> CLIP:
    """The smallest that `build_model` rebuilds from its weights alone: it takes width // 64 heads."""
    model = CLIP(
        embed_dim=16,
        image_resolution=RESOLUTION,
        vision_layers=(1, 1, 1, 1),
        vision_width=8,
        vision_patch_size=None,
        context_length=77,
        vocab_size=49408,
        transformer_width=64,
        transformer_heads=1,
        transformer_layers=1,
    )
    return model.float()


@pytest.fixture
def tiny_and_repeatable(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The tiny model, on one thread: sums over several are not bit for bit the same each time."""
    monkeypatch.setattr(pretrain_module, "new_embedded_clip", tiny_untrained_clip)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def random_pairs(count: int = 6) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    logits = 3 * torch.randn(count, count, generator=generator, dtype=torch.float64)
    also_true = torch.rand(count, count, generator=generator) < 0.3
    return logits, also_true | torch.eye(count, dtype=torch.bool)


def test_contrastive_loss_is_the_mean_over_images_and_texts_of_minus_log_probability():
    logits, also_true = random_pairs()
    terms = []
    for i in range(len(logits)):
        texts = [j for j in range(len(logits)) if j == i or not also_true[i, j]]
        images = [j for j in range(len(logits)) if j == i or not also_true[j, i]]
        terms.append(-logits[i, i] + torch.stack([logits[i, j] for j in texts]).exp().sum().log())
        terms.append(-logits[i, i] + torch.stack([logits[j, i] for j in images]).exp().sum().log())
    torch.testing.assert_close(contrastive_loss(logits, also_true), torch.stack(terms).mean())


def test_pairs_that_are_also_true_are_neither_pushed_nor_pulled():
    logits, also_true = random_pairs()
    logits.requires_grad_()
    contrastive_loss(logits, also_true).backward()
    own = torch.eye(len(logits), dtype=torch.bool)
    assert (logits.grad[also_true & ~own] == 0).all()
    assert (logits.grad[~also_true] > 0).all()
    assert (logits.grad[own] < 0).all()


def test_a_batch_in_which_everything_is_true_has_no_loss():
    logits = torch.randn(4, 4, requires_grad=True)
    loss = contrastive_loss(logits, torch.ones(4, 4, dtype=torch.bool))
    loss.backward()
    assert loss == 0 and (logits.grad == 0).all()


def test_pictures_and_positions_are_both_set_against_the_captions_not_mentioned(monkeypatch):
    torch.manual_seed(0)
    seen: list[Tensor] = []

    def record(logits: Tensor, also_true: Tensor) -> Tensor:
        assert logits.shape == also_true.shape
        seen.append(also_true)
        return contrastive_loss(logits, also_true)

    monkeypatch.setattr(pretrain_module, "contrastive_loss", record)
    batch = next(iter(CaptionedBatches(replace(TINY, batch_size=32), RESOLUTION, 0)))
    model = tiny_untrained_clip()
    whole = pretraining_loss(model, batch, dense=False)
    assert len(seen) == 1
    both = pretraining_loss(model, batch, dense=True)
    assert torch.isfinite(both) and both > whole > 0
    assert len(seen) == 3 and all(torch.equal(also_true, batch.mentioned) for also_true in seen)


def test_batches_from_a_later_step_are_those_of_a_whole_run():
    whole = list(CaptionedBatches(TINY, RESOLUTION, 0))
    resumed = list(CaptionedBatches(TINY, RESOLUTION, 2))
    assert (len(whole), len(resumed)) == (4, 2)
    for expected, batch in zip(whole[2:], resumed, strict=True):
        for name in ("images", "tokens", "mentioned"):
            assert torch.equal(getattr(batch, name), getattr(expected, name))
    assert whole[0].images.shape == (4, 3, RESOLUTION, RESOLUTION) and whole[0].images.dtype == torch.uint8
    assert not torch.equal(whole[0].images, whole[1].images)


@pytest.mark.usefixtures("tiny_and_repeatable")
def test_an_interrupted_run_resumes_to_the_same_weights(tmp_path, monkeypatch):
    whole, resumed = (replace(TINY, output=tmp_path / name / "clip.safetensors") for name in ("whole", "resumed"))
    pretrain(whole)
    with monkeypatch.context() as patch:
        patch.setattr(pretrain_module, "pretraining_loss", _InterruptAtCall(4))
        with pytest.raises(KeyboardInterrupt):
            pretrain(resumed)
    assert not resumed.output.exists()
    steps: list[bool] = []
    with monkeypatch.context() as patch:
        patch.setattr(pretrain_module, "pretraining_loss", lambda *a, dense: steps.append(dense) or _loss(*a, dense))
        pretrain(resumed)
    assert steps == [True, True]  # steps 3 and 4: the third, done but not saved, is done again
    assert whole.output.read_bytes() == resumed.output.read_bytes()
    assert [path.name for path in resumed.output.parent.iterdir()] == ["clip.safetensors"]


@pytest.mark.usefixtures("tiny_and_repeatable")
def test_a_state_of_other_settings_is_refused(tmp_path, monkeypatch):
    config = replace(TINY, output=tmp_path / "clip.safetensors")
    with monkeypatch.context() as patch:
        patch.setattr(pretrain_module, "pretraining_loss", _InterruptAtCall(4))
        with pytest.raises(KeyboardInterrupt):
            pretrain(config)
    with pytest.raises(InputError, match=r"clip\.state\.pt belongs to a run with other settings"):
        pretrain(replace(config, steps=2, seed=1))


@pytest.mark.usefixtures("tiny_and_repeatable")
@pytest.mark.parametrize("damage", ["cut short", "no state"])
def test_a_damaged_state_is_refused_in_a_sentence(tmp_path, damage):
    state = tmp_path / "clip.state.pt"
    torch.save({"step": 1}, state)
    if damage == "cut short":
        state.write_bytes(state.read_bytes()[:-40])
    with pytest.raises(InputError, match=r"clip\.state\.pt .* saved state.*: remove the file") as caught:
        pretrain(replace(TINY, output=tmp_path / "clip.safetensors"))
    assert "\n" not in str(caught.value) and not (tmp_path / "clip.safetensors").exists()


@pytest.mark.parametrize(
    ("config_class", "name"),
    [(PretrainConfig, "steps"), (PretrainConfig, "batch_size"), (PretrainConfig, "save_every"),
     (PretrainYoloConfig, "epochs"), (PretrainYoloConfig, "batch_size")],
)  # fmt: skip
def test_counts_below_one_are_refused(config_class, name):
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(config_class)
    for value in ("0", "-1"):
        with pytest.raises(ArgumentError, match=name):
            parser.parse_args([f"--{name}", value])
    given = parser.instantiate(parser.parse_args([f"--{name}", "3"]))
    assert plain(config_class(**given.as_dict())) == plain(config_class(**{name: 3}))


@pytest.mark.usefixtures("tiny_and_repeatable")
def test_the_written_file_is_a_clip_and_another_seed_another_one(tmp_path):
    config = replace(TINY, output=tmp_path / "clip.safetensors", steps=2)
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


def test_the_real_architecture_fits_in_sixteen_megabytes_and_is_rebuilt_from_its_weights():
    model = new_embedded_clip()
    halves = {name: value.half() for name, value in model.state_dict().items() if value.is_floating_point()}
    header = 200 * len(halves)  # safetensors names each tensor with its type, shape and place
    assert sum(2 * value.numel() for value in halves.values()) + header < 16_000_000
    rebuilt = build_model(dict(halves))
    assert {k: v.shape for k, v in rebuilt.state_dict().items()} == {k: v.shape for k, v in model.state_dict().items()}
    # The number of heads is no weight: it has to be the one `build_model` infers.
    assert [b.attn.num_heads for b in rebuilt.transformer.resblocks] == [
        b.attn.num_heads for b in model.transformer.resblocks
    ]
    assert rebuilt.visual.attnpool.num_heads == model.visual.attnpool.num_heads


class _InterruptAtCall:
    """`pretraining_loss` until the given call, and then what Ctrl-C raises."""

    def __init__(self, last: int) -> None:
        self.last, self.calls = last, 0

    def __call__(self, *arguments: Any, dense: bool) -> Tensor:
        self.calls += 1
        if self.calls == self.last:
            raise KeyboardInterrupt
        return _loss(*arguments, dense)


def _loss(model: CLIP, batch: pretrain_module.PretrainingBatch, dense: bool) -> Tensor:
    return pretraining_loss(model, batch, dense=dense)
