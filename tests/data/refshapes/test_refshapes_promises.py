"""No two objects of a scene satisfy one phrase: held against a reader that shares no code with the writer."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from grounding.data.refcocog import RefCOCOg
from grounding.data.refshapes.scenes import MAX_HIDDEN, Scene
from grounding.data.refshapes.surfaces import coverage
from grounding.data.refshapes.vocabulary import NOVEL_PAIRS
from grounding.data.refshapes.writer import make_split_scene, write_refshapes
from tests.data.refshapes.phrase_judge import denoted
from tests.data.refshapes.phrase_reader import Meaning, read_phrase, read_set

# REFSHAPES_SCENES=3000 asks for as many as have 20,000 phrases.
COUNTS = {"train": int(os.environ.get("REFSHAPES_SCENES", "80")), "val": 40, "test": 80}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "refshapes"
    write_refshapes(folder, **COUNTS)
    return folder


@pytest.fixture(scope="module")
def scenes() -> dict[str, list[Scene]]:
    return {split: [make_split_scene(split, i, 0)[0] for i in range(number)] for split, number in COUNTS.items()}


def scene_of(scenes: dict[str, list[Scene]], image_id: int) -> tuple[Scene, int]:
    """The scene of an image, and the ann_id of its first object."""
    ordered = [scene for split in COUNTS for scene in scenes[split]]
    return ordered[image_id - 1], 1 + sum(len(scene.objects) for scene in ordered[: image_id - 1])


def test_every_phrase_fits_its_object_for_certain_and_nothing_else_at_all(root, scenes):
    for split in COUNTS:
        for expression in RefCOCOg(root, split).expressions:
            scene, first = scene_of(scenes, expression.image_id)
            meaning = read_phrase(expression.phrase)
            target = expression.ann_id - first
            assert scene.objects[target].box_xyxy == expression.box_xyxy
            for strictly in (True, False):
                assert denoted(meaning, scene, strictly=strictly) == [target], expression.phrase
            if meaning.relation:
                assert len(denoted(Meaning(meaning.anchor), scene, strictly=False)) == 1, expression.phrase


def test_every_set_phrase_fits_just_its_objects(root, scenes):
    for ref in json.loads((root / "annotations" / "grefs(unc).json").read_text()):
        scene, first = scene_of(scenes, ref["image_id"])
        phrase = ref["sentences"][0]["sent"]
        targets = [] if ref["ann_id"] == [-1] else [number - first for number in ref["ann_id"]]
        meanings = read_set(phrase) if len(targets) > 1 else [read_phrase(phrase)]
        for strictly in (True, False):
            found = [denoted(each, scene, strictly=strictly) for each in meanings]
            assert sorted(index for some in found for index in some) == targets, phrase


def test_tags_say_what_makes_the_object_the_only_one(root, scenes):
    for expression in RefCOCOg(root, "test").expressions:
        scene, first = scene_of(scenes, expression.image_id)
        meaning, size = read_phrase(expression.phrase), scene.image.shape[1::-1]
        item = scene.objects[expression.ann_id - first]
        alone = denoted(Meaning(meaning.attributes), scene, strictly=False)
        by_looks = alone == denoted(Meaning(meaning.attributes), scene, strictly=True) and len(alone) == 1
        clue = "relation" if meaning.relation else "location" if meaning.place else "comparison"
        x1, y1, x2, y2 = expression.box_xyxy
        expected = {"attribute" if by_looks else clue}
        expected |= {"novel"} if (item.colour, item.shape) in NOVEL_PAIRS else set()
        expected |= {"small"} if (x2 - x1) * (y2 - y1) < 0.01 * size[0] * size[1] else set()
        expected |= {"occluded"} if item.hidden >= 0.15 else set()
        assert set(expression.tags) == expected, expression


def test_phrases_are_as_long_and_as_relational_as_in_refcocog(root):
    expressions = [one for split in COUNTS for one in RefCOCOg(root, split).expressions]
    assert 7 <= np.mean([len(one.phrase.split()) for one in expressions]) <= 9
    assert 0.35 <= np.mean(["attribute" not in one.tags for one in expressions]) <= 0.5
    refs = json.loads((root / "annotations" / "grefs(unc).json").read_text())
    counts = [0 if ref["ann_id"] == [-1] else min(len(ref["ann_id"]), 2) for ref in refs]
    assert [counts.count(number) / len(refs) for number in (0, 2)] == pytest.approx([0.25, 0.25], abs=0.06)


def test_novel_combinations_are_in_the_test_split_only(scenes):
    novel = {split: [item.is_novel for scene in some for item in scene.objects] for split, some in scenes.items()}
    assert not any(novel["train"]) and not any(novel["val"])
    assert 0.05 < np.mean(novel["test"]) < 0.3


def test_boxes_and_covers_are_those_of_the_drawn_pixels(scenes):
    for scene in scenes["val"]:
        height, width = scene.image.shape[:2]
        layers = []
        for item in scene.objects:
            left, top, side = item.patch
            margin = side  # patches may reach over the edge
            canvas = np.zeros((height + 2 * margin, width + 2 * margin), bool)
            solid = coverage(item.shape, side, item.rotation, item.aspect) > 127
            canvas[top + margin : top + margin + side, left + margin : left + margin + side] = solid
            layers.append(canvas[margin : margin + height, margin : margin + width])
        for far, item in enumerate(scene.objects):
            covered = np.any([np.zeros_like(layers[0]), *layers[far + 1 :]], axis=0)
            visible = layers[far] & ~covered
            rows, columns = np.nonzero(visible)
            assert item.box_xyxy == (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
            assert item.hidden == pytest.approx(1 - visible.sum() / layers[far].sum()) and item.hidden <= MAX_HIDDEN
            for near in range(len(layers)):
                above = np.any([np.zeros_like(layers[0]), *layers[near + 1 :]], axis=0)
                share = (layers[near] & layers[far] & ~above).sum() / layers[far].sum() if near > far else 0
                assert scene.covers[near, far] == pytest.approx(share, abs=1e-6)
