"""A phrase that CLIP cannot read is named by its sent_id wherever a data set is asked."""

from __future__ import annotations

from pathlib import Path

import pytest

import grounding
from grounding.data.refcocog import RefCOCOg
from grounding.evaluation.compare_sets import set_answers
from grounding.evaluation.evaluate import evaluate
from grounding.evaluation.extraction_sweep import sweep
from grounding.extraction import ExtractionConfig
from grounding.methods.config import ModelConfig
from grounding.runtime.errors import InputError
from grounding.training.config import TrainConfig
from grounding.training.train import train
from tests.tiny_clip import save_tiny_clip
from tests.toy_data import edit_toy_data, write_toy_data


def test_whoever_asks_a_data_set_is_told_the_sentence(tmp_path: Path) -> None:
    def edit(refs: list[dict], instances: dict) -> None:
        refs[3]["sentences"][0]["sent"] = "the box " * 50

    dataset = RefCOCOg(edit_toy_data(write_toy_data(tmp_path / "data"), edit), "train", group_by="image")
    clip = str(save_tiny_clip(tmp_path / "clip.pt"))
    model = ModelConfig(clip=clip, model_size=64)
    grounder = grounding.load("zero-shot", model=model, precision="float32")
    for ask in (
        lambda: evaluate(grounder, dataset),
        lambda: set_answers(grounder, dataset, images_per_batch=2, workers=0),
        lambda: sweep(grounder, dataset, [ExtractionConfig()], quality_head=None, images_per_batch=2, workers=0),
        lambda: train(TrainConfig(tmp_path / "data", tmp_path / "run", model=model, device="cpu")),
    ):
        with pytest.raises(InputError, match=r"^image_id 2, sent_id 4: .*longer than CLIP's 77 tokens"):
            ask()
