"""Training without boxes, from the contrast to the decoder that is trained on its pseudo-boxes: none has any part."""

from __future__ import annotations

import json
import pickle
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from grounding import InputError, load
from grounding.data.refcocog import RefCOCOg
from grounding.training.config import TrainConfig
from grounding.training.pseudo_boxes import PseudoBoxesConfig, write_pseudo_boxes
from grounding.training.train import train
from tests.processes import newest_state
from tests.toy_data import copy_with_noise_boxes
from tests.training.conftest import small_run
from tests.training.runs import decoder_of, equal


def train_ids(config: TrainConfig) -> set[int]:
    return {each.image_id for each in RefCOCOg(config.data, "train").expressions}


def with_noise(config: TrainConfig) -> TrainConfig:
    """The same, with other boxes on all training images."""
    copy = copy_with_noise_boxes(config.data, config.data.with_name("noise"), train_ids(config))
    return replace(config, data=copy, output=config.output.with_name("noise_run"))


def pipeline(config: TrainConfig, decoder: TrainConfig) -> dict[str, torch.Tensor]:
    """The weights of the adapters, and of a decoder trained on their pseudo-boxes, at the last step of each."""
    train(config)
    write_pseudo_boxes(PseudoBoxesConfig(config.output, config.data, least_score=0.0, device="cpu"))
    second = config.output.with_name(f"{config.output.name}_decoder")
    train(replace(decoder, data=config.data, output=second, split_by="pseudo"))
    first, last = (newest_state(run)["weights"] for run in (config.output, second))
    return {**{f"adapters {name}": value for name, value in first.items()}, **last}


def test_no_box_reaches_what_is_trained_without(everything: TrainConfig, unboxed: TrainConfig) -> None:
    """With noise in place of every training box, all weights are the same to the last bit; with boxes they are not."""
    # Phrases for several objects come with annotated boxes.
    decoder = replace(everything.model.decoder, presence=False)
    without_sets = replace(everything, model=replace(everything.model, decoder=decoder), sets_per_image=0,
                           sets_split_by=None)  # fmt: skip
    expected, found = (pipeline(each, without_sets) for each in (unboxed, with_noise(unboxed)))
    assert len(expected) > 20 and equal(expected, found)
    boxes = []
    for each in (everything, replace(everything, data=everything.data.with_name("noise"))):
        train(replace(each, output=each.data.with_name(f"{each.data.name}_boxes")))
        boxes.append(decoder_of(each.data.with_name(f"{each.data.name}_boxes")))
    assert not equal(*boxes)


def test_annotated_boxes_of_sets_do_not_come_beside_pseudo_boxes(everything: TrainConfig) -> None:
    folder = everything.data / "annotations"
    for name, copy in (("refs(umd).p", "refs(pseudo).p"), ("instances.json", "instances(pseudo).json")):
        shutil.copy(folder / name, folder / copy)
    with pytest.raises(InputError, match=r"sets_split_by is 'unc' and split_by 'pseudo', whose boxes a run has made"):
        train(replace(everything, split_by="pseudo"))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> TrainConfig:
    """A run of adapters."""
    config = small_run(tmp_path_factory.mktemp("pseudo"))
    model = replace(config.model, decoder=replace(config.model.decoder, kind="adapters"))
    config = replace(config, model=model, epochs=1)
    train(config)
    return config


def pseudo(config: TrainConfig, **changes: object) -> list[RefCOCOg]:
    """The original training split, and that with pseudo-boxes."""
    wanted = PseudoBoxesConfig(config.output, config.data, least_score=0.0, device="cpu")
    write_pseudo_boxes(replace(wanted, **changes))  # type: ignore[arg-type]
    return [RefCOCOg(config.data, "train", split_by=split_by) for split_by in ("umd", "pseudo")]


@pytest.mark.parametrize("boxes", ["", "+yolo"])
def test_pseudo_boxes_are_the_runs_answers(made: TrainConfig, boxes: str) -> None:
    """Its own, or those of a detector."""
    run = Path(f"{made.output}{boxes}")
    before, after = pseudo(made, run=run)
    assert {each.sent_id: each.phrase for each in after.expressions} == {
        each.sent_id: each.phrase for each in before.expressions
    }
    grounder = load(run, precision="float32")
    for each in after.expressions:
        expected = grounder.ground(each.image_path, [each.phrase])[0].boxes_xyxy[0]
        np.testing.assert_allclose(each.box_xyxy, expected, atol=0.02)
    assert len({each.ann_id for each in after.expressions}) == len(after.expressions)
    val = [RefCOCOg(made.data, "val", split_by=split_by).expressions for split_by in ("umd", "pseudo")]
    assert val[0] == val[1]


def test_a_share_of_images_keeps_its_annotated_boxes(made: TrainConfig) -> None:
    before, after = pseudo(made, boxes_fraction=0.5)
    annotated = {each.sent_id: each.box_xyxy for each in before.expressions}
    kept = {each.image_id for each in after.expressions if each.box_xyxy == annotated[each.sent_id]}
    assert len(kept) == 3 and len({each.image_id for each in after.expressions}) == 6
    # Each phrase once, with one box or the other.
    assert sorted(each.sent_id for each in after.expressions) == sorted(annotated)
    _, after = pseudo(made, boxes_fraction=0.5, subset=2)
    assert len({each.image_id for each in after.expressions}) == 2


def test_unsure_answers_are_left_out_and_none_is_asked_for_again(
    made: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    pseudo(made)
    monkeypatch.setattr("grounding.training.pseudo_boxes.load", None)
    scores = [json.loads(line)[2] for line in (made.output / "pseudo_boxes.jsonl").read_text().splitlines()]
    middle = sorted(scores)[len(scores) // 2]
    _, after = pseudo(made, least_score=middle)
    assert len(after.expressions) == sum(score >= middle for score in scores)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"split": "test"}, "split is 'test'"),
        ({"boxes_fraction": 1.0}, r"boxes_fraction is 1\.0: Input should be less than 1"),
        ({"least_score": 2.0}, "scores 2.0 or more on an image without boxes: give a lower"),
        ({"boxes_fraction": 0.95}, "give a lower --least_score or --boxes_fraction"),  # that is all
        ({"split_by": "pseudo"}, "would be written over"),
        ({"run": Path("nowhere")}, "nowhere is no run folder: .* give the folder that train.py wrote"),
    ],
)
def test_what_cannot_be_annotated_is_refused(
    made: TrainConfig, undisturbed: TrainConfig, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match="was trained with boxes: give a run of"):
        pseudo(undisturbed)
    pseudo(made)
    folder = made.data / "annotations"
    before = {path: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(InputError, match=message):
        pseudo(made, **changes)
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


def test_a_persons_annotations_are_not_written_over(made: TrainConfig, tmp_path: Path) -> None:
    data = shutil.copytree(made.data, tmp_path / "data")
    (data / "annotations" / "instances(pseudo).json").unlink(missing_ok=True)
    (data / "annotations" / "refs(pseudo).p").write_bytes(b"of a person")
    with pytest.raises(InputError, match=r"refs\(pseudo\)\.p would be written over"):
        pseudo(made, data=data)
    assert (data / "annotations" / "refs(pseudo).p").read_bytes() == b"of a person"


def test_images_of_two_splits_are_refused_before_anything_is_asked(
    made: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = shutil.copytree(made.data, tmp_path / "data")
    refs = pickle.loads((data / "annotations" / "refs(umd).p").read_bytes())
    first = next(ref for ref in refs if ref["split"] == "train")
    refs.append({**first, "split": "val", "ref_id": 999, "sentences": [{**first["sentences"][0], "sent_id": 999}]})
    (data / "annotations" / "refs(shared).p").write_bytes(pickle.dumps(refs))
    monkeypatch.setattr("grounding.training.pseudo_boxes.load", None)
    with pytest.raises(InputError, match="1 images of train are in other splits too"):
        write_pseudo_boxes(PseudoBoxesConfig(made.output, data, split_by="shared", seed=7, device="cpu"))


def test_one_image_tells_adapters_nothing(unboxed: TrainConfig) -> None:
    with pytest.raises(InputError, match="a step has 1 image: adapters learn by"):
        train(replace(unboxed, subset=1))
