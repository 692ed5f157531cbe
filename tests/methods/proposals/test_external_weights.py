"""A detector whose weights lie in a file beside it, as newer exporters write them."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import onnx
import pytest

from grounding.data.images import read_image
from grounding.errors import InputError
from grounding.methods.proposals import EMBEDDED_FILE, ProposalsConfig, load_proposer
from grounding.methods.proposals.yolox import YOLOXProposer
from tests.shared_data import SHARED_DATA, needs_shared_data

IMAGE = np.random.default_rng(0).integers(0, 256, (200, 300, 3), dtype=np.uint8)


def saved(folder: Path, data: str) -> Path:
    path = folder / "beside.onnx"
    onnx.save_model(onnx.load(EMBEDDED_FILE), path, save_as_external_data=True, location=data, size_threshold=1024)
    return path


def proposer_of(path: Path | str) -> YOLOXProposer:
    proposer = load_proposer(ProposalsConfig(confidence=0.01, detector=str(path)))
    assert isinstance(proposer, YOLOXProposer)
    return proposer


@pytest.mark.parametrize("data", ["weights.data", "w" * 200 + ".data"])
def test_it_proposes_the_same_boxes_and_its_digest_covers_the_weights(tmp_path: Path, data: str) -> None:
    path = saved(tmp_path, data)
    proposer, embedded = proposer_of(path), proposer_of("embedded")
    found, expected = proposer.propose(IMAGE), embedded.propose(IMAGE)
    np.testing.assert_array_equal(found.boxes_xyxy, expected.boxes_xyxy)
    np.testing.assert_array_equal(found.scores, expected.scores)
    assert len(found.scores)

    weights = bytearray((tmp_path / data).read_bytes())
    weights[-1] ^= 1
    (tmp_path / data).write_bytes(weights)
    assert proposer_of(path).sha256 != proposer.sha256


def test_without_its_weights_the_sentence_names_them(tmp_path: Path) -> None:
    path = saved(tmp_path, "weights.data")
    (tmp_path / "weights.data").unlink()
    with pytest.raises(InputError, match=r"beside\.onnx has its weights in .*weights\.data, which is missing"):
        proposer_of(path)


def test_a_detector_is_pickled_as_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    saved(tmp_path, "weights.data")
    monkeypatch.chdir(tmp_path)
    pickled = pickle.dumps(proposer_of("beside.onnx"))
    monkeypatch.chdir("/")
    assert len(pickled) < 1000
    found = pickle.loads(pickled).propose(IMAGE)
    np.testing.assert_array_equal(found.boxes_xyxy, proposer_of("embedded").propose(IMAGE).boxes_xyxy)


@needs_shared_data("odd-files")
def test_a_sound_file_of_somebodys(tmp_path: Path) -> None:
    """Against the same network in one file."""
    path = SHARED_DATA / "odd-files" / "yolox-external.onnx"
    onnx.save_model(onnx.load(path), tmp_path / "whole.onnx")
    scene = read_image(SHARED_DATA / "odd-files" / "scene.jpg")
    found, expected = proposer_of(path).propose(scene), proposer_of(tmp_path / "whole.onnx").propose(scene)
    np.testing.assert_array_equal(found.boxes_xyxy, expected.boxes_xyxy)
    assert len(found.scores) > 1
