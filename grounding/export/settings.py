"""export.json: what a program has to know of a run besides its networks, and what an export leaves out of it."""

from __future__ import annotations

from typing import Any

from grounding.clip_backbone import CONTEXT_LENGTH
from grounding.config import ModelConfig
from grounding.geometry import PADDING_RGB
from grounding.grounder import DenseGrounder

SETTINGS_FILE = "export.json"


def settings_of(config: ModelConfig, grounder: DenseGrounder, *, decoder_sha256: str) -> dict[str, Any]:
    """What export.json holds.

    Args:
        config: of the run.
        grounder: the loaded run, whose extraction may be another one than the configuration's.
        decoder_sha256: of the decoder's file, in hexadecimal.

    Returns:
        "weights" and "decoder_sha256", where the networks came from; "sizes", the sides in pixels of the squares that
        the image is letterboxed into, whose heatmaps are averaged; "padding_rgb", the colour around it;
        "output_stride" and "heatmap_stride", model pixels per cell of the dense embeddings and of a heatmap;
        "context_length", the most tokens of a phrase; "relative" and "absolute", the thresholds of the connected
        components that become boxes; "left_out", as `left_out` says.
    """
    return {
        "weights": grounder.weights,
        "decoder_sha256": decoder_sha256,
        "sizes": list(config.inference_sizes or (config.model_size,)),
        "padding_rgb": list(PADDING_RGB),
        "output_stride": config.output_stride,
        "heatmap_stride": config.heatmap_stride,
        "context_length": CONTEXT_LENGTH,
        "relative": grounder.extraction.relative,
        "absolute": grounder.extraction.absolute,
        "left_out": left_out(grounder),
    }


def left_out(grounder: DenseGrounder) -> list[str]:
    """What the run does on its way to an answer and its export does not, a sentence each."""
    sentences = []
    if grounder.flip:
        sentences.append(
            "the run asks the mirrored image as well (model.inference_flip) and averages the two heatmaps: "
            "the export asks the image as it is only"
        )
    extraction = grounder.extraction
    if extraction.method != "components":
        sentences.append(
            f"the run makes boxes by {extraction.method!r}: the export makes them by 'components', connected regions "
            f"above {extraction.relative:g} of the maximum"
        )
    return sentences
