"""`visualize.py curves`: how training went, of one run or of several beside each other.

A panel per loss, the learning rate, and a panel per validation measure.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from grounding.errors import InputError
from grounding.methods.names import method_names
from grounding.runtime.config_io import refuse_wrong_values
from grounding.training.run_folder import EPOCH_TAGS, LEARNING_RATE, STEP_TAGS, TOTAL_LOSS
from grounding.visualization.drawing import save_figure
from grounding.visualization.layout import SOFT, legend_columns
from grounding.visualization.plots import DASHES, PALETTE, padded_figure, tidy

DPI = 150
MOST_COLUMNS = 4
PANEL, LEAST_WIDTH = 3.4, 4.5  # inches: of a panel and of a figure
LEGEND = 10.0  # points
MOST_MARKED = 30  # points: more markers would hide their line
SMOOTHING = 0.9  # of losses: the weight of the past in an exponential mean
TITLES = {TOTAL_LOSS: "total loss", LEARNING_RATE: "learning rate", "acc@0.5": "validation Acc@0.5",
          "miou": "validation mIoU", "giou": "validation GIoU", "pointing": "validation pointing"}  # fmt: skip


@dataclass(frozen=True)
class CurvesConfig:
    """Draw losses, learning rate and validation measures of training runs.

    Attributes:
        runs: folders of runs, finished or not.
        output: folder for the picture; the first run's where it is not given.
        metrics: validation measures to draw, as metrics.jsonl names them.
        format: of the picture.
    """

    runs: list[Path]
    output: Path | None = None
    metrics: list[str] = field(default_factory=lambda: ["acc@0.5", "miou", "pointing"])
    format: Literal["png", "svg", "pdf"] = "png"


@dataclass(frozen=True)
class RunLog:
    """What one run logged.

    Attributes:
        name: to tell it from the others.
        steps: name of a loss, or of the learning rate -> its values by step.
        epochs: name of a validation measure -> its values by epoch.
    """

    name: str
    steps: dict[str, dict[int, float]]
    epochs: dict[str, dict[int, float]]


def curves(config: CurvesConfig) -> list[Path]:
    """Write the picture and return its path.

    Raises:
        InputError: a folder holds no logs, or no run has a measure.
    """
    refuse_wrong_values(config)
    if not config.runs:
        raise InputError("no run is named: give the folders of one or several")
    logs = read_logs(config.runs)
    known = list(dict.fromkeys(name for log in logs for name in log.epochs))
    unknown = [name for name in config.metrics if name not in known]
    if unknown and known:
        raise InputError(f"no run has measured {unknown[0]!r}: choose from {', '.join(known)}")
    beside = "".join(f"_{log.name.replace('/', '-')}" for log in logs) if len(logs) > 1 else ""
    path = (config.output or config.runs[0]) / f"curves{beside}.{config.format}"
    save_figure(draw_curves(logs, metrics=config.metrics), path, dpi=DPI)
    return [path]


def draw_curves(logs: Sequence[RunLog], *, metrics: Sequence[str]) -> Figure:
    """A figure with a panel for all that any of the runs logged, to be saved at `DPI`.

    Args:
        logs: at least one; each is a colour. A loss is drawn faintly, and its exponential mean over it.
        metrics: validation measures to draw.
    """
    losses = list(dict.fromkeys(name for log in logs for name in log.steps))
    # The total before its parts, the learning rate after them.
    losses.sort(key=lambda name: (name == LEARNING_RATE, name != TOTAL_LOSS))
    measured = [name for name in metrics if any(name in log.epochs for log in logs)]
    # What goes over steps and what goes over epochs begin a row of their own.
    columns = min(max(len(losses), len(measured)), MOST_COLUMNS)
    rows = [of[start : start + columns] for of in (losses, measured) for start in range(0, len(of), columns)]
    width = max(PANEL * columns, LEAST_WIDTH)
    figure = padded_figure(width, 2.7 * len(rows) + 0.4)
    axes = figure.subplots(len(rows), columns, squeeze=False)
    for row, names in zip(axes, rows, strict=True):
        for name, axis in zip(names, row, strict=False):
            _draw_panel(axis, name, logs)
        for axis in row[len(names) :]:
            axis.remove()
    handles = [Line2D([], [], linewidth=2, label=log.name, **style) for log, style in _styled(logs)]
    columns = legend_columns([log.name for log in logs], width, LEGEND)
    figure.legend(handles=handles, loc="outside upper center", ncols=columns, frameon=False, fontsize=LEGEND)
    figure.supxlabel(f"Losses: each step faint, and their exponential mean with {SMOOTHING:g} of it from before",
                     x=0.01, ha="left", fontsize=8, color=SOFT)  # fmt: skip
    return figure


def _draw_panel(axis: Axes, name: str, logs: Sequence[RunLog]) -> None:
    over_steps = any(name in log.steps for log in logs)
    for log, style in _styled(logs):
        logged = (log.steps if over_steps else log.epochs).get(name)
        if logged is None:
            continue
        values = pd.Series(logged, dtype=float)
        if over_steps and name != LEARNING_RATE:
            axis.plot(values, linewidth=0.8, alpha=0.25, **style)
            # A skipped step's loss is not finite: a gap, after which the mean goes on.
            finite = values.where(np.isfinite(values))
            values = finite.ewm(alpha=1 - SMOOTHING, ignore_na=True).mean().where(finite.notna())
        # A line of one point is not seen.
        axis.plot(values, linewidth=1.8, markersize=5, marker="o" if len(values) <= MOST_MARKED else None, **style)
    axis.set(xlabel="step" if over_steps else "epoch")
    axis.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6, min_n_ticks=1))
    axis.set_title(TITLES.get(name, name.replace("_", " ")), loc="left", fontsize=11)
    tidy(axis)


def _styled(logs: Sequence[RunLog]) -> Iterator[tuple[RunLog, dict[str, Any]]]:
    """Each run with its line: colours by turns, and once all are used, in dashes."""
    styles = ({"color": colour, "linestyle": dash} for dash in ("-", *DASHES) for colour in PALETTE)
    return zip(logs, itertools.cycle(styles), strict=False)


def read_logs(folders: Sequence[Path]) -> list[RunLog]:
    """The logs of runs, finished or not; a folder that is given twice is read once.

    What a resumed run logged again replaces what it had logged before.

    Raises:
        InputError: a folder holds no logs.
    """
    folders = list(dict.fromkeys(folder.resolve() for folder in folders))
    return [
        _read_log(folder, name) for folder, name in zip(folders, method_names(list(map(str, folders))), strict=True)
    ]


def _read_log(folder: Path, name: str) -> RunLog:
    # Nothing is thinned out, and steps that come again are kept to be sorted by time below.
    log = EventAccumulator(str(folder), size_guidance={"scalars": 0}, purge_orphaned_data=False)
    if not any(folder.glob("events.out.tfevents.*")):
        raise InputError(f"{folder} holds no TensorBoard events: give the folder of a run")
    log.Reload()
    series: dict[str, dict[int, float]] = {}
    for tag in log.Tags()["scalars"]:
        by_time = sorted(log.Scalars(tag), key=lambda event: event.wall_time)
        series[tag] = dict(sorted({event.step: event.value for event in by_time}.items()))
    steps, epochs = (
        {tag.removeprefix(prefix): values for tag, values in series.items() if tag.startswith(prefix)}
        for prefix in (STEP_TAGS, EPOCH_TAGS)
    )
    if not steps and not epochs:
        raise InputError(f"{folder} has logged nothing yet: wait for its first steps")
    return RunLog(name, steps, epochs)
