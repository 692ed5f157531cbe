"""What RefCOCOg asks of a GPU: `python -m benchmarks.refcocog_cost` writes a part of docs/performance.md."""

from __future__ import annotations

import csv
import math
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from jsonargparse import auto_cli

from benchmarks.gpu_cost import (
    ARITHMETIC_SHARE,
    FITS,
    GPUS,
    IMAGES,
    SENTENCES,
    TRAFFIC_SHARE,
    WORDS_PER_PHRASE,
    config_cost,
    seconds,
)
from benchmarks.pages import between
from benchmarks.step_cost import LONGEST_PHRASE, PARTS, Cost
from grounding.data.download import PUBLISHED
from grounding.errors import InputError
from grounding.runtime.cli import exit_on_input_error, parse
from grounding.runtime.files import write_text_atomic
from grounding.training.config import TrainConfig

CONFIGS = (Path("configs/refcocog.yaml"), Path("configs/refcocog-weak.yaml"), Path("configs/refcocog-mixed.yaml"))
FIGURES = Path(__file__).with_name("published_refcocog.csv")
GIB = 2**30

BEGIN, END = "<!-- Written by python -m benchmarks.refcocog_cost -->", "<!-- End of what it writes -->"
PAGE = Path(__file__).with_name("refcocog.md")
STEP_COLUMNS = ("configuration", "trained parameters", "steps an epoch", "epochs", *PARTS, "together", "in float32",
                "traffic, GB")  # fmt: skip
MEMORY_COLUMNS = ("configuration", "precision", "trained", "frozen", "phrases", "saved, mean batch",
                  "peak, mean batch", "saved, full batch", "peak, full batch", "needed")  # fmt: skip
TIME_COLUMNS = ("configuration", "GPU", "precision", "minutes an epoch, from", "to", "hours a run, from", "to",
                "images a second, from", "to", "full batch fits")  # fmt: skip
SAVING_COLUMNS = ("configuration", "option", "needed, GiB", "TFLOP a step")
SHEET_COLUMNS = ("GPU", "memory, GB", "bf16, TFLOP/s", "fp16", "float32 or TF32", "bandwidth, GB/s", "datasheet")


def main(output: Path = Path("docs/performance.md"), configs: tuple[Path, ...] = CONFIGS) -> None:
    """Write the tables between the page's two marks.

    Args:
        output: Markdown file with the marks.
        configs: configuration files whose section "train" is gone through.
    """
    if sum(IMAGES.values()) != PUBLISHED["refcocog"].images:
        raise InputError("the splits' images here and in grounding.data.download are not the same: correct one of them")
    steps, memory, times = [], [], []
    for path in configs:
        config = parse(TrainConfig, "train", ["--config", str(path)])
        steps_per_epoch = math.ceil(IMAGES["train"] / config.images_per_batch)
        most = config_cost(config, config.phrases_per_image)
        cost = config_cost(config, min(config.phrases_per_image, SENTENCES["train"] / IMAGES["train"]))
        parts = [f"{_flops(cost, part):.2f}" if _flops(cost, part) else "-" for part in PARTS]
        total, float32 = sum(cost.flops.values()), sum(f for (_, is_float32), f in cost.flops.items() if is_float32)
        steps.append([path.stem, f"{cost.trained:,}", f"{steps_per_epoch:,}", config.epochs, *parts,
                      f"{total / 1e12:.2f}", f"{float32 / total:.0%}", f"{cost.traffic / 1e9:.0f}"])  # fmt: skip
        static = [f"{size / GIB:.2f}" for size in most.static.values()]
        changing = [f"{size / GIB:.1f}" for each in (cost, most) for size in (each.saved, each.alive)]
        memory.append([path.stem, config.mixed_precision, *static, *changing, f"**{most.memory / GIB:.1f}**"])
        for gpu in GPUS:
            precision = config.mixed_precision if config.mixed_precision in gpu.tera_flops else "fp16"
            slow, fast = (seconds(cost, gpu, precision, share) for share in (0, 1))
            times.append([
                path.stem, gpu.name, precision, *(f"{steps_per_epoch * each / 60:.1f}" for each in (fast, slow)),
                *(f"{config.epochs * steps_per_epoch * each / 3600:.1f}" for each in (fast, slow)),
                *(f"{config.images_per_batch / each:.0f}" for each in (slow, fast)),
                "yes" if most.memory < FITS * gpu.gigabytes * 1e9 else "no: see below",
            ])  # fmt: skip
    savings = []
    for path in configs:
        config = parse(TrainConfig, "train", ["--config", str(path)])
        for option, changed in _smaller(config).items():
            cost = config_cost(changed, changed.phrases_per_image)
            savings.append([path.stem, option, f"{cost.memory / GIB:.1f}", f"{sum(cost.flops.values()) / 1e12:.2f}"])
    with FIGURES.open(newline="") as file:
        published = list(csv.reader(file))
    sheets = [[gpu.name, gpu.gigabytes, gpu.tera_flops.get("bf16", "none"), gpu.tera_flops["fp16"],
               gpu.tera_flops["no"], gpu.gigabytes_per_second, gpu.datasheet] for gpu in GPUS]  # fmt: skip
    tables = {
        "STEPS": _table(STEP_COLUMNS, steps),
        "MEMORY": _table(MEMORY_COLUMNS, memory),
        "TIMES": _table(TIME_COLUMNS, times),
        "SAVINGS": _table(SAVING_COLUMNS, savings),
        "SHEETS": _table(SHEET_COLUMNS, sheets),
        "PUBLISHED": _table(published[0], published[1:]),
        "DATA": _table(("split", "images", "expressions"),
                       [[split, f"{IMAGES[split]:,}", f"{SENTENCES[split]:,}"] for split in IMAGES]),
        "MEAN": f"{SENTENCES['train'] / IMAGES['train']:.2f}",
        "LONGEST": str(LONGEST_PHRASE),
        "WORDS": str(WORDS_PER_PHRASE),
        "FITS": f"{FITS:.0%}",
        "ARITHMETIC": " to ".join(f"{share:.0%}" for share in ARITHMETIC_SHARE),
        "TRAFFIC": " to ".join(f"{share:.0%}" for share in TRAFFIC_SHARE),
    }  # fmt: skip
    text = PAGE.read_text()
    for name, value in tables.items():
        text = text.replace(f"@{name}@", value)
    write_text_atomic(output, between(output, BEGIN, END, text.rstrip()))


def _smaller(config: TrainConfig) -> dict[str, TrainConfig]:
    """The configuration, and with one option each that asks for less."""
    model = config.model
    return {
        "as it is": config,
        "`--images_per_batch 8`": replace(config, images_per_batch=8),
        "`--phrases_per_image 3`": replace(config, phrases_per_image=3),
        "`--model.model_size 320`": replace(config, model=replace(model, model_size=320)),
        "`--model.output_stride 32`": replace(config, model=replace(model, output_stride=32)),
    }


def _flops(cost: Cost, part: str) -> float:
    return sum(flops for (its, _), flops in cost.flops.items() if its == part) / 1e12


def _table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


if __name__ == "__main__":
    with exit_on_input_error():
        auto_cli(main, args=sys.argv[1:], as_positional=False)
