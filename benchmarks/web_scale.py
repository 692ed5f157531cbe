"""What ten million image-phrase pairs would cost: `python -m benchmarks.web_scale`, for docs/distributed.md.

Computed, not measured. A step of configs/refcocog-weak.yaml is gone through as `benchmarks.step_cost` does, with
one phrase an image; times are between the same two shares of a GPU's datasheet peaks. All else is an assumption, and
an argument.
"""

from __future__ import annotations

import sys
from pathlib import Path

from jsonargparse import auto_cli

from benchmarks.gpu_cost import GPUS, config_cost, seconds
from benchmarks.pages import between
from grounding.runtime.cli import exit_on_input_error, parse
from grounding.runtime.files import write_text_atomic
from grounding.training.config import TrainConfig

BEGIN, END = "<!-- Written by python -m benchmarks.web_scale -->", "<!-- End of what it writes -->"
CONFIG = Path("configs/refcocog-weak.yaml")
COLUMNS = ("GPU", "images a second, each", "reads, MB/s, each", "GPU hours", "days on 8", "price")


def main(
    pairs: int = 10_000_000,
    epochs: int = 3,
    kilobytes: float = 60.0,
    shard_gigabytes: float = 1.0,
    price: float = 2.0,
    output: Path = Path("docs/distributed.md"),
) -> None:
    """Write the table between the page's two marks.

    Args:
        pairs: images, each with one phrase.
        epochs: passes over them.
        kilobytes: of an image's file, as web data sets store them, the shorter side resized to about 450 pixels.
        shard_gigabytes: of one shard.
        price: of a GPU hour, in whatever currency.
        output: Markdown file with the marks.

    Raises:
        InputError: the page lacks a mark.
    """
    config = parse(TrainConfig, "train", ["--config", str(CONFIG)])
    cost = config_cost(config, 1.0)
    total_bytes = pairs * kilobytes * 1e3
    rows = []
    for gpu in GPUS:
        precision = config.mixed_precision if config.mixed_precision in gpu.tera_flops else "fp16"
        rates = sorted(config.images_per_batch / seconds(cost, gpu, precision, share) for share in (0, 1))
        hours = sorted(pairs * epochs / rate / 3600 for rate in rates)
        rows.append([gpu.name, _span(rates), _span([rate * kilobytes / 1e3 for rate in rates]), _span(hours),
                     _span([each / 8 / 24 for each in hours]), _span([each * price for each in hours])])  # fmt: skip
    lines = [
        f"{pairs:,} pairs, {epochs} epochs, {kilobytes:g} kB an image: {total_bytes / 1e9:,.0f} GB in "
        f"{total_bytes / 1e9 / shard_gigabytes:,.0f} shards of {shard_gigabytes:g} GB. GPU hours are pairs x epochs / "
        f"images a second / 3600; the price is these at {price:g} each.",
        "",
        f"| {' | '.join(COLUMNS)} |",
        f"| --- {'| --: ' * (len(COLUMNS) - 1)}|",
        *(f"| {' | '.join(row)} |" for row in rows),
    ]
    write_text_atomic(output, between(output, BEGIN, END, "\n".join(lines)))


def _span(values: list[float]) -> str:
    low, high = (f"{value:,.0f}" if value >= 10 else f"{value:.1f}" for value in values)
    return f"{low} to {high}"


if __name__ == "__main__":
    with exit_on_input_error():
        auto_cli(main, args=sys.argv[1:], as_positional=False, prog="python -m benchmarks.web_scale")
