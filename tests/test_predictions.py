"""Lines of predictions survive being killed at any byte, and come back as what they were."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from grounding.errors import InputError
from grounding.predictions import Prediction, PredictionsFile, read_predictions
from grounding.types import Expression


def prediction(sent_id: int, image_id: int = 1) -> Prediction:
    return Prediction(image_id, sent_id // 2, 5, sent_id, 'a "dog" éñ', (1.0, 2.0, 3.5, 4.0), ((0.0, 0.0, 9.0, 9.0),),
                      (0.5,), 100.0, (1.5, 2.5), 0.25, 0.01, semantics={"text_cosine": 0.5})  # fmt: skip


def prediction_line(**changed: object) -> str:
    return json.dumps({**json.loads(prediction(1).to_json()), **changed})


def expressions() -> list[tuple[Expression, ...]]:
    """Three images with 2, 1 and 3 expressions."""
    counts, sent_id, images = (2, 1, 3), 0, []
    for image_id, count in enumerate(counts):
        ids = range(sent_id, sent_id + count)
        images.append(tuple(Expression("a", (0, 0, 1, 1), image_id, 1, 1, i, Path("a.jpg")) for i in ids))
        sent_id += count
    return images


def write_images(file: PredictionsFile, start: int = 0) -> None:
    done, lines = file.continue_writing()
    assert done == start
    with lines:
        for image_id, of_image in enumerate(expressions()[done:], start=done):
            lines.writelines(prediction(each.sent_id, image_id).to_json() + "\n" for each in of_image)
    file.finish()


def test_a_line_comes_back_as_it_was() -> None:
    assert Prediction.from_json(prediction(3).to_json()) == prediction(3)
    assert "\n" not in prediction(3).to_json()


def test_a_killed_run_goes_on_after_the_last_whole_image(tmp_path: Path) -> None:
    whole = PredictionsFile(tmp_path / "whole" / "a.jsonl", {"x": 1}, expressions())
    assert not whole.is_complete
    write_images(whole)
    assert whole.is_complete
    content = whole.path.read_bytes()
    ends = [index + 1 for index, byte in enumerate(content) if byte == ord("\n")]
    images_done_at = {0: 0, ends[1]: 1, ends[2]: 2, ends[5]: 3}
    for cut in [*range(0, len(content), 37), *ends, *(end - 1 for end in ends)]:
        folder = tmp_path / f"cut{cut}"
        PredictionsFile(folder / "a.jsonl", {"x": 1}, expressions())
        (folder / "a.jsonl.part").write_bytes(content[:cut])
        killed = PredictionsFile(folder / "a.jsonl", {"x": 1}, expressions())
        assert not killed.is_complete
        # A last line that lacks nothing but its end is whole.
        write_images(killed, start=max(done for end, done in images_done_at.items() if end <= cut + 1))
        assert killed.path.read_bytes() == content
        assert sorted(path.name for path in folder.iterdir()) == ["a.json", "a.jsonl"]


def test_what_was_made_from_something_else_is_made_anew(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    write_images(PredictionsFile(path, {"weights": "old"}, expressions()))
    assert PredictionsFile(path, {"weights": "old"}, expressions()).is_complete
    assert not PredictionsFile(path, {"weights": "new"}, expressions()).is_complete
    done, lines = PredictionsFile(path, {"weights": "new"}, expressions()).continue_writing()
    lines.close()
    assert done == 0


@pytest.mark.parametrize(
    "line",
    [
        "",
        "{}",
        "[1]",
        "nonsense",
        '{"image_id": 1, "sent_id": 2, "boxes_xyxy": []}',
        prediction_line(boxes_xyxy=[]),
        prediction_line(boxes_xyxy=[[1, 2, 3]]),
        prediction_line(annotated_xyxy=[1, 2, 3, float("nan")]),
        prediction_line(scores=[0.5, 0.5]),
    ],
)
def test_a_damaged_line_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "p.jsonl"
    path.write_text(prediction(0).to_json() + "\n" + line + "\n")
    with pytest.raises(InputError, match=r"p\.jsonl, line 2"):
        list(read_predictions(path))
