"""How quick a training step is: `python -m benchmarks.training_speed`, about five minutes on two cores.

The model of configs/refcocog.yaml with random weights, in float32 and without augmentation, on generated photographs of
RefCOCOg's size and number of phrases. Goal: a phrase costs at most half as much where all phrases of an image are one
item of a batch as where each brings its image (>= 2).
"""

from __future__ import annotations

import json
import pickle
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import cv2
import numpy as np
import torch
from jsonargparse import auto_cli
from PIL import Image
from torch.utils.data import DataLoader

from benchmarks.measuring import ROUNDS, Finding, peak_memory, report, take_turns
from benchmarks.rn50 import random_rn50
from grounding.clip.backbone import LoadedCLIP
from grounding.clip.encoder import Encoder
from grounding.data.batches import TrainingBatch, TrainingItems, collate
from grounding.data.refcocog import RefCOCOg
from grounding.model.build import decoder_for
from grounding.runtime.cli import exit_on_input_error, parse
from grounding.training.config import TrainConfig
from grounding.training.criterion import criterion_for

COMMAND = "python -m benchmarks.training_speed"
CONFIG = Path("configs/refcocog.yaml")
IMAGES = 16
PHRASES = (4, 4, 4, 3)  # of the images in turn; RefCOCOg's train split has 3.68 on average
IMAGES_PER_STEP = 4
PHRASES_PER_STEP = round(IMAGES_PER_STEP * sum(PHRASES) / len(PHRASES))
WIDTH, HEIGHT = 640, 480
PHRASE = "the tall man in the {} coat who stands left of {}"  # RefCOCOg's have 8.4 words on average
COLOURS = ("red", "green", "blue", "grey")

Way = Literal["image by phrase", "grouped"]
WAYS: tuple[Way, ...] = ("image by phrase", "grouped")


class Training:
    """A run that makes a step whenever it is called.

    Args:
        way: in which images and phrases come into batches.
        data: what `write_photographs` made.
        clip: the frozen CLIP.
    """

    def __init__(self, way: Way, data: Path, clip: LoadedCLIP) -> None:
        config: TrainConfig = parse(TrainConfig, "train", ["--config", str(CONFIG), "--data", str(data)])
        encoder = Encoder(clip, model_size=config.model.model_size, output_stride=config.model.output_stride)
        dataset = RefCOCOg(data, "train", group_by="sentence" if way == "image by phrase" else "image")
        self._items = TrainingItems(dataset, model_size=config.model.model_size, stride=config.model.heatmap_stride,
                                    phrases_per_image=config.phrases_per_image, seed=0)  # fmt: skip
        encoder.encode_phrases.remember(sorted(self._items.phrases))
        torch.manual_seed(0)
        self._criterion = criterion_for(encoder, decoder_for(encoder, config.model.decoder), config.losses)
        self._optimizer = torch.optim.AdamW(self._criterion.parameters(), lr=config.learning_rate, fused=True)
        self._clip_norm = config.clip_norm
        self._size = PHRASES_PER_STEP if way == "image by phrase" else IMAGES_PER_STEP
        self._batches = self._endless_batches()
        self.steps = self.phrases = 0

    def __call__(self) -> None:
        batch = next(self._batches)
        torch.stack(list(self._criterion(batch).values())).sum().backward()
        torch.nn.utils.clip_grad_norm_(self._criterion.parameters(), self._clip_norm)
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        self.steps += 1
        self.phrases += len(batch.phrases)

    def _endless_batches(self) -> Iterator[TrainingBatch]:
        while True:
            # Whole batches only, so that all steps are alike.
            yield from DataLoader(self._items, self._size, shuffle=True, collate_fn=collate, drop_last=True)
            self._items.epoch += 1


def main(rounds: int = ROUNDS) -> None:
    """Compare steps of two ways to train, and the memory that each takes.

    Args:
        rounds: in each of them every way makes one step.
    """
    with TemporaryDirectory() as folder:
        data = write_photographs(Path(folder) / "data")
        memory = {way: _in_fresh_process(memory_of, way, data) for way in WAYS}
        clip = random_rn50()
        trainings = {way: Training(way, data, clip) for way in WAYS}
        seconds = take_turns(dict(trainings.items()), rounds=rounds)
    by_phrase = {way: seconds[way] * each.steps / each.phrases for way, each in trainings.items()}
    told = [f"{way} {1000 * by_phrase[way]:.0f} ms, peak {memory[way] / 1e9:.2f} GB" for way in WAYS]
    detail = f"a phrase's share of a step, medians: {'; '.join(told)}; RN50 at 448 px, output stride 16, float32"
    ratio = by_phrase["image by phrase"] / by_phrase["grouped"]
    report([Finding("training_speed.grouped", ratio, 2, True, detail)], command=COMMAND)


def memory_of(way: Way, data: Path) -> int:
    """The most bytes that this process has held after two steps."""
    training = Training(way, data, random_rn50())
    training()
    training()
    return peak_memory()


def write_photographs(root: Path, *, seed: int = 0) -> Path:
    """JPEG files of smooth noise with phrases and boxes, in RefCOCOg's layout; returns the root."""
    rng = np.random.default_rng(seed)
    (root / "images").mkdir(parents=True)
    (root / "annotations").mkdir()
    refs: list[dict[str, Any]] = []
    instances: dict[str, list[dict[str, Any]]] = {
        "images": [], "annotations": [], "categories": [{"id": 1, "name": "person"}]
    }  # fmt: skip
    for image_id in range(IMAGES):
        coarse = rng.integers(0, 256, (HEIGHT // 16, WIDTH // 16, 3), dtype=np.uint8)
        name = f"{image_id:012d}.jpg"
        photograph = cv2.resize(coarse, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
        Image.fromarray(photograph).save(root / "images" / name, quality=92)
        instances["images"].append({"id": image_id, "file_name": name, "width": WIDTH, "height": HEIGHT})
        for number in range(PHRASES[image_id % len(PHRASES)]):
            ann_id = len(refs)
            box = [*(rng.uniform(0, 0.5, 2) * (WIDTH, HEIGHT)), *(rng.uniform(0.1, 0.5, 2) * (WIDTH, HEIGHT))]
            instances["annotations"].append({"id": ann_id, "image_id": image_id, "category_id": 1, "bbox": box})
            phrase = PHRASE.format(COLOURS[number], image_id)
            sentence = {"sent_id": ann_id, "sent": phrase, "raw": phrase, "tokens": phrase.split()}
            refs.append({"ref_id": ann_id, "ann_id": ann_id, "image_id": image_id, "category_id": 1, "split": "train",
                         "file_name": name, "sent_ids": [ann_id], "sentences": [sentence]})  # fmt: skip
    (root / "annotations" / "instances.json").write_text(json.dumps(instances))
    with (root / "annotations" / "refs(umd).p").open("wb") as file:
        pickle.dump(refs, file, protocol=2)
    return root


def _in_fresh_process(measure: Callable[[Way, Path], int], way: Way, data: Path) -> int:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(measure, way, data).result()


if __name__ == "__main__":
    with exit_on_input_error():
        auto_cli(main, args=sys.argv[1:], as_positional=False)
