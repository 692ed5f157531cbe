"""Boxes in the forms that other systems write: refused, or warned of with the form that they are likely in."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import pytest

from grounding import InputError, RefCOCOg
from grounding.evaluation.predictions import Prediction
from grounding.evaluation.score import ScoreConfig, score
from tests.shared_data import SHARED_DATA, needs_shared_data
from tests.toy_data import write_toy_data

# What is measured is each annotated box, a pixel wider: an IoU near 1, were it read rightly.
FORMS = {
    "x, y, width, height": lambda x1, y1, x2, y2: [x1, y1, x2 - x1, y2 - y1],
    "centre x, centre y, width, height": lambda x1, y1, x2, y2: [(x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1],
    "y1, x1, y2, x2": lambda x1, y1, x2, y2: [y1, x1, y2, x2],
    "x1, y1, x2, y2": lambda x1, y1, x2, y2: [x1, y1, x2, y2],
}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Not to be changed."""
    return write_toy_data(tmp_path_factory.mktemp("foreign") / "data", {"train": 1, "val": 1, "test": 12})


def write_answers(path: Path, data: Path, form: str, written, *, scale=lambda size: (1.0, 1.0)) -> Path:
    """Every expression's box in a form, times the (x, y) scale of its image."""
    dataset, lines = RefCOCOg(data, "test"), []
    for each in dataset.expressions:
        across, down = scale(dataset.image_sizes[each.image_id])
        x1, y1, x2, y2 = each.box_xyxy
        box = written(x1 * across, y1 * down, (x2 + 1) * across, y2 * down)
        lines.append({"sent_id": each.sent_id, "image_id": each.sent_id, "boxes_xyxy": [box], "scores": [1],
                      "bbox": box, "score": 1, "annotated_xyxy": each.box_xyxy})  # fmt: skip
    if form == "jsonl":
        path.write_text("\n".join(map(json.dumps, lines)))
    elif form == "coco":
        path.write_text(json.dumps(lines))
    else:
        names = [f"{kind}_{edge}" for kind in ("pred", "gt") for edge in ("x1", "y1", "x2", "y2")]
        rows = [",".join(map(str, [*each["bbox"], *each["annotated_xyxy"]])) for each in lines]
        path.write_text("\n".join([",".join(names), *rows]))
    return path


def scored(path: Path, form: str, data: Path) -> dict[str, float]:
    config = ScoreConfig(path, form, data=None if form == "csv" else data)  # type: ignore[arg-type]
    return score(config)["methods"]["predictions"]["metrics"]


OF_FORMAT = {"csv": "x1, y1, x2, y2", "jsonl": "x1, y1, x2, y2", "coco": "x, y, width, height"}


@pytest.mark.parametrize("form", OF_FORMAT)
@pytest.mark.parametrize("name", FORMS)
def test_no_form_passes_for_another_one_in_silence(data: Path, tmp_path: Path, form: str, name: str) -> None:
    path = write_answers(tmp_path / "foreign", data, form, FORMS[name])
    right = OF_FORMAT[form]
    if name in ("x, y, width, height", "centre x, centre y, width, height") and right == "x1, y1, x2, y2":
        with pytest.raises(InputError, match=r"foreign, \w+ \d+ .*corners are x1 <= x2 and y1 <= y2, got \["):
            scored(path, form, data)  # far from the origin, x is larger than the width
        return
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        assert (scored(path, form, data)["miou"] > 0.9) is (name == right)
    if name == right:
        assert not said
    else:
        [warning] = said
        assert f"foreign was read as {right} in pixels" in str(warning.message)
        assert f"would fit better as {name} (0.9" in str(warning.message)


@pytest.mark.parametrize("form", OF_FORMAT)
@pytest.mark.parametrize("name", ["x1, y1, x2, y2", "x, y, width, height", "centre x, centre y, width, height"])
def test_shares_of_the_image_are_refused(data: Path, tmp_path: Path, form: str, name: str) -> None:
    path = write_answers(tmp_path / "foreign", data, form, FORMS[name], scale=lambda size: (1 / size[0], 1 / size[1]))
    with pytest.raises(InputError, match=r"boxes within 0 and 1, where annotated|corners are x1 <= x2") as refused:
        scored(path, form, data)
    assert str(path) in str(refused.value)
    if name == OF_FORMAT[form]:
        assert "multiply them by the width and height of their image" in str(refused.value)


@pytest.mark.parametrize("name", ["x1, y1, x2, y2", "y1, x1, y2, x2"])  # of Qwen-VL, of Gemini
def test_thousandths_of_the_image_are_warned_of(data: Path, tmp_path: Path, name: str) -> None:
    path = write_answers(
        tmp_path / "a", data, "jsonl", FORMS[name], scale=lambda size: (1000 / size[0], 1000 / size[1])
    )
    with pytest.warns(UserWarning, match=rf"fit better as {name} in thousandths of the image \(0\.9"):
        scored(path, "jsonl", data)


def test_a_poor_system_is_not_suspected(data: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)

    def anywhere(*_: float) -> list[float]:
        (x1, x2), (y1, y2) = np.sort(rng.uniform(0, 50, (2, 2)))
        return [x1, y1, x2, y2]

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scored(write_answers(tmp_path / "poor", data, "jsonl", anywhere), "jsonl", data)


EXCHANGED = '{"sent_id": %d, "boxes_xyxy": [[30, 40, 10, 20]], "scores": [1]}'


@pytest.mark.parametrize(
    ("form", "content", "said"),
    [
        ("jsonl", "", "holds no box"),
        ("jsonl", "\n\n", "holds no box"),
        ("coco", "[]", "holds no box"),
        ("jsonl", '{"sent_id": %d, "boxes_xyxy": [], "scores": []}', "holds no box"),
        ("jsonl", EXCHANGED, r"line 1 .* y1 <= y2, got \[30\.0, 40\.0, 10\.0, 20\.0\]: order them"),
        ("coco", '[{"image_id": %d, "bbox": [30, 40, -10, 20], "score": 1}]', "corners are x1 <= x2"),
        ("jsonl", '{"sent_id": %d, "boxes_xyxy": [[1, 2, NaN, 4]], "scores": [1]}', "four finite numbers"),
        ("jsonl", '{"sent_id": %d, "boxes_xyxy": [[1, 2, 3, 4], [1, 2, 3, 4]], "scores": [1]}', "2 boxes and 1 scores"),
        ("jsonl", '{"sent_id": 1.5, "boxes_xyxy": [[1, 2, 3, 4]], "scores": [1]}', r"whole number, got 1\.5"),
        ("jsonl", "[%d]", "line 1 cannot be used"),
        ("csv", "0,0,4,4,9,9,9,9", "row 1 .*corners are x1 < x2 and y1 < y2"),
        ("csv", "0,0,4,4,9,9,2,2", "row 1 .*corners are x1 < x2"),
        ("csv", "0,0,4,4,0,0,5,5,a dog, left", "more values than there are columns"),
    ],
)  # fmt: skip
def test_what_cannot_be_measured_is_refused(data: Path, tmp_path: Path, form: str, content: str, said: str) -> None:
    names = ",".join(f"{kind}_{edge}" for kind in ("pred", "gt") for edge in ("x1", "y1", "x2", "y2"))
    content = f"{names}\n{content}\n" if form == "csv" else content
    first = RefCOCOg(data, "test").expressions[0].sent_id
    (tmp_path / "foreign").write_text(content.replace("%d", str(first)))
    with pytest.raises(InputError, match=f"foreign.*{said}"):
        scored(tmp_path / "foreign", form, data)


def test_annotated_boxes_without_area_are_refused_in_own_predictions(tmp_path: Path) -> None:
    sound = Prediction(1, 1, 1, 1, "a", (0.0, 0.0, 4.0, 4.0), ((0.0, 0.0, 4.0, 4.0),), (1.0,)).to_json()
    (tmp_path / "own.jsonl").write_text(f"{sound}\n" + sound.replace("[0.0, 0.0, 4.0, 4.0], ", "[3, 3, 3, 3], ", 1))
    with pytest.raises(InputError, match=r"own\.jsonl, line 2 .*x1 < x2 and y1 < y2, got \[3\.0, 3\.0, 3\.0, 3\.0\]"):
        score(ScoreConfig(tmp_path / "own.jsonl", "jsonl"))


@needs_shared_data("refcocog-peer")
def test_a_real_systems_boxes_are_what_they_are(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        lines = (SHARED_DATA / "refcocog-peer" / "yolov5_clip_rn50_umd_test.csv").read_text().splitlines()[:500]
        (tmp_path / "peer.csv").write_text("\n".join(lines))
        metrics = scored(tmp_path / "peer.csv", "csv", tmp_path)
    assert 0.4 < metrics["miou"] < 0.65  # of all 9,602 it is 0.527
