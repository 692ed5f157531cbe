"""From a method's scores to probabilities, and from these to an answer: several boxes, one, or none.

Platt 1999, "Probabilistic outputs for support vector machines", section 2: a logistic function of a score, with its
coefficients fitted on examples that nothing else was learned from.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, TypeVar

import numpy as np
import numpy.typing as npt
import torch
import yaml
from pydantic import Field, FiniteFloat
from scipy.special import expit, logit
from torchvision.ops import nms

from grounding.clip.backbone import EMBEDDED
from grounding.extraction import ExtractionConfig
from grounding.methods.config import ModelConfig
from grounding.runtime.config_io import plain, read_settings
from grounding.runtime.files import write_text_atomic
from grounding.types import Grounding

CALIBRATION_FILE = "calibration.yaml"
EMBEDDED_CALIBRATION = Path(__file__).parents[1] / "weights" / "embedded_calibration.yaml"
ONE_OBJECT_IOU = 0.3  # boxes that overlap more are taken for one object
LEAST = 1e-6  # scores of 0 and 1 have no logit
Probability = Annotated[float, Field(ge=0, le=1)]
Answer = TypeVar("Answer", bound=Any)  # a dataclass that has boxes_xyxy, scores, presence and found, as `Grounding`


@dataclass(frozen=True)
class Calibration:
    """What a method's scores mean.

    Attributes:
        presence: slope and intercept: the logit of the probability that anything fits the phrase, from that of the raw
            presence.
        score: slope, above 0 so that the order of boxes stays, and intercept: the logit of the probability that a box
            is right where anything fits, from that of its raw score.
        least_presence: below this probability nothing is the answer.
        least_score: what boxes other than the best must reach to be in the answer.
    """

    presence: tuple[FiniteFloat, FiniteFloat]
    score: tuple[Annotated[FiniteFloat, Field(gt=0)], FiniteFloat]
    least_presence: Probability
    least_score: Probability


def calibrated(answer: Answer, calibration: Calibration) -> Answer:
    """The same answer with probabilities for its scores and its presence, and the boxes that are found by them."""
    (of_score, shift), (slope, intercept) = calibration.score, calibration.presence
    scores = np.asarray(expit(of_score * raw_logit(answer.scores) + shift), dtype=np.float32)
    presence = float(expit(slope * raw_logit(answer.presence) + intercept))
    found = found_by(answer.boxes_xyxy, scores, presence, calibration)
    return replace(answer, scores=scores, presence=presence, found=found)


def with_cosines(answer: Grounding) -> Grounding:
    """The same answer of an uncalibrated similarity map with cosines for its scores, 0 where they are below.

    The map was stretched, so that by its heat the best box of every phrase would have a score near 1, of one that fits
    nothing too. It gets the phrase's cosine with the image, which the raw presence is made of; the others less, by
    their heat.
    """
    cosine = max(0.0, 2 * answer.presence - 1)
    best = max(float(answer.scores[0]), LEAST)
    return replace(answer, scores=(answer.scores * (cosine / best)).astype(np.float32))


def embedded_calibration(name: str, model: ModelConfig) -> Calibration | None:
    """That of a method without training around the embedded CLIP, fitted by `python -m pretraining.calibration`.

    None with another CLIP or another way to make boxes, which nobody has calibrated.
    """
    if model.clip != EMBEDDED or model.extraction != ExtractionConfig() or model.spatial_rules:
        return None
    return read_settings(EMBEDDED_CALIBRATION, Calibration, "install this package again", section=name)


def found_by(boxes_xyxy: np.ndarray, scores: np.ndarray, presence: float, calibration: Calibration) -> tuple[int, ...]:
    """Indices of the boxes (N, 4), best first, that are the answer by their probabilities (N,) and that of presence:
    none, or the best and all that are apart from it and as good."""
    if presence < calibration.least_presence:
        return ()
    boxes, values = torch.from_numpy(np.ascontiguousarray(boxes_xyxy)), torch.from_numpy(np.ascontiguousarray(scores))
    apart = nms(boxes.float(), values.float(), ONE_OBJECT_IOU).tolist()
    return tuple(index for index in apart if index == apart[0] or scores[index] >= calibration.least_score)


def raw_logit(values: npt.ArrayLike) -> np.ndarray:
    """Logits of scores in [0, 1], as large as `LEAST` allows."""
    return np.asarray(logit(np.clip(np.asarray(values, dtype=np.float64), LEAST, 1 - LEAST)))


def save_calibration(folder: Path, calibration: Calibration | None) -> None:
    """Keep it in a run folder, in place of an earlier one; without one, none stays there."""
    if calibration is None:
        (folder / CALIBRATION_FILE).unlink(missing_ok=True)
    else:
        write_text_atomic(folder / CALIBRATION_FILE, yaml.safe_dump(plain(calibration), sort_keys=False))


def read_calibration(folder: Path) -> Calibration | None:
    """That of a run folder; None where there is none. InputError: the file is damaged."""
    path = folder / CALIBRATION_FILE
    if not path.is_file():
        return None
    return read_settings(path, Calibration, "remove it, then make it again with train.py extraction")
