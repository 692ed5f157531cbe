"""What ends training midway, a signal or an image that cannot be read, costs no step."""

from __future__ import annotations

import os
import signal
from dataclasses import replace

import pytest

import grounding.training.train as training
from grounding import InputError
from grounding.data.dataloader import GlobalBatches
from grounding.data.refcocog import RefCOCOg
from grounding.runtime.signals import Stopped, StopRequest
from grounding.training.config import TrainConfig
from grounding.training.train import train
from tests.scripts import run_script
from tests.training.runs import assert_same, at_step, signalled, state_names


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_after_the_step(
    config: TrainConfig, undisturbed: TrainConfig, number: int, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    words = ["--data", config.data, "--output", config.output, "--model.clip", config.model.clip, "--model.model_size",
             64, "--model.decoder.width", 16, "--model.decoder.blocks", 1, "--model.decoder.queries", 2,
             "--model.decoder.query_dim", 8, "--epochs", 2, "--images_per_batch", 2, "--warmup_steps", 2, "--device",
             "cpu"]  # fmt: skip
    with monkeypatch.context() as patch:
        at_step(patch, 2, signalled(number))
        outcome = run_script(capsys, "train.py", *words)
    assert outcome.code == 128 + number
    assert outcome.err.splitlines()[-1] == "stopped after step 2: the same command with --resume true goes on"
    assert "Traceback" not in outcome.err
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert state_names(config.output)[-1] == "00000002-0000"
    assert run_script(capsys, "train.py", *words, "--resume", "true").code == 0
    assert_same(config, undisturbed)


def test_a_signal_ends_validation_at_once(
    config: TrainConfig, undisturbed: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def long(*_: object, **__: object) -> dict[str, float]:
        os.kill(os.getpid(), signal.SIGTERM)
        raise AssertionError("went on")

    with monkeypatch.context() as patch:
        patch.setattr(training, "evaluate", long)
        with pytest.raises(Stopped, match="after step 3"):
            train(config)
    assert state_names(config.output)[-1] == "00000003-0000"  # no step of the epoch is lost
    train(replace(config, resume=True))
    assert_same(config, undisturbed)


def test_the_second_signal_is_no_request_and_an_ignored_one_stays_ignored() -> None:
    with StopRequest() as stop:
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.received == signal.SIGINT
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with StopRequest() as stop:
        os.kill(os.getpid(), signal.SIGINT)
        assert not stop.received


def test_an_image_that_breaks_midway_costs_no_step(config: TrainConfig, undisturbed: TrainConfig) -> None:
    *_, last_batch = GlobalBatches(6, config.images_per_batch, seed=config.seed)
    image = RefCOCOg(config.data, "train", group_by="image").expressions_of(last_batch[0])[0].image_path
    whole = image.read_bytes()
    image.write_bytes(whole[:40])
    with pytest.raises(InputError, match=image.name):
        train(config)
    assert state_names(config.output)[-1] == "00000002-0000"
    image.write_bytes(whole)
    train(replace(config, resume=True))
    assert_same(config, undisturbed)
