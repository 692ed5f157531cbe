"""Phrases of the third generator against the pixels and boxes that they are about, and what is measured of answers."""

from __future__ import annotations

import re
from itertools import islice
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from benchmarks import carry_over
from benchmarks.flat_scenes import COLOURS, KINDS, flat_scenes


def test_each_phrase_is_of_the_shape_in_its_box() -> None:
    seen = set()
    for image, phrases in islice(flat_scenes(3), 60):
        opposite = {"left": "right", "right": "left", "large": "small", "small": "large"}
        for phrase, kind, box in phrases:
            seen.add(kind)
            # An arrow's middle lies on its shaft: every outline is filled there.
            x, y = ((box[:2] + box[2:]) / 2).astype(int)
            [colour] = [word for word in re.findall(r"\w+", phrase)[:3] if word in COLOURS]
            assert np.abs(image[y, x].astype(int) - COLOURS[colour]).max() < 45, phrase
            alike = (np.abs(image.astype(int) - image[y, x]).max(axis=2) < 6).astype(np.uint8)
            _, labels, stats, _ = cv2.connectedComponentsWithStats(alike)
            left, top, width, height = stats[labels[y, x], :4]
            assert np.abs(box - (left, top, left + width, top + height)).max() < 3, phrase
            if kind == "attribute":
                assert [each for each, _, _ in phrases].count(phrase) == 1
            if kind in ("comparison", "location"):
                [word] = [each for each in opposite if each in phrase.split()]
                [other] = [b for each, _, b in phrases if each == phrase.replace(word, opposite[word])]
                low, high = (box, other) if word in ("left", "small") else (other, box)
                assert (np.ptp(low[[0, 2]]) < np.ptp(high[[0, 2]])) if kind == "comparison" else (low[0] < high[0])
            if kind == "relation":
                name = phrase.split(" of the ")[1]
                [mark] = [b for each, _, b in phrases if each == f"the {name}"]
                assert (box[[0, 2]].sum() < mark[[0, 2]].sum()) == ("to the left" in phrase)
    assert seen == set(KINDS)


def test_scenes_are_the_same_for_the_same_seed() -> None:
    (one, phrases), (again, _), (other, _) = (next(flat_scenes(seed)) for seed in (1, 1, 2))
    assert np.array_equal(one, again) and not np.array_equal(one, other) and phrases


def test_boxes_and_hottest_points_are_measured_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    image, box = np.zeros((8, 8, 3), np.uint8), np.array([0.0, 0, 4, 4])
    heatmaps = np.zeros((2, 8, 8), np.float32)
    heatmaps[0, 6, 6] = heatmaps[1, 2, 2] = 1
    answers = [SimpleNamespace(boxes_xyxy=np.array([found, box]), heatmap=heatmap)
               for found, heatmap in zip((box, box + 3), heatmaps, strict=True)]  # fmt: skip
    monkeypatch.setattr(carry_over, "load", lambda name: SimpleNamespace(ground=lambda image, phrases: answers))
    asked = [(image, [("a", "attribute", box), ("b", "location", box)])]
    assert carry_over._measured("x", asked).tolist() == [[1, 0], [0, 1]]
