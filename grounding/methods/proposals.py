"""Boxes that may hold something, whatever it is: what a detector finds, for CLIP to choose from.

A detector is asked for by name: the embedded YOLOX, another one in an ONNX file, or a YOLO of ultralytics. A YOLOX (Ge
et al. 2021, "YOLOX: Exceeding YOLO Series in 2021") runs by ONNX Runtime on the CPU. Its export takes BGR pixels in
0..255 and gives, per anchor point, a box, an objectness and a score for each class. Objectness and class scores are
probabilities; the box is raw (section 2.3: an offset from the grid point, and a log-size, in units of the stride)
unless it was exported decoded.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any, Protocol

import numpy as np
import torch
from PIL import Image
from pydantic import Field, PositiveInt
from torchvision.ops import nms

from grounding.geometry import box_area
from grounding.runtime.config_io import refuse_wrong_values
from grounding.runtime.errors import InputError, writable

EMBEDDED = "embedded"
EMBEDDED_NAME = "embedded YOLOX"
EMBEDDED_FILE = Path(__file__).parents[1] / "weights" / "embedded_yolox.onnx"
STRIDES = (8, 16, 32)
PADDING = 114  # gray value of the padding in YOLOX's own preprocessing


@dataclass(frozen=True)
class ProposalsConfig:
    """Which boxes of which detector.

    Attributes:
        confidence: boxes that score lower are dropped; what ultralytics takes too, and the best for the baseline on
            the validation split of RefShapes.
        iou_threshold: of two boxes that overlap more, of whatever class, only the better one is kept.
        max_proposals: how many boxes to keep at most.
        detector: "embedded"; the path of a YOLOX exported to ONNX, which ends in .onnx; or the path of a .pt file or
            the name of a YOLO that ultralytics knows.
    """

    confidence: Annotated[float, Field(ge=0, lt=1)] = 0.25
    iou_threshold: Annotated[float, Field(gt=0, le=1)] = 0.6
    max_proposals: PositiveInt = 20
    detector: str = EMBEDDED


class Proposer(Protocol):
    """Any detector.

    Attributes:
        config: which of its boxes it proposes.
        name: of the detector, in reports.
        weights: which weights it works with, a sentence for reports.
        sha256: of the weights file, in hexadecimal.
        categories: what kinds of things it knows, in words.
    """

    config: ProposalsConfig
    name: str
    weights: str
    sha256: str
    categories: str

    def propose(self, image: np.ndarray) -> np.ndarray:
        """What may be an object in one image (H, W, 3) uint8 RGB: (N, 4) float32 boxes_xyxy in its pixels, within it
        and each with an area, the best first; N >= 0."""
        ...


def load_proposer(config: ProposalsConfig, device: str | torch.device = "cpu") -> Proposer:
    """The detector that a configuration names; a YOLO of ultralytics goes to the device, a YOLOX stays on the CPU.

    InputError: there is no such detector, its file cannot be used, its package is not installed, or the configuration
    has a number out of its range.
    """
    from grounding.methods.ultralytics_yolo import UltralyticsProposer  # which needs what stands here

    refuse_wrong_values(config)
    if config.detector == EMBEDDED or config.detector.lower().endswith(".onnx"):
        return YOLOXProposer(config)
    return UltralyticsProposer(config, device=device)


def best_proposals(
    boxes_xyxy: np.ndarray, scores: np.ndarray, image_size: tuple[int, int], config: ProposalsConfig
) -> np.ndarray:
    """(N, 4) float32, the best of a detector's boxes (M, 4), clipped to the image, after non-maximum suppression.

    `image_size` is (width, height) in pixels.
    """
    clipped = np.clip(boxes_xyxy, 0, np.tile(image_size, 2)).astype(np.float32)
    usable = (scores >= config.confidence) & (box_area(clipped) > 0)
    boxes, usable_scores = clipped[usable], scores[usable].astype(np.float32)
    order = nms(torch.from_numpy(boxes), torch.from_numpy(usable_scores), config.iou_threshold)
    return boxes[order[: config.max_proposals].numpy()]


class YOLOXProposer:
    """A YOLOX in an ONNX file: a `Proposer` whose boxes score objectness times best class score.

    Its `sha256` is of the file, with FILE.data where newer exporters leave its weights there.
    """

    def __init__(self, config: ProposalsConfig) -> None:
        path = EMBEDDED_FILE if config.detector == EMBEDDED else Path(config.detector)
        if not path.is_file():
            raise InputError(f"there is no detector file {path}: give the path of a YOLOX exported to ONNX")
        self.config = config
        self.name = EMBEDDED_NAME if config.detector == EMBEDDED else path.name
        data = path.with_name(f"{path.name}.data")
        content = path.read_bytes() + (data.read_bytes() if data.is_file() else b"")
        self.sha256 = hashlib.sha256(content).hexdigest()
        self.weights = writable(f"{self.name} ({path.name}, sha256 {self.sha256[:12]}...)")
        onnxruntime = import_onnxruntime()
        options = onnxruntime.SessionOptions()
        # Threads that wait in a loop for the next image would take the processor from CLIP, which runs in turn.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
            [entry] = self._session.get_inputs()
            self._input, (_, _, height, width) = entry.name, entry.shape
            self.input_size = width, height
            output = self._run(np.full((height, width, 3), PADDING, dtype=np.uint8))
            decode(output, self.input_size)
        except Exception as error:  # ONNX Runtime's errors have no common class
            reason = " ".join(str(error).split())
            raise InputError(
                f"{path} is no YOLOX that ONNX Runtime can run ({reason}): give a YOLOX exported to ONNX with one "
                f"input (1, 3, height, width) of fixed size, and with {data.name} beside it if it has that"
            ) from error
        self.categories = f"{output.shape[1] - 5} categories"

    def __reduce__(self) -> tuple[Any, ...]:
        return YOLOXProposer, (self.config,)  # no session is ever pickled

    def propose(self, image: np.ndarray) -> np.ndarray:
        """As `Proposer.propose`."""
        square, scale = fit(image, self.input_size)
        boxes_xyxy, scores = decode(self._run(square), self.input_size)
        height, width = image.shape[:2]
        return best_proposals(boxes_xyxy / np.tile(scale, 2), scores, (width, height), self.config)

    def _run(self, square: np.ndarray) -> np.ndarray:
        """(A, 5 + classes) of a (height, width, 3) uint8 RGB input."""
        bgr = square[..., ::-1].transpose(2, 0, 1)[None].astype(np.float32)
        return self._session.run(None, {self._input: bgr})[0][0]


def fit(image: np.ndarray, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """An image in the upper left of a canvas, scaled to fit, the rest gray.

    YOLOX itself resizes without antialiasing; with it, more of the objects of real photographs are found. `size` is
    (width, height); beside the canvas (height, width, 3) uint8 its pixels per image pixel along x and y.
    """
    height, width = image.shape[:2]
    ratio = min(size[0] / width, size[1] / height)
    content = (max(1, int(width * ratio)), max(1, int(height * ratio)))
    canvas = np.full((size[1], size[0], 3), PADDING, dtype=np.uint8)
    resized = Image.fromarray(image).resize(content, Image.Resampling.BICUBIC)
    canvas[: content[1], : content[0]] = np.asarray(resized)
    return canvas, np.array(content, dtype=np.float64) / (width, height)


def decode(output: np.ndarray, input_size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """(A, 4) float32 boxes_xyxy in pixels of an input of (width, height), and (A,) scores, objectness times best class.

    `output` (A, 5 + classes) float32 has a box, raw or decoded, objectness and class scores for the anchor points of
    each stride in turn, row by row.
    """
    width, height = input_size
    grids = [np.stack(np.meshgrid(range(width // s), range(height // s)), axis=-1).reshape(-1, 2) for s in STRIDES]
    count = sum(map(len, grids))
    if output.ndim != 2 or len(output) != count or output.shape[1] < 6:
        raise ValueError(f"its output has the shape {output.shape} instead of ({count}, 5 + classes)")
    centres, sizes = output[:, :2], output[:, 2:4]
    # A size in pixels is positive; of thousands of log-sizes, some are not.
    if (sizes <= 0).any():
        stride = np.repeat(STRIDES, [len(grid) for grid in grids])[:, None].astype(np.float32)
        centres = (centres + np.concatenate(grids).astype(np.float32)) * stride
        sizes = np.exp(sizes) * stride
    boxes_xyxy = np.concatenate([centres - sizes / 2, centres + sizes / 2], axis=1)
    return boxes_xyxy.astype(np.float32), output[:, 4] * output[:, 5:].max(axis=1)


def import_onnxruntime() -> ModuleType:
    """ONNX Runtime, whose official builds report their use to Microsoft from their import on unless told not to."""
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    import onnxruntime

    onnxruntime.disable_telemetry_events()  # for a program that has imported it before
    return onnxruntime
