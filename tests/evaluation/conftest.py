from __future__ import annotations

import pytest

import grounding.training.tune_extraction as tuning
from grounding.extraction import ExtractionConfig, quality
from grounding.visualization import report


@pytest.fixture
def no_plots(monkeypatch: pytest.MonkeyPatch) -> None:
    """A report without its plots, which take longer to draw than a small comparison."""
    monkeypatch.setattr(report, "draw_plots", lambda *_: {})


@pytest.fixture
def hardly_fitted(monkeypatch: pytest.MonkeyPatch) -> None:
    """A box-quality network of a few steps, where its answers do not matter."""
    monkeypatch.setattr(quality, "STEPS", 20)


@pytest.fixture
def two_settings(hardly_fitted: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the ways to make boxes two are tried, and not all."""
    monkeypatch.setattr(tuning, "GRID", (ExtractionConfig(), ExtractionConfig("quality")))
