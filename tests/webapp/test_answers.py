"""Answers against `Grounder.ground` of methods loaded apart, and how often models run for them."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import grounding
from grounding.extraction import ExtractionConfig, extract
from grounding.runtime.lru_cache import LRUCache
from grounding.webapp.answers import Answerer
from tests.webapp.conftest import given, write_photo

PHRASES = ["the red square", "the blue one on the left"]
SHARED = ("refshapes",), ("zero-shot",), ("yolo-clip", "reclip"), ("gradcam",)


@pytest.fixture
def runs(methods, monkeypatch) -> Counter[str]:
    """How often image towers, the detector and the decoder run."""
    counted: Counter[str] = Counter()

    def count(owner: object, name: str, what: str) -> None:
        own = getattr(owner, name)

        def counting(*arguments: object, **options: object) -> object:
            counted[what] += 1
            return own(*arguments, **options)

        monkeypatch.setattr(owner, name, counting)

    for name in ("refshapes", "zero-shot", "gradcam"):
        for encoder in methods[name]._encoders:
            count(encoder, "encode", name)
    for name in ("yolo-clip", "reclip"):
        count(methods[name].scorer, "encode", "crops")
        count(methods[name].proposer, "propose", "detector")
    count(methods["refshapes"].decoder, "answer", "decoder")
    return counted


@pytest.mark.parametrize("name", ["refshapes", "zero-shot", "gradcam", "yolo-clip", "reclip"])
def test_equals_the_method_itself(answerer, photo_file, name: str) -> None:
    model = grounding.methods.load.read_model_config(grounding.methods.load.SHIPPED["refshapes"])
    alone = grounding.load("refshapes") if name == "refshapes" else grounding.load(name, model=model)
    photo = given(photo_file)
    for found, expected in zip(answerer.ask(photo, PHRASES, name), alone.ground(photo_file, PHRASES), strict=True):
        assert found.phrase == expected.phrase
        np.testing.assert_allclose(found.heatmap, expected.heatmap, atol=1e-5)
        np.testing.assert_array_equal(found.boxes_xyxy, expected.boxes_xyxy)
        np.testing.assert_allclose(found.scores, expected.scores, atol=1e-5)


def test_an_image_is_encoded_once_for_all_methods_of_a_family(answerer, photo_file, runs) -> None:
    photo = given(photo_file)
    for first, *others in SHARED:
        answerer.ask(photo, PHRASES[:1], first)
        seen = dict(runs)
        for name in (first, *others):
            answerer.ask(photo, PHRASES, name)
        runs.pop("decoder", None), seen.pop("decoder", None)
        assert dict(runs) == seen
    # The shipped decoder looks at one size, plain and mirrored, by a CLIP that it has updated; zero-shot by CLIP's own.
    assert dict(runs) == {"refshapes": 2, "zero-shot": 2, "gradcam": 1, "crops": 1, "detector": 1}


def test_controls_run_no_model(answerer, photo_file, runs) -> None:
    """Boxes are made as chosen from a heatmap that is kept."""
    photo = given(photo_file)
    [own, _] = answerer.ask(photo, PHRASES, "refshapes")
    before, chosen = dict(runs), {own.boxes_xyxy.tobytes()}
    assert before["decoder"] > 0 and own.calibrated
    for config in (
        ExtractionConfig("components", relative=0.2),
        ExtractionConfig("components", relative=0.8),
        ExtractionConfig("rectangle", offset=0.3),
        ExtractionConfig("multi_threshold"),
        ExtractionConfig("grabcut"),
    ):
        [found, _] = answerer.ask(photo, PHRASES, "refshapes", config)
        boxes, scores = extract(found.heatmap, config, None, photo.pixels)
        np.testing.assert_array_equal(found.boxes_xyxy, boxes)
        np.testing.assert_array_equal(found.scores, scores)
        assert not found.calibrated  # which was fitted to the method's own boxes
        chosen.add(boxes.tobytes())
    assert dict(runs) == before and len(chosen) == 6, "every control has an effect"


def test_what_was_dropped_is_made_again(methods, answerer, tmp_path: Path) -> None:
    """With room for one photo, two take turns; what is kept stays within the budget."""
    photos = [given(write_photo(tmp_path / f"{seed}.png", seed=seed)) for seed in (1, 2)]
    memory = LRUCache(int(1.3 * methods["refshapes"].encode(photos[0].pixels).nbytes))
    narrow = Answerer(methods, memory)
    for photo in (*photos, *photos):
        found, expected = (each.ask(photo, PHRASES, "refshapes")[0] for each in (narrow, answerer))
        np.testing.assert_array_equal(found.boxes_xyxy, expected.boxes_xyxy)
        assert 0 < memory.used <= memory.budget


def test_the_same_question_of_many_at_once_is_computed_once(answerer, photo_file, runs) -> None:
    photo = given(photo_file)
    with ThreadPoolExecutor(10) as pool:
        list(pool.map(lambda _: answerer.ask(photo, PHRASES, "refshapes"), range(10)))
    assert dict(runs) == {"refshapes": 2, "decoder": 2}
