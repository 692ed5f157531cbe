"""What a method's name says, where names of several kinds meet."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

import grounding
from grounding.evaluation.registry import MethodSettings, load_method
from grounding.methods.config import ModelConfig
from grounding.methods.dense import DenseGrounder
from grounding.methods.distinct_names import method_names, method_places
from grounding.methods.load import SIZES_OF_A_CLIP
from grounding.methods.names import is_clip, needs_no_training
from grounding.methods.proposals import ProposalsConfig
from grounding.methods.yolo_clip import ScoringConfig
from tests.tiny_clip import save_tiny_clip


def test_a_published_clip_keeps_its_name_beside_a_run_of_that_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs" / "RN50").mkdir(parents=True)
    (tmp_path / "RN50").mkdir()
    assert method_names(["RN50", "runs/RN50"]) == ["RN50", "runs-RN50"]
    assert method_places(["RN50"], ["RN50"]) == [["RN50", "RN50"]]


def test_a_run_on_a_hub_is_no_clip_and_a_file_is_one_in_any_case() -> None:
    assert not is_clip("hf://user/run@v1.pt") and not needs_no_training("hf://user/x.bin")
    assert is_clip("RN50.PT") and is_clip("RN50")


def test_a_clip_beside_a_run_on_it_is_asked_as_it_is_alone(tmp_path: Path) -> None:
    clip = str(save_tiny_clip(tmp_path / "clip.pt"))
    of_the_run = ModelConfig(clip=clip, model_size=64, spatial_rules=True)
    settings = MethodSettings(of_the_run, ProposalsConfig(), ScoringConfig(), "cpu")
    beside = load_method(clip, settings)
    alone = grounding.load(clip)
    for grounder in (beside, alone):
        assert isinstance(grounder, DenseGrounder) and not grounder.spatial_rules
        assert [each.model_size for each in grounder._encoders] == list(SIZES_OF_A_CLIP)


def test_a_pickle_keeps_what_scores_were_asked_for() -> None:
    grounder = grounding.load("zero-shot")
    assert isinstance(grounder, DenseGrounder)
    grounder.raw_scores = True
    assert pickle.loads(pickle.dumps(grounder)).raw_scores
