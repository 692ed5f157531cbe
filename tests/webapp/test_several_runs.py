"""Several runs and a method of one's own are there to choose from, each with its own answers."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from grounding import grounding_of_boxes, load
from grounding.methods.config import ModelConfig
from grounding.methods.proposals import ProposalsConfig
from grounding.runtime.lru_cache import LRUCache
from grounding.webapp.answers import Answerer, load_methods
from grounding.webapp.uploads import receive
from tests.trained_run import make_trained_run
from tests.webapp.conftest import write_photo

PHRASES = ["the red box", "box in blue"]


class Corner:
    name = "corner"

    def ground(self, image: np.ndarray, phrases: list[str]) -> list:
        box = np.array([[0, 0, len(phrase), 9] for phrase in phrases], dtype=float)
        return [grounding_of_boxes(phrase, box[[i]], np.ones(1), image) for i, phrase in enumerate(phrases)]


def test_each_answers_as_it_does_alone(tmp_path: Path) -> None:
    runs = [str(make_trained_run(tmp_path / name) / "run") for name in ("a", "b")]
    methods = load_methods([*runs, Corner()], ModelConfig(), ProposalsConfig(), "cpu")
    assert list(methods)[:3] == ["a-run", "b-run", "corner"] and {"zero-shot", "gradcam", "yolo-clip"} < set(methods)
    answerer = Answerer(methods, LRUCache(2**28))
    photo = receive(write_photo(tmp_path / "street.png", seed=3), max_pixels=10**6)
    for name, run in (("a-run", runs[0]), ("b-run", runs[1])):
        alone = load(run).ground(tmp_path / "street.png", PHRASES)
        for answer, expected in zip(answerer.ask(photo, PHRASES, name), alone, strict=True):
            np.testing.assert_array_equal(answer.heatmap, expected.heatmap)
            np.testing.assert_array_equal(answer.boxes_xyxy, expected.boxes_xyxy)
    [corner, _] = answerer.ask(photo, PHRASES, "corner")
    assert corner.boxes_xyxy.tolist() == [[0, 0, len(PHRASES[0]), 9]]
