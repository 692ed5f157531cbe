"""Boxes go where their pixels go, whatever happens, and every phrase stays true."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import grounding.data.augment as transforms
from grounding.data.augment import AugmentationConfig, augment
from grounding.data.relations import stands
from grounding.types import Region, SetExample, SetExpression

Box = tuple[int, int, int, int]
ALL = AugmentationConfig(crop=True, flip=True)
BACKGROUND, PAINT = (10, 200, 20), [(255, 0, 250), (250, 5, 10)]


def painted(
    size: tuple[int, int], boxes: list[Box], phrases: list[str], regions: list[Box] | None = None
) -> SetExample:
    """An image with each box filled in its own colour."""
    image = np.full((size[1], size[0], 3), BACKGROUND, dtype=np.uint8)
    for (x1, y1, x2, y2), colour in zip([*boxes, *(regions or [])], PAINT, strict=False):
        image[y1:y2, x1:x2] = colour
    expressions = tuple(
        SetExpression(phrase, (tuple(map(float, box)),), (i,), 1, i, i, Path("a.jpg"))  # type: ignore[arg-type]
        for i, (phrase, box) in enumerate(zip(phrases, boxes, strict=True))
    )
    return SetExample(image, expressions, tuple(
        Region(i, 1, tuple(map(float, box)), "") for i, box in enumerate([*boxes, *(regions or [])])  # type: ignore[arg-type]
    ))  # fmt: skip


def extent(mask: np.ndarray) -> tuple[int, int, int, int]:
    """The smallest box around the True pixels, by looking at each row and column."""
    columns, rows = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def run(example: SetExample, config: AugmentationConfig, seed: int, drawn: tuple[int, ...] = (0,)) -> SetExample:
    return augment(example, drawn, config, rng=np.random.default_rng(seed))


@st.composite
def placed_boxes(draw: st.DrawFn) -> tuple[tuple[int, int], Box]:
    width, height = draw(st.integers(12, 90)), draw(st.integers(12, 90))
    x1, y1 = draw(st.integers(0, width - 4)), draw(st.integers(0, height - 4))
    return (width, height), (x1, y1, draw(st.integers(x1 + 3, width)), draw(st.integers(y1 + 3, height)))


@pytest.mark.parametrize("names", [["crop"], ["flip"], ["crop", "flip"]], ids="+".join)
@given(placed=placed_boxes(), seed=st.integers(0, 10_000))
@settings(max_examples=40, deadline=None)
def test_the_box_is_where_the_object_is(names: list[str], placed: tuple[tuple[int, int], Box], seed: int) -> None:
    size, box = placed
    out = run(painted(size, [box], ["a thing"]), AugmentationConfig(**dict.fromkeys(names, True)), seed)
    found = (out.image == PAINT[0]).all(axis=2)
    assert found.sum() == (box[2] - box[0]) * (box[3] - box[1])
    assert out.boxes_xyxy[0] == pytest.approx(extent(found), abs=1e-3)
    assert out.expressions[0].boxes_xyxy[0] == pytest.approx(extent(found), abs=1e-3)
    assert (out.image == BACKGROUND).all(axis=2).sum() + found.sum() == out.image[..., 0].size


def test_what_is_not_drawn_in_this_epoch_stays_whole_too() -> None:
    example = painted((80, 50), [(10, 10, 20, 20), (60, 30, 75, 45)], ["a thing", "another one"])
    for seed in range(30):
        out = run(example, ALL, seed)
        assert out.phrases == ["a thing"]
        assert (out.image == PAINT[1]).all(axis=2).sum() == 15 * 15


def test_the_other_object_of_a_relation_stays_in_the_picture() -> None:
    def left_over(phrase: str) -> list[int]:
        example = painted((80, 50), [(10, 10, 20, 20)], [phrase], regions=[(60, 30, 75, 45)])
        crop = AugmentationConfig(crop=True)
        return [int((run(example, crop, seed).image == PAINT[1]).all(axis=2).sum()) for seed in range(40)]

    for tie in ("next to", "on the left side of", "in back of", "at the end of", "touching"):
        assert set(left_over(f"a thing {tie} a cup")) == {15 * 15}
    assert min(left_over("a thing")) < 15 * 15


@pytest.fixture
def always(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transforms, "OFTEN", 1.0)


@pytest.mark.usefixtures("always")
def test_a_relation_is_true_of_the_flipped_picture() -> None:
    example = painted((90, 40), [(5, 10, 15, 20), (60, 12, 72, 24)], ["the ring left of the star", "a star"])
    for seed in range(20):
        out = run(example, ALL, seed, drawn=(0, 1))
        assert out.phrases == ["the ring right of the star", "a star"]
        ring, star = out.boxes_xyxy
        assert stands("right", ring, star, strictly=True) and not stands("left", ring, star, strictly=False)


@pytest.mark.parametrize(("name", "refused"), [("crop", "the cup on the left"), ("flip", "the cup with the number 7")])
def test_a_phrase_refuses_what_would_make_it_untrue(name: str, refused: str) -> None:
    def changes(drawn: tuple[int, ...]) -> bool:
        noise = np.random.default_rng(0).integers(0, 255, (30, 40, 3), dtype=np.uint8)
        box = (15, 10, 20, 15)
        example = replace(painted((40, 30), [box, box], ["a cup", refused]), image=noise)
        config = AugmentationConfig(**{name: True})
        return any(not np.array_equal(run(example, config, seed, drawn).image, noise) for seed in range(40))

    assert changes((0,))
    assert not changes((1,)) and not changes((0, 1))


def test_a_seed_means_the_same_as_ever() -> None:
    """What is drawn, and in which order, is a contract: a resumed run goes on as it would have."""
    example = painted((60, 40), [(20, 10, 30, 20)], ["a cup"])
    for seed in range(30):
        rng = np.random.default_rng(seed)
        crops, _, flips = rng.random(3) < 0.5
        x1, y1, x2, y2 = 0, 0, 60, 40
        if crops:
            across, down = rng.uniform(0, 1, 2)
            width, height = round(30 + across * 30), round(20 + down * 20)
            x1, y1 = rng.integers(
                [max(0, 30 - width), max(0, 20 - height)], [min(20, 60 - width) + 1, min(10, 40 - height) + 1]
            )
            x2, y2 = x1 + width, y1 + height
        expected = example.image[y1:y2, x1:x2]
        np.testing.assert_array_equal(run(example, ALL, seed).image, expected[:, ::-1] if flips else expected)


@pytest.mark.usefixtures("always")
def test_boxes_between_pixels() -> None:
    example = painted((40, 30), [(15, 10, 20, 15)], ["a cup"])
    example = replace(example, expressions=(replace(example.expressions[0], boxes_xyxy=((14.7, 10.1, 20.3, 15.9),)),))
    for seed in range(20):
        out = run(example, AugmentationConfig(crop=True), seed)
        x1, y1, x2, y2 = out.boxes_xyxy[0]
        assert (x2 - x1, y2 - y1) == pytest.approx((5.6, 5.8), abs=1e-3)
        assert x1 > -1e-3 and y1 > -1e-3 and x2 < out.image.shape[1] + 1e-3 and y2 < out.image.shape[0] + 1e-3
