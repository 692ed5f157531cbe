"""What a method is made of: the part of a run's configuration that `grounding.load` needs."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from grounding.clip.backbone import EMBEDDED
from grounding.extraction import ExtractionConfig
from grounding.model.decoder import DecoderConfig
from grounding.runtime.config_io import PERMISSION, RUN_CONFIG, read_settings
from grounding.runtime.errors import InputError


@dataclass(frozen=True)
class ModelConfig:
    """The model that a phrase and an image go through.

    Attributes:
        clip: "embedded", "RN50", "RN101", "RN50x4", "RN50x16", or the path of a CLIP checkpoint.
        model_size: side in pixels of the square that images are letterboxed into; a multiple of 32.
        inference_sizes: input sizes at inference, whose heatmaps are averaged; none for model_size alone.
        inference_flip: whether mirrored images are asked mirrored phrases besides, unless no mirror leaves these true;
            their heatmaps are averaged too, so that the mirrored question has the mirrored answer.
        output_stride: of the dense embeddings: 32 as CLIP was trained, or 16 for twice as many positions of the same
            picture; a heatmap has four times as many along each side.
        decoder: what turns features into a heatmap.
        spatial_rules: whether a phrase's "left of", "leftmost" and the like act on similarity maps by rules
            (`methods.similarity_maps`); the convolutional decoder learns such words itself and takes none.
        extraction: how boxes are made from heatmaps; what `train.py extraction` chose for a run goes before it.
        trust_checkpoint: whether a CLIP in a TorchScript archive may run the archive's code, although OpenAI did not
            publish it; no run's own configuration can say so.

    Example:
        >>> model = grounding.ModelConfig(model_size=224, inference_sizes=(224, 320))
        >>> grounding.load("zero-shot", model=model).ground("scene.jpg", ["the circle"])[0].phrase
        'the circle'
    """

    clip: str = EMBEDDED
    model_size: int = 320
    inference_sizes: tuple[int, ...] = ()
    inference_flip: bool = False
    output_stride: Literal[16, 32] = 32
    decoder: DecoderConfig = field(default_factory=DecoderConfig)
    spatial_rules: bool = False
    extraction: ExtractionConfig = field(default_factory=ExtractionConfig)
    trust_checkpoint: bool = field(default=False, metadata=PERMISSION)

    @property
    def heatmap_stride(self) -> int:
        """Model pixels per cell of the heatmap."""
        return self.output_stride if self.decoder.kind == "adapters" else self.output_stride // 4


def read_model_config(folder: Path, *, trust_checkpoint: bool = False) -> ModelConfig:
    """The `model` section of a run's config.yaml.

    Its `trust_checkpoint` is as given: that permission is the user's to give, and not the file's.
    """
    path = folder / RUN_CONFIG
    if not path.is_file():
        raise InputError(f"{folder} is no run folder: it has no {RUN_CONFIG}; give the folder that train.py wrote")
    model = read_settings(path, ModelConfig, "restore it or train again", section="model")
    return replace(model, trust_checkpoint=trust_checkpoint)
