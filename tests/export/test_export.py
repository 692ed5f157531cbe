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
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from grounding.data.refshapes.phrases import describe, say
from grounding.data.refshapes.writer import make_split_scene
from grounding.errors import InputError
from grounding.export import folder as export_folder
from grounding.export import networks
from grounding.export.__main__ import main
from grounding.export.folder import OLDEST_TORCH, export_run, left_out
from grounding.extraction import ExtractionConfig
from grounding.geometry import box_iou
from grounding.grounder import DenseGrounder
from grounding.loading import load
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


@dataclass(frozen=True)
class Exported:
    """The shipped run as ONNX, and what the command said."""

    folder: Path
    said: str


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    folder = tmp_path_factory.mktemp("export") / "refshapes"
    with contextlib.redirect_stdout(io.StringIO()) as said:
        main("refshapes", folder)
    return Exported(folder, said.getvalue())


@cache
def as_exported(*sizes: int) -> DenseGrounder:
    """The shipped run without what its export leaves out."""
    run = load("refshapes", precision="float32")
    assert isinstance(run, DenseGrounder)
    return DenseGrounder(run.encoder, run.decoder, extraction=ExtractionConfig(), name="ours", sizes=sizes)


def scenes(count: int) -> list[tuple[np.ndarray, list[str]]]:
    """Scenes that nothing was trained on, with a phrase or two each."""
    drawn: list[tuple[np.ndarray, list[str]]] = []
    index = 0
    while len(drawn) < count:
        scene, rng = make_split_scene("test", index, UNUSED_SEED)
        described = [describe(scene.objects, target, rng) for target in range(len(scene.objects))]
        phrases = [say(each, rng) for each in described if each is not None]
        if phrases:
            drawn.append((scene.image, phrases[:2]))
        index += 1
    return drawn


def test_the_same_boxes_as_pytorch_without_pytorch(exported: Exported, tmp_path: Path) -> None:
    asked = scenes(12)
    asked.append((asked[0][0][:3], ["a strip"]))  # less than a cell high
    for number, (image, _) in enumerate(asked):
        Image.fromarray(image).save(tmp_path / f"{number}.png")
    (tmp_path / "questions.json").write_text(json.dumps([phrases for _, phrases in asked]))
    command = [sys.executable, "-c", WITHOUT_TORCH, EXAMPLE, exported.folder, tmp_path]
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


def test_heatmaps_of_several_sizes_are_averaged(exported: Exported, tmp_path: Path) -> None:
    folder = tmp_path / "two sizes"
    shutil.copytree(exported.folder, folder)
    settings = json.loads((folder / "export.json").read_text())
    (folder / "export.json").write_text(json.dumps({**settings, "sizes": [256, 320]}))
    (image, phrases), *_ = scenes(1)
    found = runpy.run_path(str(EXAMPLE))["OnnxGrounder"](folder).heatmaps(Image.fromarray(image), phrases)
    expected = [each.heatmap for each in as_exported(256, 320).ground(image, phrases)]
    np.testing.assert_allclose(found, expected, atol=TOLERANCE)
    assert np.abs(found - [each.heatmap for each in as_exported(384).ground(image, phrases)]).max() > 0.01


def test_the_example_says_where(exported: Exported, tmp_path: Path) -> None:
    (image, phrases), *_ = scenes(1)
    Image.fromarray(image).save(tmp_path / "photo.png")
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(io.StringIO()) as said:
        patch.setattr(sys, "argv", [str(EXAMPLE), str(exported.folder), str(tmp_path / "photo.png"), phrases[0]])
        runpy.run_path(str(EXAMPLE), run_name="__main__")
    first, best, *_ = said.getvalue().splitlines()
    [expected] = as_exported(384).ground(image, phrases[:1])
    assert first == phrases[0]
    assert [float(number) for number in re.findall(r"[\d.]+", best)][:4] == expected.boxes_xyxy[0].tolist()


def test_the_example_is_short() -> None:
    assert len(EXAMPLE.read_text().splitlines()) <= 60


def test_what_is_left_out_is_said(exported: Exported) -> None:
    settings = json.loads((exported.folder / "export.json").read_text())
    flip, boxes = settings["left_out"]
    assert "model.inference_flip" in flip and "'quality'" in boxes and "'components'" in boxes
    assert f"Left out: {flip}." in exported.said and f"Left out: {boxes}." in exported.said
    assert list(left_out(as_exported(384))) == []


def test_an_export_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> bytes:
        raise KeyboardInterrupt

    monkeypatch.setattr(networks, "to_onnx", interrupted)
    with pytest.raises(KeyboardInterrupt):
        export_run("refshapes", tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_an_old_pytorch_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export_folder, "OLDEST_TORCH", "99.1")
    with pytest.raises(InputError, match=r"needs PyTorch 99\.1 or newer, this is \d"):
        export_run("refshapes", tmp_path / "out")


def test_two_exports_do_not_mix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two that write at once, the later one finds the folder and leaves it as it is."""

    def made_meanwhile(*_: object) -> list[tuple[str, bytes]]:
        (tmp_path / "out").mkdir()
        return []

    monkeypatch.setattr(export_folder, "onnx_networks", made_meanwhile)
    with pytest.raises(InputError, match="out is there already"):
        export_run("refshapes", tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["out"] and not list((tmp_path / "out").iterdir())


def test_what_cannot_be_exported(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"zero-shot.*no trained decoder"):
        export_run("zero-shot", tmp_path / "out")
    (tmp_path / "there").mkdir()
    with pytest.raises(InputError, match=r"there is there already.*--output"):
        export_run("refshapes", tmp_path / "there")
    assert [path.name for path in tmp_path.iterdir()] == ["there"]
