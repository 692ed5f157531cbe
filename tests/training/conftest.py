"""A training on toy data with a tiny CLIP: plain, with everything switched on, and trained undisturbed."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from grounding.methods.config import ModelConfig
from grounding.model.decoder import DecoderConfig
from grounding.training.config import TrainConfig
from grounding.training.train import train
from tests.tiny_clip import save_tiny_clip
from tests.toy_data import write_toy_data, write_toy_sets
from tests.training.runs import ALL_LOSSES, AUGMENTED, SMALL


@pytest.fixture(autouse=True)
def in_the_foreground() -> Iterator[None]:
    """Of a shell's background work Ctrl-C is ignored from the start; here it is not."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def small_run(folder: Path) -> TrainConfig:
    """Six steps in two epochs, on data written into the folder."""
    data = write_toy_data(folder / "data")
    model = ModelConfig(clip=str(save_tiny_clip(folder / "clip.pt")), model_size=64, decoder=SMALL)
    return TrainConfig(data, folder / "run", model=model, epochs=2, images_per_batch=2, warmup_steps=2, device="cpu")


@pytest.fixture
def config(tmp_path: Path) -> TrainConfig:
    """Six steps in two epochs."""
    return small_run(tmp_path)


@pytest.fixture
def finished(undisturbed: TrainConfig, tmp_path: Path) -> TrainConfig:
    """A copy of the run that was trained undisturbed, on its data."""
    return replace(undisturbed, output=Path(shutil.copytree(undisturbed.output, tmp_path / "run")))


@pytest.fixture
def everything(config: TrainConfig) -> TrainConfig:
    """All that is learned of boxes, all augmentation, composed phrases, and phrases for several objects or none."""
    write_toy_sets(config.data)
    decoder = replace(config.model.decoder, lora_rank=2, presence=True)
    return replace(config, model=replace(config.model, decoder=decoder), augmentation=AUGMENTED, losses=ALL_LOSSES,
                   composed_per_image=1, sets_per_image=1, sets_split_by="unc")  # fmt: skip


@pytest.fixture
def unboxed(everything: TrainConfig) -> TrainConfig:
    """The same data for adapters, which see no box."""
    return replace(everything, model=replace(everything.model, decoder=DecoderConfig(kind="adapters")),
                   sets_per_image=0, sets_split_by=None, save_every=1)  # fmt: skip


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> TrainConfig:
    """The run that `config` makes, trained without any disturbance; not to be changed."""
    run = small_run(tmp_path_factory.mktemp("undisturbed"))
    train(run)
    return run
