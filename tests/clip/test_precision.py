"""Half the bits and kernels of one's own: the answers stay what they were, within a stated bound."""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

import grounding
from grounding.clip import precision
from grounding.clip.precision import number_format
from grounding.data.refshapes.writer import make_split_scene
from grounding.methods.config import ModelConfig
from grounding.methods.dense import DenseGrounder
from grounding.runtime.errors import InputError
from tests.tiny_clip import save_tiny_clip

PHRASES = ["the red circle", "the ring left of a star", "the smallest square"]
LARGEST_ERROR, MEAN_ERROR = 0.25, 0.005  # of heat in [0, 1], as docs/performance.md says


def test_auto_follows_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    for native, expected in ((True, torch.bfloat16), (False, torch.float32)):
        monkeypatch.setattr(precision, "_multiplies_bfloat16", lambda device, native=native: native)
        assert number_format("auto", "cpu") == expected
        assert number_format("float32", "cpu") == torch.float32
        assert number_format("bfloat16", "cpu") == torch.bfloat16


def test_another_precision_is_refused() -> None:
    with pytest.raises(InputError, match=r"precision is 'float16'.*bfloat16"):
        grounding.load("zero-shot", precision="float16")  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["refshapes", "zero-shot", "yolo-clip"])
def test_bfloat16_moves_heatmaps_within_bounds(name: str) -> None:
    exact, halved = (grounding.load(name, precision=each) for each in ("float32", "bfloat16"))
    errors = [
        np.abs(one.heatmap - other.heatmap)
        for image in (make_split_scene("test", number, 5)[0].image for number in range(4))
        for one, other in zip(exact.ground(image, PHRASES), halved.ground(image, PHRASES), strict=True)
    ]
    largest, mean = max(each.max() for each in errors), np.mean([each.mean() for each in errors])
    assert 0 < largest < LARGEST_ERROR and mean < MEAN_ERROR


def test_without_a_compiler_none_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(InputError, match="no-such-compiler"):
        grounding.load("zero-shot", compiled=True)


def test_a_compiled_tower_says_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Traced as `torch.compile` traces it; that the kernels it then makes for half a minute are right is its own."""
    if shutil.which("g++") is None:
        pytest.skip("torch.compile needs a C++ compiler, and there is no g++")
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="aot_eager"))
    small = ModelConfig(clip=str(save_tiny_clip(tmp_path / "clip.pt")), model_size=64)
    exact, compiled = (
        grounding.load("zero-shot", model=small, precision="float32", compiled=each) for each in (False, True)
    )
    assert isinstance(exact, DenseGrounder) and isinstance(compiled, DenseGrounder)
    image = make_split_scene("test", 0, 5)[0].image
    for one, other in zip(exact.ground(image, PHRASES), compiled.ground(image, PHRASES), strict=True):
        np.testing.assert_allclose(other.heatmap, one.heatmap, atol=1e-4)


def test_bfloat16_without_instructions_for_it_is_said_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(precision, "_multiplies_bfloat16", lambda device: False)
    precision._warn_of_slow_bfloat16.cache_clear()
    assert number_format("bfloat16", "cpu") == number_format("bfloat16", "cpu") == torch.bfloat16
    assert capsys.readouterr().err.count("several times slower than --precision float32") == 1
    precision._warn_of_slow_bfloat16.cache_clear()
    number_format("bfloat16", "cuda")
    assert not capsys.readouterr().err
