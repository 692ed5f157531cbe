"""From a method's scores to probabilities, and from these to an answer: several boxes, one, or none.

Platt 1999, "Probabilistic outputs for support vector machines", section 2: a logistic function of a score, with its
coefficients fitted on examples that nothing else was learned from. A box's probability depends on its own score and on
whether anything in the image fits the phrase.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import yaml
from scipy.special import expit, logit

from grounding.errors import InputError, SettingsError
from grounding.runtime.config_io import from_plain, plain, read_yaml
from grounding.runtime.files import write_text_atomic
from grounding.types import Grounding

CALIBRATION_FILE = "calibration.yaml"
LEAST = 1e-6  # scores of 0 and 1 have no logit


@dataclass(frozen=True)
class Calibration:
    """What a method's scores mean.

    Attributes:
        presence: slope and intercept: the logit of the probability that anything fits, from that of the raw presence.
        score: slope on the logit of a box's raw score, slope on that of the raw presence, and intercept: the logit of
            the probability that the box is right. The first is above 0, so that the order of boxes stays.
        threshold: on this probability: boxes that reach it are the answer.
    """

    presence: tuple[float, float]
    score: tuple[float, float, float]
    threshold: float

    def __post_init__(self) -> None:
        if not (np.isfinite([*self.presence, *self.score]).all() and self.score[0] > 0 and 0 <= self.threshold <= 1):
            raise SettingsError(
                f"the calibration has presence {self.presence}, score {self.score} and threshold {self.threshold}: "
                "give finite numbers, a first slope of score above 0, and a threshold in [0, 1]"
            )


def calibrated(answer: Grounding, calibration: Calibration) -> Grounding:
    """The same answer with probabilities for its scores and its presence, and with the calibration's threshold."""
    scores, presence = probabilities(answer.scores, answer.presence, calibration)
    return replace(answer, scores=scores, presence=presence, threshold=calibration.threshold)


def probabilities(scores: np.ndarray, presence: float, calibration: Calibration) -> tuple[np.ndarray, float]:
    """That each box is right (N,) float32, and that anything fits, from raw scores (N,) and the raw presence."""
    of_score, of_presence, shift = calibration.score
    slope, intercept = calibration.presence
    present = raw_logit(presence)
    right = expit(of_score * raw_logit(scores) + of_presence * present + shift)
    return np.asarray(right, dtype=np.float32), float(expit(slope * present + intercept))


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
    """That of a run folder; None where there is none.

    Raises:
        InputError: the file is damaged.
    """
    path = folder / CALIBRATION_FILE
    if not path.is_file():
        return None
    try:
        return from_plain(read_yaml(path), Calibration)
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path} is damaged ({error}): remove it, then make it again with train.py extraction"
        ) from error
