"""The pictures of a hyper-parameter search, as PNG files, drawn by Optuna."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib import get_backend
from optuna.importance import PedAnovaImportanceEvaluator
from optuna.storages import RDBStorage
from optuna.study import Study, load_study
from optuna.trial import TrialState
from optuna.visualization import matplotlib as drawing

from grounding.training.search import STUDY_FILE, STUDY_NAME

DPI = 150
TARGET = "validation Acc@0.5"
ENOUGH_FOR_IMPORTANCES = 8  # finished trials; of fewer, chance decides which setting looks important


def draw_search(folder: Path) -> dict[str, Path]:
    """Draw what the search that `train.py tune` keeps in a folder has the trials for, beside it.

    Returns:
        Name of the plot -> its PNG file, 150 dpi.
    """
    storage = RDBStorage(f"sqlite:///{folder / STUDY_FILE}")
    backend = get_backend()
    plt.switch_backend("agg")  # no window, no display needed
    try:
        return _draw(load_study(storage=storage, study_name=STUDY_NAME), folder)
    finally:
        plt.switch_backend(backend)
        storage.remove_session()
        storage.engine.dispose()


def _draw(study: Study, folder: Path) -> dict[str, Path]:
    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    drawn: dict[str, Callable[[], Any]] = {}
    if complete:
        drawn["optimization_history"] = lambda: drawing.plot_optimization_history(study, target_name=TARGET)
        drawn["slices"] = lambda: drawing.plot_slice(study, target_name=TARGET)
        drawn["intermediate_values"] = lambda: drawing.plot_intermediate_values(study)
    if len(complete) >= ENOUGH_FOR_IMPORTANCES and len({trial.value for trial in complete}) > 1:
        # The one evaluator that needs no scikit-learn, whichever is the default.
        drawn["param_importances"] = lambda: drawing.plot_param_importances(
            study, evaluator=PedAnovaImportanceEvaluator(), target_name=TARGET
        )
    paths = {}
    for name, draw in drawn.items():
        # Optuna changes matplotlib's style for everyone who draws after it, and warns that its drawing may change.
        with warnings.catch_warnings(), plt.rc_context():
            warnings.simplefilter("ignore")
            axis = np.ravel(draw())[0]
            if name == "intermediate_values":
                axis.set(xlabel="epoch", ylabel=TARGET)
            paths[name] = folder / f"{name}.png"
            axis.figure.savefig(paths[name], dpi=DPI, bbox_inches="tight")
            plt.close(axis.figure)
    return paths
