"""Whatever mode the caller computes in, an answer is the same, and a call leaves all as it found it."""

from __future__ import annotations

import random
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from typing import Any

import cv2
import numpy as np
import pytest
import torch

import grounding
from grounding.methods.dense import DenseGrounder

IMAGE = np.random.default_rng(0).integers(0, 256, (90, 120, 3), dtype=np.uint8)
PHRASES = ["the red circle", "the square left of the star"]


@contextmanager
def set_and_reset(setting: Callable[[Any], Any], value: Any, before: Any) -> Iterator[None]:
    setting(value)
    try:
        yield
    finally:
        setting(before)


def float64() -> AbstractContextManager[None]:
    return set_and_reset(torch.set_default_dtype, torch.float64, torch.float32)


@contextmanager
def all_modes() -> Iterator[None]:
    """Autocast, inference, a default type and device, determinism, and NumPy and warnings that raise."""
    with (
        torch.autocast("cpu", torch.bfloat16),
        torch.inference_mode(),
        set_and_reset(torch.set_default_dtype, torch.bfloat16, torch.float32),
        set_and_reset(torch.set_default_device, "meta", None),
        set_and_reset(torch.use_deterministic_algorithms, True, False),
        np.errstate(all="raise"),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("error")
        yield


def state() -> list[Any]:
    """Everything that a program may have set and would miss."""
    return [
        torch.is_autocast_enabled("cpu"), torch.is_grad_enabled(), torch.is_inference_mode_enabled(),
        torch.get_default_dtype(), torch.get_default_device(), torch.are_deterministic_algorithms_enabled(),
        torch.get_num_threads(), cv2.getNumThreads(), bytes(torch.get_rng_state().numpy()), random.getstate(),
        repr(np.random.get_state()), np.geterr(), warnings.filters[:],  # noqa: NPY002
    ]  # fmt: skip


@cache
def loaded(name: str) -> Any:
    return grounding.load(name, precision="float32")


def asked(grounder: Any) -> list[np.ndarray]:
    """What every entry point answers, nothing being known of image and phrases."""
    grounder.text.forget()
    answers = grounder.ground(IMAGE, PHRASES) + grounder.ground(grounder.encode(IMAGE), PHRASES[:1])
    answers += [each for of_image in grounder.ground_batch([IMAGE, IMAGE[:50]], [[], PHRASES[:1]]) for each in of_image]
    (streamed,) = grounder.ground_many([("", IMAGE, PHRASES[1:])])
    arrays = [values for each in answers for values in (each.boxes_xyxy, each.scores, each.heatmap)]
    arrays += [np.array([each.presence for each in (*answers, *streamed.phrases)])]
    arrays += [values for each in streamed.phrases for values in (each.boxes_xyxy, each.scores)]
    return arrays + (grounder.similarity_maps(IMAGE, PHRASES) if isinstance(grounder, DenseGrounder) else [])


@cache
def expected(name: str) -> list[np.ndarray]:
    return asked(loaded(name))


def assert_equal(found: list[np.ndarray], wanted: list[np.ndarray]) -> None:
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("name", "mode"),
    [
        ("refshapes", torch.enable_grad),
        ("refshapes", float64),
        *((name, all_modes) for name in ("refshapes", "gradcam", "yolo-clip")),
    ],
)
def test_an_answer_depends_on_no_mode_and_nothing_is_remembered_of_it(name: str, mode: Any) -> None:
    wanted, grounder = expected(name), loaded(name)
    with mode():
        before = state()
        found = asked(grounder)
        assert state() == before
    assert_equal(found, wanted)
    assert_equal(asked(grounder), wanted)


def test_loading_depends_on_no_mode_and_leaves_none() -> None:
    for mode in (all_modes, float64):
        with mode():
            before = state()
            grounder = grounding.load("refshapes", precision="float32")
            assert state() == before
        assert {each.dtype for each in grounder.decoder.parameters()} == {torch.float32}
        assert_equal(asked(grounder), expected("refshapes"))


def test_what_was_asked_without_gradients_serves_training() -> None:
    """Of the CLIP that a method was loaded with, every part can take part in a backward pass afterwards."""
    with torch.inference_mode():
        grounder = grounding.load("refshapes", precision="float32")
        grounder.ground(IMAGE, PHRASES)
    features = grounder.encoder.encode_squares(torch.zeros(1, 64, 64, 3, dtype=torch.uint8))
    phrases = grounder.text(PHRASES)
    heat = grounder.decoder(features, phrases, torch.zeros(2, dtype=torch.long))
    heat.sum().backward()
    assert all(torch.isfinite(each.grad).all() for each in grounder.decoder.head.parameters())
