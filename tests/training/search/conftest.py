"""A search of three small trials on toy data."""

from __future__ import annotations

from pathlib import Path

import pytest

from grounding.methods.config import ModelConfig
from grounding.model.decoder import DecoderConfig
from grounding.training.search import TuneConfig
from tests.tiny_clip import save_tiny_clip
from tests.toy_data import write_toy_data
from tests.training.search.searches import SPACE

SMALL = DecoderConfig(width=16, blocks=1, queries=2, query_dim=8, reader_layers=1)


@pytest.fixture(scope="module")
def toys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with toy data and a tiny CLIP; not to be changed."""
    root = tmp_path_factory.mktemp("toys")
    write_toy_data(root / "data")
    save_tiny_clip(root / "clip.pt")
    return root


@pytest.fixture
def config(toys: Path, tmp_path: Path) -> TuneConfig:
    model = ModelConfig(clip=str(toys / "clip.pt"), model_size=64, decoder=SMALL)
    return TuneConfig(toys / "data", tmp_path / "search", model=model, epochs=2, images_per_batch=3, warmup_steps=1,
                      device="cpu", trials=3, space=SPACE)  # fmt: skip
