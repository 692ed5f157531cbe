"""What training on RefCOCOg asks of a GPU: `python -m benchmarks.refcocog_cost`, for docs/performance.md.

Arithmetic, nothing is trained: PyTorch counts the FLOPs of a real forward pass of each configuration, with RN50's
architecture on two images; the rest follows from datasheets and from the assumptions that are named here.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from tabulate import tabulate
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.measuring import flops_of, run
from benchmarks.pages import write_between
from benchmarks.rn50 import RN50, batch_of, random_rn50
from grounding.clip.backbone import LoadedCLIP
from grounding.clip.encoder import Encoder
from grounding.model.decoder import decoder_for
from grounding.runtime.cli import parse
from grounding.training.config import TrainConfig
from grounding.training.criterion import TrainingCriterion

BEGIN, END = "<!-- Written by python -m benchmarks.refcocog_cost -->", "<!-- End of what it writes -->"
CONFIGS = ("refcocog", "refcocog-weak")
SMALLER = (
    "--model.decoder.lora_rank 0",
    "--images_per_batch 8",
    "--model.model_size 320",
    "--model.output_stride 32",
)  # of the first of them
# The split `umd` of RefCOCOg, by TensorFlow Datasets' catalogue: phrases of train and val, tokens of one on average.
TRAIN_IMAGES, PHRASES, TOKENS = 21_899, 80_512 + 4_896, 8.4 + 2
# Peak TFLOP/s of half precision without sparsity, by NVIDIA's datasheets.
PEAKS = {"T4 (free Colab), fp16": 65, "A100, bf16": 312, "H100 SXM, bf16": 989}
SHARES = (0.05, 0.20)  # of the peak that a training step reaches: an assumption
# Times the forward FLOPs of what is trained: a gradient for its inputs and one for its weights. Not counted: PyTorch's
# counter takes the backward pass of a depthwise convolution for that of a full one.
BACKWARD = 2
MEASURED = 2  # images in the forward pass that is counted; all grows with their number
EXPLAINED = f"""\
TFLOP of a step, `phrases_per_image` phrases for every image, a multiply-add being two. *Trained* is all but CLIP's
image tower forward: decoder and losses, taken {1 + BACKWARD} times for the backward pass, and where low-rank updates of
the tower are learned, {BACKWARD} times its last two stages. Where these are held to CLIP's own embeddings, the tower
runs twice. *Constant*: weights, gradients, running mean and optimiser of what is trained, frozen CLIP, features of all
phrases. *Saved*: activations for the backward pass. What lives for a
moment, and CUDA itself, come on top."""
ASSUMED = f"""\
Time if {SHARES[0]:.0%} to {SHARES[1]:.0%} of a GPU's peak ({"; ".join(f"{gpu}: {peak}" for gpu, peak in PEAKS.items())}
TFLOP/s by the datasheets) are reached, an assumption, and reading images is no limit."""


@dataclass(frozen=True)
class Step:
    """One training step: numbers that are trained; FLOPs of the tower forward and of all else, backward included;
    bytes that stay from step to step, and that the forward pass keeps for the backward pass."""

    parameters: int
    tower: float
    trained: float
    constant: float
    saved: float


def step_of(config: TrainConfig, clip: LoadedCLIP) -> Step:
    """Count a forward pass on `MEASURED` images, and scale it to a batch.

    Args:
        config: of the run; its mixed precision is imitated on the CPU.
        clip: any of the architecture that the configuration names; its weights do not matter.
    """
    encoder = Encoder(clip, model_size=config.model.model_size, output_stride=config.model.output_stride)
    criterion = TrainingCriterion(encoder, decoder_for(encoder, config.model.decoder), config.losses)
    batch = batch_of(
        config.model.model_size, config.model.heatmap_stride, MEASURED, config.phrases_per_image * MEASURED
    )
    encoder.encode_phrases(batch.phrases)  # as in training, once for all steps: the criterion looks them up
    weights = {each.data_ptr() for each in criterion.parameters()}
    saved: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            saved[storage.data_ptr()] = storage.nbytes()
        return tensor

    autocast = torch.autocast("cpu", torch.bfloat16, enabled=config.mixed_precision != "no")
    with FlopCounterMode(display=False) as whole, autocast, saved_tensors_hooks(keep, lambda tensor: tensor):
        losses = criterion(batch)  # which keep what is saved where it is
    updated = updated_flops(encoder, MEASURED) if config.model.decoder.lora_rank else 0
    towers = 2 if updated and config.losses.distance_weight else 1  # one more, for CLIP's own embeddings
    tower = towers * tower_flops(encoder, MEASURED)
    decoder = whole.get_total_flops() - tower
    trained = sum(each.numel() for each in criterion.parameters())
    frozen = sum(each.numel() for part in (clip.model, encoder.dense) for each in part.parameters())
    features = PHRASES * (4 * RN50["embed_dim"] + TOKENS * (2 * RN50["transformer_width"] + 8))
    constant = 4 * (5 * trained + frozen) + features  # float32: weight, gradient, running mean, AdamW's two moments
    batches, kept = config.images_per_batch / MEASURED, sum(saved.values()) if losses else 0
    learning = (1 + BACKWARD) * decoder + BACKWARD * updated
    return Step(trained, batches * tower, batches * learning, constant, batches * kept)


def tower_flops(encoder: Encoder, images: int) -> int:
    """FLOPs of the image tower at the encoder's size."""
    squares = torch.zeros(images, encoder.model_size, encoder.model_size, 3, dtype=torch.uint8)
    return flops_of(lambda: encoder.encode_squares(squares))


def updated_flops(encoder: Encoder, images: int) -> int:
    """FLOPs of the tower's stages that learn low-rank updates (`lora.STAGES`), forward, and of what follows them."""
    visual = encoder.dense.visual
    pixels = torch.zeros(images, 3, encoder.model_size, encoder.model_size, dtype=visual.conv1.weight.dtype)
    with torch.no_grad(), FlopCounterMode(display=False) as before:
        x = visual.conv3(visual.conv2(visual.conv1(pixels)))
        visual.layer2(visual.layer1(visual.avgpool(x)))
    return tower_flops(encoder, images) - int(before.get_total_flops())


def section(configs: dict[str, TrainConfig], clip: LoadedCLIP) -> str:
    """The page's two tables in Markdown, of configurations by name; `clip` as in `step_of`."""
    costs, times = [], []
    for name, config in configs.items():
        step = step_of(config, clip)
        parts = [step.tower, step.trained]
        costs.append([name, step.parameters / 1e6, *(each / 1e12 for each in (*parts, sum(parts))),
                      step.constant / 2**30, step.saved / 2**30])  # fmt: skip
        for gpu, peak in PEAKS.items():
            slow, fast = (peak * 1e12 * share / sum(parts) * config.images_per_batch for share in SHARES)  # images / s
            minutes, hours = TRAIN_IMAGES * config.epochs / 60, 1e7 / 3600
            times.append([name, gpu, f"{slow:,.0f} to {fast:,.0f}", f"{minutes / fast:.0f} to {minutes / slow:.0f}",
                          f"{hours / fast:.0f} to {hours / slow:.0f}"])  # fmt: skip
    step_columns = ("configuration", "million parameters", "tower", "trained", "step", "constant, GiB", "saved, GiB")
    time_columns = ("configuration", "GPU", "images a second", "minutes a run", "hours for 10 million images")
    return "\n\n".join((EXPLAINED, tabulate(costs, step_columns, "pipe", floatfmt=".2f"), ASSUMED,
                        tabulate(times, time_columns, "pipe")))  # fmt: skip


def main(output: Path = Path("docs/performance.md")) -> None:
    """Write the tables between the two marks of a Markdown file; a minute or two on a CPU."""
    words = {name: ["--config", f"configs/{name}.yaml"] for name in CONFIGS}
    words |= {f"{CONFIGS[0]}, `{each}`": [*words[CONFIGS[0]], *each.split()] for each in SMALLER}
    configs = {name: parse(TrainConfig, "train", each) for name, each in words.items()}
    write_between(output, BEGIN, END, section(configs, random_rn50()))


if __name__ == "__main__":
    run(main)
