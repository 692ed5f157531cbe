"""The loop: the best epoch is kept, and a killed run ends as an uninterrupted one."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

import grounding.training.train as training
from grounding.errors import InputError
from grounding.methods.dense import DenseGrounder
from grounding.training.config import TrainConfig
from grounding.training.step import running_mean, warmup_cosine
from grounding.training.train import train
from tests.training.runs import (
    ALL_LOSSES,
    AUGMENTED,
    assert_killed_and_resumed_equals_uninterrupted,
    assert_same,
    logged,
)


def test_the_same_seed_gives_the_same_bits(config: TrainConfig, undisturbed: TrainConfig) -> None:
    train(config)
    assert_same(config, undisturbed)


def test_another_seed_gives_other_weights(config: TrainConfig, undisturbed: TrainConfig) -> None:
    train(replace(config, seed=1))
    first, second = (load_file(run.output / "decoder.safetensors") for run in (config, undisturbed))
    assert any(not torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize(("steps", "save_every"), [(1, 1), (5, 2)])
def test_resumed_run_equals_uninterrupted(
    config: TrainConfig, monkeypatch: pytest.MonkeyPatch, steps: int, save_every: int
) -> None:
    config = replace(config, save_every=save_every, composed_per_image=1, augmentation=AUGMENTED)
    assert_killed_and_resumed_equals_uninterrupted(config, monkeypatch, steps)


def test_a_run_starts_from_the_decoder_of_another_one(config: TrainConfig, undisturbed: TrainConfig) -> None:
    # With a learning rate next to nothing, what is kept is what it started from.
    train(replace(config, epochs=1, learning_rate=1e-12, weight_decay=0.0, start_from=str(undisturbed.output)))
    first, kept = (load_file(run.output / "decoder.safetensors") for run in (undisturbed, config))
    assert all(torch.allclose(first[name], kept[name], atol=1e-6) for name in first)


@pytest.mark.parametrize("what", ["no folder", "another decoder"])
def test_a_start_that_cannot_be_is_told(config: TrainConfig, undisturbed: TrainConfig, what: str) -> None:
    if what == "no folder":
        config, said = replace(config, start_from="runs/nowhere"), "start_from: no run folder 'runs/nowhere'"
    else:
        wider = replace(config.model, decoder=replace(config.model.decoder, width=32))
        config, said = replace(config, start_from=str(undisturbed.output), model=wider), "does not fit the decoder"
    with pytest.raises(InputError, match=said):
        train(config)
    assert not (config.output / "decoder.safetensors").exists()


def test_losses_and_learning_rate_are_logged(config: TrainConfig) -> None:
    train(replace(config, losses=ALL_LOSSES))
    log = logged(config.output)
    rates, total = log.pop("learning_rate"), log.pop("total_loss")
    assert list(rates) == list(total) == list(range(1, 7))
    # The rate with which a step was taken: the first one's is not yet that of the second.
    expected = [config.learning_rate * warmup_cosine(step, config.warmup_steps, 6) for step in range(6)]
    assert list(rates.values()) == pytest.approx(expected)
    assert set(log) == {"mask_loss", "contrast_loss"}
    parts = [sum(series[step] for series in log.values()) for step in total]
    assert list(total.values()) == pytest.approx(parts)


def test_best_epoch_is_kept_and_patience_ends_the_run(config: TrainConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    scores = iter([0.2, 0.6, 0.5, 0.4, 0.9])
    weights = []

    def scripted(grounder: DenseGrounder, *_: object, **__: object) -> dict:
        weights.append({k: v.clone() for k, v in grounder.decoder.state_dict().items()})
        return {"acc@0.5": next(scores), "miou": 0.0, "pointing": 0.0}

    monkeypatch.setattr(training, "evaluate", scripted)
    best = train(replace(config, epochs=5, patience=2))
    assert best["acc@0.5"] == 0.6
    assert len(weights) == 4  # two epochs without improvement end it
    kept = load_file(config.output / "decoder.safetensors")
    assert all(torch.equal(kept[name], weights[1][name]) for name in kept)


def test_warmup_cosine() -> None:
    factors = [warmup_cosine(step, 10, 110) for step in range(111)]
    assert factors[0] == pytest.approx(0.1)
    assert factors[9] == factors[10] == 1.0
    assert factors[60] == pytest.approx(0.5)
    assert factors[110] == pytest.approx(0.0)
    assert warmup_cosine(10_000, 10, 110) == pytest.approx(0.0)


def test_running_mean_follows_quickly_then_slowly() -> None:
    update = running_mean(0.9)
    mean, value = [torch.zeros(1)], [torch.ones(1)]
    update(mean, value, 1)
    assert mean[0].item() == pytest.approx(1 - 2 / 11)
    mean = [torch.zeros(1)]
    update(mean, value, 10_000)
    assert mean[0].item() == pytest.approx(0.1)
