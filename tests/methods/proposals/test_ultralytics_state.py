"""A YOLO of ultralytics leaves a program's settings as they were: that package sets many for all."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

PROGRAM = """
import sys, warnings
import cv2, numpy as np, torch
from PIL import Image
from grounding.methods.proposals.types import Selection
from grounding.methods.proposals.ultralytics_yolo import UltralyticsProposer, import_ultralytics

torch.set_num_threads(2)
cv2.setNumThreads(2)

def state():
    return [torch.get_num_threads(), cv2.getNumThreads(), repr(np.get_printoptions()), repr(torch.tensor([1 / 3] * 40)),
            Image.open, torch.save, cv2.imread, cv2.imwrite, cv2.imshow, warnings.filters[:]]

before = state()
yolo = import_ultralytics().YOLO("yolov8n.yaml")
yolo.save(sys.argv[1])
UltralyticsProposer(sys.argv[1], Selection()).propose(np.zeros((64, 64, 3), np.uint8))
assert state() == before, [(new, old) for new, old in zip(state(), before) if new != old]
"""


@pytest.mark.skipif(find_spec("ultralytics") is None, reason="needs the AGPL-3.0 package of requirements-yolo.txt")
def test_what_ultralytics_sets_for_the_whole_program_is_undone(tmp_path: Path) -> None:
    command = [sys.executable, "-c", PROGRAM, str(tmp_path / "untrained.pt")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
