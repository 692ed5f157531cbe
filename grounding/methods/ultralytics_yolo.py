"""Proposals from a YOLO of the `ultralytics` package: YOLOv5u, YOLOv8, YOLO11 and their relatives.

The package is under AGPL-3.0, stricter than this project's licence. It is therefore no requirement, and imported only
when such a YOLO is asked for.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from unittest.mock import patch

import cv2
import numpy as np
import torch
from PIL import Image

from grounding.methods.proposals import ProposalsConfig, best_proposals
from grounding.runtime.errors import InputError, writable
from grounding.runtime.files import sha256_of

CACHE = Path("~/.cache/ultralytics").expanduser()  # where downloads go
TASKS_WITH_BOXES = ("detect", "segment", "pose")
CANDIDATES = 300  # kept by ultralytics' own selection, before ours


class UltralyticsProposer:
    """A YOLO in a checkpoint of the `ultralytics` package: a `Proposer` whose boxes score what their best class does.

    `config.detector` is the path of a .pt file, or the name of a published YOLO ("yolov5nu.pt", "yolov8n.pt",
    "yolo11n.pt"), which is downloaded once into `CACHE`.
    """

    def __init__(self, config: ProposalsConfig, *, device: str | torch.device = "cpu") -> None:
        ultralytics = import_ultralytics()
        from ultralytics.nn import tasks
        from ultralytics.utils.downloads import GITHUB_ASSETS_NAMES

        path = Path(config.detector)
        if path.suffix != ".pt" or not path.is_file():
            if config.detector not in GITHUB_ASSETS_NAMES:
                raise InputError(
                    f"no detector {config.detector!r}: give 'embedded', the path of a YOLOX .onnx or a YOLO .pt file, "
                    "or the name of a published YOLO, for example yolov5nu.pt"
                )
            path = CACHE / path
        try:
            # Checkpoints may build ultralytics' and torch's own modules and nothing else. The environment says the
            # same, but only to a package that is imported afterwards.
            with patch.object(tasks, "SAFE_LOAD", True):
                self._model = ultralytics.YOLO(str(path))  # which downloads a published one
            task, path = str(self._model.task), Path(self._model.ckpt_path)  # of an old YOLOv5, another file
        except Exception as error:  # whatever its download, unpickler and model builder meet
            raise InputError(
                f"{path} is no YOLO that ultralytics can load, or could not be downloaded: fetch the file again, or "
                "connect once"
            ) from error
        if task not in TASKS_WITH_BOXES:
            raise InputError(f"{path} is a YOLO for the task {task!r}, which gives no boxes: give one that detects")
        self.config = config
        self.name = path.name
        self.sha256 = sha256_of(path)
        self.weights = writable(f"YOLO {path.stem} ({path.name}, sha256 {self.sha256[:12]}...)")
        self.categories = ", ".join(self._model.names.values())
        self._device = str(device)

    def propose(self, image: np.ndarray) -> np.ndarray:
        """As `Proposer.propose`."""
        with _threads_kept():
            found = self._model.predict(
                np.ascontiguousarray(image[..., ::-1]),  # arrays are taken as OpenCV reads files: BGR
                conf=self.config.confidence,
                iou=self.config.iou_threshold,
                agnostic_nms=True,
                max_det=CANDIDATES,
                device=self._device,
                verbose=False,
            )[0].boxes
        height, width = image.shape[:2]
        # Once more, since the models without non-maximum suppression of their own may give a box for several classes.
        return best_proposals(found.xyxy.cpu().numpy(), found.conf.cpu().numpy(), (width, height), self.config)


@contextmanager
def _threads_kept() -> Iterator[None]:
    """PyTorch and OpenCV keep their numbers of threads, which ultralytics sets when it is imported and first asked."""
    of_torch, of_opencv = torch.get_num_threads(), cv2.getNumThreads()
    try:
        yield
    finally:
        torch.set_num_threads(of_torch)
        cv2.setNumThreads(of_opencv)


def import_ultralytics() -> ModuleType:
    """The package, without its usage analytics, its installing of packages, its running of pickled code, its settings
    file in the user's folder, and its own way to open images, count threads and print arrays in the whole program."""
    settings = {
        "YOLO_OFFLINE": "true",  # no look whether the network is there; downloads are still possible
        "YOLO_AUTOINSTALL": "false",
        "ULTRALYTICS_SAFE_LOAD": "true",
        "YOLO_VERBOSE": "false",
    }
    try:
        # For the import only; what the package sets itself is undone as well.
        with (
            TemporaryDirectory() as folder,
            patch.dict(os.environ, {**settings, "YOLO_CONFIG_DIR": folder}),
            _threads_kept(),
            np.printoptions(),
            torch._tensor_str.printoptions(),
            patch.object(Image, "open", Image.open),
        ):
            import ultralytics
            from ultralytics.utils.events import events
    except ImportError as error:
        raise InputError(
            f"a YOLO of ultralytics needs that package, which is under AGPL-3.0 ({error}): "
            "pip install -r requirements-yolo.txt, or use detector 'embedded' or a YOLOX in an .onnx file"
        ) from error
    events.enabled = False
    return ultralytics
