"""What tests of several folders share: made once in each process, and not to be changed."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import distributions
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor

from grounding.runtime import environment
from tests.toy_data import make_trained_run


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with toy data, a tiny CLIP and a run that was trained on them; not to be changed."""
    return make_trained_run(tmp_path_factory.mktemp("made"))


@pytest.fixture(scope="session", autouse=True)
def packages_are_read_once() -> Iterator[None]:
    """Every run notes the versions of all packages, and to read these takes as long as a small training's steps."""
    known = [SimpleNamespace(metadata=each.metadata, version=each.version) for each in distributions()]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(environment, "distributions", lambda: known)
        yield


@pytest.fixture
def on_cpu(monkeypatch: pytest.MonkeyPatch) -> set[int]:
    """Addresses of what was brought to the CPU; nothing else may become float64, which Apple's GPUs do not have."""
    brought: set[int] = set()
    double = torch.Tensor.double

    def to_cpu(tensor: Tensor) -> Tensor:
        brought.add(tensor.data_ptr())
        return tensor

    def doubled(tensor: Tensor) -> Tensor:
        assert tensor.data_ptr() in brought
        return double(tensor)

    monkeypatch.setattr(torch.Tensor, "cpu", to_cpu)
    monkeypatch.setattr(torch.Tensor, "double", doubled)
    return brought
