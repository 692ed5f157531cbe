"""RefShapes on disk: RefCOCOg's layout (refs(umd).p) and gRefCOCO's (grefs(unc).json) on the same JPEG files."""

from __future__ import annotations

import gc
import json
import os
import pickle
import shutil
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image
from tqdm import tqdm

from grounding.data.refshapes.meaning import Description, the_only
from grounding.data.refshapes.phrases import absent, describe, say, several, single
from grounding.data.refshapes.scenes import Scene, make_scene
from grounding.data.refshapes.vocabulary import SHAPES
from grounding.geometry import box_xyxy_to_xywh
from grounding.runtime.errors import InputError

FORMAT_VERSION = 3  # part of every seed: raised when the generator changes, so that old folders are made anew
SPLITS = ("train", "val", "test")
RECIPE_FILE = "refshapes.json"  # what the folder was made from; written last
REFERRED, PHRASES_PER_OBJECT = 4, 2  # objects of a scene that phrases are written for, at most, and phrases for each
CROWD_WEIGHT = 2.0  # of an object that shares its shape with two or more others, when referred objects are drawn
SET_PHRASES = 2  # per scene
SLIP_SHARE = 0.04  # of phrases
SET_KINDS = {"several": 0.25, "absent": 0.25, "single": 0.5}
NOVEL_SCENE_SHARE = 0.4  # of test scenes
OCCLUDED, SMALL = 0.15, 0.1  # share hidden, and square root of the image's share covered, for the tags of these names
TAG_OF_CLUE = {"relation": "relation", "rank": "comparison", "size": "comparison", "place": "location"}


def write_refshapes(root: Path, *, train: int = 6000, val: int = 500, test: int = 1000, seed: int = 0) -> Path:
    """Write RefShapes, generated referring-expression scenes, in the layout of RefCOCOg.

    Everything is made in a folder beside it and renamed at the end: a killed run leaves nothing that looks whole, and
    a benchmark of other counts or another seed stays until the new one can take its place.

    Args:
        root: folder to make, and returned; where it holds exactly this benchmark already, it is kept.
        train: number of training images.
        val: number of validation images.
        test: number of test images.
        seed: the same seed and numbers of images give the same files.
    """
    images = {"train": train, "val": val, "test": test}
    if min(seed, *images.values()) < 0:
        raise InputError(f"seed {seed} and image counts {images} may not be negative: use 0 or more")
    root = Path(root).resolve()  # "." has no name that the folder beside it could take
    recipe = json.dumps({"benchmark": "RefShapes", "version": FORMAT_VERSION, "seed": seed, "images": images})
    if root.exists() and not root.is_dir():
        raise InputError(f"{root} is a file: give --root a new or an empty folder")
    content = {path.name for path in root.iterdir()} if root.is_dir() else set()
    if RECIPE_FILE in content and (root / RECIPE_FILE).read_bytes() == recipe.encode():
        return root
    foreign = content - {RECIPE_FILE, "annotations", "images"} if RECIPE_FILE in content else content
    if foreign:
        raise InputError(f"{root} holds {min(foreign)}, which is not RefShapes: give --root a new or an empty folder")

    unfinished = root.with_name(root.name + ".part")
    shutil.rmtree(unfinished, ignore_errors=True)
    (unfinished / "images").mkdir(parents=True)
    (unfinished / "annotations").mkdir()
    jobs = [(split, index) for split in SPLITS for index in range(images[split])]
    work = partial(_write_image, folder=unfinished / "images", seed=seed)
    with ProcessPoolExecutor(min(os.cpu_count() or 1, 8), initializer=_begin_worker) as pool:
        chunks = pool.map(work, jobs, chunksize=32)
        scenes = list(tqdm(chunks, total=len(jobs), desc="RefShapes", unit="image"))
    _write_annotations(unfinished / "annotations", scenes)
    (unfinished / RECIPE_FILE).write_bytes(recipe.encode())
    if root.exists():
        shutil.rmtree(root)
    unfinished.rename(root)
    return root


def _begin_worker() -> None:
    # A session of ONNX Runtime that is collected in a forked process, or OpenCV's threads that are used there, crash or
    # hang: such threads are in the parent only.
    gc.freeze()
    cv2.setNumThreads(0)


def make_split_scene(split: str, index: int, seed: int) -> tuple[Scene, np.random.Generator]:
    """Scene `index` of a split, from a seed of its own, and its generator in the state that goes on to phrases."""
    rng = np.random.default_rng([FORMAT_VERSION, seed, SPLITS.index(split), index])
    allow_novel = split == "test" and rng.random() < NOVEL_SCENE_SHARE
    return make_scene(rng, allow_novel=allow_novel), rng


def tags_of(description: Description, scene: Scene, target: int) -> list[str]:
    """What a result is broken down by: how the phrase makes its object the only one, and what the object is like."""
    item = scene.objects[target]
    height, width = scene.image.shape[:2]
    x1, y1, x2, y2 = item.box_xyxy
    looks_are_enough = the_only(Description(description.attributes), scene) == target
    tags = ["attribute" if looks_are_enough else TAG_OF_CLUE[description.clue]]
    if item.hidden >= OCCLUDED:
        tags.append("occluded")
    if (x2 - x1) * (y2 - y1) < SMALL**2 * width * height:
        tags.append("small")
    if item.is_novel:
        tags.append("novel")
    return tags


def _write_image(job: tuple[str, int], *, folder: Path, seed: int) -> dict[str, Any]:
    """Writes one JPEG; returns what the annotations say of it, identifiers still to be given."""
    split, index = job
    scene, rng = make_split_scene(split, index, seed)
    name = f"refshapes_{split}_{index:06d}.jpg"
    Image.fromarray(scene.image).save(folder / name, quality=int(rng.integers(60, 96)))
    referred: dict[int, dict[str, list[str]]] = {}
    for target in _referred(scene, rng):
        for _ in range(PHRASES_PER_OBJECT):
            description = describe(scene, target, rng)
            if description is not None:
                phrase = _typed(say(description, scene, rng), rng)
                referred.setdefault(target, {}).setdefault(phrase, tags_of(description, scene, target))
    boxes = [item.box_xyxy for item in scene.objects]
    return {"split": split, "file_name": name, "shape": scene.image.shape[:2], "boxes": boxes, "referred": referred,
            "shapes": [item.shape for item in scene.objects], "sets": _sets(scene, rng)}  # fmt: skip


def _referred(scene: Scene, rng: np.random.Generator) -> list[int]:
    """Indices of the objects that phrases are written for, in order: mostly those with others of their shape."""
    shapes = [item.shape for item in scene.objects]
    weights = np.array([CROWD_WEIGHT if shapes.count(shape) > 2 else 1.0 for shape in shapes])
    chosen = rng.choice(len(shapes), size=min(REFERRED, len(shapes)), replace=False, p=weights / weights.sum())
    return sorted(int(index) for index in chosen)


def _sets(scene: Scene, rng: np.random.Generator) -> list[tuple[str, list[int]]]:
    """Phrases with the indices of the objects that each fits."""
    found: dict[str, list[int]] = {}
    for kind in rng.choice(list(SET_KINDS), size=SET_PHRASES, p=list(SET_KINDS.values())):
        answer = {"several": several, "absent": absent, "single": single}[str(kind)](scene, rng)
        if answer is not None:
            found.setdefault(_typed(answer[0], rng), answer[1])
    return list(found.items())


def _typed(phrase: str, rng: np.random.Generator) -> str:
    """The phrase as somebody types it: now and then, in one of its longer words, a letter is missing or doubled."""
    if rng.random() >= SLIP_SHARE:
        return phrase
    words = phrase.split()
    long = [index for index, word in enumerate(words) if len(word) >= 5]
    if long:
        index = long[rng.integers(len(long))]
        word, at = words[index], int(rng.integers(1, len(words[index]) - 1))
        words[index] = word[:at] + (word[at + 1 :] if rng.random() < 0.5 else word[at] + word[at:])
    return " ".join(words)


def _write_annotations(folder: Path, scenes: list[dict[str, Any]]) -> None:
    refs: list[dict[str, Any]] = []
    grefs: list[dict[str, Any]] = []
    instances: dict[str, list[dict[str, Any]]] = {
        "images": [],
        "annotations": [],
        "categories": [{"id": number, "name": shape} for number, shape in enumerate(SHAPES, start=1)],
    }
    ref_sentences, set_sentences = count(), count()
    for image_id, scene in enumerate(scenes, start=1):
        height, width = scene["shape"]
        image = {"id": image_id, "file_name": scene["file_name"], "width": width, "height": height}
        instances["images"].append(image)
        first = len(instances["annotations"]) + 1
        category_ids = [SHAPES.index(shape) + 1 for shape in scene["shapes"]]
        for number, (box, category_id) in enumerate(zip(scene["boxes"], category_ids, strict=True)):
            box_xywh = [float(value) for value in box_xyxy_to_xywh(np.array(box))]
            annotation = {"id": first + number, "image_id": image_id, "category_id": category_id, "bbox": box_xywh,
                          "area": box_xywh[2] * box_xywh[3], "iscrowd": 0}  # fmt: skip
            instances["annotations"].append(annotation)
        for target, sentences in scene["referred"].items():
            names = {"ann_id": first + target, "category_id": category_ids[target]}
            refs.append(_ref(len(refs) + 1, image, scene["split"], names, sentences, ref_sentences))
        for phrase, targets in scene["sets"]:
            names = {
                "ann_id": [first + target for target in targets] or [-1],
                "category_id": [category_ids[target] for target in targets] or [-1],
            }
            grefs.append(_ref(len(grefs) + 1, image, scene["split"], names, {phrase: []}, set_sentences))
    with (folder / "refs(umd).p").open("wb") as file:
        pickle.dump(refs, file, protocol=2)
    (folder / "grefs(unc).json").write_text(json.dumps(grefs))
    (folder / "instances.json").write_text(json.dumps(instances))


def _ref(
    ref_id: int, image: dict[str, Any], split: str, names: dict[str, Any], sentences: dict[str, list[str]],
    sentence_ids: Iterator[int],
) -> dict[str, Any]:  # fmt: skip
    """One ref in the layout of the `refer` package, with the field "tags" beside each sentence's own."""
    said = [
        {"sent_id": next(sentence_ids), "sent": phrase, "raw": phrase, "tokens": phrase.split()}
        | ({"tags": tags} if tags else {})
        for phrase, tags in sentences.items()
    ]
    stem = Path(image["file_name"]).stem
    ann_id = names["ann_id"] if isinstance(names["ann_id"], int) else names["ann_id"][0]
    return {"ref_id": ref_id, "image_id": image["id"], "split": split, "file_name": f"{stem}_{ann_id}.jpg", **names,
            "sent_ids": [sentence["sent_id"] for sentence in said], "sentences": said}  # fmt: skip
