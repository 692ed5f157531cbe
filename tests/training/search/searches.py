"""What the tests of the search share: its space, and what a study and its trials left on disk."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import grounding.training.train as training

SPACE = {"learning_rate": {"low": 1e-4, "high": 1e-2, "log": True}, "decoder.width": [8, 16]}


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "trials.csv").open() as file:
        return list(csv.DictReader(file))


def logged(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def scripted(monkeypatch: pytest.MonkeyPatch, scores: Iterator[float]) -> None:
    """Validation gives these scores, one an epoch."""

    def evaluate(*_: object, **__: object) -> dict[str, float]:
        return {"acc@0.5": next(scores), "miou": 0.25, "pointing": 0.5}

    monkeypatch.setattr(training, "evaluate", evaluate)
