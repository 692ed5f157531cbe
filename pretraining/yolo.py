"""`python -m pretraining.yolo`: the embedded YOLOX, trained from nothing on the boxes of `detection_pictures`.

YOLOX (Ge et al. 2021, "YOLOX: Exceeding YOLO Series in 2021"): network, SimOTA assignment and losses are the
`pixeltable-yolox` package's own, which `INSTALLATION` installs. Every object is of one class, "something", since what
it is will be asked of CLIP. No scene of RefShapes is seen.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch
from jsonargparse import auto_cli
from jsonargparse.typing import NonNegativeInt, PositiveInt
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset
from tqdm import tqdm

from grounding.deployment.networks import to_onnx
from grounding.geometry import box_area
from grounding.methods.proposals import PADDING
from grounding.runtime.cli import exit_on_input_error
from grounding.runtime.errors import InputError
from grounding.runtime.files import atomic_write
from grounding.training.step import warmup_cosine
from pretraining.detection_pictures import detection_picture

if TYPE_CHECKING:
    from yolox.models import YoloxModule

INSTALLATION = "pip install -r requirements-yolo.txt && pip install --no-deps pixeltable-yolox==0.4.3"
INPUT_SIZE = 320  # side in pixels of the square that the network sees
DEPTH, WIDTH = 0.33, 0.125  # of the layers and channels of YOLOX-L; YOLOX-nano is (0.33, 0.25)
VISIBLE_SHARE = 0.5  # of an object's box, below which it is no longer asked for


@dataclass(frozen=True)
class PretrainYoloConfig:
    """Training of the embedded YOLOX.

    Attributes:
        output: ONNX file to write.
        steps: optimiser steps.
        batch_size: images per step.
        learning_rate: peak of the cosine schedule.
        weight_decay: of AdamW, for convolution weights only.
        warmup_steps: linear warm-up.
        seed: of the weights and the pictures.
    """

    output: Path = Path("grounding/weights/embedded_yolox.onnx")
    steps: PositiveInt = 2600
    batch_size: PositiveInt = 16
    learning_rate: float = 3e-3
    weight_decay: float = 0.05
    warmup_steps: NonNegativeInt = 50
    seed: NonNegativeInt = 0


def jitter(image: np.ndarray, boxes_xyxy: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """An image put into the network's square with random flip, scale and place, and its boxes with it.

    Args:
        image: (H, W, 3) uint8.
        boxes_xyxy: (N, 4) in pixels of the image.
        rng: source of the draws.

    Returns:
        (INPUT_SIZE, INPUT_SIZE, 3) uint8, padded with gray, and (M, 4) float32 in pixels of the square: the objects
        of which at least `VISIBLE_SHARE` lies in it, clipped.
    """
    height, width = image.shape[:2]
    scale = INPUT_SIZE / max(height, width) * rng.uniform(0.75, 1.25)
    flip = rng.random() < 0.5
    free = INPUT_SIZE - scale * np.array([width, height])  # negative where the square cuts the image
    left, top = rng.uniform(np.minimum(free, 0), np.maximum(free, 0))
    gain = -scale if flip else scale
    shift = left + scale * width if flip else left
    # Pixel centres lie at half-integers for boxes and at integers for OpenCV.
    matrix = np.array([[gain, 0, shift + 0.5 * gain - 0.5], [0, scale, top + 0.5 * scale - 0.5]])
    square = cv2.warpAffine(image, matrix, (INPUT_SIZE, INPUT_SIZE), borderValue=(PADDING,) * 3)

    x = np.sort(boxes_xyxy[:, [0, 2]] * gain + shift, axis=1)
    y = boxes_xyxy[:, [1, 3]] * scale + top
    whole = np.stack([x[:, 0], y[:, 0], x[:, 1], y[:, 1]], axis=1)
    inside = np.clip(whole, 0, INPUT_SIZE)
    return square, inside[box_area(inside) >= VISIBLE_SHARE * box_area(whole)].astype(np.float32)


class JitteredPictures(IterableDataset[tuple[Tensor, Tensor]]):
    """The batches of a training, as `collate` makes them; each step has pictures of its own."""

    def __init__(self, config: PretrainYoloConfig) -> None:
        self.config = config

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        for step in range(self.config.steps):
            rng = np.random.default_rng([self.config.seed, step])
            pictures = [detection_picture(rng) for _ in range(self.config.batch_size)]
            # The network takes BGR.
            yield collate([jitter(np.ascontiguousarray(image[..., ::-1]), boxes, rng) for image, boxes in pictures])


def collate(samples: list[tuple[np.ndarray, np.ndarray]]) -> tuple[Tensor, Tensor]:
    """Images (B, 3, S, S) float32 in 0..255 and YOLOX's labels (B, N, 5): class 0, centre x, y, width, height.

    Rows of zeros fill up the images with fewer than N objects.
    """
    images = torch.from_numpy(np.stack([square for square, _ in samples])).permute(0, 3, 1, 2).float()
    labels = torch.zeros(len(samples), max(len(boxes) for _, boxes in samples), 5)
    for row, (_, boxes) in zip(labels, samples, strict=True):
        row[: len(boxes), 1:3] = torch.from_numpy(boxes[:, :2] + boxes[:, 2:]) / 2
        row[: len(boxes), 3:5] = torch.from_numpy(boxes[:, 2:] - boxes[:, :2])
    return images, labels


def new_embedded_yolox() -> YoloxModule:
    """An untrained YOLOX of one class with `DEPTH` and `WIDTH`.

    Raises:
        InputError: the `pixeltable-yolox` package is not installed.
    """
    try:
        from yolox.models import YoloPafpn, YoloxHead, YoloxModule
    except ImportError as error:
        raise InputError(f"training needs the package pixeltable-yolox ({error}): {INSTALLATION}") from error
    model = YoloxModule(YoloPafpn(DEPTH, WIDTH), YoloxHead(num_classes=1, width=WIDTH))
    model.head.initialize_biases(prior_prob=0.01)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eps, module.momentum = 1e-3, 0.03  # as in YOLOX's own configurations
    return model


def pretrain(config: PretrainYoloConfig) -> YoloxModule:
    """Train the embedded YOLOX and write it as ONNX; returns it in evaluation mode.

    It computes on one thread: the layers are so small that several would mostly wait for each other, and sums in one
    order give the same file each time.

    Raises:
        InputError: the `pixeltable-yolox` package is not installed; nothing is written then.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=FutureWarning, module="yolox")  # it uses an older torch's names
            model = _train(config)
    finally:
        torch.set_num_threads(threads)
    with atomic_write(config.output) as unfinished:
        export(model, unfinished)
    return model


def _train(config: PretrainYoloConfig) -> YoloxModule:
    torch.manual_seed(config.seed)
    model = new_embedded_yolox().to(memory_format=torch.channels_last)
    # One worker draws while the model trains.
    loader = DataLoader(JitteredPictures(config), batch_size=None, num_workers=1, prefetch_factor=4)
    weights = [p for p in model.parameters() if p.ndim >= 2]
    others = [p for p in model.parameters() if p.ndim < 2]
    groups = [{"params": weights, "weight_decay": config.weight_decay}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=config.learning_rate)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: warmup_cosine(step, config.warmup_steps, config.steps)
    )

    model.train()
    progress = tqdm(loader, total=config.steps, desc="training YOLOX")
    for images, labels in progress:
        losses = model(images.contiguous(memory_format=torch.channels_last), labels)
        optimizer.zero_grad(set_to_none=True)
        losses["total_loss"].backward()
        nn.utils.clip_grad_norm_(model.parameters(), 10.0)
        optimizer.step()
        schedule.step()
        progress.set_postfix(loss=f"{losses['total_loss'].item():.3f}")
    return model.eval()


def export(model: YoloxModule, path: Path) -> None:
    """Write the network in YOLOX's own ONNX form: input "images" (1, 3, S, S), output "output" (1, A, 6), raw."""
    model.head.decode_in_inference = False
    images = torch.zeros(1, 3, INPUT_SIZE, INPUT_SIZE)
    path.write_bytes(to_onnx(model, (images,), inputs=["images"], outputs=["output"]))


if __name__ == "__main__":
    with exit_on_input_error():
        pretrain(
            auto_cli(PretrainYoloConfig, args=sys.argv[1:], as_positional=False, prog="python -m pretraining.yolo")
        )
