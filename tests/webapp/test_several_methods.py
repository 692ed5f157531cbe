"""Which methods a page offers, what each is called, and what is said of what it knows."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from grounding.extraction.settings import EXTRACTION_FILE
from grounding.methods.calibration import CALIBRATION_FILE
from grounding.methods.config import ModelConfig
from grounding.methods.load import load
from grounding.methods.names import SHIPPED
from grounding.methods.proposals import ProposalsConfig
from grounding.methods.yolo_clip import YOLOCLIPGrounder
from grounding.runtime.errors import InputError
from grounding.runtime.lru_cache import LRUCache
from grounding.webapp.answers import Answerer, about, load_methods
from grounding.webapp.uploads import examples_for, receive
from tests.deployment.own_methods import Quarter
from tests.fake_proposer import FakeProposer
from tests.tiny_clip import save_tiny_clip
from tests.webapp.conftest import given

PHRASES = ["the red square", "the blue one on the left"]


def test_runs_of_one_name_and_a_clip_are_beside_each_other(tmp_path: Path, photo_file: Path) -> None:
    runs = [str(shutil.copytree(SHIPPED["refshapes"], tmp_path / parent / "best")) for parent in "ab"]
    a, b = "a-best", "b-best"
    for name in (EXTRACTION_FILE, CALIBRATION_FILE):
        (tmp_path / "b" / "best" / name).unlink()
    clip = str(save_tiny_clip(tmp_path / "RN50.pt"))
    asked = [*runs, "yolo-clip", clip, Quarter()]
    methods = load_methods(asked, ModelConfig(), ProposalsConfig(), "cpu")
    assert list(methods) == [a, b, "yolo-clip", "RN50", "quarter"]
    answerer, photo = Answerer(methods, LRUCache(2**28)), given(photo_file)
    answers = {}
    for name, whole in ((a, runs[0]), (b, runs[1]), ("RN50", clip)):
        answers[name] = answerer.ask(photo, PHRASES, name)
        for one, expected in zip(answers[name], load(whole).ground(photo_file, PHRASES), strict=True):
            np.testing.assert_allclose(one.heatmap, expected.heatmap, atol=1e-5)
            np.testing.assert_array_equal(one.boxes_xyxy, expected.boxes_xyxy)
            assert one.found == expected.found
    assert answers[a][0].boxes_xyxy.shape != answers[b][0].boxes_xyxy.shape
    [expected, _] = Quarter().ground(photo.pixels, PHRASES)
    np.testing.assert_array_equal(answerer.ask(photo, PHRASES, "quarter")[0].boxes_xyxy, expected.boxes_xyxy)


def test_nothing_to_serve() -> None:
    with pytest.raises(InputError, match="no method is named: give"):
        load_methods([], ModelConfig(), ProposalsConfig(), "cpu")


def test_a_method_says_what_it_does_not_know(methods, tmp_path: Path) -> None:
    drawings = "This CLIP knows drawings only, no photographs."
    for name, method in methods.items():
        assert about(method).startswith(method.weights) and drawings in about(method)
        assert ("detector proposes" in about(method)) is (name in ("yolo-clip", "reclip"))
    assert about(methods["yolo-clip"]).endswith("and it knows drawings only.")
    other = YOLOCLIPGrounder(FakeProposer([]), methods["yolo-clip"].scorer)
    assert about(other).endswith("and it knows squares.")
    clip = load(save_tiny_clip(tmp_path / "RN50.pt"))
    assert "drawings" not in about(clip)


@pytest.mark.parametrize(("photographs", "drawings"), [(True, False), (False, True), (True, True)])
def test_examples_are_what_the_weights_know(tmp_path: Path, photographs: bool, drawings: bool) -> None:
    examples = examples_for(tmp_path / "scenes", photographs=photographs, drawings=drawings)
    portraits = sum("public domain" in one.source for one in examples)
    scenes = sum(one.source == "generated scenes" for one in examples)
    assert (portraits, scenes) == (photographs, len(examples) - photographs) and len(examples) == (8 if drawings else 1)
    for one in examples:
        assert one.phrases and receive(one.path, max_pixels=10**6).name == one.path.name
