"""Detectors: a YOLOX's output decoded cell by cell, boxes selected by hand, and what is refused."""

from __future__ import annotations

import hashlib
import json
import math
import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from torchvision.ops import box_iou

from grounding.data.images import read_image
from grounding.data.refshapes.writer import make_split_scene
from grounding.geometry import box_xywh_to_xyxy
from grounding.methods import proposals, ultralytics_yolo
from grounding.methods.proposals import EMBEDDED_FILE, ProposalsConfig, best_proposals, decode, load_proposer
from grounding.runtime.errors import InputError
from tests.shared_data import SHARED_DATA, needs_shared_data

SIDE, ANCHORS = 64, 8 * 8 + 4 * 4 + 2 * 2


def recalled(boxes: np.ndarray, proposed: np.ndarray) -> np.ndarray:
    """(M,) whether a proposal has an IoU of at least 0.5 with each box (M, 4)."""
    overlaps = box_iou(torch.from_numpy(boxes).double(), torch.from_numpy(proposed).double())
    return (overlaps.amax(dim=1) >= 0.5).numpy() if len(proposed) else np.zeros(len(boxes), dtype=bool)


@pytest.mark.parametrize(("name", "value"), [("confidence", 1.0), ("iou_threshold", 0.0), ("max_proposals", 0)])
def test_settings_out_of_range_are_refused(name, value):
    with pytest.raises(InputError, match=rf"ProposalsConfig: {name} is {value}: Input should be "):
        load_proposer(ProposalsConfig(**{name: value}))


def test_the_embedded_detector_finds_the_objects_of_new_scenes():
    """Scenes of a seed of their own: the network has seen none of them, and some show pairs it never met."""
    detector = load_proposer(ProposalsConfig())
    found, novel, per_image = [], [], []
    for index in range(80):
        scene, _ = make_split_scene("test", index, seed=77)
        boxes = detector.propose(scene.image)
        height, width = scene.image.shape[:2]
        assert (boxes >= 0).all() and (boxes <= [width, height, width, height]).all()
        per_image.append(len(boxes))
        found += recalled(np.array([item.box_xyxy for item in scene.objects]), boxes[:10]).tolist()
        novel += [item.is_novel for item in scene.objects]
    assert len(found) > 200 and sum(novel) > 10
    assert np.mean(found) > 0.9 and np.mean(np.array(found)[novel]) > 0.85
    assert np.mean(per_image) < 8  # what is proposed is mostly what is there


def test_each_name_leads_to_its_detector(monkeypatch, tmp_path):
    copy = Path(shutil.copy(EMBEDDED_FILE, tmp_path / "copy.ONNX"))
    digest = hashlib.sha256(copy.read_bytes()).hexdigest()
    other = load_proposer(ProposalsConfig(detector=str(copy)))
    assert other.sha256 == digest and other.weights == f"copy.ONNX (copy.ONNX, sha256 {digest[:12]}...)"
    made, config = Mock(), ProposalsConfig(0.1, 0.4, 7, "yolov8n.pt")
    monkeypatch.setattr(ultralytics_yolo, "UltralyticsProposer", made)
    load_proposer(config, "cuda")
    made.assert_called_once_with(config, device="cuda")


def test_without_the_package_the_remedy_and_the_licence_are_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "ultralytics", None)
    with pytest.raises(InputError, match=r"AGPL-3\.0.*pip install -r requirements-yolo\.txt"):
        load_proposer(ProposalsConfig(detector="yolov8n.pt"))


def test_raw_boxes_are_decoded_cell_by_cell():
    rng, (width, height) = np.random.default_rng(0), (96, 64)
    count = sum((width // stride) * (height // stride) for stride in (8, 16, 32))
    output = np.concatenate([rng.normal(size=(count, 4)), rng.random((count, 4))], axis=1).astype(np.float32)
    boxes, scores = decode(output, (width, height))
    number = 0
    for stride in (8, 16, 32):
        for row in range(height // stride):
            for column in range(width // stride):
                x, y, w, h, objectness, *of_class = (float(value) for value in output[number])
                x, y, w, h = (column + x) * stride, (row + y) * stride, stride * math.exp(w), stride * math.exp(h)
                expected = [x - w / 2, y - h / 2, x + w / 2, y + h / 2]
                np.testing.assert_allclose(boxes[number], expected, rtol=1e-4, atol=1e-4)
                assert scores[number] == pytest.approx(objectness * max(of_class))
                number += 1
    assert number == len(boxes) == len(scores) and boxes.dtype == scores.dtype == np.float32
    centres, sizes = (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]
    again, _ = decode(np.concatenate([centres, sizes, output[:, 4:]], axis=1), (width, height))  # as it exports decoded
    np.testing.assert_allclose(again, boxes, rtol=1e-4, atol=1e-3)


def test_selection_is_greedy_over_clipped_boxes():
    rng = np.random.default_rng(1)
    corners = rng.uniform(-20, 90, (200, 2))
    boxes = np.concatenate([corners, corners + rng.uniform(5, 50, (200, 2))], axis=1)
    scores = rng.random(200)
    found = best_proposals(boxes, scores, (80, 60), ProposalsConfig(0.2, 0.4, 12))
    clipped = torch.tensor(boxes.clip(0, [80, 60, 80, 60]))
    kept: list[int] = []
    for index in np.argsort(-scores):
        x1, y1, x2, y2 = clipped[index].tolist()
        overlaps = [box_iou(clipped[[index]], clipped[[other]]).item() for other in kept]
        if scores[index] >= 0.2 and x2 > x1 and y2 > y1 and max(overlaps, default=0) <= 0.4:
            kept.append(int(index))
    assert len(kept) > 12 and found.dtype == np.float32
    np.testing.assert_allclose(found, clipped[kept[:12]].numpy(), rtol=1e-6)


class CellDetector:
    """A session whose objectness is the first channel's mean over each cell of stride 8; its box is the cell."""

    def __init__(self, *, shape=(1, 3, SIDE, SIDE), anchors: int = ANCHORS) -> None:
        self.shape, self.output = list(shape), np.full((anchors, 6), 0, dtype=np.float32)
        self.output[:, :2], self.output[:, 5] = 0.5, 1

    def get_inputs(self):
        return [SimpleNamespace(name="images", shape=self.shape)]

    def run(self, _, given):
        output = self.output.copy()
        output[:64, 4] = given["images"][0, 0].reshape(8, 8, 8, 8).mean(axis=(1, 3)).ravel() / 255
        return [output[None]]


@pytest.fixture
def cell_detector(tmp_path, monkeypatch):
    """Makes a proposer around a `CellDetector`, in the place of what ONNX Runtime would load."""
    (tmp_path / "cells.onnx").write_bytes(b"cells")

    def make(**options):
        runtime = proposals.import_onnxruntime()
        monkeypatch.setattr(runtime, "InferenceSession", lambda *_, **__: CellDetector(**options))
        return load_proposer(ProposalsConfig(confidence=0.8, detector=str(tmp_path / "cells.onnx")))

    return make


@pytest.mark.parametrize("size", [(128, 83), (80, 128), (32, 24)])
def test_proposals_are_in_pixels_of_the_image_whatever_its_shape(cell_detector, size):
    detector = cell_detector()
    content = [side * SIDE // max(size) for side in size]  # of 83 rows, 41.5 would be right
    box = np.array([16, 8, 24, 16]) * np.tile(np.divide(size, content), 2)  # a cell of the network in pixels
    x1, y1, x2, y2 = box.round().astype(int)
    image = np.zeros((size[1], size[0], 3), dtype=np.uint8)
    image[y1:y2, x1:x2] = (0, 0, 255)
    found = detector.propose(image)
    np.testing.assert_allclose(found, [box], atol=1e-4)
    assert found.dtype == np.float32
    assert detector.propose(image[..., ::-1].copy()).shape == (0, 4)  # blue comes first, and red is nothing


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"shape": (1, 3, SIDE, "width")}, "object"),
        ({"anchors": 90}, r"its output has the shape \(90, 6\) instead of \(84, 5 \+ classes\)"),
    ],
)
def test_an_onnx_that_is_no_yolox_is_refused(cell_detector, options, reason, tmp_path):
    with pytest.raises(InputError, match=r"cells\.onnx is no YOLOX"):  # as it lies there: no network at all
        load_proposer(ProposalsConfig(detector=str(tmp_path / "cells.onnx")))
    with pytest.raises(InputError, match=rf"cells\.onnx is no YOLOX.*{reason}"):
        cell_detector(**options)


def test_a_detector_may_have_its_weights_beside_it_and_is_pickled_as_its_file(tmp_path):
    """As newer exporters write them, in FILE.data; against the same network in one file."""
    onnx = pytest.importorskip("onnx", reason="needs the packages of requirements-yolo.txt")
    path, data = tmp_path / "beside.onnx", tmp_path / "beside.onnx.data"
    onnx.save_model(onnx.load(EMBEDDED_FILE), path, save_as_external_data=True, location=data.name, size_threshold=1024)
    image = np.random.default_rng(0).integers(0, 256, (200, 300, 3), dtype=np.uint8)
    config = ProposalsConfig(confidence=0.01, detector=str(path))
    detector, expected = load_proposer(config), load_proposer(ProposalsConfig(confidence=0.01)).propose(image)
    for each in (detector, pickle.loads(pickle.dumps(detector))):
        np.testing.assert_array_equal(each.propose(image), expected)
    assert len(expected) and len(pickle.dumps(detector)) < 1000
    weights = bytearray(data.read_bytes())
    weights[-1] ^= 1
    data.write_bytes(weights)
    assert load_proposer(config).sha256 != detector.sha256
    data.unlink()
    with pytest.raises(InputError, match=r"beside\.onnx is no YOLOX .*beside\.onnx\.data"):
        load_proposer(config)


def test_onnx_runtime_reports_nothing_of_its_use(tmp_path):
    """It keeps what it will send, and an identifier of the machine, below the user's folder."""
    code = "import time; from grounding.methods.proposals import *; load_proposer(ProposalsConfig()); time.sleep(0.5)"
    environment = {key: value for key, value in os.environ.items() if key not in ("CI", "ORT_DISABLE_TELEMETRY")}
    environment.update(HOME=str(tmp_path), XDG_CACHE_HOME=str(tmp_path / "cache"))
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
    assert [path for path in tmp_path.rglob("*") if "Microsoft" in str(path)] == []


@needs_shared_data("weights")
@needs_shared_data("refcocog-mini")
def test_a_published_yolox_finds_what_was_counted_before():
    """Of objects over 32x32 pixels of 15 photographs 60 of 81, after suppression that looks at no class."""
    folder = SHARED_DATA / "refcocog-mini"
    content = json.loads((folder / "annotations" / "instances.json").read_text())
    published = str(Path(SHARED_DATA / "weights" / "yolox_nano.onnx"))
    detector = load_proposer(ProposalsConfig(confidence=0.1, max_proposals=100, detector=published))
    found: list[bool] = []
    for image in content["images"]:
        objects = [each["bbox"] for each in content["annotations"]
                   if each["image_id"] == image["id"] and not each["iscrowd"] and each["area"] > 32 * 32]  # fmt: skip
        proposed = detector.propose(read_image(folder / "images" / image["file_name"]))
        if objects:
            found += recalled(box_xywh_to_xyxy(np.array(objects)), proposed).tolist()
    assert (sum(found), len(found)) == (60, 81) and detector.categories == "80 categories"
