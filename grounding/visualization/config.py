"""Settings that the commands of visualize.py which ask methods have in common."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pydantic import NonNegativeInt, PositiveInt

from grounding.clip.precision import Precision
from grounding.extraction import ExtractionConfig
from grounding.methods.config import ModelConfig
from grounding.methods.proposal_clip import ScoringConfig
from grounding.methods.proposals.loading import ProposalsConfig


@dataclass(frozen=True)
class VisualizeConfig:
    """Draw what methods answer: about images of yours, a list of images with phrases, or a split of a data set.

    Attributes:
        methods: folders of training runs, "refshapes", or "zero-shot", "gradcam", "yolo-clip", "reclip".
        output: folder for the pictures.
        image: one image file, or a folder: all images in it are asked `phrases`.
        phrases: what to look for in `image`: one phrase, or several as '["the red car", "a dog"]'.
        pairs: JSON-lines file of images with phrases (`data.pairs`).
        data: root folder of a data set in RefCOCOg's layout: `count` expressions, each of another image, at random.
        split_by: who made the split: "umd" or "google" (RefCOCOg), "unc" (RefCOCO, RefCOCO+).
        split: split that they are drawn from.
        count: how many.
        seed: of the draw.
        format: of the pictures: "png", or "svg" or "pdf" for print.
        show: open each picture with the system's viewer as well.
        extraction: how boxes are made from heatmaps, in place of the methods' own ways.
        model: the CLIP and its input size for training-free methods where no method is a run; the first run's else.
        proposals: the detector of "yolo-clip" and "reclip".
        scoring: how CLIP looks at proposals.
        device: "auto" (a GPU if there is one) or "cpu".
        precision: "float32", "bfloat16", or "auto": the latter where the device multiplies it natively.
    """

    methods: list[str]
    output: Path
    image: Path | None = None
    phrases: list[str] | str = field(default_factory=list)
    pairs: Path | None = None
    data: Path | None = None
    split_by: str = "umd"
    split: str = "test"
    count: PositiveInt = 6
    seed: NonNegativeInt = 0
    format: Literal["png", "svg", "pdf"] = "png"
    show: bool = False
    extraction: ExtractionConfig | None = None
    model: ModelConfig = field(default_factory=ModelConfig)
    proposals: ProposalsConfig = field(default_factory=ProposalsConfig)
    scoring: ScoringConfig = field(default_factory=ScoringConfig)
    device: Literal["auto", "cpu"] = "auto"
    precision: Precision = "auto"
