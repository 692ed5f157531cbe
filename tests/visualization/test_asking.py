from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from grounding import InputError, RefCOCOg
from grounding.visualization.commands import VisualizeConfig, sheets
from tests.toy_data import write_toy_data


def asked(**source: object) -> list[tuple[str, list[tuple[str, bool]]]]:
    """Per sheet its name, and the phrases with whether their box is known."""
    config = VisualizeConfig(["zero-shot"], Path("out"), **source)  # type: ignore[arg-type]
    return [
        (name, [(each.phrase, bool(np.isfinite(each.box_xyxy).all())) for read in sheet for each in read().expressions])
        for name, sheet in sheets(config).items()
    ]


def save_images(folder: Path, *names: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        Image.new("RGB", (8, 6), "red").save(folder / name)
    return folder


def test_one_image(tmp_path: Path) -> None:
    file = save_images(tmp_path, "street.png") / "street.png"
    for phrases in ("a car", ["a car"], ["a car", "a dog"]):
        question = [(phrase, False) for phrase in (phrases if isinstance(phrases, list) else [phrases])]
        assert asked(image=file, phrases=phrases) == [("street", question)]


def test_a_folder_is_asked_image_by_image(tmp_path: Path) -> None:
    folder = save_images(tmp_path / "photos", "b.png", "a.jpg", "a.PNG", "B.jpg")
    (folder / "notes.txt").write_text("no image")
    (folder / "._b.png").write_text("macOS's note on b.png")
    (folder / "more").mkdir()
    question = [("a car", False)]
    expected = ["B", "a", "a_2", "b_2"]
    assert asked(image=folder, phrases="a car") == [(name, question) for name in expected]


def test_data_set(tmp_path: Path) -> None:
    root = write_toy_data(tmp_path / "toy", {"train": 1, "test": 9})
    dataset = RefCOCOg(root, "test")
    known = {each.phrase for each in dataset.expressions}
    for count, names in [(1, ["toy_test"]), (6, ["toy_test"]), (8, ["toy_test_1", "toy_test_2"]), (50, None)]:
        drawn = asked(data=root, count=count)
        assert names is None or [name for name, _ in drawn] == names
        rows = [row for _, of_sheet in drawn for row in of_sheet]
        assert len(rows) == min(count, 9) and all(phrase in known and annotated for phrase, annotated in rows)
    config = VisualizeConfig(["zero-shot"], Path("out"), data=root, count=9)
    ids = [read().expressions[0].image_id for sheet in sheets(config).values() for read in sheet]
    assert len(set(ids)) == 9, "each of another image"
    assert asked(data=root, count=5, seed=1) == asked(data=root, count=5, seed=1)
    assert len({str(asked(data=root, count=5, seed=seed)) for seed in range(5)}) > 1


def test_what_is_refused(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    file = save_images(tmp_path, "street.png") / "street.png"

    def refused(match: str, **source: object) -> None:
        with pytest.raises(InputError, match=match):
            asked(**source)

    refused("nothing given to look at")
    refused("--image and --data given", image=file, data=tmp_path, phrases="a car")
    refused('add --phrases "the red car"', image=file)
    refused("--phrases goes with --image", data=tmp_path, phrases="a car")
    refused("empty holds no image", image=empty, phrases="a car")
    refused("there is no image file", image=tmp_path / "gone.png", phrases="a car")
