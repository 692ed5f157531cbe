from __future__ import annotations

import hashlib
import sys

import numpy as np
import pytest
import torch
from torchvision.ops import box_iou

from grounding.data.refshapes.writer import make_split_scene
from grounding.errors import InputError
from grounding.methods.proposals import EMBEDDED_FILE, ProposalsConfig, load_proposer, ultralytics_yolo


@pytest.mark.parametrize(
    ("name", "values"),
    [("confidence", (-0.1, 1.0, float("nan"))), ("iou_threshold", (0.0, 1.1)), ("max_proposals", (0,))],
)
def test_settings_out_of_range_are_refused(name, values):
    for value in values:
        with pytest.raises(InputError, match=rf"proposals\.{name} "):
            ProposalsConfig(**{name: value})


def test_the_embedded_detector_finds_the_objects_of_new_scenes():
    # Scenes of a seed of their own: the network has seen none of them, and some show pairs it never met.
    detector = load_proposer(ProposalsConfig())
    found, novel, per_image = [], [], []
    for index in range(80):
        scene, _ = make_split_scene("test", index, seed=77)
        proposals = detector.propose(scene.image)
        height, width = scene.image.shape[:2]
        assert (proposals.boxes_xyxy >= 0).all() and (proposals.boxes_xyxy <= [width, height, width, height]).all()
        assert (np.diff(proposals.scores) <= 0).all()
        per_image.append(len(proposals.scores))
        objects = torch.tensor([item.box_xyxy for item in scene.objects]).double()
        overlaps = box_iou(objects, torch.from_numpy(proposals.boxes_xyxy[:10]).double()).amax(dim=1)
        found += (overlaps >= 0.5).tolist()
        novel += [item.is_novel for item in scene.objects]
    assert len(found) > 200 and sum(novel) > 10
    assert np.mean(found) > 0.9 and np.mean(np.array(found)[novel]) > 0.85
    assert np.mean(per_image) < 8  # what is proposed is mostly what is there


def test_each_name_leads_to_its_detector(monkeypatch, tmp_path):
    embedded = load_proposer(ProposalsConfig())
    copy = tmp_path / "copy.ONNX"
    copy.write_bytes(EMBEDDED_FILE.read_bytes())
    other = load_proposer(ProposalsConfig(detector=str(copy)))
    assert (embedded.name, other.name) == ("embedded YOLOX", "copy.ONNX")
    digest = hashlib.sha256(EMBEDDED_FILE.read_bytes()).hexdigest()
    assert embedded.sha256 == other.sha256 == digest
    assert embedded.weights == f"embedded YOLOX (embedded_yolox.onnx, sha256 {digest[:12]}...)"
    assert other.weights == f"copy.ONNX (copy.ONNX, sha256 {digest[:12]}...)"

    asked: list[object] = []
    monkeypatch.setattr(ultralytics_yolo, "UltralyticsProposer", lambda *given, **named: asked.append((given, named)))
    config = ProposalsConfig(0.1, 0.4, 7, "yolov8n.pt")
    load_proposer(config, "cuda")
    assert asked == [(("yolov8n.pt", config), {"device": "cuda"})]


def test_without_the_package_the_remedy_and_the_licence_are_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "ultralytics", None)
    with pytest.raises(InputError, match=r"AGPL-3\.0.*pip install -r requirements-yolo\.txt"):
        load_proposer(ProposalsConfig(detector="yolov8n.pt"))


def test_all_three_settings_reach_the_detector():
    image = make_split_scene("test", 3, seed=77)[0].image
    many = load_proposer(ProposalsConfig(confidence=0.001, iou_threshold=0.95, max_proposals=30)).propose(image)
    assert len(many.scores) == 30
    assert len(load_proposer(ProposalsConfig(confidence=0.001, max_proposals=3)).propose(image).scores) == 3
    sure = load_proposer(ProposalsConfig(confidence=0.3, iou_threshold=0.95, max_proposals=30)).propose(image)
    assert 0 < len(sure.scores) == (many.scores >= 0.3).sum() < 30
    apart = load_proposer(ProposalsConfig(confidence=0.001, iou_threshold=0.2, max_proposals=30)).propose(image)
    boxes = torch.from_numpy(apart.boxes_xyxy)
    assert (box_iou(boxes, boxes) - torch.eye(len(boxes))).max() <= 0.2 + 1e-6
