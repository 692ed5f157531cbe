"""A run on toy data with a tiny CLIP: what a test that starts from a trained decoder needs."""

from __future__ import annotations

from pathlib import Path

from grounding import ModelConfig
from grounding.model.decoder import DecoderConfig
from grounding.training.config import TrainConfig
from grounding.training.train import train
from tests.tiny_clip import save_tiny_clip
from tests.toy_data import write_toy_data


def make_trained_run(root: Path) -> Path:
    """Write toy data, a tiny CLIP and a run of one epoch into `root`, as data/, clip.pt and run/; returns it."""
    write_toy_data(root / "data")
    model = ModelConfig(
        clip=str(save_tiny_clip(root / "clip.pt")),
        model_size=64,
        decoder=DecoderConfig(width=16, blocks=1, queries=2, query_dim=8),
    )
    train(TrainConfig(root / "data", root / "run", model=model, epochs=1, warmup_steps=1, device="cpu"))
    return root
