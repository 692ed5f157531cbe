"""What training runs logged, read back: losses and learning rate over steps, validation measures over epochs."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from grounding.errors import InputError
from grounding.training.run_folder import EPOCH_TAGS, METRICS_FILE, STEP_TAGS

Series = dict[int, float]  # step or epoch -> value, in their order


@dataclass(frozen=True)
class RunLog:
    """What one run logged.

    Attributes:
        name: to tell it from the others.
        steps: name of a loss, or of the learning rate -> its values by step.
        epochs: name of a validation measure -> its values by epoch.
    """

    name: str
    steps: dict[str, Series]
    epochs: dict[str, Series]


def read_logs(folders: Sequence[Path]) -> list[RunLog]:
    """The logs of runs, finished or not; a folder that is given twice is read once.

    What a resumed run logged again replaces what it had logged before.

    Raises:
        InputError: a folder holds no logs.
    """
    folders = list(dict.fromkeys(folder.resolve() for folder in folders))
    return [_read_log(folder, name) for folder, name in zip(folders, unique_names(folders), strict=True)]


def unique_names(folders: Sequence[Path]) -> list[str]:
    """The folders' names, each with as many of its parents' as tell it from the others."""
    endings = [["/".join(folder.parts[-count:]) for count in range(1, len(folder.parts) + 1)] for folder in folders]
    taken = Counter(ending for of_folder in endings for ending in of_folder)
    return [next(ending for ending in of_folder if taken[ending] == 1) for of_folder in endings]


def _read_log(folder: Path, name: str) -> RunLog:
    events, metrics = list(folder.glob("events.out.tfevents.*")), folder / METRICS_FILE
    if not events and not metrics.is_file():
        raise InputError(f"{folder} holds neither TensorBoard events nor {METRICS_FILE}: give the folder of a run")
    tags = _read_events(folder) if events else {}
    steps, epochs = (
        {tag.removeprefix(prefix): series for tag, series in tags.items() if tag.startswith(prefix)}
        for prefix in (STEP_TAGS, EPOCH_TAGS)
    )
    if metrics.is_file():
        epochs = _read_metrics(metrics)
    if not steps and not epochs:
        raise InputError(f"{folder} has logged nothing yet: wait for its first steps")
    return RunLog(name, steps, epochs)


def _read_events(folder: Path) -> dict[str, Series]:
    # Nothing is thinned out, and steps that come again are kept to be sorted by time below.
    events = EventAccumulator(str(folder), size_guidance={"scalars": 0}, purge_orphaned_data=False)
    events.Reload()
    series = {}
    for tag in events.Tags()["scalars"]:
        by_time = sorted(events.Scalars(tag), key=lambda event: event.wall_time)
        series[tag] = dict(sorted({event.step: event.value for event in by_time}.items()))
    return series


def _read_metrics(path: Path) -> dict[str, Series]:
    epochs: dict[str, Series] = {}
    lines = path.read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines, 1):
        try:
            record = json.loads(line)
            epoch = record.pop("epoch")
        except (ValueError, KeyError, AttributeError, TypeError) as error:
            if number == len(lines):
                break  # half a line, of a run that was killed
            raise InputError(f"{path}, line {number} is no epoch's measures: remove it") from error
        for name, value in record.items():
            if name != "step":
                epochs.setdefault(name, {})[epoch] = value
    return {name: dict(sorted(series.items())) for name, series in epochs.items()}
