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

from grounding.errors import InputError, writable
from grounding.methods.proposals import Proposals, Selection, best_proposals
from grounding.runtime.files import sha256_of

CACHE = Path("~/.cache/ultralytics").expanduser()  # where downloads go
TASKS_WITH_BOXES = ("detect", "segment", "pose")
CANDIDATES = 300  # kept by ultralytics' own selection, before ours


class UltralyticsProposer:
    """A YOLO in a checkpoint of the `ultralytics` package.

    Args:
        detector: path of a .pt file, or the name of a published YOLO ("yolov5nu.pt", "yolov8n.pt", "yolo11n.pt"),
            which is downloaded once into `CACHE`.
        selection: which of its boxes are proposed; a box scores what its best class does.
        device: where the model goes.

    Attributes:
        name: the checkpoint's file name.
        selection: as given.
        weights: a sentence for reports, with the file and the start of its SHA-256.
        sha256: of the file, in hexadecimal.
        categories: what it knows, in words.

    Raises:
        InputError: the package is not installed, there is no such file or name, the download failed, or the file is
            no YOLO that gives boxes.
    """

    def __init__(
        self, detector: str | os.PathLike[str], selection: Selection, *, device: str | torch.device = "cpu"
    ) -> None:
        ultralytics = import_ultralytics()
        path = _checkpoint(os.fspath(detector))
        try:
            from ultralytics.nn import tasks

            # Checkpoints may build ultralytics' and torch's own modules and nothing else. The environment says the
            # same, but only to a package that is imported afterwards.
            with patch.object(tasks, "SAFE_LOAD", True):
                self._model = ultralytics.YOLO(str(path))
            task = str(self._model.task)
        except Exception as error:  # whatever its unpickler and its model builder meet in a foreign file
            raise InputError(f"{path} is no YOLO that ultralytics can load: fetch the file again") from error
        if task not in TASKS_WITH_BOXES:
            raise InputError(f"{path} is a YOLO for the task {task!r}, which gives no boxes: give one that detects")
        self.name = path.name
        self.sha256 = sha256_of(path)
        self.weights = writable(f"YOLO {path.stem} ({path.name}, sha256 {self.sha256[:12]}...)")
        self.selection = selection
        self._device = str(device)
        self.categories = ", ".join(self._model.names.values())

    def propose(self, image: np.ndarray) -> Proposals:
        """What may be an object in one image.

        Args:
            image: (H, W, 3) uint8 RGB.

        Returns:
            Boxes in pixels of the image, possibly none.
        """
        with _threads_kept():
            found = self._model.predict(
                np.ascontiguousarray(image[..., ::-1]),  # arrays are taken as OpenCV reads files: BGR
                conf=self.selection.confidence,
                iou=self.selection.iou_threshold,
                agnostic_nms=True,
                max_det=CANDIDATES,
                device=self._device,
                verbose=False,
            )[0].boxes
        height, width = image.shape[:2]
        # Once more, since the models without non-maximum suppression of their own may give a box for several classes.
        return best_proposals(found.xyxy.cpu().numpy(), found.conf.cpu().numpy(), (width, height), self.selection)


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
    file in the user's folder, and its own way to open images, count threads and print arrays in the whole program.

    Raises:
        InputError: it is not installed.
    """
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


def _checkpoint(detector: str) -> Path:
    """The file that a path or a published name stands for, downloaded where it is not there yet."""
    from ultralytics.utils.checks import check_yolov5u_filename
    from ultralytics.utils.downloads import GITHUB_ASSETS_NAMES, attempt_download_asset

    if Path(detector).is_file() and detector.endswith(".pt"):
        # Under some names ultralytics would look for another file, and go to the network for it.
        if check_yolov5u_filename(detector.strip().replace("'", ""), verbose=False) != detector:
            raise InputError(
                f"{detector} has a name that ultralytics changes, an older YOLOv5's or one with quotes or spaces: "
                "rename the file or its folder"
            )
        return Path(detector)
    name = check_yolov5u_filename(detector if detector.endswith(".pt") else f"{detector}.pt", verbose=False)
    if name not in GITHUB_ASSETS_NAMES:
        raise InputError(
            f"no detector {detector!r}: give 'embedded', the path of a YOLOX .onnx or a YOLO .pt file, or the name of "
            "a published YOLO, for example yolov5nu.pt"
        )
    try:
        return Path(attempt_download_asset(CACHE / name))
    except Exception as error:  # requests, sockets, curl and the package's own checks
        raise InputError(
            f"the detector {name} could not be downloaded: connect once, or give the path of the file"
        ) from error
