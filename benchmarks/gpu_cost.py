"""What training with RN50 on RefCOCOg costs on GPUs that people have, by their datasheets."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from benchmarks.rn50 import RN50
from benchmarks.step_cost import Cost, batch_of, learner_of, step_cost
from grounding.clip.package import CLIP
from grounding.data.download import PUBLISHED
from grounding.errors import InputError
from grounding.training.config import TrainConfig

# Images of the split `umd`, which shares none between its parts: TensorFlow Datasets, catalogue entry `ref_coco`. Their
# sum is what `grounding.data.download` checks, and the sentences are taken from there.
IMAGES = {"train": 21_899, "val": 1_300, "test": 2_600}
SENTENCES = PUBLISHED["refcocog"].sentences
WORDS_PER_PHRASE = 8.4  # the same catalogue entry
ARITHMETIC_SHARE = (0.15, 0.40)  # of the peak, that a training step reaches
TRAFFIC_SHARE = (0.50, 0.80)  # of the bandwidth
FITS = 0.85  # of a GPU's memory; the CUDA context, workspaces and gaps between tensors need the rest


@dataclass(frozen=True)
class Gpu:
    """What its vendor's datasheet says.

    Attributes:
        name: as people call it.
        gigabytes: of memory.
        tera_flops: peak per second, without sparsity, by `mixed_precision`; "no" is float32, whose convolutions PyTorch
            does in TF32 where a GPU has that.
        gigabytes_per_second: of its memory.
        datasheet: its name.
    """

    name: str
    gigabytes: int
    tera_flops: dict[str, float]
    gigabytes_per_second: float
    datasheet: str


GPUS = (
    Gpu("T4 (free Colab)", 16, {"fp16": 65, "no": 8.1}, 320, "NVIDIA T4 Tensor Core GPU"),
    Gpu("A100 40 GB", 40, {"bf16": 312, "fp16": 312, "no": 156}, 1555, "NVIDIA A100 Tensor Core GPU"),
    Gpu("H100 SXM", 80, {"bf16": 989, "fp16": 989, "no": 494}, 3350, "NVIDIA H100 Tensor Core GPU"),
)


def config_cost(config: TrainConfig, phrases_per_image: float) -> Cost:
    """What one step of a configuration with RN50 costs; a few seconds."""
    if config.model.clip != "RN50":
        raise InputError(f"model.clip is {config.model.clip!r}: this page is about RN50 alone")
    fakes = FakeTensorMode(allow_non_fake_inputs=True)
    with torch.device("meta"):
        clip = CLIP(**RN50)
    learner = learner_of(config, clip, fakes=fakes)
    cost = step_cost(learner, batch_of(config, phrases_per_image, fakes=fakes), config.mixed_precision)
    trained = sum(each.numel() for each in learner.parameters())
    frozen = sum(each.numel() for each in (*clip.parameters(), *learner._encoder.dense.parameters()))
    tokens = WORDS_PER_PHRASE + 2  # the start token and the end token
    phrases = sum(SENTENCES[split] for split in ("train", "val"))
    bytes_per_phrase = 4 * RN50["embed_dim"] + tokens * (2 * RN50["transformer_width"] + 8)
    cost.trained = trained
    cost.static = {
        "trained weights, their running mean, AdamW's two moments": 4 * trained * 4,
        "frozen CLIP, and its image tower once more with batch norms folded": 4 * frozen,
        "phrases of train and val, encoded once": phrases * bytes_per_phrase,
    }
    return cost


def seconds(cost: Cost, gpu: Gpu, precision: str, share: int) -> float:
    """Of a step, with the lower (0) or the higher (1) share of the GPU's peaks."""
    peaks = {True: gpu.tera_flops["no"], False: gpu.tera_flops[precision]}
    arithmetic = sum(flops / peaks[float32] for (_, float32), flops in cost.flops.items()) / 1e12
    traffic = cost.traffic / (gpu.gigabytes_per_second * 1e9)
    return arithmetic / ARITHMETIC_SHARE[share] + traffic / TRAFFIC_SHARE[share]
