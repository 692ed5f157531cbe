"""A method of one's own, from docs/evaluation.md, and another system's boxes, in one comparison with a known one."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from grounding import ModelConfig, RefCOCOg, load
from grounding.deployment.bulk import BulkConfig, ground_file
from grounding.errors import InputError
from grounding.evaluation.compare import compare
from grounding.evaluation.config import EvaluateConfig
from grounding.evaluation.own_identity import identity_of
from grounding.evaluation.predictions import read_predictions
from grounding.methods.own import OwnGrounder
from tests.scripts import ROOT, run_script
from tests.tiny_clip import save_tiny_clip
from tests.toy_data import write_toy_data

CODE = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "evaluation.md").read_text(encoding="utf-8"), re.DOTALL)[0]


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The page's code as my_method.py in the current folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "my_method", raising=False)
    path = tmp_path / "my_method.py"
    path.write_text(CODE)
    return path


@pytest.fixture
def config(tmp_path: Path) -> EvaluateConfig:
    data = write_toy_data(tmp_path / "data", {"val": 1, "test": 5})
    model = ModelConfig(clip=str(save_tiny_clip(tmp_path / "clip.pt")), model_size=64)
    return EvaluateConfig(["centred-box"], data, tmp_path / "out", bounds=[], model=model, device="cpu")


def reload(path: Path, code: str) -> None:
    """As a new process would find it."""
    path.write_text(code)
    sys.modules.pop("my_method", None)


def boxes(config: EvaluateConfig, name: str) -> list[tuple[float, ...]]:
    return [each.boxes_xyxy[0] for each in read_predictions(config.output / "predictions" / f"{name}.jsonl")]


def test_the_pages_code_is_compared(module: Path, config: EvaluateConfig) -> None:
    found = compare(replace(config, methods=["centred-box", "my_method:Brightest"]))
    assert found is not None
    own = found.results["methods"]["brightest"]
    assert own["behind"]["acc@0.5"].keys() == {"difference", "interval", "p_value"}
    expected = []
    for example in RefCOCOg(config.data, "test", group_by="image"):
        height, width = example.image.shape[:2]
        row, column = divmod(int(example.image.sum(axis=2).argmax()), width)
        box = [max(0, column - 0.2 * width), max(0, row - 0.2 * height), min(width, column + 0.2 * width),
               min(height, row + 0.2 * height)]  # fmt: skip
        expected += [box] * len(example.phrases)
    np.testing.assert_allclose(boxes(config, "brightest"), expected, atol=2e-3)
    differences = np.mean([a.iou - b.iou for a, b in zip(*(
        list(read_predictions(config.output / "predictions" / f"{name}.jsonl")) for name in ("centred-box", "brightest")
    ), strict=True)])  # fmt: skip
    assert own["behind"]["miou"]["difference"] == pytest.approx(differences)


def test_changed_code_and_settings_are_asked_again(module: Path, config: EvaluateConfig) -> None:
    config = replace(config, methods=["my_method:Brightest"])
    path = config.output / "predictions" / "brightest.jsonl"

    def asked_again() -> bool:
        before = path.stat().st_mtime_ns if path.is_file() else None
        compare(config)
        return path.stat().st_mtime_ns != before

    assert asked_again()
    assert not asked_again(), "nothing has changed"
    before = boxes(config, "brightest")
    reload(module, CODE.replace("0.4", "0.3"))
    assert asked_again() and boxes(config, "brightest") != before
    (module.parent / "helper_of_mine.py").write_text("SHARE = 0.2\n")
    sys.modules.pop("helper_of_mine", None)
    reload(module, "from helper_of_mine import SHARE\n" + CODE.replace("0.4", "SHARE"))
    assert asked_again() and not asked_again()
    (module.parent / "helper_of_mine.py").write_text("SHARE = 0.6\n")
    sys.modules.pop("helper_of_mine", None)
    reload(module, module.read_text())
    assert asked_again(), "what it imports is its code too"
    reload(
        module,
        CODE.replace("share  # of", 'share * float(open("share.txt").read())\n        self.file = "share.txt"  #'),
    )
    Path("share.txt").write_text("1")
    assert asked_again() and not asked_again()
    Path("share.txt").write_text("0.5")
    reload(module, module.read_text())
    assert asked_again(), "a file that an attribute names is read"


class Seeded:
    """Given itself, not by its name."""

    name = "seeded"

    def __init__(self, seed: int, weights: np.ndarray | None = None) -> None:
        self.generator = np.random.default_rng(seed)
        self.more = {"weights": weights}

    def ground(self, image: np.ndarray, phrases: list[str]) -> list:
        from grounding import grounding_of_boxes

        corners = self.generator.uniform(0, min(image.shape[:2]) / 2, (len(phrases), 2))
        return [grounding_of_boxes(phrase, np.array([[x, y, x + 20, y + 20]]), np.ones(1), image)
                for phrase, (x, y) in zip(phrases, corners, strict=True)]  # fmt: skip


def test_another_seed_has_other_numbers(config: EvaluateConfig) -> None:
    def asked(method: Seeded) -> list[tuple[float, ...]]:
        compare(replace(config, methods=[method]))
        return boxes(config, "seeded")

    first = asked(Seeded(1))
    note = json.loads((config.output / "predictions" / "seeded.json").read_text())
    assert asked(Seeded(1)) == first
    assert asked(Seeded(2)) != first
    assert asked(Seeded(1)) == first, "a seed's answers are its own"
    compare(replace(config, methods=[Seeded(1, np.ones(3))]))
    changed = json.loads((config.output / "predictions" / "seeded.json").read_text())
    assert changed["settings"]["attributes"]["more"] != note["settings"]["attributes"]["more"]
    assert changed["settings"]["code"] == note["settings"]["code"]


def test_boxes_of_other_systems_are_rows(config: EvaluateConfig, tmp_path: Path) -> None:
    expressions = RefCOCOg(config.data, "test").expressions
    perfect, coco = tmp_path / "perfect.jsonl", tmp_path / "their_coco.json"
    lines = [{"sent_id": each.sent_id, "boxes_xyxy": [[0, 0, 1, 1], each.box_xyxy], "scores": [-2, 3.5]}
             for each in expressions]  # fmt: skip
    perfect.write_text("".join(json.dumps(line) + "\n" for line in lines))
    answered = expressions[: len(expressions) // 2]
    coco.write_text(json.dumps([{"image_id": each.sent_id, "category_id": 1, "score": 1, "bbox": [
        each.box_xyxy[0], each.box_xyxy[1], each.box_xyxy[2] - each.box_xyxy[0], each.box_xyxy[3] - each.box_xyxy[1],
    ]} for each in answered]))  # fmt: skip
    found = compare(replace(config, methods=[str(perfect), str(coco), "centred-box"]))
    assert found is not None
    methods = found.results["methods"]
    assert methods["perfect"]["metrics"]["acc@0.5"] == methods["perfect"]["metrics"]["region_accuracy"] == 1
    share = len(answered) / len(expressions)
    assert methods["their_coco"]["metrics"]["acc@0.5"] == pytest.approx(share), "an expression without one is wrong"
    assert methods["their_coco"]["behind"]["acc@0.5"]["difference"] == pytest.approx(1 - share)
    assert methods["centred-box"]["behind"]["miou"]["difference"] == pytest.approx(
        1 - methods["centred-box"]["metrics"]["miou"]
    )
    assert "text_cosine" in methods["perfect"]["metrics"] and "seconds" not in methods["perfect"]
    assert "pointing" not in methods["perfect"]["metrics"]
    lines[0]["boxes_xyxy"] = [[0, 0, 1, 1], [0, 0, 2, 2]]
    perfect.write_text("".join(json.dumps(line) + "\n" for line in lines))
    again = compare(replace(config, methods=[str(perfect), str(coco), "centred-box"]))
    assert again is not None
    assert again.results["methods"]["perfect"]["metrics"]["acc@0.5"] < 1, "a changed file is read again"


def test_every_entry_point_takes_it(module: Path, config: EvaluateConfig, tmp_path: Path, capsys) -> None:
    arguments = ["--data", config.data, "--output", tmp_path / "drawn", "--model.clip", config.model.clip,
                 "--model.model_size", 64, "--device", "cpu"]  # fmt: skip
    drawn = run_script(capsys, "visualize.py", "compare", "my_method:Brightest", "zero-shot", *arguments)
    assert drawn.code == 0 and (tmp_path / "drawn" / "data_test_brightest_zero-shot_compared.png").is_file()
    drawn = run_script(capsys, "visualize.py", "my_method:Brightest", *arguments)
    assert drawn.code == 0 and (tmp_path / "drawn" / "data_test_brightest.png").is_file()
    own = load("my_method:Brightest")
    [answer] = own.ground(RefCOCOg(config.data, "test")[0].image, ["the red box"])
    assert answer.heatmap.max() == 1 and answer.phrase == "the red box"
    requests = tmp_path / "requests.jsonl"
    image = RefCOCOg(config.data, "test").expressions[0].image_path
    requests.write_text(json.dumps({"image": str(image), "phrases": ["the red box"]}) + "\n")
    print(ground_file(BulkConfig("my_method:Brightest", requests, tmp_path / "boxes.jsonl", device="cpu")))
    [line] = (tmp_path / "boxes.jsonl").read_text().splitlines()
    np.testing.assert_allclose(json.loads(line)["answers"][0]["boxes_xyxy"], answer.boxes_xyxy, atol=1e-3)


def test_boxes_in_another_form_are_told_as_score_tells_them(module: Path, config: EvaluateConfig) -> None:
    compare(config)
    shares = [replace(each, boxes_xyxy=tuple(tuple(edge / 1000 for edge in box) for box in each.boxes_xyxy))
              for each in read_predictions(config.output / "predictions" / "centred-box.jsonl")]  # fmt: skip
    Path("theirs.jsonl").write_text("\n".join(each.to_json() for each in shares))
    with pytest.raises(InputError, match=r"theirs.jsonl has boxes within 0 and 1"):
        compare(replace(config, methods=["theirs.jsonl"], output=Path("elsewhere")))


def test_what_cannot_be_looked_at_is_named() -> None:
    method = Seeded(1)
    method.more = {"weights": torch.empty(2, device="meta")}
    with pytest.raises(InputError, match=r"attribute 'more', cannot be compared"):
        identity_of(OwnGrounder(method))
