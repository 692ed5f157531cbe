from __future__ import annotations

import json
import math
import os
import pickle
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
import torch
from torchvision.ops import box_iou

from grounding.data.images import read_image
from grounding.errors import InputError
from grounding.geometry import box_xywh_to_xyxy
from grounding.methods.proposals import EMBEDDED_FILE, Selection, best_proposals
from grounding.methods.proposals.yolox import YOLOXProposer, decode, fit, import_onnxruntime
from tests.shared_data import SHARED_DATA, needs_shared_data

REAL_FILE = SHARED_DATA / "weights" / "yolox_nano.onnx"
SIDE, ANCHORS = 64, 8 * 8 + 4 * 4 + 2 * 2


def proposer(path: Path, *, confidence: float = 0.5, max_proposals: int = 20) -> YOLOXProposer:
    return YOLOXProposer(path, Selection(confidence, 0.6, max_proposals), name="test")


def random_output(input_size: tuple[int, int], classes: int) -> np.ndarray:
    count = sum((input_size[0] // s) * (input_size[1] // s) for s in (8, 16, 32))
    rng = np.random.default_rng(0)
    return np.concatenate([rng.normal(size=(count, 4)), rng.random((count, 1 + classes))], axis=1).astype(np.float32)


@pytest.mark.parametrize(("input_size", "classes"), [((96, 64), 3), ((64, 128), 1)])
def test_raw_boxes_are_decoded_cell_by_cell(input_size, classes):
    output = random_output(input_size, classes)
    boxes, scores = decode(output, input_size)
    number = 0
    for stride in (8, 16, 32):
        for row in range(input_size[1] // stride):
            for column in range(input_size[0] // stride):
                x, y, w, h, objectness, *of_class = (float(value) for value in output[number])
                x, y, w, h = (column + x) * stride, (row + y) * stride, stride * math.exp(w), stride * math.exp(h)
                expected = [x - w / 2, y - h / 2, x + w / 2, y + h / 2]
                np.testing.assert_allclose(boxes[number], expected, rtol=1e-4, atol=1e-4)
                assert scores[number] == pytest.approx(objectness * max(of_class))
                number += 1
    assert number == len(boxes) == len(scores) and boxes.dtype == scores.dtype == np.float32


def test_decoded_boxes_are_left_as_they_are():
    output = random_output((96, 64), 2)
    output[:, 2:4] = np.abs(output[:, 2:4]) + 1
    boxes, _ = decode(output, (96, 64))
    np.testing.assert_allclose((boxes[:, :2] + boxes[:, 2:]) / 2, output[:, :2], atol=1e-5)
    np.testing.assert_allclose(boxes[:, 2:] - boxes[:, :2], output[:, 2:4], rtol=1e-5)


@pytest.mark.parametrize("shape", [(100, 6), (ANCHORS, 5), (ANCHORS,)])
def test_an_output_of_another_shape_is_no_yolox(shape):
    with pytest.raises(ValueError, match="its output"):
        decode(np.ones(shape, dtype=np.float32), (SIDE, SIDE))


@pytest.mark.parametrize(
    ("size", "content", "scale"),
    [((50, 100), (32, 64), (0.64, 0.64)), ((100, 50), (64, 32), (0.64, 0.64)), ((16, 10), (64, 40), (4, 4))],
)
def test_an_image_is_scaled_to_fit_and_lies_in_the_upper_left(size, content, scale):
    image = np.full((size[1], size[0], 3), (10, 20, 30), dtype=np.uint8)
    canvas, per_axis = fit(image, (SIDE, SIDE))
    expected = np.full((SIDE, SIDE, 3), 114, dtype=np.uint8)
    expected[: content[1], : content[0]] = (10, 20, 30)
    np.testing.assert_array_equal(canvas, expected)
    np.testing.assert_allclose(per_axis, scale)


def test_selection_is_greedy_over_clipped_boxes():
    rng = np.random.default_rng(1)
    corners = rng.uniform(-20, 90, (200, 2))
    boxes = np.concatenate([corners, corners + rng.uniform(5, 50, (200, 2))], axis=1)
    scores = rng.random(200)
    found = best_proposals(boxes, scores, (80, 60), Selection(confidence=0.2, iou_threshold=0.4, max_proposals=12))

    clipped = torch.tensor(boxes.clip(0, [80, 60, 80, 60]))
    kept: list[int] = []
    for index in np.argsort(-scores):
        x1, y1, x2, y2 = clipped[index].tolist()
        overlaps = [box_iou(clipped[[index]], clipped[[other]]).item() for other in kept]
        if scores[index] >= 0.2 and x2 > x1 and y2 > y1 and max(overlaps, default=0) <= 0.4:
            kept.append(int(index))
    assert len(kept) > 12
    np.testing.assert_allclose(found.boxes_xyxy, clipped[kept[:12]].numpy(), rtol=1e-6)
    np.testing.assert_allclose(found.scores, scores[kept[:12]], rtol=1e-6)
    assert found.boxes_xyxy.dtype == found.scores.dtype == np.float32


def write_blue_cell_detector(path: Path, *, decoded: bool = False, anchors: int = ANCHORS, **changes: object) -> Path:
    """An ONNX whose objectness is the first channel's mean over each cell of stride 8; its box is the cell."""
    onnx = pytest.importorskip("onnx", reason="needs the packages of requirements-yolo.txt")
    helper, numpy_helper = onnx.helper, onnx.numpy_helper
    boxes = np.zeros((1, anchors, 4), dtype=np.float32)
    boxes[..., :2] = 0.5
    if decoded:
        cells = [(8 * c + 4, 8 * r + 4) for r in range(8) for c in range(8)]
        boxes[0, :64, :2], boxes[..., 2:] = cells, 8
    constants = {
        "boxes": boxes, "one": np.ones((1, anchors, 1), np.float32), "full": np.float32(255),
        "coarse": np.zeros((1, anchors - 64, 1), np.float32), "rows": np.array([1, 64, 1]),
        "start": np.array([0]), "end": np.array([1]), "channels": np.array([1]),
    }  # fmt: skip
    nodes = [
        helper.make_node("Slice", ["images", "start", "end", "channels"], ["first"]),
        helper.make_node("AveragePool", ["first"], ["pooled"], kernel_shape=[8, 8], strides=[8, 8]),
        helper.make_node("Reshape", ["pooled", "rows"], ["means"]),
        helper.make_node("Div", ["means", "full"], ["fine"]),
        helper.make_node("Concat", ["fine", "coarse"], ["objectness"], axis=1),
        helper.make_node("Concat", ["boxes", "objectness", "one"], ["output"], axis=2),
    ]
    shape = changes.get("input_shape", [1, 3, SIDE, SIDE])
    graph = helper.make_graph(
        nodes,
        "cells",
        [helper.make_tensor_value_info("images", onnx.TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("output", onnx.TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    path.write_bytes(model.SerializeToString())
    return path


@pytest.mark.parametrize("decoded", [False, True])
@pytest.mark.parametrize("size", [(128, 80), (80, 128), (32, 24)])
def test_proposals_are_in_pixels_of_the_image_whatever_its_shape(tmp_path, decoded, size):
    detector = proposer(write_blue_cell_detector(tmp_path / "cells.onnx", decoded=decoded), confidence=0.9)
    cell = 8 * max(size) // SIDE  # of the network, in pixels of the image
    image = np.zeros((size[1], size[0], 3), dtype=np.uint8)
    image[cell : 2 * cell, 2 * cell : 3 * cell] = (0, 0, 255)
    found = detector.propose(image)
    np.testing.assert_allclose(found.boxes_xyxy, [[2 * cell, cell, 3 * cell, 2 * cell]], atol=1e-4)
    assert 0.9 <= found.scores[0] <= 1
    assert found.boxes_xyxy.dtype == found.scores.dtype == np.float32
    assert detector.propose(image[..., ::-1].copy()).boxes_xyxy.shape == (0, 4)  # blue comes first, and red is nothing


def test_a_detector_may_have_its_weights_beside_it_and_is_pickled_as_its_file(tmp_path, monkeypatch):
    """As newer exporters write them, in FILE.data; against the same network in one file."""
    onnx = pytest.importorskip("onnx", reason="needs the packages of requirements-yolo.txt")
    path, data = tmp_path / "beside.onnx", tmp_path / "beside.onnx.data"
    onnx.save_model(onnx.load(EMBEDDED_FILE), path, save_as_external_data=True, location=data.name, size_threshold=1024)
    image = np.random.default_rng(0).integers(0, 256, (200, 300, 3), dtype=np.uint8)
    monkeypatch.chdir(tmp_path)
    detector = proposer(Path(path.name), confidence=0.01)
    monkeypatch.chdir("/")
    found, expected = detector.propose(image), proposer(EMBEDDED_FILE, confidence=0.01).propose(image)
    again = pickle.loads(pickle.dumps(detector)).propose(image)
    assert len(found.scores) and len(pickle.dumps(detector)) < 1000
    for name in ("boxes_xyxy", "scores"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
        np.testing.assert_array_equal(getattr(again, name), getattr(expected, name))
    weights = bytearray(data.read_bytes())
    weights[-1] ^= 1
    data.write_bytes(weights)
    assert proposer(path).sha256 != detector.sha256
    data.unlink()
    with pytest.raises(InputError, match=r"beside\.onnx is no ONNX model that .* can load .*beside\.onnx\.data"):
        proposer(path)


def test_a_missing_file_and_a_file_of_another_kind_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"there is no detector file .*none\.onnx"):
        proposer(tmp_path / "none.onnx")
    (tmp_path / "text.onnx").write_text("not a network")
    with pytest.raises(InputError, match=r"text\.onnx is no ONNX model"):
        proposer(tmp_path / "text.onnx")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        *(({"input_shape": shape}, "takes one input") for shape in ([1, 3, SIDE, 48], [1, 3, SIDE, "width"])),
        ({"input_shape": [1, 4, SIDE, SIDE]}, "takes one input"),
        ({"anchors": 90}, "its output has 90 anchor points"),
    ],
)
def test_an_onnx_that_is_no_yolox_is_refused(tmp_path, changes, reason):
    path = write_blue_cell_detector(tmp_path / "other.onnx", **changes)
    with pytest.raises(InputError, match=rf"other\.onnx is no YOLOX.*{reason}"):
        proposer(path)


def test_onnx_runtime_reports_nothing_of_its_use(tmp_path):
    # It keeps what it will send, and an identifier of the machine, below the user's folder.
    code = (
        "import sys, time; from grounding.methods.proposals.yolox import YOLOXProposer\n"
        "from grounding.methods.proposals import Selection\n"
        "YOLOXProposer(sys.argv[1], Selection(0.5, 0.5, 1), name=''); time.sleep(0.5)"
    )
    environment = {key: value for key, value in os.environ.items() if key not in ("CI", "ORT_DISABLE_TELEMETRY")}
    environment.update(HOME=str(tmp_path), XDG_CACHE_HOME=str(tmp_path / "cache"))
    subprocess.run([sys.executable, "-c", code, str(EMBEDDED_FILE)], env=environment, check=True)
    assert [path for path in tmp_path.rglob("*") if "Microsoft" in str(path)] == []


def large_objects() -> tuple[dict[int, str], dict[int, list[tuple[np.ndarray, int]]]]:
    """File names, and boxes with class numbers of the objects over 32x32 pixels, by image, of the 15 photographs."""
    content = json.loads((SHARED_DATA / "refcocog-mini" / "annotations" / "instances.json").read_text())
    classes = sorted(category["id"] for category in content["categories"])
    objects = defaultdict(list)
    for annotation in content["annotations"]:
        if not annotation["iscrowd"] and annotation["area"] > 32 * 32:
            box = box_xywh_to_xyxy(np.array(annotation["bbox"]))
            objects[annotation["image_id"]].append((box, classes.index(annotation["category_id"])))
    return {image["id"]: image["file_name"] for image in content["images"]}, objects


@needs_shared_data("weights")
@needs_shared_data("refcocog-mini")
def test_a_published_yolox_finds_what_was_counted_before():
    files, objects = large_objects()
    session = import_onnxruntime().InferenceSession(REAL_FILE, providers=["CPUExecutionProvider"])
    detector = proposer(REAL_FILE, confidence=0.1, max_proposals=100)
    assert detector.input_size == (416, 416)
    same_class = of_any_class = 0
    for image_id, name in files.items():
        image = read_image(SHARED_DATA / "refcocog-mini" / "images" / name)
        canvas, scale = fit(image, (416, 416))
        output = session.run(None, {"images": canvas[..., ::-1].transpose(2, 0, 1)[None].astype(np.float32)})[0][0]
        boxes, scores = decode(output, (416, 416))
        boxes, sure = torch.from_numpy(boxes / np.tile(scale, 2)), scores > 0.1
        proposed = torch.from_numpy(detector.propose(image).boxes_xyxy)
        for box, number in objects[image_id]:
            target = torch.from_numpy(box)[None].double()
            right = sure & (output[:, 5:].argmax(axis=1) == number)
            same_class += bool((box_iou(target, boxes[right]) > 0.5).any())
            of_any_class += bool((box_iou(target, proposed.double()) > 0.5).any())
    assert sum(len(values) for values in objects.values()) == 81
    assert same_class == 58  # counted independently by those who provide the file
    assert of_any_class == 60  # after suppression that looks at no class
