from __future__ import annotations

import hashlib
import shutil
import socket
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.ops import nms

from grounding.methods import ultralytics_yolo
from grounding.methods.proposals import ProposalsConfig
from grounding.methods.ultralytics_yolo import UltralyticsProposer, import_ultralytics
from grounding.runtime.errors import InputError

ARCHITECTURES = ("yolov5n", "yolov8n", "yolo11n")

# Looked for, not imported: that alone would write a settings file into the user's folder.
pytestmark = pytest.mark.skipif(
    find_spec("ultralytics") is None, reason="needs the AGPL-3.0 package of requirements-yolo.txt"
)


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory) -> dict[str, Path]:
    """Untrained YOLOs whose scores spread over (0, 1), saved by ultralytics itself."""
    ultralytics = import_ultralytics()
    folder = tmp_path_factory.mktemp("checkpoints")
    files = {}
    for name in (*ARCHITECTURES, "yolov8n-cls"):
        torch.manual_seed(0)
        model = ultralytics.YOLO(f"{name}.yaml")
        for module in model.model.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.reset_running_stats()
                module.momentum = None  # one batch gives the statistics, without which all features are near zero
        model.model.train()(torch.rand(4, 3, 160, 160))
        model.model.eval()
        for branch in getattr(model.model.model[-1], "cv3", ()):
            torch.nn.init.normal_(branch[-1].weight, std=0.2)
            torch.nn.init.zeros_(branch[-1].bias)
        files[name] = folder / f"untrained_{name}.pt"
        model.save(files[name])
    return files


def proposer(detector: object) -> UltralyticsProposer:
    return UltralyticsProposer(ProposalsConfig(0.6, 0.5, 15, str(detector)))


def noise(width: int, height: int) -> np.ndarray:
    image = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    image[: height // 2] //= 4
    image[..., 0] //= 2  # another picture when read as BGR
    return image


@pytest.mark.parametrize(("name", "size"), list(zip(ARCHITECTURES, ((180, 120), (120, 200), (96, 96)), strict=True)))
def test_proposals_are_those_of_ultralytics_itself_on_a_picture(checkpoints, name, size):
    image = noise(*size)
    detector = proposer(checkpoints[name])
    found = detector.propose(image)
    boxes = import_ultralytics().YOLO(checkpoints[name]).predict(
        Image.fromarray(image), conf=0.6, iou=0.5, agnostic_nms=True, verbose=False
    )[0].boxes  # fmt: skip
    # Boxes that reach past the border overlap more once they are clipped.
    kept = nms(boxes.xyxy, boxes.conf, 0.5)[:15]
    assert len(kept) >= 5
    np.testing.assert_allclose(found, boxes.xyxy[kept].numpy(), atol=1e-3)
    digest = hashlib.sha256(checkpoints[name].read_bytes()).hexdigest()
    assert detector.sha256 == digest and detector.name == f"untrained_{name}.pt"
    assert detector.weights == f"YOLO untrained_{name} (untrained_{name}.pt, sha256 {digest[:12]}...)"


def test_a_file_is_used_without_network_analytics_and_traces(checkpoints, tmp_path):
    # In a process of its own, since ultralytics asks for the network when it is imported, and never reports in pytest.
    code = f"""
import os, socket, sys
asked = []
def refuse(*arguments, **_):
    asked.append(arguments)
    raise OSError("no network in this test")
socket.getaddrinfo = socket.socket.connect = refuse
before = dict(os.environ)
import cv2, numpy as np, torch
from PIL import Image
torch.set_num_threads(2)
cv2.setNumThreads(2)
opens, printed = Image.open, repr(np.zeros(2, np.float32))
from grounding.methods.proposals import ProposalsConfig, load_proposer
detector = load_proposer(ProposalsConfig(0.6, 0.5, 15, {str(checkpoints["yolov8n"])!r}))
assert len(detector.propose(np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype=np.uint8)))
from ultralytics.utils import AUTOINSTALL, SAFE_LOAD
from ultralytics.utils.events import events
assert not asked, asked
assert (torch.get_num_threads(), cv2.getNumThreads(), Image.open) == (2, 2, opens)
assert repr(np.zeros(2, np.float32)) == printed
assert (events.enabled, AUTOINSTALL, SAFE_LOAD) == (False, False, True) and not events.events
changed = {{key for key in before | os.environ if before.get(key) != os.environ.get(key)}}
assert not [key for key in changed if key.startswith(("YOLO", "ULTRALYTICS", "OMP"))], changed
"""
    home = {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path / "config"), "PYTHONPATH": str(Path.cwd())}
    subprocess.run([sys.executable, "-c", code], env=home, cwd=tmp_path, check=True)
    assert [path for path in tmp_path.rglob("*") if "ultralytics" in str(path).lower() or path.name == "runs"] == []


def test_a_published_name_is_looked_for_in_the_cache_and_then_downloaded(checkpoints, monkeypatch, tmp_path):
    refuse = Mock(side_effect=OSError("no network in this test"))
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(ultralytics_yolo, "CACHE", tmp_path)
    shutil.copy(checkpoints["yolov5n"], tmp_path / "yolov5nu.pt")
    assert proposer("yolov5nu.pt").name == "yolov5nu.pt"
    for name in ("yolo", "yolov5n.pt", tmp_path / "yolov8n.pt", "model.txt"):
        with pytest.raises(InputError, match="no detector"):
            proposer(name)
    assert not refuse.called
    with pytest.raises(InputError, match=r"yolo11n\.pt .* could not be downloaded"):
        proposer("yolo11n.pt")
    assert refuse.called


def test_files_that_are_no_detector_are_refused(checkpoints, tmp_path):
    with pytest.raises(InputError, match="for the task 'classify', which gives no boxes"):
        proposer(checkpoints["yolov8n-cls"])
    (tmp_path / "damaged.pt").write_bytes(checkpoints["yolov8n"].read_bytes()[:5000])
    torch.save({"model": torch.zeros(3)}, tmp_path / "other.pt")
    for name in ("damaged.pt", "other.pt"):
        with pytest.raises(InputError, match=f"{name} is no YOLO that ultralytics can load"):
            proposer(tmp_path / name)


@pytest.mark.parametrize("imported_before", [False, True])
def test_code_in_a_checkpoint_is_not_run(tmp_path, monkeypatch, imported_before):
    import_ultralytics()
    if imported_before:  # by a program that left pickles to run
        from ultralytics.nn import tasks

        monkeypatch.setattr(tasks, "SAFE_LOAD", False)
    torch.save({"model": _Touch(tmp_path / "ran")}, tmp_path / "foreign.pt")
    torch.load(tmp_path / "foreign.pt", weights_only=False)
    assert (tmp_path / "ran").exists()  # what a plain loader would do
    (tmp_path / "ran").unlink()
    with pytest.raises(InputError, match=r"foreign\.pt is no YOLO"):
        proposer(tmp_path / "foreign.pt")
    assert not (tmp_path / "ran").exists()


class _Touch:
    """Creates a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.path,)
