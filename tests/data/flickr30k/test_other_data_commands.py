"""train.py, evaluate.py and visualize.py on Flickr30k Entities and on a table, by the same words as on RefCOCOg."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from safetensors.torch import load_file

from grounding.evaluation.predictions import Prediction, read_predictions
from grounding.evaluation.summary import measures_of
from tests.data.flickr30k.files import FIELD, IMAGES, STREET, write_flickr30k, xml
from tests.scripts import assert_refused, run_script
from tests.tiny_clip import save_tiny_clip

pytestmark = pytest.mark.filterwarnings("ignore:.*that are published")
Capture = pytest.CaptureFixture[str]
WEAK = ("--model.decoder.kind", "adapters", "--images_per_batch", 2)
BOTH = [STREET, FIELD]
MEASURES = ("acc@0.5", "acc@0.5_any", "pointing", "pointing_any")
TABLE = """image,phrase,x1,y1,x2,y2,split
street.jpg,two men,10,10,80,50,{a}
street.jpg,a bench,40,20,60,40,{a}
field.jpg,a dog,0,0,70,80,{b}
field.jpg,the sky,,,,,{b}
"""


@pytest.fixture
def clip(tmp_path: Path) -> tuple[object, ...]:
    return ("--model.clip", save_tiny_clip(tmp_path / "clip.pt"), "--model.model_size", 64, "--device", "cpu")


@pytest.fixture
def flickr(tmp_path: Path) -> Path:
    return write_flickr30k(tmp_path / "flickr", {"train": BOTH, "val": BOTH, "test": BOTH})


def table(folder: Path, *, train: str = "train", val: str = "val") -> Path:
    for name, image_id in (("street.jpg", STREET), ("field.jpg", FIELD)):
        Image.new("RGB", IMAGES[image_id][0]).save(folder / name)
    (folder / "own.csv").write_text(TABLE.format(a=train, b=val))
    return folder / "own.csv"


def trained(capsys: Capture, data: Path, output: Path, *options: object) -> str:
    """What training said, and the last line of metrics.jsonl."""
    outcome = run_script(capsys, "train.py", "--data", data, "--output", output, "--epochs", 1, *options)
    assert outcome.code == 0, outcome
    return outcome.out + (output / "metrics.jsonl").read_text().splitlines()[-1]


def compared(capsys: Capture, output: Path, *arguments: object) -> tuple[dict[str, Any], str]:
    """The results of a comparison, and what it said."""
    outcome = run_script(capsys, "evaluate.py", "compare", *arguments, "--output", output, "--device", "cpu",
                         "--bounds", '["centred-box"]')  # fmt: skip
    assert outcome.code == 0, outcome
    return json.loads((output / "results.json").read_text()), " ".join(outcome.out.split())


def test_flickr30k(capsys: Capture, tmp_path: Path, flickr: Path, clip: tuple[object, ...]) -> None:
    """Six phrases, each measured against the box around all boxes of its chain, and against any of these, by hand.

    The centred box of STREET, 100x60, is [25, 15, 75, 45], of area 1500, its point (49.5, 29.5):

    - "Two men", "The men": around [10, 10, 80, 50], area 2800, holds it: IoU 0.54, right, and the point. Any of
      [10, 10, 30, 50] and [60, 10, 80, 50]: at most 450 / (1500 + 800 - 450) = 0.24, wrong; the point is in neither.
    - "a bench": [40, 20, 60, 40] lies in it: IoU 400 / 1500 = 0.27, wrong; the point is inside.
    - "A man in a hat": [10, 10, 30, 50]: IoU 150 / 2150 = 0.07, wrong; the point is outside.

    That of FIELD, 80x80, is [20, 20, 60, 60], of area 1600, its point (39.5, 39.5):

    - "A dog": [0, 0, 70, 80] holds it: IoU 1600 / 5600 = 0.29, wrong; the point is inside.
    - "Cars": around [0, 20, 60, 80] holds it: IoU 1600 / 3600 = 0.44, wrong. Any of [20, 20, 60, 60] and
      [0, 70, 4, 80]: IoU 1, right. The point is inside either way.
    """
    said = trained(capsys, flickr, tmp_path / "boxed", *clip)
    assert "training on 2 images of" in said and ", 4 phrases left out; frozen" in said
    said = trained(capsys, flickr, tmp_path / "weak", *clip, *WEAK)
    assert ", 2 phrases left out; frozen" in said and "acc@0.5_any" in said
    results, said = compared(capsys, tmp_path / "out", tmp_path / "weak", "--data", flickr)
    centred = results["bounds"]["centred-box"]
    assert [centred["metrics"][name] for name in MEASURES] == pytest.approx([2 / 6, 1 / 6, 5 / 6, 3 / 6])
    assert centred["subsets"]["people"]["n"] == 3 and centred["n"] == 6
    assert results["split_by"] == "" and results["left_out"]["not visual"] == 1
    assert "Acc@0.5 any" in said and "4 phrases left out: 1 not visual, " in said and "any: as each of them" in said
    drawn = run_script(capsys, "visualize.py", tmp_path / "weak", "--data", flickr, "--count", 2, "--device", "cpu",
                       "--output", tmp_path / "pictures")  # fmt: skip
    assert drawn.code == 0, drawn


def test_no_box_of_flickr30k_reaches_a_weak_run(
    capsys: Capture, tmp_path: Path, flickr: Path, clip: tuple[object, ...]
) -> None:
    """Other boxes, fewer, and none of one chain: the weights are the same to the last bit."""
    other = write_flickr30k(tmp_path / "other", {"train": BOTH, "val": BOTH})
    objects = [((1,), (5, 5, 9, 9)), ((2, 4), (1, 1, 100, 60))]
    (other / "Annotations" / f"{STREET}.xml").write_text(xml(STREET, IMAGES[STREET][0], objects))
    for name, data in (("one", flickr), ("two", other)):
        trained(capsys, data, tmp_path / name, *clip, *WEAK, "--validation_data", flickr)
    one, two = (load_file(tmp_path / name / "decoder.safetensors") for name in ("one", "two"))
    assert one.keys() == two.keys() and all((one[key] == two[key]).all() for key in one)


def test_a_table_with_splits(capsys: Capture, tmp_path: Path, clip: tuple[object, ...]) -> None:
    data = table(tmp_path)
    assert '"acc@0.5"' in trained(capsys, data, tmp_path / "boxed", *clip)
    results, _ = compared(capsys, tmp_path / "out", tmp_path / "boxed", "--data", data, "--split", "val")
    assert results["methods"]["boxed"]["n"] == 1 and results["left_out"] == {"without a box": 1}
    refused = run_script(capsys, "train.py", "--data", data, "--output", tmp_path / "no", "--split", "test", *clip)
    assert_refused(refused, "split is 'test'", "a test split is for measuring")


def test_a_table_without_splits(capsys: Capture, tmp_path: Path, clip: tuple[object, ...]) -> None:
    """Nothing of it is validated on, and no way to make boxes is chosen on what is measured."""
    data = table(tmp_path, train="", val="")
    assert '"acc@0.5"' not in trained(capsys, data, tmp_path / "boxed", *clip)
    assert '"acc@0.5"' not in trained(capsys, data, tmp_path / "weak", *clip, *WEAK)
    results, _ = compared(capsys, tmp_path / "out", tmp_path / "boxed", "--data", data)
    [record] = results["methods"].values()
    assert record["n"] == 3 and record["extraction_chosen_on"] == "none: as configured"
    refused = run_script(capsys, "train.py", "extraction", tmp_path / "boxed", "--data", data, "--device", "cpu")
    assert_refused(refused, data, "has no column 'split': add it")


def test_an_answer_at_random(tmp_path: Path) -> None:
    """Three boxes, each as likely; the phrase has [0, 0, 4, 4] and [6, 0, 10, 4], around which is [0, 0, 10, 4].

    [0, 0, 4, 4]: IoU 16 / 40 around, 1 with the first; its centre (2, 2) lies in both senses in.
    [0, 0, 10, 4]: IoU 1 around, 16 / 40 with each; its centre (5, 2) lies around, but in neither.
    [0, 6, 4, 10]: nothing. So each of the four measures is right once or twice in three.
    """
    parts = ((0.0, 0.0, 4.0, 4.0), (6.0, 0.0, 10.0, 4.0))
    boxes = (parts[0], (0.0, 0.0, 10.0, 4.0), (0.0, 6.0, 4.0, 10.0))
    answer = Prediction(1, 1, 1, 1, "two cups", boxes[1], boxes, (0.5, 0.5, 0.5), at_random=True, parts_xyxy=parts)
    third = Fraction(1, 3)
    found = measures_of(answer, ())
    assert [found[name] for name in MEASURES] == pytest.approx([float(n * third) for n in (1, 1, 2, 1)])
    (tmp_path / "answers.jsonl").write_text(answer.to_json())
    assert list(read_predictions(tmp_path / "answers.jsonl")) == [answer]
