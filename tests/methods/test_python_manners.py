"""Answers and grounders as Python's own values: compared, shown, copied, pickled, handed to other processes. Whatever
mode the caller computes in, an answer is the same, and a call leaves all as it found it."""

from __future__ import annotations

import copy
import pickle
import random
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

import grounding
from grounding.deployment.bulk import BulkConfig, ground_file
from grounding.evaluation.compare import EvaluateConfig, compare
from grounding.methods.dense import DenseGrounder
from grounding.training.config import TrainConfig
from grounding.training.train import train
from grounding.types import Grounding
from grounding.visualization.commands import VisualizeConfig, sheets
from tests.scripts import ROOT

IMAGE = np.random.default_rng(0).integers(0, 256, (90, 120, 3), dtype=np.uint8)
PHRASES = ["the red circle", "the square left of the star"]
NAMES = ("refshapes", "zero-shot", "gradcam", "yolo-clip")


@cache
def loaded(name: str) -> Any:
    return grounding.load(name, precision="float32")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("copied", [copy.copy, lambda grounder: pickle.loads(pickle.dumps(grounder))])
def test_copies_and_pickles_answer_as_the_original(name: str, copied: Any) -> None:
    grounder = loaded(name)
    grounder.name, grounder.raw_scores = "mine", True
    other = copied(grounder)
    [found], [expected] = other.ground(IMAGE, PHRASES[:1]), grounder.ground(IMAGE, PHRASES[:1])
    np.testing.assert_array_equal(found.heatmap, expected.heatmap)
    assert (other.name, other.weights, found.presence) == ("mine", grounder.weights, expected.presence)
    assert other.raw_scores and (other.text is grounder.text) is (copied is copy.copy)
    grounder.raw_scores = False


def test_answers_are_compared_by_identity_and_shown_in_a_line() -> None:
    [answer] = loaded("refshapes").ground(IMAGE, PHRASES[:1])
    assert answer == answer and answer != replace(answer) and len({answer, answer}) == 1
    assert "'the red circle'" in repr(answer) and len(repr(answer)) < 300
    encoded = loaded("refshapes").encode(IMAGE)
    assert encoded == encoded and encoded != replace(encoded) and len(repr(encoded)) < 300
    (streamed,) = loaded("refshapes").ground_many([("key", IMAGE, PHRASES[:1])])
    assert streamed == streamed and len(repr(streamed)) < 400
    again = pickle.loads(pickle.dumps(answer))
    assert isinstance(again, Grounding) and repr(again) == repr(answer)
    np.testing.assert_array_equal(again.heatmap, answer.heatmap)


def test_an_image_that_another_method_encoded_is_refused() -> None:
    """Of the same embedded CLIP: updated by the decoder, at another size, and the detector's."""
    encoded = {name: loaded(name).encode(IMAGE) for name in NAMES}
    for name, of_method in encoded.items():
        for other in encoded.keys() - {name}:
            with pytest.raises(grounding.InputError, match=r"has encoded the image|is of the type Encoded"):
                loaded(other).ground(of_method, PHRASES[:1])


def test_configurations_made_in_python_are_held_to_the_bounds_of_the_command_line(tmp_path: Path) -> None:
    bulk, training = BulkConfig("zero-shot", tmp_path, tmp_path), TrainConfig(tmp_path, tmp_path)
    for start, config, said in (
        (ground_file, replace(bulk, readers=0), "BulkConfig: readers is 0"),
        (train, replace(training, workers=-1), "TrainConfig: workers is -1"),
        (train, replace(training, epochs=1.5), r"TrainConfig: epochs is 1\.5"),
        (compare, EvaluateConfig(["zero-shot"], tmp_path, tmp_path, images_per_batch=0), "images_per_batch is 0"),
        (sheets, VisualizeConfig(["zero-shot"], tmp_path, data=tmp_path, count=-2), "VisualizeConfig: count is -2"),
    ):
        with pytest.raises(grounding.InputError, match=said):
            start(config)


def test_devices_are_those_of_this_machine() -> None:
    for known in ("auto", torch.device("cpu"), "cpu:0"):
        assert len(grounding.load("zero-shot", device=known).ground(IMAGE, PHRASES[:1])) == 1
    for other in ("cuda:99", "gpu", None, "meta"):
        with pytest.raises(grounding.InputError, match=r"^device is .*, which PyTorch cannot use on this machine"):
            grounding.load("zero-shot", device=other)


FORK = """
import os, sys
import numpy as np, torch
import grounding

torch.set_num_threads(2)
image = np.random.default_rng(0).integers(0, 256, (600, 800, 3), dtype=np.uint8)
grounder = grounding.load("zero-shot", precision="float32")
expected = grounder.ground(image, ["the red circle"])[0].boxes_xyxy[0].tolist()
child = os.fork()
if not child:
    try:
        grounder.ground(image, ["the blue square"])
    except grounding.InputError as error:
        torch.set_num_threads(1)
        again = grounder.ground(image[::-1].copy()[::-1], ["the red circle"])[0].boxes_xyxy[0].tolist()
        os._exit(7 if "spawn" in str(error) and again == expected else 3)
    os._exit(4)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_a_forked_process_which_would_wait_for_ever_is_told_so() -> None:
    done = subprocess.run([sys.executable, "-c", FORK], cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 7, done.stderr[-2000:]


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


@pytest.mark.parametrize(("name", "mode"), [("refshapes", float64), *((name, all_modes) for name in NAMES)])
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
