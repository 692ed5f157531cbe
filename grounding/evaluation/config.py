"""All settings of a comparison."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pydantic import NonNegativeInt, PositiveInt

from grounding.clip.precision import Precision
from grounding.evaluation.registry import BOUNDS
from grounding.methods.config import ModelConfig
from grounding.methods.own import MethodNames
from grounding.methods.proposals import ProposalsConfig


@dataclass(frozen=True)
class EvaluateConfig:
    """Compare methods on every expression of a split.

    Attributes:
        methods: folders of training runs, "zero-shot", "gradcam", "yolo-clip", "reclip", CLIPs ("RN50", a file),
            "whole-image", "centred-box", "package.module:Class" of a method of your own, and files of boxes of other
            systems (.jsonl, or .json of COCO results); the others are held against the first.
        data: the data set, a folder or a table (docs/data.md); a command line need not name it beside a run, which
            remembers its own.
        output: folder for results.json, tables, plots, report.html and predictions; likewise, RUN/SPLIT.
        split_by: who made the split: "umd" or "google" (RefCOCOg), "unc" (RefCOCO, RefCOCO+).
        split: split to measure on; all of it is used.
        extraction_split: split on which each heatmap method's way to make boxes is chosen, unless the run brings its
            choice (extraction.yaml); null, or the split that is measured, leaves all as they are configured.
        extraction_images: at most so many images of it, the same ones every time.
        bounds: what to measure beside the methods: chance, and what perfect parts would reach.
        model: the CLIP and its input size where no method is a run; the first run's else.
        proposals: the detector of "yolo-clip", "reclip" and the bounds about proposals.
        images_per_batch: images that go through a method together; only the time depends on it.
        device: "auto" (a GPU if there is one) or "cpu".
        precision: what the methods compute in: "float32", so that a number does not depend on the machine;
            "bfloat16"; or "auto", the latter where the machine multiplies it natively.
        compiled: whether the image tower is compiled for this machine first, which pays for thousands of images.
        workers: processes that read images; 0 reads in this one.
    """

    methods: MethodNames
    data: Path
    output: Path
    split_by: str = "umd"
    split: str = "test"
    extraction_split: str | None = "val"
    extraction_images: PositiveInt = 100
    bounds: list[str] = field(default_factory=lambda: list(BOUNDS))
    model: ModelConfig = field(default_factory=ModelConfig)
    proposals: ProposalsConfig = field(default_factory=ProposalsConfig)
    images_per_batch: PositiveInt = 16
    device: Literal["auto", "cpu"] = "auto"
    precision: Precision = "float32"
    compiled: bool = False
    workers: NonNegativeInt = 0
