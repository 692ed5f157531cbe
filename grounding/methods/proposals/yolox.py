"""Proposals from any YOLOX that was exported to ONNX, by ONNX Runtime on the CPU.

Ge et al. 2021, "YOLOX: Exceeding YOLO Series in 2021". The export takes BGR pixels in 0..255 and gives, per anchor
point, a box, an objectness and a score for each class. Objectness and class scores are probabilities; the box is raw
(section 2.3: an offset from the grid point, and a log-size, in units of the stride) unless it was exported decoded.
"""

from __future__ import annotations

import hashlib
import os
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from grounding.errors import InputError, writable
from grounding.methods.proposals import Proposals, Selection, best_proposals

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

STRIDES = (8, 16, 32)
COCO = "of a published YOLOX those of COCO: people, vehicles, animals, furniture and other things, no surroundings"
PADDING = 114  # gray value of the padding in YOLOX's own preprocessing


class YOLOXProposer:
    """A YOLOX in an ONNX file.

    Args:
        path: the file.
        selection: which of its boxes are proposed; a box scores objectness times best class score.
        name: of the detector, in reports.

    Attributes:
        name, selection: as given.
        weights: a sentence for reports, with the file and the start of its SHA-256.
        sha256: of the file, with FILE.data where newer exporters leave its weights there; in hexadecimal.
        categories: what it knows, in words.
        input_size: (width, height) in pixels of the network's input.

    Raises:
        InputError: there is no such file, it is no ONNX model or lacks its weights, or the model is no YOLOX.
    """

    def __init__(self, path: str | os.PathLike[str], selection: Selection, *, name: str) -> None:
        path = Path(path)
        if not path.is_file():
            raise InputError(f"there is no detector file {path}: give the path of a YOLOX exported to ONNX")
        self.name = name
        self._path = path.absolute()
        data = path.with_name(f"{path.name}.data")
        content = path.read_bytes() + (data.read_bytes() if data.is_file() else b"")
        self.sha256 = hashlib.sha256(content).hexdigest()
        self.weights = writable(f"{name} ({path.name}, sha256 {self.sha256[:12]}...)")
        self.selection = selection
        self._session = _open_session(path)
        self.input_size = _input_size(self._session, path)
        width, height = self.input_size
        try:
            output = self._run(np.full((height, width, 3), PADDING, dtype=np.uint8))
            decode(output, self.input_size)
            count = output.shape[1] - 5
            self.categories = f"{count} categories" + (f" ({COCO})" if count == 80 else "")
        except Exception as error:  # ONNX Runtime's errors have no common class
            reason = str(error).strip().splitlines()[0]
            raise InputError(f"{path} is no YOLOX ({reason}): give a YOLOX exported to ONNX") from error

    def __reduce__(self) -> tuple[Any, ...]:
        return partial(YOLOXProposer, self._path, self.selection, name=self.name), ()  # no session is ever pickled

    def propose(self, image: np.ndarray) -> Proposals:
        """What may be an object in one image.

        Args:
            image: (H, W, 3) uint8 RGB.

        Returns:
            Boxes in pixels of the image, possibly none.
        """
        square, scale = fit(image, self.input_size)
        boxes_xyxy, scores = decode(self._run(square), self.input_size)
        height, width = image.shape[:2]
        return best_proposals(boxes_xyxy / np.tile(scale, 2), scores, (width, height), self.selection)

    def _run(self, square: np.ndarray) -> np.ndarray:
        """(A, 5 + classes) of a (height, width, 3) uint8 RGB input."""
        bgr = square[..., ::-1].transpose(2, 0, 1)[None].astype(np.float32)
        return self._session.run(None, {self._session.get_inputs()[0].name: bgr})[0][0]


def fit(image: np.ndarray, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """An image in the upper left of a canvas, scaled to fit, the rest gray.

    YOLOX itself resizes without antialiasing; with it, more of the objects of real photographs are found.

    Args:
        image: (H, W, 3) uint8.
        size: (width, height) of the canvas in pixels.

    Returns:
        (height, width, 3) uint8, and (2,) float64, canvas pixels per image pixel along x and y.
    """
    height, width = image.shape[:2]
    ratio = min(size[0] / width, size[1] / height)
    content = (max(1, int(width * ratio)), max(1, int(height * ratio)))
    canvas = np.full((size[1], size[0], 3), PADDING, dtype=np.uint8)
    resized = Image.fromarray(image).resize(content, Image.Resampling.BICUBIC)
    canvas[: content[1], : content[0]] = np.asarray(resized)
    return canvas, np.array(content, dtype=np.float64) / (width, height)


def decode(output: np.ndarray, input_size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Boxes and scores from the network's output, whether its boxes are raw or decoded.

    Args:
        output: (A, 5 + classes) float32: box, objectness, class scores, for the anchor points of each stride in turn,
            row by row.
        input_size: (width, height) of the network's input in pixels.

    Returns:
        (A, 4) float32 boxes_xyxy in pixels of the network's input, and (A,) float32 objectness times best class score.

    Raises:
        ValueError: the output has not the shape that a YOLOX of this input size gives.
    """
    if output.ndim != 2 or output.shape[1] < 6:
        raise ValueError(f"its output of shape {output.shape} does not hold a box, an objectness and class scores")
    centres, sizes = output[:, :2], output[:, 2:4]
    grid, stride = _anchor_points(len(output), input_size)
    # A size in pixels is positive; of thousands of log-sizes, some are not.
    if (sizes <= 0).any():
        centres = (centres + grid) * stride
        sizes = np.exp(sizes) * stride
    boxes_xyxy = np.concatenate([centres - sizes / 2, centres + sizes / 2], axis=1)
    return boxes_xyxy.astype(np.float32), output[:, 4] * output[:, 5:].max(axis=1)


def _anchor_points(count: int, input_size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """(count, 2) column and row of each anchor point in its grid, and (count, 1) the stride of that grid."""
    width, height = input_size
    grids = [np.stack(np.meshgrid(range(width // s), range(height // s)), axis=-1).reshape(-1, 2) for s in STRIDES]
    if sum(map(len, grids)) != count:
        raise ValueError(f"its output has {count} anchor points, which the grids of {width}x{height} pixels do not")
    stride = np.repeat(STRIDES, [len(grid) for grid in grids])[:, None]
    return np.concatenate(grids).astype(np.float32), stride.astype(np.float32)


def import_onnxruntime() -> ModuleType:
    """ONNX Runtime, whose official builds report their use to Microsoft from their import on unless told not to."""
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    import onnxruntime

    onnxruntime.disable_telemetry_events()  # for a program that has imported it before
    return onnxruntime


def _open_session(path: Path) -> InferenceSession:
    onnxruntime = import_onnxruntime()
    options = onnxruntime.SessionOptions()
    # Threads that wait in a loop for the next image would take the processor from CLIP, which runs in turn.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's errors have no common class
        raise InputError(f"{path} is no ONNX model that ONNX Runtime can load ({error}): export or fetch it again, "
                         "with its file of weights if it has one") from error  # fmt: skip


def _input_size(session: InferenceSession, path: Path) -> tuple[int, int]:
    inputs = session.get_inputs()
    shape = inputs[0].shape
    fixed = len(inputs) == 1 and len(shape) == 4 and all(isinstance(side, int) for side in shape[1:])
    if not fixed or shape[1] != 3 or shape[2] % STRIDES[-1] or shape[3] % STRIDES[-1]:
        shapes = ", ".join(str(entry.shape) for entry in inputs)
        raise InputError(
            f"{path} is no YOLOX, which takes one input (1, 3, height, width) with sides that are multiples of "
            f"{STRIDES[-1]}, but this one takes {shapes}: give a YOLOX exported to ONNX"
        )
    return shape[3], shape[2]
