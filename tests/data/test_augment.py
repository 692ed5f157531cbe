"""Boxes go where their pixels go, whatever happens; what a phrase names is not changed."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import grounding.data.augment as transforms
from grounding.data.augment import AugmentationConfig, augment
from grounding.data.relations import stands
from grounding.geometry import Letterbox
from grounding.types import Region, SetExample, SetExpression

Box = tuple[int, int, int, int]
ALL = AugmentationConfig(**{field.name: True for field in fields(AugmentationConfig)})
MOVES = replace(ALL, colour=False, blur=False)
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


def run(example: SetExample, config: AugmentationConfig, seed: int, drawn: tuple[int, ...] = (0,)) -> tuple:
    return augment(example, drawn, config, model_size=64, rng=np.random.default_rng(seed))


@st.composite
def placed_boxes(draw: st.DrawFn) -> tuple[tuple[int, int], Box]:
    width, height = draw(st.integers(12, 90)), draw(st.integers(12, 90))
    x1, y1 = draw(st.integers(0, width - 4)), draw(st.integers(0, height - 4))
    return (width, height), (x1, y1, draw(st.integers(x1 + 3, width)), draw(st.integers(y1 + 3, height)))


@pytest.mark.parametrize("names", [["crop"], ["scale"], ["flip"], ["crop", "scale", "flip"]], ids="+".join)
@given(placed=placed_boxes(), seed=st.integers(0, 10_000))
@settings(max_examples=40, deadline=None)
def test_the_box_is_where_the_object_is(names: list[str], placed: tuple[tuple[int, int], Box], seed: int) -> None:
    size, box = placed
    out, letterbox = run(painted(size, [box], ["a thing"]), AugmentationConfig(**dict.fromkeys(names, True)), seed)
    found = (out.image == PAINT[0]).all(axis=2)
    assert found.sum() == (box[2] - box[0]) * (box[3] - box[1])
    assert out.boxes_xyxy[0] == pytest.approx(extent(found), abs=1e-3)
    assert out.expressions[0].boxes_xyxy[0] == pytest.approx(extent(found), abs=1e-3)

    square = letterbox.apply(out.image)
    red, green = square[..., 0].astype(int), square[..., 1].astype(int)
    inside = (red > 132) & (green < 100)
    if min(out.boxes_xyxy[0, 2:] - out.boxes_xyxy[0, :2]) * letterbox.scale.min() > 3:
        assert letterbox.boxes_to_model(out.boxes_xyxy)[0] == pytest.approx(extent(inside), abs=1.01)


@given(placed=placed_boxes(), seed=st.integers(0, 10_000))
@settings(max_examples=40, deadline=None)
def test_padding_is_not_valid_and_the_picture_is(placed: tuple[tuple[int, int], Box], seed: int) -> None:
    size, box = placed
    example = painted(size, [box], ["a thing"])
    out, letterbox = run(replace(example, image=np.full_like(example.image, 255)), MOVES, seed)
    shown = letterbox.apply(out.image)[..., 0] > 200
    valid = letterbox.valid_mask(4)
    x1, y1, x2, y2 = extent(shown)
    for row, column in np.ndindex(valid.shape):
        centre_x, centre_y = 4 * column + 2, 4 * row + 2
        if min(x2 - x1, y2 - y1) > 4:
            assert valid[row, column] == (x1 <= centre_x < x2 and y1 <= centre_y < y2)


def test_scale_goes_both_ways_and_anywhere() -> None:
    example = painted((60, 40), [(20, 10, 30, 20)], ["a thing"])
    plain = Letterbox.fit((60, 40), 64)
    outs = [run(example, AugmentationConfig(scale=True), seed) for seed in range(200)]
    sides = np.array([np.diff(box_of(out).reshape(2, 2), axis=0)[0] for out in outs])
    usual = np.diff(box_of((example, plain)).reshape(2, 2), axis=0)[0]
    assert (sides.min(axis=0) < 0.75 * usual).all() and (sides.max(axis=0) > 1.35 * usual).all()
    assert np.isclose(sides, usual).all(axis=1).mean() == pytest.approx(0.5, abs=0.15)
    assert sides[:, 0] == pytest.approx(sides[:, 1], rel=0.1)  # never stretched
    smaller = {letterbox.offset for out, letterbox in outs if letterbox.content_size != plain.content_size}
    assert len(smaller) > 20


def box_of(out: tuple[SetExample, Letterbox]) -> np.ndarray:
    return out[1].boxes_to_model(out[0].boxes_xyxy)[0]


@pytest.mark.parametrize("seed", range(30))
def test_what_is_not_drawn_in_this_epoch_stays_whole_too(seed: int) -> None:
    example = painted((80, 50), [(10, 10, 20, 20), (60, 30, 75, 45)], ["a thing", "another one"])
    out, _ = run(example, replace(ALL, colour=False, blur=False), seed)
    assert out.phrases == ["a thing"]
    assert (out.image == PAINT[1]).all(axis=2).sum() == 15 * 15


def test_the_other_object_of_a_relation_stays_in_the_picture() -> None:
    def left_over(phrase: str) -> list[int]:
        example = painted((80, 50), [(10, 10, 20, 20)], [phrase], regions=[(60, 30, 75, 45)])
        crop = AugmentationConfig(crop=True)
        return [int((run(example, crop, seed)[0].image == PAINT[1]).all(axis=2).sum()) for seed in range(40)]

    for tie in ("next to", "on the left side of", "in back of", "at the end of", "touching"):
        assert set(left_over(f"a thing {tie} a cup")) == {15 * 15}
    assert min(left_over("a thing")) < 15 * 15


@pytest.fixture
def always(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transforms, "OFTEN", 1.0)


@pytest.mark.usefixtures("always")
@pytest.mark.parametrize("size", [(31, 20), (40, 27)])
def test_flipped_twice_is_as_it_was(size: tuple[int, int]) -> None:
    example = painted(size, [(3, 5, 12, 11)], ["the left cup in her right hand"])
    flip = AugmentationConfig(flip=True)
    once, _ = run(example, flip, 0)
    assert once.phrases == ["the right cup in her left hand"]
    assert np.array_equal(once.image, example.image[:, ::-1])
    twice, _ = run(once, flip, 1)
    assert np.array_equal(twice.image, example.image)
    assert twice.phrases == example.phrases
    assert twice.boxes_xyxy == pytest.approx(example.boxes_xyxy, abs=1e-3)


@pytest.mark.usefixtures("always")
@pytest.mark.parametrize("seed", range(20))
def test_a_relation_is_true_of_the_flipped_picture(seed: int) -> None:
    example = painted((90, 40), [(5, 10, 15, 20), (60, 12, 72, 24)], ["the ring left of the star", "a star"])
    out, _ = run(example, MOVES, seed, drawn=(0, 1))
    assert out.phrases == ["the ring right of the star", "a star"]
    ring, star = out.boxes_xyxy
    assert stands("right", ring, star, strictly=True) and not stands("left", ring, star, strictly=False)


@pytest.mark.parametrize("seed", range(30))
def test_where_a_colour_is_named_every_pixel_keeps_its_own(seed: int) -> None:
    rng = np.random.default_rng(0)
    for phrase, may_change in (("the red cup", False), ("a dark cup", False), ("a cup", True)):
        example = painted((40, 30), [(10, 10, 20, 20)], [phrase])
        example = replace(example, image=rng.integers(0, 255, example.image.shape, dtype=np.uint8))
        out, _ = run(example, AugmentationConfig(colour=True), seed)
        assert may_change or np.array_equal(out.image, example.image)
        moved, _ = run(example, replace(ALL, blur=False), seed)
        known = {tuple(pixel) for pixel in example.image.reshape(-1, 3).tolist()}
        assert may_change or {tuple(pixel) for pixel in moved.image.reshape(-1, 3).tolist()} <= known


@pytest.mark.parametrize(
    ("name", "phrase", "refused"),
    [
        ("crop", "a cup", "the cup on the left"),
        ("scale", "a cup", "the cup in the middle"),
        ("flip", "a cup", "the cup with the number 7"),
        ("colour", "a cup", "the dark cup"),
        ("blur", "a cup", "the blurry cup"),
    ],
)
def test_a_phrase_refuses_what_would_make_it_untrue(name: str, phrase: str, refused: str) -> None:
    def changes(drawn: tuple[int, ...]) -> bool:
        noise = np.random.default_rng(0).integers(0, 255, (30, 40, 3), dtype=np.uint8)
        box = (15, 10, 20, 15)
        example = replace(painted((40, 30), [box, box], [phrase, refused]), image=noise)
        config = AugmentationConfig(**{name: True})
        return any(not np.array_equal(run(example, config, seed, drawn)[0].image, noise) for seed in range(40))

    assert changes((0,))
    assert not changes((1,)) and not changes((0, 1))


def test_a_place_in_the_picture_still_permits_padding() -> None:
    example = painted((40, 30), [(15, 10, 20, 15)], ["the cup on the left"])
    assert len({run(example, AugmentationConfig(scale=True), seed)[1].content_size for seed in range(20)}) > 3


def test_the_same_seed_gives_the_same() -> None:
    example = painted((40, 30), [(15, 10, 20, 15)], ["a cup"])
    first, again = run(example, ALL, 3), run(example, ALL, 3)
    assert np.array_equal(first[0].image, again[0].image)
    assert first[0].expressions == again[0].expressions and first[1] == again[1]
    assert any(run(example, ALL, seed)[0].image.shape != first[0].image.shape for seed in range(4, 10))


def test_nothing_happens_unless_asked_for() -> None:
    example = painted((40, 30), [(15, 10, 20, 15), (0, 0, 4, 4)], ["the left cup", "a cup"])
    example = replace(example, expressions=(replace(example.expressions[0], boxes_xyxy=((14.7, 10.1, 20.3, 15.9),)),))
    for seed in range(20):
        out, letterbox = run(example, AugmentationConfig(), seed)
        assert out.image is example.image and out.expressions == example.expressions
        assert letterbox == Letterbox.fit((40, 30), 64)


@pytest.mark.usefixtures("always")
@pytest.mark.parametrize(
    "box", [(14.7, 10.1, 20.3, 15.9), (-2.0, -1.0, 41.0, 31.0), (39.2, 29.5, 40.0, 30.0), (3.3, 2.2, 36.6, 27.7)]
)
def test_boxes_between_pixels_or_over_the_edge(box: tuple[float, float, float, float]) -> None:
    example = painted((40, 30), [(15, 10, 20, 15)], ["a cup"])
    example = replace(example, expressions=(replace(example.expressions[0], boxes_xyxy=(box,)),))
    inside = np.clip(box, 0, [40, 30, 40, 30])
    for seed in range(20):
        out, _ = run(example, AugmentationConfig(crop=True), seed)
        x1, y1, x2, y2 = out.boxes_xyxy[0]
        assert (x2 - x1, y2 - y1) == pytest.approx((inside[2] - inside[0], inside[3] - inside[1]), abs=1e-3)
        assert x1 > -1e-3 and y1 > -1e-3 and x2 < out.image.shape[1] + 1e-3 and y2 < out.image.shape[0] + 1e-3
