"""What an export holds gives PyTorch's answers, by a program that knows neither PyTorch nor this package."""

from __future__ import annotations

import contextlib
import io
import json
import re
import runpy
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import torch
from PIL import Image

from grounding.data.refshapes.phrases import describe, say
from grounding.data.refshapes.writer import make_split_scene
from grounding.deployment import networks
from grounding.deployment.export import OLDEST_TORCH, export_run, left_out, main
from grounding.geometry import box_iou
from grounding.methods.config import ModelConfig
from grounding.methods.dense import DenseGrounder
from grounding.methods.load import load
from grounding.runtime.errors import InputError
from tests.scripts import ROOT

pytestmark = pytest.mark.skipif(torch.__version__ < OLDEST_TORCH, reason=f"the export needs PyTorch {OLDEST_TORCH}")
EXAMPLE = ROOT / "examples" / "onnx_grounding.py"
UNUSED_SEED = 20_261_125
# Sums are taken in another order. A heatmap is 48 x 48 sigmoids, float32, of a network some thirty layers deep.
TOLERANCE = 1e-4

# Whatever of PyTorch or of this package is imported fails. Reads questions, writes answers.
WITHOUT_TORCH = """
import json, runpy, sys
import numpy as np
from PIL import Image
for name in ("torch", "clip", "grounding"):
    sys.modules[name] = None
example, folder, asked = sys.argv[1:]
grounder = runpy.run_path(example)["OnnxGrounder"](folder)
boxes, heatmaps = [], {}
for number, question in enumerate(json.load(open(f"{asked}/questions.json"))):
    maps = grounder.heatmaps(Image.open(f"{asked}/{number}.png"), question)
    boxes.append([grounder.boxes(heat) for heat in maps])
    heatmaps[str(number)] = maps
json.dump(boxes, open(f"{asked}/boxes.json", "w"))
np.savez(f"{asked}/heatmaps.npz", **heatmaps)
"""


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The shipped run as ONNX, and what the command said."""
    folder = tmp_path_factory.mktemp("export") / "refshapes"
    with contextlib.redirect_stdout(io.StringIO()) as said:
        main("refshapes", folder)
    return folder, said.getvalue()


@cache
def as_exported(*sizes: int) -> DenseGrounder:
    """The shipped run without what its export leaves out."""
    run = load("refshapes", precision="float32")
    assert isinstance(run, DenseGrounder)
    return DenseGrounder(run.encoder, run.decoder, name="ours", model=ModelConfig(inference_sizes=sizes))


@cache
def scenes(count: int) -> list[tuple[np.ndarray, list[str]]]:
    """Scenes that nothing was trained on, with a phrase or two each."""
    drawn: list[tuple[np.ndarray, list[str]]] = []
    for index in range(2 * count):
        scene, rng = make_split_scene("test", index, UNUSED_SEED)
        described = [describe(scene, target, rng) for target in range(len(scene.objects))]
        phrases = [say(each, scene, rng) for each in described if each is not None]
        drawn += [(scene.image, phrases[:2])] if phrases else []
    return drawn[:count]


def test_the_same_boxes_as_pytorch_without_pytorch(exported: tuple[Path, str], tmp_path: Path) -> None:
    asked = [*scenes(12), (scenes(1)[0][0][:3], ["a strip"])]  # less than a cell high
    for number, (image, _) in enumerate(asked):
        Image.fromarray(image).save(tmp_path / f"{number}.png")
    (tmp_path / "questions.json").write_text(json.dumps([phrases for _, phrases in asked]))
    command = [sys.executable, "-c", WITHOUT_TORCH, EXAMPLE, exported[0], tmp_path]
    subprocess.run(list(map(str, command)), check=True, timeout=120)

    grounder = as_exported(384)
    heatmaps = np.load(tmp_path / "heatmaps.npz")
    for number, boxes in enumerate(json.loads((tmp_path / "boxes.json").read_text())):
        image, phrases = asked[number]
        for expected, heatmap, found in zip(grounder.ground(image, phrases), heatmaps[str(number)], boxes, strict=True):
            np.testing.assert_allclose(heatmap, expected.heatmap, atol=TOLERANCE)
            best_box, best_score = found[0]
            assert box_iou(expected.boxes_xyxy[:1], np.array([best_box])) > 0.99
            assert best_score == pytest.approx(float(expected.scores[0]), abs=TOLERANCE)
            assert len(found) == len(expected.scores)


def test_the_example_says_where_and_averages_several_sizes(
    exported: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (image, phrases), *_ = scenes(1)
    Image.fromarray(image).save(tmp_path / "photo.png")
    monkeypatch.setattr(sys, "argv", [str(EXAMPLE), str(exported[0]), str(tmp_path / "photo.png"), phrases[0]])
    example = runpy.run_path(str(EXAMPLE), run_name="__main__")
    first, best, *_ = capsys.readouterr().out.splitlines()
    [alone] = as_exported(384).ground(image, phrases[:1])
    assert first == phrases[0]
    assert [float(number) for number in re.findall(r"[\d.]+", best)][:4] == alone.boxes_xyxy[0].tolist()

    two_sizes = shutil.copytree(exported[0], tmp_path / "two sizes")
    settings = json.loads((two_sizes / "export.json").read_text())
    (two_sizes / "export.json").write_text(json.dumps({**settings, "sizes": [256, 320]}))
    [found] = example["OnnxGrounder"](two_sizes).heatmaps(Image.fromarray(image), phrases[:1])
    [expected] = as_exported(256, 320).ground(image, phrases[:1])
    np.testing.assert_allclose(found, expected.heatmap, atol=TOLERANCE)
    assert np.abs(found - alone.heatmap).max() > 0.01


def test_what_is_left_out_is_said(exported: tuple[Path, str]) -> None:
    folder, said = exported
    flip, boxes, calibration = json.loads((folder / "export.json").read_text())["left_out"]
    assert "model.inference_flip" in flip and "'quality'" in boxes and "calibration.yaml" in calibration
    assert all(f"Left out: {each}." in said for each in (flip, boxes, calibration))
    assert list(left_out(as_exported(384))) == []


def test_what_cannot_be_exported_or_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "there").mkdir()
    with monkeypatch.context() as patch:
        patch.setattr(networks, "to_onnx", mock.Mock(side_effect=KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            export_run("refshapes", tmp_path / "out")
    for run, name, fragment in (
        ("zero-shot", "out", r"zero-shot.*no trained decoder"),
        ("refshapes", "there", r"there is there already.*--output"),
    ):
        with pytest.raises(InputError, match=fragment):
            export_run(run, tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == ["there"]
