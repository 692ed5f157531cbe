"""Training that is disturbed: what it says, what it leaves, and that it goes on to what it would have come to."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from filelock import FileLock
from safetensors.torch import load_file

import grounding.training as training
from grounding import InputError, lock
from grounding.config import ModelConfig
from grounding.data.batches import TrainingBatch
from grounding.data.global_batches import GlobalBatches
from grounding.data.refcocog import RefCOCOg
from grounding.decoder import DecoderConfig
from grounding.interruption import Stopped, StopRequest
from grounding.learner import Learner
from grounding.train_config import TrainConfig
from grounding.training import train
from tests.scripts import run_script
from tests.tiny_clip import save_tiny_clip
from tests.toy_data import write_toy_data

SMALL = DecoderConfig(width=16, blocks=1, queries=2, query_dim=8)
Losses = dict[str, torch.Tensor]


@pytest.fixture(autouse=True)
def in_the_foreground() -> Iterator[None]:
    """Of a shell's background work Ctrl-C is ignored from the start; here it is not."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def config(tmp_path: Path) -> TrainConfig:
    """Six steps in two epochs."""
    data = write_toy_data(tmp_path / "data")
    model = ModelConfig(clip=str(save_tiny_clip(tmp_path / "clip.pt")), model_size=64, decoder=SMALL)
    return TrainConfig(data, tmp_path / "run", model=model, epochs=2, images_per_batch=2, warmup_steps=2, device="cpu",
                       save_every=1)  # fmt: skip


@pytest.fixture
def undisturbed(config: TrainConfig) -> TrainConfig:
    other = replace(config, output=config.output.with_name("undisturbed"))
    train(other)
    return other


def weights(run: Path) -> Losses:
    """Of the best epoch, of the last step, and their mean then."""
    newest = max((run / "states").iterdir())
    files = run / "decoder.safetensors", newest / "model.safetensors", newest / "mean.safetensors"
    return {f"{path.name}.{name}": value for path in files for name, value in load_file(path).items()}


def newest_state(run: Path) -> str:
    """Its name: step and epoch."""
    return max(path.name for path in (run / "states").iterdir())


def assert_same(one: TrainConfig, other: TrainConfig) -> None:
    first, second = weights(one.output), weights(other.output)
    assert set(first) == set(second) and all(torch.equal(first[name], second[name]) for name in first)
    logs = [(run.output / "metrics.jsonl").read_text() for run in (one, other)]
    assert logs[0] == logs[1]
    left = [path for run in (one, other) for path in run.output.rglob("*") if path.name in ("unfinished", "part")]
    assert not left


def at_step(patch: pytest.MonkeyPatch, number: int, change: Callable[[Losses], Losses], *, until: int = 0) -> None:
    """Does something in the middle of a step, counted from 1, and in those after it `until` another."""
    losses, calls = Learner.forward, iter(range(1, 1000))

    def disturbed(learner: Learner, batch: TrainingBatch) -> Losses:
        found = losses(learner, batch)
        return change(found) if number <= next(calls) <= max(number, until) else found

    patch.setattr(Learner, "forward", disturbed)


def signalled(number: int) -> Callable[[Losses], Losses]:
    def send(losses: Losses) -> Losses:
        os.kill(os.getpid(), number)
        return losses

    return send


def not_a_number(losses: Losses) -> Losses:
    return {name: value * torch.nan for name, value in losses.items()}


def test_the_same_seed_gives_the_same_bits(config: TrainConfig, undisturbed: TrainConfig) -> None:
    train(config)
    assert_same(config, undisturbed)


@pytest.mark.parametrize("damage", ["cut", "bit", "gone", "unlisted", "empty"])
def test_a_damaged_state_gives_way_to_the_one_before(
    config: TrainConfig, undisturbed: TrainConfig, capsys: pytest.CaptureFixture[str], damage: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    with monkeypatch.context() as patch:
        at_step(patch, 5, signalled(signal.SIGTERM))
        with pytest.raises(Stopped):
            train(config)
    states = sorted((config.output / "states").iterdir())
    assert [each.name for each in states] == ["00000004-0001", "00000005-0001"]
    victim = states[-1] / "optimizer.bin"
    content = bytearray(victim.read_bytes())
    if damage == "bit":
        content[len(content) // 2] ^= 1
    if damage in ("cut", "bit"):
        victim.write_bytes(content[: -7 if damage == "cut" else None])
    elif damage == "gone":
        victim.unlink()
    elif damage == "unlisted":
        (states[-1] / "files.json").unlink()
    else:
        (states[-1] / "files.json").write_text("{}")
    capsys.readouterr()
    train(replace(config, resume=True))
    assert f"{states[-1]} is damaged" in capsys.readouterr().out
    assert_same(config, undisturbed)


def test_what_the_logs_say_of_lost_steps_comes_once(config: TrainConfig, undisturbed: TrainConfig) -> None:
    config = replace(config, last_states=100)
    train(config)
    for path in (config.output / "states").glob("*-0002"):  # killed after the last epoch's line, before its state
        shutil.rmtree(path)
    with (config.output / "metrics.jsonl").open("a") as file:
        file.write('{"epoch": 3, "st')
    (config.output / "skipped.jsonl").write_text('{"step": 2}\n{"step": 7}\n{"st')
    train(replace(config, resume=True))
    assert_same(config, undisturbed)
    assert (config.output / "skipped.jsonl").read_text() == '{"step": 2}\n'


def test_no_whole_state_is_said(config: TrainConfig) -> None:
    train(replace(config, epochs=1))
    for path in (config.output / "states").glob("*/progress.json"):
        path.write_text("{}")
    with pytest.raises(InputError, match="none of the 2 states"):
        train(replace(config, epochs=1, resume=True))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_after_the_step(
    config: TrainConfig, undisturbed: TrainConfig, number: int, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    config = replace(config, save_every=100)
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
    assert newest_state(config.output) == "00000002-0000"
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
            train(replace(config, save_every=100))
    assert newest_state(config.output) == "00000003-0000"  # no step of the epoch is lost
    train(replace(config, save_every=100, resume=True))
    assert_same(config, undisturbed)


def test_the_second_signal_is_no_request() -> None:
    with StopRequest() as stop:
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.received == signal.SIGINT
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


def test_what_was_ignored_from_the_start_stays_ignored() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with StopRequest() as stop:
        os.kill(os.getpid(), signal.SIGINT)
        assert not stop.received
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.received == signal.SIGTERM


def test_steps_without_finite_numbers_change_nothing(config: TrainConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    config = replace(config, most_skipped=7, last_states=100)
    with monkeypatch.context() as patch:
        at_step(patch, 1, not_a_number, until=6)
        train(config)
    states = sorted((config.output / "states").iterdir())
    assert len(states) > 6
    states = [states[0], states[-1]]
    first, last = (load_file(path / "mean.safetensors") for path in states)
    assert set(first) == set(last) and all(torch.equal(first[name], last[name]) for name in first)


def test_skipped_steps_are_counted_and_named(
    config: TrainConfig, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def endless(losses: Losses) -> Losses:
        return {name: value * 1e38 * 1e10 for name, value in losses.items()}

    with monkeypatch.context() as patch:
        at_step(patch, 2, endless, until=3)
        train(config)
    assert "2 steps so far had no finite loss or gradient" in capsys.readouterr().out
    assert all(value.isfinite().all() for value in weights(config.output).values())
    lines = [json.loads(line) for line in (config.output / "skipped.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [2, 3]
    with (config.data / "annotations" / "refs(umd).p").open("rb") as file:
        said = {}
        for ref in pickle.load(file):
            said.setdefault(ref["image_id"], set()).update(each["sent"] for each in ref["sentences"])
    for line in lines:
        [batch] = line["batch"]
        assert len(batch["image_ids"]) == 2
        assert set(batch["phrases"]) <= set.union(*(said[image_id] for image_id in batch["image_ids"]))


def test_too_many_skipped_steps_end_it(config: TrainConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    at_step(monkeypatch, 2, not_a_number, until=100)
    with pytest.raises(InputError, match=r"3 steps in a row had no finite loss .*skipped\.jsonl"):
        train(replace(config, most_skipped=3))
    assert len((config.output / "skipped.jsonl").read_text().splitlines()) == 3


def test_a_full_disk_leaves_the_states_before(
    config: TrainConfig, undisturbed: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    flush, calls = os.fsync, iter(range(1000))

    def full(descriptor: int) -> None:
        if next(calls) > 25:
            raise OSError(28, "No space left on device")
        flush(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(InputError, match=r"cannot be written .*No space left.* --resume true"):
            train(config)
    names = sorted(path.name for path in (config.output / "states").iterdir())
    assert names and "unfinished" not in names
    train(replace(config, resume=True))
    assert_same(config, undisturbed)


def test_a_run_without_states_is_not_trained_over(config: TrainConfig) -> None:
    config = replace(config, epochs=1)
    train(config)
    before = (config.output / "decoder.safetensors").read_bytes()
    shutil.rmtree(config.output / "states")
    with pytest.raises(InputError, match="no state to go on from"):
        train(replace(config, resume=True))
    assert (config.output / "decoder.safetensors").read_bytes() == before


def test_one_training_at_a_time_in_a_folder(config: TrainConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "SECONDS_FOR_THE_KILLED", 0.1)
    config.output.mkdir()
    with FileLock(config.output / "training.lock"), pytest.raises(InputError, match="another training works in"):
        train(config)
    assert not (config.output / "config.yaml").exists()
    train(replace(config, epochs=1))


def test_an_image_that_breaks_midway_costs_no_step(config: TrainConfig, undisturbed: TrainConfig) -> None:
    config = replace(config, save_every=100)
    *_, last_batch = GlobalBatches(6, config.images_per_batch, seed=config.seed)
    image = RefCOCOg(config.data, "train", group_by="image").expressions_of(last_batch[0])[0].image_path
    whole = image.read_bytes()
    image.write_bytes(whole[:40])
    with pytest.raises(InputError, match=image.name):
        train(config)
    assert newest_state(config.output) == "00000002-0000"
    image.write_bytes(whole)
    train(replace(config, resume=True))
    assert_same(config, undisturbed)


@pytest.mark.parametrize("fault", ["broken", "missing"])
def test_broken_images_are_left_out_on_demand(
    config: TrainConfig, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    without = replace(
        config, data=write_toy_data(config.data.with_name("smaller")), output=config.output.with_name("b")
    )
    refs = without.data / "annotations" / "refs(umd).p"
    kept = [ref for ref in pickle.loads(refs.read_bytes()) if ref["image_id"] != 3]
    refs.write_bytes(pickle.dumps(kept, protocol=2))
    train(without)

    image = config.data / "images" / "toy_003.png"
    image.write_bytes(b"no image") if fault == "broken" else image.unlink()
    with pytest.raises(InputError, match="missing" if fault == "missing" else "toy_003"):
        train(replace(config, output=config.output.with_name("refused")))
    config = replace(config, skip_broken=True)
    with monkeypatch.context() as patch:
        at_step(patch, 2, signalled(signal.SIGTERM))
        with pytest.raises(Stopped):
            train(config)
    assert "1 broken images are left out" in capsys.readouterr().out
    assert list(json.loads((config.output / "broken.json").read_text())) == ["3"]
    write_toy_data(config.data.with_name("again"))
    image.write_bytes((config.data.with_name("again") / "images" / "toy_003.png").read_bytes())
    train(replace(config, resume=True))  # though it is whole again, it stays out
    assert_same(config, without)


def test_a_run_says_where_and_with_what_it_was_made(config: TrainConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    config = replace(config, epochs=1, seed=5)
    with monkeypatch.context() as patch:
        at_step(patch, 1, signalled(signal.SIGTERM))
        with pytest.raises(Stopped):
            train(config)
    for _ in range(2):  # the second finds nothing to do
        train(replace(config, resume=True))
    first, second = (json.loads(line) for line in (config.output / "environment.jsonl").read_text().splitlines())
    assert first["seed"] == second["seed"] == 5
    assert first["packages"]["torch"] == torch.__version__.partition("+")[0]
    assert "clip.pt" in first["weights"] and first["processes"] == 1
    is_checkout = (Path(__file__).parents[1] / ".git").exists()
    assert len(first["revision"] or "") == 40 * is_checkout
