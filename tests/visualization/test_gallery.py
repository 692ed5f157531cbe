import json
import re

import numpy as np
import pytest
from PIL import Image

from grounding.data.refcocog import RefCOCOg
from grounding.errors import InputError
from grounding.evaluation.breakdowns import AXES
from grounding.evaluation.metrics import ious_with
from grounding.evaluation.predictions import Prediction, read_predictions
from grounding.runtime.cli import parse
from grounding.visualization.gallery import GalleryConfig, gallery
from grounding.visualization.selection import choose_random
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
    picture, page = gallery(GalleryConfig(comparison))
    assert picture == comparison / "gallery_demo_random.png" and page == comparison / "gallery_demo_random.html"
    with Image.open(picture) as opened:
        assert opened.format == "PNG" and opened.width > 1500
    rows = stored(comparison, "demo")
    assert phrases_on(page) == [row["phrase"] for row in choose_random(rows, 240, seed=0)]
    assert f"{100 * np.mean([row['iou'] >= 0.5 for row in rows]):.1f}\N{NO-BREAK SPACE}%" in page.read_text()


def test_the_seed_decides_and_the_same_call_gives_the_same_files(comparison, tmp_path):
    folders = [tmp_path / name for name in "abc"]
    pages = [gallery(GalleryConfig(comparison, seed=seed, output=folder, count=2, page_count=5))
             for seed, folder in zip((0, 0, 1), folders, strict=True)]  # fmt: skip
    for one, same, other in zip(*pages, strict=True):
        assert one.read_bytes() == same.read_bytes() != other.read_bytes()


def test_worst_are_the_worst(comparison):
    _, page = gallery(GalleryConfig(comparison, show="worst"))
    wrong = [row for row in stored(comparison, "demo") if row["iou"] < 0.5]
    wrong.sort(key=lambda row: (row["iou"], -row["score"]))
    assert phrases_on(page)[0] == wrong[0]["phrase"] and len(phrases_on(page)) <= len(wrong)
    assert 'data-right="1"' not in page.read_text()


def test_another_method_and_another_rival(comparison):
    _, page = gallery(GalleryConfig(comparison, method="gradcam", show="best"))
    assert page.name == "gallery_gradcam_best.html"
    best = max(stored(comparison, "gradcam"), key=lambda row: (row["iou"], row["score"]))
    assert phrases_on(page)[0] == best["phrase"]
    _, page = gallery(GalleryConfig(comparison, show="disputed"))
    assert "yolo-clip: IoU" in page.read_text()
    _, page = gallery(GalleryConfig(comparison, show="disputed", rival="gradcam"))
    assert "gradcam: IoU" in page.read_text() and "yolo-clip" not in page.read_text()


@pytest.mark.parametrize(("of_group", "axes"), [("random", AXES), ("extremes", list(AXES)[:1])])
def test_every_axis_can_be_broken_down(comparison, of_group, axes):
    for axis in axes:
        picture, page = gallery(GalleryConfig(comparison, show="breakdown", by=axis, of_group=of_group, count=1))
        assert picture.name == f"gallery_demo_breakdown_{axis.replace(' ', '-')}_{of_group}.png"
        assert f"By {axis}: up to" in page.read_text()


def test_the_page_has_room_for_every_group(comparison):
    _, page = gallery(GalleryConfig(comparison, show="breakdown", by="box area", page_count=4))
    groups = [json.loads(found)["box area"][0] for found in re.findall(r"data-groups='([^']*)'", page.read_text())]
    assert 2 <= len(groups) <= 4 and len(set(groups)) == 2


def test_data_that_moved_and_other_data(comparison, tmp_path):
    (tmp_path / "data").rename(tmp_path / "elsewhere")
    with pytest.raises(InputError, match=r"results\.json says that the data set is in .*: give its folder as --data"):
        gallery(GalleryConfig(comparison))
    _, page = gallery(GalleryConfig(comparison, data=tmp_path / "elsewhere"))
    assert "on elsewhere, test" in page.read_text()
    with pytest.raises(InputError, match="does not ask"):
        gallery(GalleryConfig(comparison, data=write_toy_data(tmp_path / "other", {"test": 2})))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"page_count": 100_000}, "at most 2000"),
        ({"method": "none"}, "demo, yolo-clip, gradcam"),
        ({"show": "disputed", "rival": "none"}, "'none'"),
        ({"show": "disputed", "rival": "demo"}, "itself"),
        ({"show": "breakdown", "by": "colour"}, "phrase length"),
        ({"show": "breakdown", "by": "subset"}, "another"),
    ],
)
def test_what_is_not_there_is_refused(comparison, options, said):
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
    words = [str(comparison), "--show", "breakdown", "--by", "relation words", "--count", "3", "--seed", "7"]
    config = parse(GalleryConfig, "visualize", words, positional="comparison", command="gallery", section="gallery")
    assert config == GalleryConfig(comparison, show="breakdown", by="relation words", count=3, seed=7)
