import json
import re
from dataclasses import replace

import numpy as np
import pytest

from grounding.data.refcocog import RefCOCOg
from grounding.errors import InputError
from grounding.evaluation.metrics import ious_with
from grounding.evaluation.predictions import Prediction, read_predictions
from grounding.runtime.cli import parse
from grounding.visualization.examples import choose_random
from grounding.visualization.gallery import GalleryConfig, gallery
from tests.toy_data import write_toy_data


@pytest.fixture
def comparison(tmp_path):
    """A folder as `evaluate.py compare` leaves it, of three methods; "demo" is right on all but every third phrase."""
    data = write_toy_data(tmp_path / "data", {"train": 1, "val": 1, "test": 7})
    dataset = RefCOCOg(data, "test")
    rng = np.random.default_rng(0)
    (tmp_path / "run/predictions").mkdir(parents=True)
    for name, off in (("demo", 0.0), ("yolo-clip", 40.0), ("gradcam", 9.0)):
        lines = []
        for number, each in enumerate(dataset.expressions):
            shift = (off or 30.0 * (number % 3 == 0)) + rng.uniform(0, 2)
            box = tuple(value + shift for value in each.box_xyxy)
            lines.append(Prediction(each.image_id, each.ref_id, each.ann_id, each.sent_id, each.phrase, each.box_xyxy,
                                    (box,), (float(rng.random()),), image_area=11000.0).to_json())  # fmt: skip
        (tmp_path / f"run/predictions/{name}.jsonl").write_text("\n".join(lines) + "\n")
    results = {"data": str(data), "split": "test", "split_by": "umd", "weights": "none",
               "methods": {"demo": {}, "yolo-clip": {}, "gradcam": {}}}  # fmt: skip
    (tmp_path / "run/results.json").write_text(json.dumps(results))
    return tmp_path / "run"


def phrases_on(page):
    return re.findall(r'<span class="phrase">“(.*?)”</span>', page.read_text(encoding="utf-8"))


def stored(comparison, method):
    rows = []
    for each in read_predictions(comparison / f"predictions/{method}.jsonl"):
        iou = ious_with(np.array(each.boxes_xyxy), np.array(each.annotated_xyxy))[0]
        rows.append({"sent_id": each.sent_id, "phrase": each.phrase, "iou": iou, "score": each.scores[0]})
    return rows


def test_first_method_at_random_by_default(comparison):
    [page] = gallery(GalleryConfig(comparison))
    assert page == comparison / "gallery_demo_random.html"
    rows = stored(comparison, "demo")
    assert phrases_on(page) == [row["phrase"] for row in choose_random(rows, 240, seed=0)]
    assert f"{100 * np.mean([row['iou'] >= 0.5 for row in rows]):.1f}\N{NO-BREAK SPACE}%" in page.read_text()


def test_the_seed_decides_and_the_same_call_gives_the_same_file(comparison, tmp_path):
    one, same, other = (
        gallery(GalleryConfig(comparison, seed=seed, output=tmp_path / name, count=5))[0].read_bytes()
        for seed, name in zip((0, 0, 1), "abc", strict=True)
    )
    assert one == same != other


def test_worst_are_the_worst(comparison):
    [page] = gallery(GalleryConfig(comparison, show="worst"))
    wrong = [row for row in stored(comparison, "demo") if row["iou"] < 0.5]
    wrong.sort(key=lambda row: (row["iou"], -row["score"]))
    assert phrases_on(page)[0] == wrong[0]["phrase"] and len(phrases_on(page)) <= len(wrong)
    assert 'data-right="1"' not in page.read_text()


def test_another_method_and_another_rival(comparison):
    [page] = gallery(GalleryConfig(comparison, method="gradcam", show="best"))
    assert page.name == "gallery_gradcam_best.html"
    best = max(stored(comparison, "gradcam"), key=lambda row: (row["iou"], row["score"]))
    assert phrases_on(page)[0] == best["phrase"]
    [page] = gallery(GalleryConfig(comparison, show="disputed"))
    assert "yolo-clip: IoU" in page.read_text()


def test_data_that_moved_and_other_data(comparison, tmp_path):
    (tmp_path / "data").rename(tmp_path / "elsewhere")
    with pytest.raises(InputError, match=r"results\.json says that the data set is in .*: give its folder as --data"):
        gallery(GalleryConfig(comparison))
    [page] = gallery(GalleryConfig(comparison, data=tmp_path / "elsewhere"))
    assert "on elsewhere, test" in page.read_text()
    with pytest.raises(InputError, match="does not ask"):
        gallery(GalleryConfig(comparison, data=write_toy_data(tmp_path / "other", {"test": 2})))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"count": 100_000}, "at most 2000"),
        ({"method": "none"}, "demo, yolo-clip, gradcam"),
        ({"show": "worst", "method": "perfect"}, "choose another --show"),
        ({"show": "disputed", "method": "perfect"}, "with no other method"),
    ],
)
def test_what_is_not_there_is_refused(comparison, options, said):
    if options.get("method") == "perfect":
        path = comparison / "predictions/demo.jsonl"
        right = [replace(each, boxes_xyxy=(each.annotated_xyxy,)).to_json() for each in read_predictions(path)]
        (comparison / "predictions/perfect.jsonl").write_text("\n".join(right) + "\n")
        results = json.loads((comparison / "results.json").read_text())
        (comparison / "results.json").write_text(json.dumps({**results, "methods": {"perfect": {}}}))
    with pytest.raises(InputError, match=said):
        gallery(GalleryConfig(comparison, **options))
    assert not list(comparison.glob("gallery*"))


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("results.json", None, r"evaluate\.py compare"),
        ("results.json", "{", "damaged"),
        ("results.json", '{"methods": {}}', "does not say 'data'"),
        ("predictions/demo.jsonl", None, r"demo\.jsonl"),
    ],
)
def test_folders_that_are_no_comparison(comparison, file, text, said):
    (comparison / file).unlink()
    if text is not None:
        (comparison / file).write_text(text)
    with pytest.raises(InputError, match=said):
        gallery(GalleryConfig(comparison))


def test_command_line(comparison):
    words = [str(comparison), "--show", "worst", "--count", "3", "--seed", "7"]
    config = parse(GalleryConfig, "visualize", words, positional="comparison", command="gallery", section="gallery")
    assert config == GalleryConfig(comparison, show="worst", count=3, seed=7)
