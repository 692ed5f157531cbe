"""The loop: the best epoch is kept, and a killed run ends as an uninterrupted one."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

import grounding.training.train as training
from grounding.methods.dense import DenseGrounder
from grounding.runtime.errors import InputError
from grounding.training.config import TrainConfig
from grounding.training.criterion import LossConfig
from grounding.training.step import running_mean, warmup_cosine
from grounding.training.train import train
from tests.training.runs import (
    AUGMENTED,
    assert_killed_and_resumed_equals_uninterrupted,
    assert_same,
    decoder_of,
    equal,
    logged,
)


def test_the_seed_decides(config: TrainConfig, undisturbed: TrainConfig) -> None:
    train(config)
    assert_same(config, undisturbed)
    other = replace(config, seed=1, output=config.output.with_name("other"))
    train(other)
    assert not equal(decoder_of(other.output), decoder_of(undisturbed.output))


@pytest.mark.parametrize(("steps", "save_every"), [(1, 1), (5, 2)])
def test_resumed_run_equals_uninterrupted(
    config: TrainConfig, monkeypatch: pytest.MonkeyPatch, steps: int, save_every: int
) -> None:
    config = replace(config, save_every=save_every, composed_per_image=1, augmentation=AUGMENTED)
    assert_killed_and_resumed_equals_uninterrupted(config, monkeypatch, steps)


def test_a_run_starts_from_the_decoder_of_another_one(config: TrainConfig, undisturbed: TrainConfig) -> None:
    # With a learning rate next to nothing, what is kept is what it started from.
    train(replace(config, epochs=1, learning_rate=1e-12, weight_decay=0.0, start_from=str(undisturbed.output)))
    first, kept = (decoder_of(run.output) for run in (undisturbed, config))
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


def test_losses_and_learning_rate_are_logged(everything: TrainConfig) -> None:
    config = replace(everything, losses=LossConfig(distance_weight=0.1))
    train(config)
    log = logged(config.output)
    rates, total = log.pop("learning_rate"), log.pop("total_loss")
    assert list(rates) == list(total) == list(range(1, 7))
    # The rate with which a step was taken: the first one's is not yet that of the second.
    expected = [config.learning_rate * warmup_cosine(step, config.warmup_steps, 6) for step in range(6)]
    assert list(rates.values()) == pytest.approx(expected)
    assert set(log) == {"mask_loss", "presence_loss", "distance_loss"}
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
    assert equal(decoder_of(config.output), weights[1])


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
