"""train.py, evaluate.py and visualize.py on a table of one's own, by the same words as on RefCOCOg."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from tests.scripts import assert_refused, run_script
from tests.tiny_clip import save_tiny_clip

Capture = pytest.CaptureFixture[str]
WEAK = ("--model.decoder.kind", "adapters", "--images_per_batch", 2)
TABLE = """image,phrase,x1,y1,x2,y2,split
street.jpg,two men,10,10,80,50,{a}
street.jpg,a bench,40,20,60,40,{a}
field.jpg,a dog,0,0,70,80,{b}
field.jpg,the sky,,,,,{b}
"""


@pytest.fixture
def clip(tmp_path: Path) -> tuple[object, ...]:
    return ("--model.clip", save_tiny_clip(tmp_path / "clip.pt"), "--model.model_size", 64, "--device", "cpu")


def table(folder: Path, *, train: str = "train", val: str = "val") -> Path:
    for name, size in (("street.jpg", (100, 60)), ("field.jpg", (80, 80))):
        Image.new("RGB", size).save(folder / name)
    (folder / "own.csv").write_text(TABLE.format(a=train, b=val))
    return folder / "own.csv"


def trained(capsys: Capture, data: Path, output: Path, *options: object) -> str:
    """What training said, and the last line of metrics.jsonl."""
    outcome = run_script(capsys, "train.py", "--data", data, "--output", output, "--epochs", 1, *options)
    assert outcome.code == 0, outcome
    return outcome.out + (output / "metrics.jsonl").read_text().splitlines()[-1]


def test_a_table_with_splits(capsys: Capture, tmp_path: Path, clip: tuple[object, ...]) -> None:
    data = table(tmp_path)
    assert '"acc@0.5"' in trained(capsys, data, tmp_path / "boxed", *clip)
    outcome = run_script(capsys, "evaluate.py", "compare", tmp_path / "boxed", "--data", data, "--split", "val",
                         "--output", tmp_path / "out", "--device", "cpu", "--bounds", "[]")  # fmt: skip
    assert outcome.code == 0, outcome
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    assert results["methods"]["boxed"]["n"] == 1 and results["left_out"] == {"without a box": 1}
    assert "1 phrases left out: 1 without a box." in " ".join(outcome.out.split())
    drawn = run_script(capsys, "visualize.py", tmp_path / "boxed", "--data", data, "--split", "train", "--count", 1,
                       "--device", "cpu", "--output", tmp_path / "pictures")  # fmt: skip
    assert drawn.code == 0 and drawn.out.strip().endswith("own_train_boxed.png"), drawn
    refused = run_script(capsys, "train.py", "--data", data, "--output", tmp_path / "no", "--split", "test", *clip)
    assert_refused(refused, "split is 'test'", "a test split is for measuring")


def test_a_table_without_splits(capsys: Capture, tmp_path: Path, clip: tuple[object, ...]) -> None:
    """Nothing of it is validated on, and no way to make boxes is chosen on what is measured."""
    data = table(tmp_path, train="", val="")
    assert '"acc@0.5"' not in trained(capsys, data, tmp_path / "boxed", *clip)
    assert '"acc@0.5"' not in trained(capsys, data, tmp_path / "weak", *clip, *WEAK)
    outcome = run_script(capsys, "evaluate.py", "compare", tmp_path / "boxed", "--data", data,
                         "--output", tmp_path / "out", "--device", "cpu", "--bounds", "[]")  # fmt: skip
    assert outcome.code == 0, outcome
    [record] = json.loads((tmp_path / "out" / "results.json").read_text())["methods"].values()
    assert record["n"] == 3 and record["extraction_chosen_on"] == "none: as configured"
    refused = run_script(capsys, "train.py", "extraction", tmp_path / "boxed", "--data", data, "--device", "cpu")
    assert_refused(refused, data, "has no column 'split': add it")
