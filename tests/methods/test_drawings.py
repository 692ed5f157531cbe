"""Photographs given to weights that know drawings only: told from drawings, and told to whoever asks, once a call."""

from __future__ import annotations

import warnings
from pathlib import Path

import cv2
import numpy as np
import pytest

from grounding import load
from grounding.data.images import read_image
from grounding.data.refshapes.writer import make_split_scene
from grounding.methods.drawings import LINEAR, LUMINANCE, PhotographWarning, looks_like_a_photograph
from tests.shared_data import SHARED_DATA, needs_shared_data
from tests.tiny_clip import save_tiny_clip


def like_a_photograph(side: int = 200) -> np.ndarray:
    """Smooth colours of every kind and shadows, as photographs have them and drawings do not."""
    across, down = np.meshgrid(np.linspace(0, 1, side), np.linspace(0, 1, side))
    waves = [across * down, np.sin(7 * across + 3 * down) ** 2, np.cos(5 * down) ** 2]
    return (255 * np.stack(waves, axis=2)).astype(np.uint8)


def test_luminance_is_that_of_opencvs_lightness() -> None:
    colours = np.random.default_rng(0).integers(0, 256, (1, 500, 3), dtype=np.uint8)
    colours[0, :256] = np.arange(256, dtype=np.uint8)[:, None]
    lightness = cv2.cvtColor(np.float32(colours / 255), cv2.COLOR_RGB2Lab)[..., 0]
    of_lightness = np.where(lightness > 8, ((lightness + 16) / 116) ** 3, lightness * 27 / 24389)
    np.testing.assert_allclose(LINEAR[colours] @ LUMINANCE, of_lightness, atol=5e-3)  # it interpolates


def test_few_drawings_are_taken_for_photographs() -> None:
    images = [make_split_scene("test", index, seed=77)[0].image for index in range(60)]
    assert np.mean([looks_like_a_photograph(image) for image in images]) < 0.1
    assert not looks_like_a_photograph(np.full((60, 80, 3), 255, np.uint8))


@needs_shared_data("coco-photos")
@needs_shared_data("refcocog-mini")
def test_most_photographs_are_told() -> None:
    folders = (SHARED_DATA / "coco-photos", SHARED_DATA / "refcocog-mini")
    paths = [path for folder in folders for path in (folder / "images").glob("*.jpg")]
    assert len(paths) == 141
    assert np.mean([looks_like_a_photograph(read_image(path)) for path in paths]) > 0.88


@pytest.mark.parametrize("side", [40, 200, 3000])
def test_the_size_of_a_photograph_does_not_matter(side: int) -> None:
    image = like_a_photograph(side)
    assert looks_like_a_photograph(image) and looks_like_a_photograph(np.repeat(image[..., 1:2], 3, axis=2)), "or grey"


@pytest.mark.parametrize("name", ["refshapes", "zero-shot", "gradcam", "yolo-clip", "reclip", "zero-shot+yolo"])
def test_every_method_of_the_package_says_so_once_and_in_every_answer(name: str) -> None:
    grounder, image = load(name), like_a_photograph()
    with pytest.warns(PhotographWarning, match="looks like a photograph, and the embedded CLIP") as caught:
        first = grounder.ground(image, ["the red car", "a dog"])
    assert len(caught) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error", PhotographWarning)
        [again], _, [drawing] = grounder.ground_batch([image, image, np.full_like(image, 90)], [["a dog"]] * 3)
    assert all("ask RN50" in each.warning for each in (*first, again)) and drawing.warning == ""
    assert ("detector" in again.warning) is (name in ("yolo-clip", "reclip", "zero-shot+yolo"))


def test_other_weights_and_one_odd_drawing_of_several_are_no_warning(tmp_path: Path) -> None:
    drawing = np.full((50, 50, 3), 90, np.uint8)
    with warnings.catch_warnings():
        warnings.simplefilter("error", PhotographWarning)
        [answer] = load(save_tiny_clip(tmp_path / "RN50.pt")).ground(like_a_photograph(), ["a dog"])
        said = load("zero-shot").ground_batch([drawing, drawing, like_a_photograph()], [["a dog"]] * 3)
    assert [each.warning for each in (answer, *said[0], *said[1])] == [""] * 3
    assert "the embedded CLIP knows drawings only" in said[2][0].warning
