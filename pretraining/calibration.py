"""What the embedded CLIP's scores mean where nothing was trained: `python -m pretraining.calibration`."""

from __future__ import annotations

import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import yaml
from jsonargparse import auto_cli

from grounding.data.refcocog import GRefCOCO, RefCOCOg
from grounding.evaluation.compare_sets import set_answers
from grounding.evaluation.sets import fit_calibration
from grounding.methods.calibration import EMBEDDED_CALIBRATION
from grounding.methods.dense import DenseGrounder
from grounding.methods.load import load
from grounding.methods.names import GRADCAM, ZERO_SHOT
from grounding.runtime.cli import exit_on_input_error
from grounding.runtime.config_io import plain
from grounding.runtime.files import write_text_atomic

IMAGES_PER_BATCH = 8


def main(data: Path = Path("data/refshapes"), output: Path = EMBEDDED_CALIBRATION) -> None:
    """Fit the calibrations of "zero-shot" and "gradcam" on the val split.

    The answer stays the best box, whatever is there: a threshold on presence that is best for the accuracy of sets
    would withhold nearly all answers of methods that are seldom right.

    Args:
        data: root folder of RefShapes.
        output: file for them; an earlier one is replaced.
    """
    fitted = {}
    for name in (ZERO_SHOT, GRADCAM):
        grounder = load(name, precision="float32")
        assert isinstance(grounder, DenseGrounder)
        grounder.raw_scores = True
        ask = partial(set_answers, grounder, images_per_batch=IMAGES_PER_BATCH, workers=0)
        calibration = fit_calibration(ask(GRefCOCO(data, "val")), ask(RefCOCOg(data, "val", group_by="image")))
        fitted[name] = plain(replace(calibration, least_presence=0.0, least_score=1.0))
    write_text_atomic(output, yaml.safe_dump(fitted, sort_keys=False))


if __name__ == "__main__":
    with exit_on_input_error():
        auto_cli(main, args=sys.argv[1:], as_positional=False)
