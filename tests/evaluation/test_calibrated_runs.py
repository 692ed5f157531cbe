"""A calibration goes with the boxes and the decoder that it was fitted to, and with nothing else."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
import pytest
import torch

import grounding.training.tune_extraction as tuning
from grounding import RefCOCOg, load
from grounding.data.refcocog import GRefCOCO
from grounding.extraction import ExtractionConfig
from grounding.extraction.settings import save_extraction
from grounding.methods.calibration import CALIBRATION_FILE, Calibration, read_calibration, save_calibration
from grounding.methods.dense import DenseGrounder
from grounding.training.config import TrainConfig
from grounding.training.run_folder import RunFolder
from grounding.training.tune_extraction import TuneExtractionConfig
from grounding.types import Grounding
from grounding.webapp.answers import chosen_boxes
from tests.toy_data import write_toy_sets

CALIBRATION = Calibration(presence=(1.0, 0.0), score=(1.0, 0.0), least_presence=0.5, least_score=0.5)


@pytest.fixture
def run(made: Path, tmp_path: Path) -> Path:
    """A copy of the run, with a copy of its data, data/, that has sets."""
    write_toy_sets(Path(shutil.copytree(made / "data", tmp_path / "data")))
    return Path(shutil.copytree(made / "run", tmp_path / "run"))


def test_it_is_read_beside_a_choice_of_boxes_only(run: Path) -> None:
    save_calibration(run, CALIBRATION)
    for chosen in (False, True):
        if chosen:
            save_extraction(run, ExtractionConfig())
        assert cast(DenseGrounder, load(run)).calibration == (CALIBRATION if chosen else None)


def test_a_better_epoch_ends_it(tmp_path: Path) -> None:
    folder = RunFolder(TrainConfig(tmp_path, tmp_path / "run"))
    save_calibration(tmp_path / "run", CALIBRATION)
    with folder:
        folder.save_decoder(torch.nn.Linear(2, 2), clip_sha256="0")
    assert not (tmp_path / "run" / CALIBRATION_FILE).exists()


@pytest.mark.usefixtures("two_settings")
def test_a_choice_that_is_killed_leaves_none_of_other_boxes(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_calibration(run, CALIBRATION)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(tuning, "save_extraction", killed)
    with pytest.raises(KeyboardInterrupt):
        tuning.tune_extraction(TuneExtractionConfig(run, run.parent / "data", device="cpu", sets_split_by="unc"))
    assert read_calibration(run) is None


def test_no_image_that_the_run_was_trained_on_has_a_say(run: Path) -> None:
    data = run.parent / "data"
    config = TuneExtractionConfig(run, data, sets_split_by="unc")
    train, val = (RefCOCOg(data, split, group_by="image") for split in ("train", "val"))

    def asked(trained_on: RefCOCOg, config: TuneExtractionConfig = config, dataset: RefCOCOg = val) -> set[int]:
        sets = tuning._sets_of(config, dataset, trained_on)
        return {sets[index].expressions[0].image_id for index in range(len(sets))}  # type: ignore[arg-type, index]

    assert asked(train) == {each.image_id for each in GRefCOCO(data, "val").expressions}
    assert asked(val) == set()
    one = RefCOCOg(data, "val", group_by="image", subset=1)
    assert len(asked(train, replace(config, subset=1), one)) == 1


def test_boxes_made_in_another_way_on_the_page_are_not_judged_by_it(made: Path) -> None:
    grounder = cast(DenseGrounder, load(made / "run"))
    image = np.zeros((9, 9, 3), np.uint8)
    heat = np.zeros((9, 9), np.float32)
    heat[2:5, 2:5] = 1
    boxes = np.array([[2, 2, 5, 5], [0, 0, 1, 1]], np.float32)
    answer = Grounding("x", boxes, np.array([0.9, 0.8], np.float32), heat, image, found=(0, 1))
    assert chosen_boxes(answer, grounder, None).found == (0, 1)
    nothing = replace(answer, found=())
    other = ExtractionConfig("rectangle", offset=0.3)
    assert chosen_boxes(answer, grounder, other).found == (0,)
    assert chosen_boxes(nothing, grounder, None).found == chosen_boxes(nothing, grounder, other).found == ()
