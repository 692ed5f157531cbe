"""`visualize.py curves`: how training went, of one run or of several beside each other."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from grounding.errors import InputError
from grounding.visualization.curve_drawing import DPI, draw_curves
from grounding.visualization.drawing import save_figure
from grounding.visualization.run_logs import read_logs


@dataclass(frozen=True)
class CurvesConfig:
    """Draw losses, learning rate and validation measures of training runs.

    Attributes:
        runs: folders of runs, finished or not.
        output: folder for the picture; the first run's where it is not given.
        smoothing: of losses: the weight of the past in an exponential mean, from 0 (none) to below 1; the values
            themselves are drawn faintly beneath.
        metrics: validation measures to draw, as metrics.jsonl names them.
        format: of the picture.
    """

    runs: list[Path]
    output: Path | None = None
    smoothing: float = 0.9
    metrics: list[str] = field(default_factory=lambda: ["acc@0.5", "miou", "pointing"])
    format: Literal["png", "svg", "pdf"] = "png"


def curves(config: CurvesConfig) -> list[Path]:
    """Write the picture and return its path.

    Raises:
        InputError: a folder holds no logs, no run has a measure, or the smoothing is out of its range.
    """
    if not config.runs:
        raise InputError("no run is named: give the folders of one or several")
    if not 0 <= config.smoothing < 1:
        raise InputError(f"--smoothing is {config.smoothing:g}: give a number from 0 to below 1")
    logs = read_logs(config.runs)
    known = list(dict.fromkeys(name for log in logs for name in log.epochs))
    unknown = [name for name in config.metrics if name not in known]
    if unknown and known:
        raise InputError(f"no run has measured {unknown[0]!r}: choose from {', '.join(known)}")
    if not config.metrics and not any(log.steps for log in logs):
        raise InputError("these runs have logged no step, and no measure is asked for: name some by --metrics")
    path = (config.output or config.runs[0]) / f"curves.{config.format}"
    save_figure(draw_curves(logs, metrics=config.metrics, smoothing=config.smoothing), path, dpi=DPI)
    return [path]
