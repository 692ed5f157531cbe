"""What grows beyond one machine: `python -m benchmarks.scale`, with requirements-ray.txt installed.

Measured: the memory of a training without boxes from tar files, for ten times as many pairs; bulk grounding by one
process of Ray's and by two, which have to write the same bytes; how fast a core reads, decodes and scales a photograph.
Computed from these, from counted FLOPs and from assumptions that are named: training on ten million pairs, and
grounding a billion images.
"""

from __future__ import annotations

import hashlib
import io
import sys
import tarfile
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from PIL import Image
from tabulate import tabulate
from tqdm import tqdm

from benchmarks.measuring import Finding, flops_of, hardware, report, run, take_turns
from benchmarks.pages import write_between
from benchmarks.refcocog_cost import PEAKS, SHARES, step_of
from benchmarks.rehearsal import timed
from benchmarks.rn50 import MODEL_SIZE, RN50, new_phrases, random_grounder, random_rn50, write_photo
from grounding.clip.backbone import CLIP
from grounding.data.images import read_image
from grounding.geometry import Letterbox
from grounding.runtime.cli import parse
from grounding.training.config import TrainConfig

COMMAND = "python -m benchmarks.scale"
PARTS = ("pairs", "ray", "paper")
SIDE = 64  # pixels of the small images, and of the model's input for them
SHARD, SMALL_SHARD = 1000, 50  # images of a tar file; where two processes are to share few of them evenly
DISTINCT = 100  # images, which repeat under other names with other phrases
MOST_MEMORY = 1.1
# A CLIP that takes next to no time: what is looked at is how memory grows with what is read.
TINY = RN50 | dict(embed_dim=64, image_resolution=SIDE, vision_layers=(1, 1, 1, 1), vision_width=8,
                   transformer_width=64, transformer_heads=2, transformer_layers=2)  # fmt: skip
BEGIN, END = "<!-- Written by python -m benchmarks.scale -->", "<!-- End of benchmarks.scale -->"
GPU = "H100 SXM, bf16"
GPUS = 32  # four machines of eight
PAIRS, IMAGES = 10**7, 10**9
BYTES = 160_000  # of a photograph of COCO's, about


def main(
    pairs: int = 200_000,
    images: int = 1000,
    parts: Sequence[str] = PARTS,
    page: Path = Path("docs/performance.md"),
) -> None:
    """Measure and report.

    Args:
        pairs: of images and phrases that are trained on; and a tenth of them.
        images: that Ray's processes ground.
        parts: which of "pairs", "ray" and "paper".
        page: Markdown file with the two marks for what is computed.
    """
    with TemporaryDirectory() as folder:
        if "pairs" in parts:
            report([memory_of_pairs(Path(folder), pairs)], command=COMMAND)
        if "ray" in parts:
            report([efficiency(Path(folder), images)], command=COMMAND)
        if "paper" in parts:
            write_between(page, BEGIN, END, computed(Path(folder)))


def write_shards(folder: Path, count: int, shard: int = SHARD) -> Path:
    """Tar files of `count` small images with a phrase each, as WebDataset has them."""
    folder.mkdir()
    rng, contents = np.random.default_rng(0), []
    for _ in range(DISTINCT):
        file = io.BytesIO()
        Image.fromarray(rng.integers(0, 256, (6, 6, 3), dtype=np.uint8)).resize((SIDE, SIDE)).save(file, "JPEG")
        contents.append(file.getvalue())
    for first in tqdm(range(0, count, shard), desc="tar files"):
        with tarfile.open(folder / f"{first:09}.tar", "w") as tar:
            for number in range(first, min(first + shard, count)):
                phrase = f"the thing of number {number}".encode()
                for ending, content in (("jpg", contents[number % DISTINCT]), ("txt", phrase)):
                    info = tarfile.TarInfo(f"{number:09}.{ending}")
                    info.size = len(content)
                    tar.addfile(info, io.BytesIO(content))
    return folder


def memory_of_pairs(folder: Path, pairs: int) -> Finding:
    """Peak memory of an epoch over all pairs, over that of a tenth of them."""
    clip, measured = folder / "tiny.pt", {}
    torch.save(CLIP(**TINY).state_dict(), clip)
    for count in (pairs // 10, pairs):
        shards, output = write_shards(folder / f"pairs-{count}", count), folder / f"run-{count}"
        seconds, peak = timed([
            sys.executable, "train.py", "--config", "configs/refshapes-weak.yaml", "--data", str(shards),
            "--output", str(output), "--model.clip", str(clip), "--model.model_size", str(SIDE),
            "--model.inference_sizes", f"[{SIDE}]", "--model.output_stride", "32", "--images_per_batch", "200",
            "--epochs", "1", "--workers", "1", "--validation_subset", "null",
        ])  # fmt: skip
        measured[count] = seconds, peak / 2**20
    (fewer, (_, least)), (more, (seconds, most)) = measured.items()
    return Finding("scale.pairs_memory", most / least, MOST_MEMORY, False,
                   f"peak of {most:.0f} MiB for {more:,} pairs in tar files, {least:.0f} MiB for {fewer:,}; an epoch "
                   f"at {SIDE} pixels with a tiny CLIP took {seconds / 60:.0f} minutes")  # fmt: skip


def efficiency(folder: Path, images: int) -> Finding:
    """How much of two processes' time bulk grounding by Ray makes use of, beside one, with a thread each.

    What a twentieth of the images takes is taken off: the start of Ray and the loading of weights.

    Raises:
        SystemExit: they do not write the same bytes.
    """
    seconds: dict[tuple[int, int], float] = {}
    digests = set()
    for count in (images // 20, images):
        shards = write_shards(folder / f"requests-{count}", count, SMALL_SHARD)
        for workers in (1, 2):
            output = folder / f"answers-{count}-{workers}"
            seconds[workers, count], _ = timed([
                "env", "OMP_NUM_THREADS=1", sys.executable, "-m", "grounding.deployment.bulk", "--ray", "local",
                "--workers", str(workers), "--method", "refshapes", "--requests", str(shards), "--output", str(output),
                "--device", "cpu",
            ])  # fmt: skip
            answers = b"".join(path.read_bytes() for path in sorted(output.glob("*.jsonl")))
            digests.add((count, hashlib.sha256(answers).hexdigest()))
    if len(digests) != 2:
        raise SystemExit("error: one process and two wrote different answers")
    one, two = (seconds[workers, images] - seconds[workers, images // 20] for workers in (1, 2))
    detail = (
        f"the last {images - images // 20:,} of {images:,} images in {one:.0f} s by one process of one thread, in "
        f"{two:.0f} s by two; with the start {seconds[1, images]:.0f} and {seconds[2, images]:.0f} s; the same bytes; "
        "measured once"
    )
    return Finding("scale.ray_efficiency", one / (2 * two), None, True, detail)


def computed(folder: Path) -> str:
    """The page's table of work that no machine here can do."""
    photo = write_photo(folder / "photo.jpg", seed=1)
    letterbox = Letterbox.fit((640, 480), MODEL_SIZE)
    a_core = 1 / take_turns({"read": lambda: letterbox.apply(read_image(photo))}, rounds=100)["read"]
    clip = random_rn50()
    grounder = random_grounder(clip)
    answered = flops_of(lambda: grounder.ground(photo, new_phrases(4)))
    weak = parse(TrainConfig, "train", ["--config", "configs/refcocog-weak.yaml"])
    step = step_of(weak, clip)
    learned = (step.tower + step.trained) / weak.images_per_batch
    rows = []
    for work, count, flops in (
        ("an epoch of training without boxes", PAIRS, learned),
        ("grounding, 4 phrases each", IMAGES, answered),
    ):
        slow, fast = (PEAKS[GPU] * 1e12 * share / flops for share in SHARES)  # images a second of a GPU
        hours = (f"{count / each / GPUS / 3600:.1f}" for each in (fast, slow))
        cores = (f"{each / a_core:.0f}" for each in (slow, fast))
        rows.append([f"{work}, {count:,} images", f"{flops / 1e9:.0f}", " to ".join(hours), " to ".join(cores),
                     f"{GPUS * slow * BYTES / 1e9:.1f} to {GPUS * fast * BYTES / 1e9:.1f}",
                     f"{count * BYTES / 1e12:,.1f}"])  # fmt: skip
    columns = ("work", "GFLOP an image", f"hours on {GPUS} GPUs", "cores for each GPU", "GB/s read", "TB read")
    return (
        f"{GPUS} GPUs ({GPU}) that reach {SHARES[0]:.0%} to {SHARES[1]:.0%} of {PEAKS[GPU]} TFLOP/s, an assumption. A\n"
        f"core reads, decodes and scales {a_core:.0f} photographs of 640 x 480 a second ({hardware()}).\n"
        f"A file has {BYTES / 1000:.0f} kB.\n\n{tabulate(rows, columns, 'pipe')}"
    )


if __name__ == "__main__":
    run(main)
