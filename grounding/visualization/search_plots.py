"""The pictures of a hyper-parameter search, as PNG files, drawn by Optuna."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib import get_backend
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, NullFormatter
from optuna.distributions import BaseDistribution
from optuna.importance import PedAnovaImportanceEvaluator
from optuna.storages import RDBStorage
from optuna.study import Study, load_study
from optuna.trial import TrialState
from optuna.visualization import matplotlib as drawing

from grounding.training.search import STUDY_FILE, STUDY_NAME

DPI = 150
MARGIN = 0.05  # of an axis, beside the range that was searched
TARGET = "validation Acc@0.5"
COUNTED = ("optimization_history", "intermediate_values")  # over trials or epochs, of which there are no halves
ENOUGH_FOR_IMPORTANCES = 8  # finished trials; of fewer, chance decides which setting looks important


def draw_search(folder: Path) -> dict[str, Path]:
    """Draw what the search that `train.py tune` keeps in a folder has the trials for, beside it.

    Returns:
        Name of the plot -> its PNG file, 150 dpi.
    """
    storage = RDBStorage(f"sqlite:///{folder / STUDY_FILE}")
    try:
        return _draw(load_study(storage=storage, study_name=STUDY_NAME), folder)
    finally:
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
    backend = get_backend()
    plt.switch_backend("agg")  # no window, no display needed
    try:
        for name, draw in drawn.items():
            # Optuna changes matplotlib's style for everyone who draws after it, and warns that its drawing may change.
            with warnings.catch_warnings(), plt.rc_context():
                warnings.simplefilter("ignore")
                axes = np.ravel(draw())
                figure = axes[0].figure
                if name == "slices":
                    for axis in axes:
                        _show_range(axis, complete[-1].distributions.get(axis.get_xlabel()))
                elif name == "intermediate_values":
                    axes[0].set(xlabel="epoch", ylabel=TARGET)
                if name in COUNTED:
                    axes[0].xaxis.set_major_locator(MaxNLocator(integer=True))
                paths[name] = folder / f"{name}.png"
                figure.savefig(paths[name], dpi=DPI, bbox_inches="tight")
                plt.close(figure)
    finally:
        plt.switch_backend(backend)
    return paths


def _show_range(axis: Axes, searched: BaseDistribution | None) -> None:
    """The whole range on the axis: what was drawn from a part of it only then looks so."""
    low, high = (getattr(searched, end, None) for end in ("low", "high"))
    if low is None or high is None:
        return
    if axis.get_xscale() == "log":
        axis.set_xlim(low * (low / high) ** MARGIN, high * (high / low) ** MARGIN)
        axis.xaxis.set_minor_formatter(NullFormatter())
    else:
        axis.set_xlim(low - MARGIN * (high - low), high + MARGIN * (high - low))
