"""RefShapes on disk, in RefCOCOg's own layout: refs(umd).p, instances.json and JPEG files."""

from __future__ import annotations

import json
import os
import pickle
import shutil
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import chain
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from PIL import Image
from tqdm import tqdm

from grounding.data.refshapes.phrases import describe, say
from grounding.data.refshapes.scenes import Scene, make_scene
from grounding.data.refshapes.vocabulary import SHAPES
from grounding.errors import InputError
from grounding.geometry import box_xyxy_to_xywh

FORMAT_VERSION = 2  # part of every seed: raised when the generator changes, so that old folders are made anew
SPLITS = ("train", "val", "test")
# The benchmark's size. About three scenes in a hundred hold look-alikes only: nobody could say which one is meant, so
# they have no expressions, and 6,000, 500 and 1,000 images remain.
IMAGES = MappingProxyType({"train": 6250, "val": 525, "test": 1050})
RECIPE_FILE = "refshapes.json"  # what the folder was made from; written last
PHRASES_PER_OBJECT = 2
NOVEL_SCENE_SHARE = 0.4  # of test scenes


def write_refshapes(root: Path, images: Mapping[str, int], *, seed: int = 0) -> None:
    """Write the benchmark, or keep the folder where it already holds exactly this benchmark.

    Everything is made in a folder beside it and renamed at the end: a killed run leaves nothing that looks whole, and
    a benchmark of other counts or another seed stays until the new one can take its place.

    Args:
        root: folder to make.
        images: number of images of "train", "val" and "test".
        seed: the same seed, version and counts give the same files.

    Raises:
        InputError: the folder holds something else, is a file, or a number is negative.
    """
    images = {split: images.get(split, 0) for split in SPLITS}
    if min(seed, *images.values()) < 0:
        raise InputError(f"seed {seed} and image counts {images} may not be negative: use 0 or more")
    root = Path(root).resolve()  # "." has no name that the folder beside it could take
    recipe = json.dumps({"benchmark": "RefShapes", "version": FORMAT_VERSION, "seed": seed, "images": images})
    if root.exists() and not root.is_dir():
        raise InputError(f"{root} is a file: give --root a new or an empty folder")
    content = {path.name for path in root.iterdir()} if root.is_dir() else set()
    if RECIPE_FILE in content and (root / RECIPE_FILE).read_bytes() == recipe.encode():
        return
    foreign = content - {RECIPE_FILE, "annotations", "images"} if RECIPE_FILE in content else content
    if foreign:
        raise InputError(f"{root} holds {min(foreign)}, which is not RefShapes: give --root a new or an empty folder")

    unfinished = root.with_name(root.name + ".part")
    shutil.rmtree(unfinished, ignore_errors=True)
    (unfinished / "images").mkdir(parents=True)
    (unfinished / "annotations").mkdir()
    jobs = [(split, index) for split in SPLITS for index in range(images[split])]
    work = partial(_write_image, folder=unfinished / "images", seed=seed)
    with ProcessPoolExecutor(min(os.cpu_count() or 1, 8)) as pool:
        chunks = pool.map(work, jobs, chunksize=64)
        scenes = list(tqdm(chunks, total=len(jobs), desc="RefShapes", unit="image"))
    _write_annotations(unfinished / "annotations", scenes)
    (unfinished / RECIPE_FILE).write_bytes(recipe.encode())
    if root.exists():
        shutil.rmtree(root)
    unfinished.rename(root)


def make_split_scene(split: str, index: int, seed: int) -> tuple[Scene, np.random.Generator]:
    """Scene `index` of a split, and its generator in the state that continues it (for the phrases).

    Each scene has a seed of its own, of which the split is a part, so splits share no scene.
    """
    rng = np.random.default_rng([FORMAT_VERSION, seed, SPLITS.index(split), index])
    allow_novel = split == "test" and rng.random() < NOVEL_SCENE_SHARE
    return make_scene(rng, allow_novel=allow_novel), rng


def _write_image(job: tuple[str, int], *, folder: Path, seed: int) -> dict[str, Any]:
    """Writes one JPEG; returns what the annotations say of it, identifiers still to be given."""
    split, index = job
    scene, rng = make_split_scene(split, index, seed)
    name = f"refshapes_{split}_{index:06d}.jpg"
    Image.fromarray(scene.image).save(folder / name, quality=92)
    described = []
    for target, item in enumerate(scene.objects):
        sentences: dict[str, list[str]] = {}
        for _ in range(PHRASES_PER_OBJECT):
            description = describe(scene.objects, target, rng)
            if description is None:
                continue
            tags = ["relation" if description.relation else "attribute", *(["novel"] if item.is_novel else [])]
            sentences.setdefault(say(description, rng), tags)
        described.append((item, sentences))
    return {"split": split, "file_name": name, "shape": scene.image.shape[:2], "objects": described}


def _write_annotations(folder: Path, scenes: list[dict[str, Any]]) -> None:
    refs: list[dict[str, Any]] = []
    instances: dict[str, list[dict[str, Any]]] = {
        "images": [],
        "annotations": [],
        "categories": [{"id": number, "name": shape} for number, shape in enumerate(SHAPES, start=1)],
    }
    sentence_ids = iter(range(sum(len(s) for s in chain.from_iterable(_sentences(scene) for scene in scenes))))
    for image_id, scene in enumerate(scenes, start=1):
        height, width = scene["shape"]
        image = {"id": image_id, "file_name": scene["file_name"], "width": width, "height": height}
        instances["images"].append(image)
        for item, sentences in scene["objects"]:
            ann_id = len(instances["annotations"]) + 1
            category_id = SHAPES.index(item.shape) + 1
            box_xywh = [float(value) for value in box_xyxy_to_xywh(np.array(item.box_xyxy))]
            annotation = {"id": ann_id, "image_id": image_id, "category_id": category_id, "bbox": box_xywh,
                          "area": box_xywh[2] * box_xywh[3], "iscrowd": 0}  # fmt: skip
            instances["annotations"].append(annotation)
            if not sentences:
                continue
            said = [
                {"sent_id": next(sentence_ids), "sent": phrase, "raw": phrase, "tokens": phrase.split(), "tags": tags}
                for phrase, tags in sentences.items()
            ]
            stem = Path(scene["file_name"]).stem
            refs.append(
                {
                    "ref_id": len(refs) + 1,
                    "ann_id": ann_id,
                    "image_id": image_id,
                    "category_id": category_id,
                    "split": scene["split"],
                    "file_name": f"{stem}_{ann_id}.jpg",
                    "sent_ids": [sentence["sent_id"] for sentence in said],
                    "sentences": said,
                }
            )
    with (folder / "refs(umd).p").open("wb") as file:
        pickle.dump(refs, file, protocol=2)
    (folder / "instances.json").write_text(json.dumps(instances))


def _sentences(scene: dict[str, Any]) -> list[dict[str, list[str]]]:
    return [sentences for _, sentences in scene["objects"]]
