"""A heatmap that chooses among proposals: against a loop over pixels, what it keeps of the map's answer, its name."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from grounding import InputError
from grounding.clip.encoder import EncodedImages
from grounding.data.refshapes.writer import make_split_scene
from grounding.evaluation.registry import MethodSettings, load_method, origin_of
from grounding.methods.config import ModelConfig
from grounding.methods.dense import DenseGrounder
from grounding.methods.load import load
from grounding.methods.names import folder_of, method_names, needs_no_training
from grounding.methods.proposals import ProposalsConfig
from grounding.methods.yolo_clip import OnProposals, heat_of_boxes
from grounding.types import Grounding
from tests.fake_proposer import FakeProposer

BOXES = [(0.0, 0.0, 4.0, 4.0), (4.0, 2.0, 12.0, 8.0), (5.0, 3.0, 7.0, 5.0)]


class Maps(DenseGrounder):
    """Answers with the heatmaps that it was given, a box in the corner, and whether that is an answer."""

    def __init__(self, heatmap: np.ndarray, *, found: tuple[int, ...] = (0,)) -> None:
        self.heatmap, self.found = heatmap, found
        self.name, self.weights, self.text = "maps", "none", None
        self.encoder = SimpleNamespace(clip=SimpleNamespace(name="RN50"))

    identity = ("maps",)

    def _encode(self, images):
        return EncodedImages(tuple(images), (), self.identity)

    def _ground_encoded(self, encoded, phrases):
        corner, score = np.zeros((1, 4), np.float32) + 1, np.ones(1, np.float32)
        return [
            [Grounding(phrase, corner, score, self.heatmap, image, presence=0.25, found=self.found, calibrated=True)
             for phrase in asked]
            for image, asked in zip(encoded.images, phrases, strict=True)
        ]  # fmt: skip


def test_heat_of_boxes_is_that_of_a_loop_over_pixels():
    heatmap = np.random.default_rng(0).random((10, 12)).astype(np.float32)
    expected = []
    for x1, y1, x2, y2 in np.array(BOXES, dtype=int):
        inside = [heatmap[y, x] for y in range(y1, y2) for x in range(x1, x2)]
        expected.append((max(inside) + sum(inside) / len(inside)) / 2)
    assert heat_of_boxes(heatmap, np.array(BOXES, np.float32)) == pytest.approx(expected, abs=1e-6)


def test_a_box_below_a_pixel_and_between_pixels_has_the_heat_of_what_it_touches():
    heatmap = np.zeros((10, 12), np.float32)
    heatmap[3, 4] = 1
    [inside, beside] = heat_of_boxes(heatmap, np.array([[4.2, 3.2, 4.4, 3.4], [6.2, 3.2, 6.4, 3.4]], np.float32))
    assert (inside, beside) == (pytest.approx(1, abs=1e-6), 0)


def test_the_hottest_proposal_comes_first_and_the_map_keeps_its_say():
    heatmap = np.zeros((10, 12), np.float32)
    heatmap[3:5, 5:7] = 0.9
    image = np.zeros((10, 12, 3), np.uint8)
    method = OnProposals(Maps(heatmap), FakeProposer(BOXES))
    [answer], nothing = method.ground_batch([image, image], [["the cup"], []])
    assert answer.boxes_xyxy.tolist() == [list(BOXES[index]) for index in (2, 1, 0)] and nothing == []
    assert answer.scores == pytest.approx([0.9, (0.9 + 0.9 * 4 / 48) / 2, 0])
    assert answer.heatmap is heatmap and answer.presence == 0.25 and answer.found == (0,)
    assert not answer.calibrated and not answer.no_proposal  # the scores are of other boxes than were calibrated
    assert (method.name, method.ground(image, ["the cup"])[0].phrase) == ("maps+yolo", "the cup")


def test_nothing_is_found_where_the_map_finds_nothing_and_the_whole_image_where_nothing_is_proposed():
    image, maps = np.zeros((10, 12, 3), np.uint8), Maps(np.zeros((10, 12), np.float32), found=())
    [answer] = OnProposals(maps, FakeProposer(BOXES)).ground(image, ["a"])
    assert answer.found == () and len(answer.boxes_xyxy) == 3
    [answer] = OnProposals(maps, FakeProposer([])).ground(image, ["a"])
    assert answer.no_proposal and answer.boxes_xyxy.tolist() == [[0, 0, 12, 10]]


def test_an_image_is_looked_at_once_and_for_this_detector_only(monkeypatch):
    method = OnProposals(Maps(np.ones((10, 12), np.float32)), FakeProposer(BOXES))
    encoded = method.encode(np.zeros((10, 12, 3), np.uint8))
    monkeypatch.setattr(FakeProposer, "propose", None)
    assert len(method.ground(encoded, ["the cup"])[0].boxes_xyxy) == 3
    monkeypatch.setattr(FakeProposer, "sha256", "1" * 64)
    other = OnProposals(method.maps, method.proposer)
    with pytest.raises(InputError, match="another CLIP, detector"):
        other.ground(encoded, ["the cup"])


def test_its_name_and_what_makes_no_heatmap():
    assert method_names(["a/run+yolo", "b/run+yolo", "a/run"]) == ["a-run+yolo", "b-run+yolo", "run"]
    assert needs_no_training("RN50.pt+yolo") and str(folder_of("runs/a+yolo")) == "runs/a"
    with pytest.raises(InputError, match=r"yolo-clip makes no heatmap .* give \+yolo after a run"):
        load("yolo-clip+yolo")


def test_by_name_its_boxes_are_the_detectors_and_its_heatmap_the_methods():
    methods, phrases = [load(name) for name in ("zero-shot+yolo", "zero-shot", "yolo-clip")], ["the circle", "the star"]
    image = make_split_scene("test", 0, seed=77)[0].image
    for answer, own, proposed in zip(*(each.ground(image, phrases) for each in methods), strict=True):
        assert sorted(answer.boxes_xyxy.tolist()) == sorted(proposed.boxes_xyxy.tolist())
        assert np.array_equal(answer.heatmap, own.heatmap)
        assert answer.scores == pytest.approx(sorted(heat_of_boxes(own.heatmap, proposed.boxes_xyxy), reverse=True))


def test_its_answers_depend_on_the_map_and_the_detector():
    settings = MethodSettings(ModelConfig(), ProposalsConfig(), "cpu")
    with_map, alone = (
        origin_of(load_method(name, settings), name, settings) for name in ("zero-shot+yolo", "zero-shot")
    )
    assert with_map.keys() - alone.keys() == {"proposals", "detector"}
    assert {name: with_map[name] for name in alone} == alone
