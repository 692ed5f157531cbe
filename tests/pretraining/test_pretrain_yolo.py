from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from grounding.methods.proposals import ProposalsConfig, YOLOXProposer, fit, import_onnxruntime
from grounding.runtime.errors import InputError
from pretraining import yolo
from pretraining.yolo import (
    INPUT_SIZE,
    INSTALLATION,
    VISIBLE_SHARE,
    JitteredPictures,
    PretrainYoloConfig,
    export,
    jitter,
    new_embedded_yolox,
    pretrain,
)
from tests.scripts import ROOT


def test_boxes_move_with_their_pixels():
    box = (20, 40, 60, 90)
    image = np.full((120, 160, 3), 114, dtype=np.uint8)
    image[40:90, 20:60] = 255
    image[:, :10] = 0  # a mark on the left side
    flips, lefts, sizes = set(), [], []
    for seed in range(60):
        square, boxes = jitter(image, np.array([box], dtype=np.float32), np.random.default_rng(seed))
        assert square.shape == (INPUT_SIZE, INPUT_SIZE, 3) and square.dtype == np.uint8
        rows, columns = np.nonzero(square[..., 0] > (114 + 255) / 2)
        if len(boxes) == 0 or not len(rows):
            continue
        seen = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        np.testing.assert_allclose(boxes, [seen], atol=0.75)
        lefts.append(boxes[0, 0])
        sizes.append(boxes[0, 3] - boxes[0, 1])
        marked = np.nonzero((square[..., 0] < 50).any(axis=0))[0]
        if len(marked):
            flips.add(bool(marked.mean() > columns.mean()))
    assert flips == {False, True}
    assert np.std(lefts) > 10 and max(sizes) > 1.4 * min(sizes)


def test_objects_are_clipped_and_dropped_with_the_part_that_is_seen():
    image = np.zeros((96, 192, 3), dtype=np.uint8)
    boxes = np.array([[8 * i, 10, 8 * i + 16, 60] for i in range(22)], dtype=np.float32)
    dropped = clipped = 0
    for seed in range(40):
        _, kept = jitter(image, boxes, np.random.default_rng(seed))
        assert kept.min() >= 0 and kept.max() <= INPUT_SIZE and kept.dtype == np.float32
        widths = kept[:, 2] - kept[:, 0]
        assert (widths >= VISIBLE_SHARE * widths.max() - 1e-3).all()
        clipped += int((widths < widths.max() - 0.5).sum())
        dropped += len(boxes) - len(kept)
    assert dropped and clipped


def test_each_step_draws_anew():
    (first, _), (second, _) = JitteredPictures(PretrainYoloConfig(steps=2, batch_size=2))
    assert not torch.equal(first, second)


def test_the_export_is_a_yolox_like_any_other(tmp_path):
    pytest.importorskip("onnxscript", reason=INSTALLATION)
    postprocess = pytest.importorskip("yolox.utils", reason=INSTALLATION).postprocess
    torch.manual_seed(0)
    model = new_embedded_yolox().eval()
    for branch in (*model.head.obj_preds, *model.head.cls_preds, *model.head.reg_preds):
        torch.nn.init.normal_(branch.weight, std=0.5)
        torch.nn.init.zeros_(branch.bias)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.reset_running_stats()
            module.momentum = None  # one batch gives the statistics
    model.backbone.train()(255 * torch.rand(2, 3, INPUT_SIZE, INPUT_SIZE))
    model.eval()
    export(model, tmp_path / "model.onnx")
    content = (tmp_path / "model.onnx").read_bytes()
    assert len(content) < 3_000_000
    assert str(ROOT).encode() not in content  # where it was made

    image = np.random.default_rng(0).integers(0, 256, (120, 160, 3), dtype=np.uint8)
    square, scale = fit(image, (INPUT_SIZE, INPUT_SIZE))
    bgr = torch.from_numpy(square[..., ::-1].copy()).permute(2, 0, 1)[None].float()
    session = import_onnxruntime().InferenceSession(content, providers=["CPUExecutionProvider"])
    with torch.no_grad():
        raw = model(bgr)
        model.head.decode_in_inference = True
        decoded = model(bgr)
    np.testing.assert_allclose(session.run(None, {"images": bgr.numpy()})[0], raw.numpy(), atol=2e-3)

    expected = postprocess(decoded, num_classes=1, conf_thre=0.1, nms_thre=1.0, class_agnostic=True)[0].numpy()
    found = YOLOXProposer(ProposalsConfig(0.1, 1.0, 3000, str(tmp_path / "model.onnx"))).propose(image)
    boxes = np.clip(expected[:, :4] / np.tile(scale, 2), 0, [160, 120, 160, 120])
    visible = (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
    assert visible.sum() > 20
    assert len(found) == visible.sum()
    by_place = [np.lexsort(b.round(0).T) for b in (found, boxes[visible])]
    np.testing.assert_allclose(found[by_place[0]], boxes[visible][by_place[1]], atol=0.5)


def _save_weights(model, path):
    save_file({name: value.contiguous() for name, value in model.state_dict().items()}, path)


def test_a_short_training_writes_the_same_weights_for_the_same_seed(tmp_path, monkeypatch):
    pytest.importorskip("yolox.models", reason=INSTALLATION)
    monkeypatch.setattr(yolo, "export", _save_weights)  # which takes far longer
    config = PretrainYoloConfig(output=tmp_path / "out" / "a.onnx", steps=2, batch_size=4, warmup_steps=1)
    threads = torch.get_num_threads()
    model = pretrain(config)
    assert not model.training and torch.get_num_threads() == threads
    pretrain(replace(config, output=tmp_path / "out" / "b.onnx"))
    pretrain(replace(config, output=tmp_path / "out" / "c.onnx", seed=1))
    assert sorted(path.name for path in config.output.parent.iterdir()) == ["a.onnx", "b.onnx", "c.onnx"]
    a, b, c = ((tmp_path / "out" / name).read_bytes() for name in ("a.onnx", "b.onnx", "c.onnx"))
    assert a == b != c


def test_without_the_package_the_remedy_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "yolox.models", None)
    with pytest.raises(InputError, match=r"pixeltable-yolox.*pip install --no-deps"):
        new_embedded_yolox()
