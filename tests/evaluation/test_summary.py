"""Numbers of a summary against a loop over expressions, and planted errors that would change them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torchvision.ops import box_iou, generalized_box_iou

from grounding.evaluation.metrics import ACCURACY_THRESHOLDS
from grounding.evaluation.predictions import Prediction
from grounding.evaluation.summary import kinds_of, measures_of, summarise
from grounding.types import Expression, Region

IMAGES, PER_IMAGE = 30, 4


def random_boxes(rng: np.random.Generator, count: int) -> np.ndarray:
    corners = rng.integers(0, 40, (count, 2, 2))
    return np.concatenate([corners.min(axis=1), corners.max(axis=1) + 1], axis=1).astype(float)


@pytest.fixture(scope="module")
def sample() -> tuple[list[Prediction], dict[int, Expression], dict[int, list[Region]]]:
    rng = np.random.default_rng(0)
    predictions, expressions, regions = [], {}, {}
    for image_id in range(IMAGES):
        regions[image_id] = []
        for i, box in enumerate(random_boxes(rng, PER_IMAGE)):
            sent_id, ann_id, category = PER_IMAGE * image_id + i, 100 * image_id + i, ("cat", "dog")[i % 2]
            phrase, tags = ("the dog", "a cat to the left of the red car")[i % 2], ("novel",) if i == 0 else ()
            asked = Expression(phrase, tuple(box), image_id, sent_id, ann_id, sent_id, Path("a.jpg"), category, tags)
            expressions[sent_id] = asked
            regions[image_id].append(Region(ann_id, image_id, tuple(box), category))
            answers = random_boxes(rng, rng.integers(1, 8))
            answers[0] = np.round(box + rng.normal(0, 4, 4))
            answers[0, 2:] = np.maximum(answers[0, 2:], answers[0, :2] + 1)
            scores = np.sort(rng.random(len(answers)))[::-1]
            known = {"point_xy": tuple(rng.uniform(0, 40, 2)), "mass_inside": float(rng.random()), "seconds": 0.1}
            predictions.append(Prediction.about(asked, answers, scores, image_area=1600.0, **known,
                                                semantics={"text_cosine": 0.25}))  # fmt: skip
    return predictions, expressions, regions


def ious_of(prediction: Prediction) -> list[float]:
    return box_iou(torch.tensor(prediction.boxes_xyxy), torch.tensor([prediction.annotated_xyxy]))[:, 0].tolist()


def test_means_equal_a_loop(sample) -> None:
    predictions, _, regions = sample
    means = summarise(*sample).means()
    ious = [ious_of(each) for each in predictions]
    for threshold in ACCURACY_THRESHOLDS:
        assert means[f"acc@{threshold:g}"] == pytest.approx(np.mean([each[0] >= threshold for each in ious]))
    steps = [percent / 100 for percent in range(50, 100, 5)]
    expected = np.mean([np.mean([each[0] >= step for each in ious]) for step in steps])
    assert means["acc@0.5:0.95"] == pytest.approx(expected)
    assert means["miou"] == pytest.approx(np.mean([each[0] for each in ious]))
    gious = [
        float(generalized_box_iou(torch.tensor(each.boxes_xyxy[:1]), torch.tensor([each.annotated_xyxy])))
        for each in predictions
    ]
    assert means["giou"] == pytest.approx(np.mean(gious))
    for k in (1, 5, 10):
        assert means[f"recall@{k}"] == pytest.approx(np.mean([max(each[:k]) >= 0.5 for each in ious]))
    inside, right = [], []
    for each in predictions:
        (x, y), (x1, y1, x2, y2) = each.point_xy, each.annotated_xyxy
        inside.append(x1 <= x < x2 and y1 <= y < y2)
        boxes = torch.tensor([region.box_xyxy for region in regions[each.image_id]])
        overlaps = box_iou(torch.tensor(each.boxes_xyxy[:1]), boxes)[0]
        best = int(overlaps.argmax())
        right.append(overlaps.max() > 0 and regions[each.image_id][best].ann_id == each.ann_id)
    assert means["pointing"] == pytest.approx(np.mean(inside))
    assert means["mass_inside"] == pytest.approx(np.mean([each.mass_inside for each in predictions]))
    assert means["region_accuracy"] == pytest.approx(np.mean(right))
    assert 0.2 < np.mean(right) < 0.98, "the sample has right and wrong answers"
    assert means["text_cosine"] == 0.25


def test_an_answer_at_random_is_an_expectation_over_its_boxes(sample) -> None:
    predictions, _, regions = sample
    prediction = next(each for each in predictions if len(each.boxes_xyxy) == 5)
    measured = measures_of(replace(prediction, at_random=True), regions[prediction.image_id])
    each_alone = []
    for x1, y1, x2, y2 in prediction.boxes_xyxy:
        centre = ((x1 + x2) / 2, (y1 + y2) / 2)
        alone = replace(prediction, boxes_xyxy=((x1, y1, x2, y2),), scores=(1.0,), point_xy=centre)
        each_alone.append(measures_of(alone, regions[prediction.image_id]))
    for name in ("acc@0.25", "acc@0.5", "acc@0.5:0.95", "miou", "giou", "pointing", "region_accuracy", "recall@1"):
        assert measured[name] == pytest.approx(np.mean([alone[name] for alone in each_alone])), name
    assert measured["recall@5"] == max(alone["acc@0.5"] for alone in each_alone)


def test_parts_of_a_report_add_up(sample) -> None:
    predictions, expressions, _ = sample
    report = summarise(*sample).report()
    count = len(predictions)
    assert report["n"] == count and report["seconds"]["per_phrase"] == pytest.approx(0.1)
    assert report["seconds"]["per_image"] == pytest.approx(0.1 * PER_IMAGE)
    assert report["subsets"]["novel"]["n"] == IMAGES
    novel = [i for i, each in enumerate(predictions) if "novel" in expressions[each.sent_id].tags]
    expected = np.mean([ious_of(predictions[i])[0] for i in novel])
    assert report["subsets"]["novel"]["metrics"]["miou"] == pytest.approx(expected)
    for axis, kinds in report["breakdowns"].items():
        assert sum(kind["n"] for kind in kinds.values()) == count, axis
        mean = sum(kind["n"] * kind["metrics"]["acc@0.5"] for kind in kinds.values()) / count
        assert mean == pytest.approx(report["metrics"]["acc@0.5"]), axis
    assert report["breakdowns"]["phrase length"]["7-10 words"]["n"] == count / 2
    for wanted, row in report["confusion"].items():
        assert sum(row.values()) == count / 2, wanted
    curve = report["accuracy_over_iou"]
    assert curve["threshold"][10] == 0.5
    assert curve["accuracy"][0] == 1 and curve["accuracy"][10] == pytest.approx(report["metrics"]["acc@0.5"])
    assert sum(each["n"] for each in report["reliability"]) == count


def test_background_is_what_overlaps_nothing(sample) -> None:
    predictions, expressions, regions = sample
    far = [replace(each, boxes_xyxy=((500.0, 500, 510, 510),), scores=(1.0,)) for each in predictions]
    summary = summarise(far, expressions, regions)
    assert summary.report()["confusion"] == {"cat": {"background": 60}, "dog": {"background": 60}}
    assert summary.means()["region_accuracy"] == 0


def test_little_is_known_of_foreign_boxes() -> None:
    answers = [Prediction(-1, i, i, i, "", (0.0, 0.0, 4.0, 4.0), ((0.0, 0.0, 4.0, 2.0 + i),), (1.0,)) for i in range(3)]
    report = summarise(answers, {}, {}).report()
    assert report["metrics"]["miou"] == pytest.approx((0.5 + 0.75 + 1) / 3)
    for absent in ("intervals", "seconds", "subsets", "breakdowns", "confusion"):
        assert absent not in report
    assert not {"pointing", "mass_inside", "region_accuracy", "text_cosine"} & set(report["metrics"])


AREA = 640 * 480


def expression(phrase: str = "the dog", box: tuple[float, ...] = (0, 0, 100, 100), category: str = "dog") -> Expression:
    return Expression(phrase, box, 1, 1, 7, 1, Path("a.jpg"), category)


@pytest.mark.parametrize(
    ("phrase", "length", "location", "relation"),
    [
        ("a dog, black", "1-3 words", "no", "no"),
        ("the man left of the tree", "4-6 words", "yes", "yes"),
        ("a woman's dog that is next to the red car", "7-10 words", "no", "yes"),
        ("Cup IN FRONT OF the plate", "4-6 words", "yes", "yes"),
        ("a lefthanded man in the bright overcoat", "7-10 words", "no", "no"),
        ("a b c d e f g h i j k", "11 words or more", "no", "no"),
    ],
)
def test_kinds_of_phrases(phrase, length, location, relation) -> None:
    kinds = kinds_of(expression(phrase), [], AREA)
    assert (kinds["phrase length"], kinds["location words"], kinds["relation words"]) == (length, location, relation)


@pytest.mark.parametrize(("side", "kind"), [(31, "small"), (33, "medium"), (95, "medium"), (97, "large")])
def test_sizes_are_cocos_on_a_picture_of_cocos_size(side, kind) -> None:
    assert kinds_of(expression(box=(10, 0, 10 + side, side)), [], AREA)["box area"] == kind
    half = (5, 0, 5 + side / 2, side / 2)
    assert kinds_of(expression(box=half), [], AREA / 4)["box area"] == kind


@pytest.mark.parametrize(("others", "kind"), [((), "0"), (("cat", "dog"), "1"), (("dog",) * 5, "3 or more")])
def test_distractors_are_others_of_the_same_category(others, kind) -> None:
    around = [Region(7 + i, 1, (0, 0, 1, 1), name) for i, name in enumerate(("dog", *others))]  # its own is number 7
    kinds = kinds_of(expression(), around, AREA)
    assert (kinds["same-category distractors"], kinds["category"]) == (kind, "dog")
