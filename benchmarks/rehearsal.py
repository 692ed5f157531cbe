"""A dress rehearsal at RefCOCOg's full size: `python -m benchmarks.rehearsal --photos FOLDER --work DIR`.

RefCOCOg's photographs cannot be had everywhere, but its size can: as many images, sentences, annotations and bytes of
instances.json, made of whatever photographs are there under other names. What is said of them is nonsense; how long
checking, loading, training and comparing take, and how much memory, is not. RN50 has random weights.
"""

from __future__ import annotations

import json
import pickle
import shutil
import subprocess
import sys
import time
from contextlib import suppress
from itertools import count
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import numpy as np
import psutil
import torch
from PIL import Image
from tabulate import tabulate
from tqdm import tqdm

from benchmarks.claims import Claim, record
from benchmarks.measuring import hardware, run
from benchmarks.pages import write_between
from benchmarks.rn50 import random_rn50
from grounding.runtime.errors import InputError
from grounding.runtime.files import write_text_atomic

# RefCOCOg (umd): images and sentences of each split, and all annotations of its images in instances.json.
SPLITS = {"train": (21_899, 80_512), "val": (1_300, 4_896), "test": (2_600, 9_602)}
ANNOTATIONS = 184_000
POLYGON = 74  # coordinates of an outline, so that instances.json has the bytes of the real one, 119 MB
WORDS = (
    "the", "a", "red", "blue", "man", "woman", "dog", "cup", "left", "right", "of", "behind", "with", "sitting",
    "white", "striped", "shirt", "table", "big", "near",
)  # fmt: skip
TRAINING_STEPS, IMAGES_PER_BATCH = 50, 16
COMMAND = "python -m benchmarks.rehearsal --photos FOLDER"
PARTS = {
    "check": "`grounding.data.check`, every image decoded",
    "load": "loading the train split",
    "train": f"`train.py`: start, {TRAINING_STEPS} steps of {IMAGES_PER_BATCH} images at 448 pixels, validation",
    "compare": "`evaluate.py compare` on the whole test split, zero-shot and the centred box",
}
BEGIN, END = "<!-- Written by python -m benchmarks.rehearsal -->", "<!-- End of benchmarks.rehearsal -->"
OUTPUTS = {"train": "run", "compare": "compared"}  # folders in the working folder
LOADING = "from grounding import RefCOCOg; print(len(RefCOCOg({root!r}, 'train', group_by='image')))"


def main(
    photos: Path,
    work: Path = Path("runs/rehearsal"),
    share: float = 1.0,
    parts: list[str] | None = None,
    page: Path = Path("docs/performance.md"),
) -> None:
    """Make the data set once, then time each part in a process of its own.

    Args:
        photos: folder of JPEG photographs.
        work: folder for the data set, the runs and rehearsal.json.
        share: of the full size, above 0 and at most 1.
        parts: which of "check", "load", "train" and "compare"; all, where they are not given.
        page: Markdown file with the marks for the table, which is written at full size.

    Raises:
        InputError: there are no photographs, or a part fails.
    """
    root, clip = work / f"data-{share:g}", work / "RN50-random.pt"
    if not (root / "annotations" / "instances.json").is_file():
        make(root, sorted([*photos.glob("*.jpg"), *photos.glob("*.jpeg")]), share)
    if not clip.is_file():
        torch.save(random_rn50().model.state_dict(), clip)
    model = ["--model.clip", clip, "--device", "cpu"]
    if unknown := set(parts or []) - set(PARTS):
        raise InputError(f"parts has {', '.join(sorted(unknown))}: give some of {', '.join(PARTS)}")
    commands: dict[str, list[Any]] = {
        "check": ["-m", "grounding.data.check", "--data", root],
        "load": ["-c", LOADING.format(root=str(root))],
        "train": ["train.py", "--config", "configs/refcocog.yaml", "--data", root, *model, "--output",
                  work / OUTPUTS["train"], "--epochs", 1, "--workers", 1, "--mixed_precision", "no",
                  "--subset", max(1, round(share * TRAINING_STEPS)) * IMAGES_PER_BATCH,
                  "--validation_subset", max(1, min(8, round(share * SPLITS["val"][0])))],
        "compare": ["evaluate.py", "compare", "zero-shot", "--bounds", '["centred-box"]', "--data", root,
                    "--output", work / OUTPUTS["compare"], *model, "--model.model_size", 448,
                    "--extraction_split", "null"],
    }  # fmt: skip
    results_file = work / "rehearsal.json"
    results = json.loads(results_file.read_text()) if results_file.is_file() else {}
    results = {name: measured for name, measured in results.items() if measured["share"] == share}
    for name in parts or commands:
        if name in OUTPUTS:  # what was made before would not be made again
            shutil.rmtree(work / OUTPUTS[name], ignore_errors=True)
        seconds, peak = timed([sys.executable, *map(str, commands[name])])
        results[name] = {"seconds": round(seconds, 1), "peak_gb": round(peak / 1e9, 2), "share": share,
                         "machine": hardware()}  # fmt: skip
        write_text_atomic(results_file, json.dumps(results, indent=2) + "\n")
        print(f"{name:<8} {seconds:8.1f} s {peak / 1e9:6.2f} GB", flush=True)
    if share == 1:
        record(rehearsal_claims(results))
        write_between(page, BEGIN, END, table(results))


def rehearsal_claims(results: dict[str, Any]) -> dict[str, Claim]:
    """Time and memory of each part, as "rehearsal/PART seconds" and "rehearsal/PART peak GB"."""
    return {
        f"rehearsal/{part} {name}": Claim(measured[key], COMMAND)
        for part, measured in results.items()
        for name, key in (("seconds", "seconds"), ("peak GB", "peak_gb"))
    }


def table(results: dict[str, Any]) -> str:
    """Time and memory of each part that was measured, as Markdown."""
    rows = [(PARTS[part], f"{measured['seconds']:.0f}", f"{measured['peak_gb']:.1f}")
            for part, measured in results.items()]  # fmt: skip
    machine = "; ".join(dict.fromkeys(measured["machine"] for measured in results.values()))
    return f"\n{tabulate(rows, ['', 'seconds', 'peak GB'], 'github')}\n\n{machine}.\n"


def timed(command: list[str]) -> tuple[float, int]:
    """Seconds of a command, and the most bytes that it and its processes held at once, looked at ten times a second.

    Raises:
        InputError: it fails; its last line is quoted. A check that finds something is no failure.
    """
    began, peak = time.perf_counter(), 0
    with TemporaryFile("w+", encoding="utf-8", errors="replace") as said:
        process = subprocess.Popen(command, stdout=said, stderr=subprocess.STDOUT)
        watched = psutil.Process(process.pid)
        while process.poll() is None:
            with suppress(psutil.NoSuchProcess):
                family = [watched, *watched.children(recursive=True)]
                peak = max(peak, sum(each.memory_info().rss for each in family))
            time.sleep(0.1)
        seconds = time.perf_counter() - began
        if process.returncode and "grounding.data.check" not in command:
            said.seek(0)
            last = said.read().strip().rpartition("\n")[2]
            raise InputError(f"{' '.join(command)} failed: {last or 'it said nothing'}")
    return seconds, peak


def make(root: Path, photographs: list[Path], share: float) -> None:
    """A data set in RefCOCOg's layout: its numbers of everything, times `share`, from a few photographs.

    Raises:
        InputError: there is no photograph.
    """
    if not photographs:
        raise InputError("there are no .jpg files in the folder of photographs: name another one with --photos")
    sizes = [Image.open(path).size for path in photographs]
    rng = np.random.default_rng(0)
    (root / "annotations").mkdir(parents=True, exist_ok=True)
    (root / "images").mkdir(exist_ok=True)
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    refs: list[dict[str, Any]] = []
    sentence_ids = count()
    everything = sum(split[0] for split in SPLITS.values())
    for split, (image_count, sentence_count) in SPLITS.items():
        number = max(1, round(share * image_count))
        per_image = np.diff(np.linspace(0, round(share * sentence_count), number + 1).astype(int))
        for sentences in tqdm(per_image, desc=split, unit="image"):
            image_id = len(images) + 1
            which = int(rng.integers(len(photographs)))
            name = f"COCO_train2014_{image_id:012d}.jpg"
            if not (root / "images" / name).exists():
                shutil.copyfile(photographs[which], root / "images" / name)
            width, height = sizes[which]
            images.append({"id": image_id, "file_name": name, "width": width, "height": height})
            first = len(annotations) + 1
            for _ in range(round(ANNOTATIONS / everything)):
                box = (
                    rng.uniform((0, 0, 9, 9), (0.7 * width, 0.7 * height, 0.3 * width, 0.3 * height)).round(2).tolist()
                )
                polygon = rng.uniform(10, 400, POLYGON).round(2).tolist()
                annotations.append({"id": len(annotations) + 1, "image_id": image_id, "category_id": 1, "bbox": box,
                                    "area": box[2] * box[3], "iscrowd": 0, "segmentation": [polygon]})  # fmt: skip
            for offset in range(0, int(sentences), 2):  # two sentences an object
                said = [" ".join(rng.choice(WORDS, rng.integers(4, 13))) for _ in range(min(2, sentences - offset))]
                ann_id = first + min(offset // 2, round(ANNOTATIONS / everything) - 1)
                refs.append({"ref_id": len(refs) + 1, "ann_id": ann_id, "image_id": image_id, "category_id": 1,
                             "split": split, "file_name": f"{Path(name).stem}_{ann_id}.jpg",
                             "sentences": [{"sent_id": next(sentence_ids), "sent": each, "raw": each}
                                           for each in said]})  # fmt: skip
    (root / "annotations" / "refs(umd).p").write_bytes(pickle.dumps(refs, protocol=2))
    content = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "thing"}]}
    write_text_atomic(root / "annotations" / "instances.json", json.dumps(content))


if __name__ == "__main__":
    run(main)
