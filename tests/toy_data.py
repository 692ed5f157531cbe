"""A tiny data set in RefCOCOg's layout: coloured rectangles on grey, made in a moment for each test."""

from __future__ import annotations

import json
import pickle
import shutil
from collections.abc import Callable, Collection
from pathlib import Path

import numpy as np
from PIL import Image

from grounding import ModelConfig
from grounding.model.decoder import DecoderConfig
from grounding.training.config import TrainConfig
from grounding.training.train import train
from tests.tiny_clip import save_tiny_clip

COLOURS = {"red": (200, 30, 30), "green": (30, 160, 60), "blue": (40, 60, 200)}


def write_toy_data(root: Path, images: dict[str, int] | None = None, *, seed: int = 0) -> Path:
    """Write images of two coloured rectangles with one or two phrases each; returns the root."""
    rng = np.random.default_rng(seed)
    (root / "images").mkdir(parents=True)
    (root / "annotations").mkdir()
    refs: list[dict] = []
    instances: dict[str, list[dict]] = {"images": [], "annotations": [], "categories": [{"id": 1, "name": "box"}]}
    sent_id = 0
    for split, count in (images or {"train": 6, "val": 3, "test": 3}).items():
        for _ in range(count):
            image_id = len(instances["images"]) + 1
            width, height = int(rng.integers(50, 90)), int(rng.integers(50, 90))
            pixels = np.full((height, width, 3), 120, dtype=np.uint8)
            name = f"toy_{image_id:03d}.png"
            for half, colour in enumerate(rng.permutation(list(COLOURS))[:2]):
                side = int(rng.integers(14, 22))
                x = int(rng.integers(0, width // 2 - side)) + half * (width // 2)
                y = int(rng.integers(0, height - side))
                pixels[y : y + side, x : x + side] = COLOURS[colour]
                ann_id = len(instances["annotations"]) + 1
                of_both = {"ann_id": ann_id, "image_id": image_id, "category_id": 1}
                instances["annotations"].append({"id": ann_id, "bbox": [x, y, side, side], **of_both})
                phrases = [f"the {colour} box", f"box in {colour}"][: 1 + half]
                sentences = [{"sent_id": sent_id + i, "sent": p, "raw": p, "tokens": p.split()}
                             for i, p in enumerate(phrases)]  # fmt: skip
                sent_id += len(phrases)
                refs.append({"ref_id": len(refs) + 1, "split": split, "file_name": f"toy_{image_id:03d}_{ann_id}.png",
                             "sent_ids": [s["sent_id"] for s in sentences], "sentences": sentences,
                             **of_both})  # fmt: skip
            Image.fromarray(pixels).save(root / "images" / name)
            instances["images"].append({"id": image_id, "file_name": name, "width": width, "height": height})
    (root / "annotations" / "instances.json").write_text(json.dumps(instances))
    (root / "annotations" / "refs(umd).p").write_bytes(pickle.dumps(refs, protocol=2))
    return root


def edit_toy_data(root: Path, edit: Callable[[list[dict], dict], object]) -> Path:
    """Let `edit` change the refs and instances of a toy data set, in place; returns the root."""
    refs_file, instances_file = root / "annotations" / "refs(umd).p", root / "annotations" / "instances.json"
    refs, instances = pickle.loads(refs_file.read_bytes()), json.loads(instances_file.read_text())
    edit(refs, instances)
    refs_file.write_bytes(pickle.dumps(refs, protocol=2))
    instances_file.write_text(json.dumps(instances))
    return root


def write_toy_sets(root: Path) -> Path:
    """Beside the toy data's refs: of each image a phrase for both boxes, one for the first, one for none; the root."""
    refs = pickle.loads((root / "annotations" / "refs(umd).p").read_bytes())
    of_images: dict[int, list[dict]] = {}
    for ref in refs:
        of_images.setdefault(ref["image_id"], []).append(ref)
    sets: list[dict] = []
    for image_id, own in of_images.items():
        ann_ids = [ref["ann_id"] for ref in own]
        for phrase, named in (("both boxes", ann_ids), ("the left box", ann_ids[:1]), ("a dog", [-1])):
            sentence = {"sent_id": len(sets), "sent": phrase}
            sets.append({"ref_id": len(sets), "ann_id": named, "image_id": image_id, "split": own[0]["split"],
                         "sentences": [sentence]})  # fmt: skip
    (root / "annotations" / "grefs(unc).json").write_text(json.dumps(sets))
    return root


def copy_with_noise_boxes(root: Path, copy: Path, image_ids: Collection[int], *, seed: int = 0) -> Path:
    """The data set again, with another box at random for every annotated object of the given images; returns `copy`."""
    rng = np.random.default_rng(seed)
    shutil.copytree(root, copy)
    path = copy / "annotations" / "instances.json"
    instances = json.loads(path.read_text())
    sizes = {image["id"]: (image["width"], image["height"]) for image in instances["images"]}
    for annotation in instances["annotations"]:
        if annotation["image_id"] in image_ids:
            width, height = sizes[annotation["image_id"]]
            x, y = int(rng.integers(0, width - 4)), int(rng.integers(0, height - 4))
            annotation["bbox"] = [x, y, int(rng.integers(4, width - x + 1)), int(rng.integers(4, height - y + 1))]
    path.write_text(json.dumps(instances))
    return copy


def make_trained_run(root: Path) -> Path:
    """Write toy data, a tiny CLIP and a run of one epoch into `root`, as data/, clip.pt and run/; returns it."""
    write_toy_data(root / "data")
    model = ModelConfig(
        clip=str(save_tiny_clip(root / "clip.pt")),
        model_size=64,
        decoder=DecoderConfig(width=16, blocks=1, queries=2, query_dim=8),
    )
    train(TrainConfig(root / "data", root / "run", model=model, epochs=1, warmup_steps=1, device="cpu"))
    return root
