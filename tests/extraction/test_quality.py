"""What a box looks like by masks, a head that learns, and what becomes of it on disk."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save

from grounding.extraction import ExtractionConfig, extract, quality
from grounding.extraction.quality import FEATURES, BoxQualityHead, box_features, candidate_boxes, fit_quality_head
from grounding.extraction.settings import EXTRACTION_FILE, QUALITY_FILE, read_extraction, save_extraction
from grounding.geometry import box_iou
from grounding.runtime.errors import InputError

QUALITY = ExtractionConfig(method="quality")


def blurred_object(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A heatmap whose object is drawn at 0.45 of the peak, with a hot core: no fixed threshold draws the object."""
    width, height = rng.integers(12, 30, 2)
    x, y = rng.integers(2, 60 - width), rng.integers(2, 60 - height)
    heatmap = rng.random((64, 64)) * 0.05
    heatmap[max(0, y - 6) : y + height + 6, max(0, x - 6) : x + width + 6] += 0.32
    heatmap[y : y + height, x : x + width] += 0.1
    heatmap[y + 3 : y + height - 3, x + 3 : x + width - 3] += 0.5
    return heatmap.astype(np.float32), np.array([[x, y, x + width, y + height]], dtype=np.float32)


def test_features_equal_masks() -> None:
    heatmap = np.random.default_rng(0).random((60, 80)).astype(np.float32)
    x1, y1, x2, y2 = 20, 20, 60, 40  # strips of 6 columns and of 3 rows; a ring of 10 and 5
    [features] = box_features(heatmap, np.array([[x1, y1, x2, y2]]))
    inside = heatmap[y1:y2, x1:x2]
    ring = np.ones_like(heatmap, dtype=bool)
    ring[:15] = ring[45:] = False
    ring[:, :10] = ring[:, 70:] = False
    ring[y1:y2, x1:x2] = False

    def overlap(mask: np.ndarray) -> float:
        common = mask[y1:y2, x1:x2].sum()
        return common / (800 + mask.sum() - common)

    strips = [inside[:, :6], inside[:3], inside[:, -6:], inside[-3:],
              heatmap[y1:y2, 14:20], heatmap[17:20, x1:x2], heatmap[y1:y2, 60:66], heatmap[40:43, x1:x2]]  # fmt: skip
    expected = [
        heatmap.max(),
        inside.mean(),
        heatmap[ring].mean(),
        *(strip.mean() for strip in strips),
        overlap(heatmap),
        *(overlap((heatmap >= level * heatmap.max()).astype(float)) for level in (0.25, 0.5, 0.75)),
        inside.sum() / heatmap.sum(),
        np.log(800 / 4800),
        np.log(2),
        np.log(20),
    ]
    assert len(expected) == FEATURES
    np.testing.assert_allclose(features, expected, rtol=1e-4)


@pytest.mark.parametrize("heatmap", [np.zeros((3, 5)), np.ones((1, 1)), np.eye(40), np.full((1, 400), 0.2)])
def test_odd_maps_have_boxes_with_finite_scores(heatmap: np.ndarray) -> None:
    boxes, scores = extract(heatmap.astype(np.float32), QUALITY, BoxQualityHead())
    assert len(boxes) == len(scores) >= 1 and np.isfinite(scores).all()


def test_a_fitted_head_draws_what_no_threshold_does() -> None:
    rng = np.random.default_rng(0)
    objects = [blurred_object(rng) for _ in range(80)]
    boxes = [candidate_boxes(heatmap) for heatmap, _ in objects[:60]]
    rows = np.concatenate([box_features(heatmap, own) for (heatmap, _), own in zip(objects, boxes, strict=False)])
    wanted = np.concatenate([box_iou(own, box)[:, 0] for own, (_, box) in zip(boxes, objects, strict=False)])
    head = fit_quality_head(rows, wanted)
    ious, scores = {}, {}
    for method in ("quality", "components"):
        answers = [(extract(heatmap, ExtractionConfig(method), head), annotated) for heatmap, annotated in objects[60:]]
        ious[method] = np.array([box_iou(best[:1], annotated)[0, 0] for (best, _), annotated in answers])
        scores[method] = np.array([of_boxes[0] for (_, of_boxes), _ in answers])
    assert ious["quality"].mean() > 0.9 > 0.75 > ious["components"].mean()
    assert np.abs(scores["quality"] - ious["quality"]).mean() < 0.1  # the score is the IoU to be expected


def test_fitting_is_the_same_every_time_and_draws_nothing_from_the_program(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quality, "STEPS", 5)
    rows, before = np.random.default_rng(0).random((9, FEATURES)).astype(np.float32), torch.random.get_rng_state()
    head, again = (fit_quality_head(rows, rows[:, 0]).state_dict() for _ in range(2))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert all(torch.equal(value, again[name]) for name, value in head.items())


def test_a_choice_is_kept(tmp_path: Path) -> None:
    assert read_extraction(tmp_path) is None
    heatmap, _ = blurred_object(np.random.default_rng(0))
    torch.manual_seed(0)
    head = BoxQualityHead()
    save_extraction(tmp_path, QUALITY, head)
    kept = read_extraction(tmp_path)
    assert kept is not None and kept[0] == QUALITY
    for one, other in zip(extract(heatmap, QUALITY, head), extract(heatmap, *kept), strict=True):
        np.testing.assert_array_equal(one, other)

    rectangle = ExtractionConfig(method="rectangle", offset=0.625, levels=(0.25,))
    save_extraction(tmp_path, rectangle)
    assert read_extraction(tmp_path) == (rectangle, None)
    assert sorted(path.name for path in tmp_path.iterdir()) == [EXTRACTION_FILE]


@pytest.mark.parametrize("content", ["a: [", "offset: 2"])
def test_a_damaged_choice_is_one_sentence(tmp_path: Path, content: str) -> None:
    (tmp_path / EXTRACTION_FILE).write_text(content)
    with pytest.raises(InputError, match=r"extraction\.yaml is damaged .*remove it") as caught:
        read_extraction(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_missing_or_damaged_network_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / EXTRACTION_FILE).write_text("method: quality")
    for content in (None, b"words", save({"mean": torch.zeros(3)})):
        if content is not None:
            (tmp_path / QUALITY_FILE).write_bytes(content)
        with pytest.raises(InputError, match=r"box_quality\.safetensors, which .* needs, is missing or damaged"):
            read_extraction(tmp_path)


@pytest.mark.parametrize(
    ("field", "value"), [("method", "best"), ("relative", 0.0), ("absolute", 1.0), ("offset", 1.0), ("levels", (1.5,))]
)
def test_what_no_extraction_has_is_refused(field: str, value: object) -> None:
    with pytest.raises(InputError, match=rf"extraction\.{field} "):
        ExtractionConfig(**{field: value})
