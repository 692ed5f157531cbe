"""Training without boxes, from the contrast to the decoder that is trained on its pseudo-boxes: none has any part."""

from __future__ import annotations

import json
import pickle
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from grounding import InputError
from grounding.data.refcocog import RefCOCOg
from grounding.methods.config import ModelConfig
from grounding.training.config import TrainConfig
from grounding.training.pseudo_boxes import PseudoBoxesConfig, write_pseudo_boxes
from grounding.training.train import train
from tests.toy_data import copy_with_noise_boxes


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
    found = {}
    for run in (config.output, second):
        last = load_file(max((run / "states").iterdir()) / "model.safetensors")
        found |= {f"{len(found)}.{name}": value for name, value in last.items()}
    return found


def test_no_box_reaches_what_is_trained_without(everything: TrainConfig, unboxed: TrainConfig) -> None:
    """With noise in place of every training box, all weights are the same to the last bit; with boxes they are not."""
    # Phrases for several objects come with annotated boxes.
    decoder = replace(everything.model.decoder, presence=False)
    without_sets = replace(everything, model=replace(everything.model, decoder=decoder), sets_per_image=0,
                           sets_split_by=None)  # fmt: skip
    expected, found = (pipeline(each, without_sets) for each in (unboxed, with_noise(unboxed)))
    assert set(expected) == set(found) and len(expected) > 20
    assert all(torch.equal(expected[name], found[name]) for name in expected)
    boxes = []
    for each in (everything, replace(everything, data=everything.data.with_name("noise"))):
        train(replace(each, output=each.data.with_name(f"{each.data.name}_boxes")))
        boxes.append(load_file(each.data.with_name(f"{each.data.name}_boxes") / "decoder.safetensors"))
    assert not all(torch.equal(boxes[0][name], boxes[1][name]) for name in boxes[0])


def test_annotated_boxes_of_sets_do_not_come_beside_pseudo_boxes(everything: TrainConfig, unboxed: TrainConfig) -> None:
    train(replace(unboxed, epochs=1))
    write_pseudo_boxes(PseudoBoxesConfig(unboxed.output, unboxed.data, least_score=0.0, device="cpu"))
    with pytest.raises(InputError, match=r"sets_split_by is 'unc' and split_by 'pseudo', whose boxes a run has made"):
        train(replace(everything, output=everything.output.with_name("both"), split_by="pseudo"))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> TrainConfig:
    """A run of adapters."""
    from tests.training.conftest import small_run

    config = small_run(tmp_path_factory.mktemp("pseudo"))
    model: ModelConfig = replace(config.model, decoder=replace(config.model.decoder, kind="adapters"))
    config = replace(config, model=model, epochs=1)
    train(config)
    return config


def pseudo(config: TrainConfig, **changes: object) -> list[RefCOCOg]:
    """The original training split, and that with pseudo-boxes."""
    wanted = PseudoBoxesConfig(config.output, config.data, **{"least_score": 0.0, "device": "cpu", **changes})  # type: ignore[arg-type]
    write_pseudo_boxes(wanted)
    return [RefCOCOg(config.data, "train", split_by=split_by) for split_by in ("umd", "pseudo")]


def test_pseudo_boxes_are_the_runs_answers(made: TrainConfig) -> None:
    from grounding import load

    before, after = pseudo(made)
    answers = {}
    grounder = load(made.output, precision="float32")
    for index in range(len(before)):
        expression = before.expressions_of(index)[0]
        answers[expression.sent_id] = grounder.ground(expression.image_path, [expression.phrase])[0].boxes_xyxy[0]
    assert {each.sent_id: each.phrase for each in after.expressions} == {
        each.sent_id: each.phrase for each in before.expressions
    }
    for each in after.expressions:
        np.testing.assert_allclose(each.box_xyxy, answers[each.sent_id], atol=0.02)
    assert len({each.ann_id for each in after.expressions}) == len(after.expressions)
    val = [RefCOCOg(made.data, "val", split_by=split_by).expressions for split_by in ("umd", "pseudo")]
    assert val[0] == val[1]


def test_a_detectors_boxes_can_be_the_runs_answers(made: TrainConfig) -> None:
    from grounding import load

    write_pseudo_boxes(PseudoBoxesConfig(Path(f"{made.output}+yolo"), made.data, name="yolo", least_score=0.0,
                                         device="cpu"))  # fmt: skip
    grounder = load(f"{made.output}+yolo", precision="float32")
    for each in RefCOCOg(made.data, "train", split_by="yolo").expressions:
        expected = grounder.ground(each.image_path, [each.phrase])[0].boxes_xyxy[0]
        np.testing.assert_allclose(each.box_xyxy, expected, atol=0.02)


def test_a_share_of_images_keeps_its_annotated_boxes(made: TrainConfig) -> None:
    before, after = pseudo(made, boxes_fraction=0.5)
    annotated = {each.sent_id: each.box_xyxy for each in before.expressions}
    kept = {each.image_id for each in after.expressions if each.box_xyxy == annotated[each.sent_id]}
    assert len(kept) == 3 and len({each.image_id for each in after.expressions}) == 6
    assert sorted(each.sent_id for each in after.expressions) == sorted(
        annotated
    )  # each once, with one box or the other


def test_unsure_answers_and_other_images_are_left_out(made: TrainConfig) -> None:
    scores = [json.loads(line)[2] for line in (made.output / "pseudo_boxes.jsonl").read_text().splitlines()]
    middle = sorted(scores)[len(scores) // 2]
    _, after = pseudo(made, least_score=middle)
    assert len(after.expressions) == sum(score >= middle for score in scores)
    _, after = pseudo(made, subset=2)
    assert len({each.image_id for each in after.expressions}) == 2


def test_what_was_asked_is_not_asked_again(made: TrainConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    pseudo(made)
    monkeypatch.setattr("grounding.training.pseudo_boxes.load", None)
    pseudo(made, least_score=0.1)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"split": "test"}, "split is 'test'"),
        ({"boxes_fraction": 1.0}, r"boxes_fraction is 1\.0: give a share"),
        ({"least_score": 2.0}, "scores 2.0 or more: give a lower --least_score"),
        ({"name": "umd"}, "name is 'umd': give letters and digits, and not those of --split_by"),
        ({"name": "../umd"}, "give letters and digits"),
        ({"name": "unc"}, r"grefs\(unc\)\.json holds annotations of another origin"),
        ({"name": "umd", "split_by": "pseudo"}, "annotations of another origin: give another --name"),
        ({"run": Path("nowhere")}, "nowhere holds no trained run"),
    ],
)
def test_what_cannot_be_annotated_is_refused(made: TrainConfig, changes: dict, message: str) -> None:
    before = pickle.loads((made.data / "annotations" / "refs(umd).p").read_bytes())
    (made.data / "annotations" / "grefs(unc).json").write_text("[]")
    with pytest.raises(InputError, match=message):
        write_pseudo_boxes(replace(PseudoBoxesConfig(made.output, made.data, device="cpu"), **changes))
    assert pickle.loads((made.data / "annotations" / "refs(umd).p").read_bytes()) == before


def test_a_run_with_boxes_annotates_nothing(config: TrainConfig) -> None:
    train(replace(config, epochs=1))
    with pytest.raises(InputError, match="was trained with boxes: give a run of"):
        write_pseudo_boxes(PseudoBoxesConfig(config.output, config.data, device="cpu"))


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
