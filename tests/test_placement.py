"""On a GPU the same is computed as on the CPU, and no tensor is left on the wrong one of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from accelerate import Accelerator

from grounding.clip.backbone import LoadedCLIP, load_clip
from grounding.clip.encoder import Encoder
from grounding.clip.text import TextEncoder
from grounding.evaluation.clip_similarity import CLIPSimilarity
from grounding.extraction import ExtractionConfig
from grounding.methods.config import ModelConfig
from grounding.methods.dense import DenseGrounder
from grounding.methods.gradcam import GradCAMGrounder
from grounding.methods.grounder import Grounder
from grounding.methods.reclip import ReCLIPGrounder
from grounding.methods.yolo_clip import ProposalScorer, YOLOCLIPGrounder
from grounding.model.decoder import DecoderConfig, decoder_for
from grounding.training.config import TrainConfig
from grounding.training.criterion import LossConfig, TrainingCriterion
from grounding.training.step import TrainingStep
from grounding.types import Example, Expression
from tests.fake_proposer import FakeProposer
from tests.pretend_gpu import GPU, OnGPU, pretended_gpu
from tests.tiny_clip import save_tiny_clip
from tests.training.test_criterion import make_batch

SMALL = {"width": 16, "blocks": 1, "queries": 2, "query_dim": 8}
LOSSES = {
    "convolutional": LossConfig(distance_weight=0.1, contrast_weight=0.1),
    "adapters": LossConfig(distance_weight=0.1),
}
IMAGE = np.random.default_rng(0).integers(0, 256, (120, 200, 3), dtype=np.uint8)
PHRASES = ["the box left of the ring", "a ring"]
BOXES = [(2.0, 3.0, 40.0, 60.0), (5.0, 5.0, 199.0, 118.0)]
Decoder = Any


@pytest.fixture(scope="module")
def clip_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_clip(tmp_path_factory.mktemp("clip") / "clip.pt")


@pytest.fixture
def gpu() -> Iterator[torch.device]:
    with pretended_gpu() as device:
        yield device


def decoder_of(encoder: Encoder, kind: str) -> Decoder:
    torch.manual_seed(0)
    more = {"lora_rank": 2, "presence": True} if kind == "convolutional" else {}
    return decoder_for(encoder, DecoderConfig(kind=kind, **SMALL, **more)).to(encoder.device)  # type: ignore[arg-type]


def decoding(kind: str) -> Callable[[LoadedCLIP], Grounder]:
    def make(clip: LoadedCLIP) -> Grounder:
        encoder = Encoder(clip, model_size=64)
        model = ModelConfig(inference_sizes=(64, 96), inference_flip=True, spatial_rules=kind == "adapters")
        return DenseGrounder(encoder, decoder_of(encoder, kind), name=kind, model=model)

    return make


METHODS: dict[str, Callable[[LoadedCLIP], Grounder]] = {
    "decoder": decoding("convolutional"),
    "adapters": decoding("adapters"),
    "gradcam": lambda clip: GradCAMGrounder(clip, extraction=ExtractionConfig()),
    "zero-shot": lambda clip: DenseGrounder(Encoder(clip, model_size=64), None, name=""),
    "yolo-clip": lambda clip: YOLOCLIPGrounder(FakeProposer(BOXES), ProposalScorer(clip)),
    "reclip": lambda clip: ReCLIPGrounder(FakeProposer(BOXES), ProposalScorer(clip)),
}


@pytest.mark.parametrize("method", METHODS)
def test_answers_are_those_of_the_cpu(clip_file, monkeypatch, method):
    monkeypatch.setattr(torch.autograd, "grad", lambda score, inputs: (torch.ones_like(inputs),))  # Grad-CAM's
    [expected] = METHODS[method](load_clip(clip_file)).ground_batch([IMAGE], [PHRASES])
    with pretended_gpu() as device:
        grounder = METHODS[method](load_clip(clip_file, device))
        [answers] = grounder.ground_batch([IMAGE], [PHRASES])
    for answer, of_cpu in zip(answers, expected, strict=True):
        np.testing.assert_allclose(answer.heatmap, of_cpu.heatmap, atol=1e-6)
        np.testing.assert_array_equal(answer.boxes_xyxy, of_cpu.boxes_xyxy)
        assert answer.presence == pytest.approx(of_cpu.presence)


def test_clip_measures_answers_as_on_the_cpu(clip_file):
    expression = Expression(PHRASES[0], BOXES[0], 1, 1, 1, 1, Path("a.png"), category="ring")
    example, answers = Example(IMAGE, (expression,)), [[np.array(BOXES, np.float32)]]
    expected = CLIPSimilarity(load_clip(clip_file), ["ring", "box"]).measure([example], answers)
    with pretended_gpu() as device:
        [[measures]] = CLIPSimilarity(load_clip(clip_file, device), ["ring", "box"]).measure([example], answers)
    assert measures == pytest.approx(expected[0][0], abs=1e-3)  # embeddings are kept in half precision


@pytest.mark.parametrize("kind", LOSSES)
def test_a_training_step_is_that_of_the_cpu(clip_file, monkeypatch, tmp_path, kind):
    """All but the backward pass: every gradient is 1."""

    def ones(self: Accelerator, loss: torch.Tensor) -> None:
        for parameter in criterion.parameters():
            parameter.grad = torch.ones_like(parameter)

    monkeypatch.setattr(Accelerator, "backward", ones)
    steps = []
    for device in (torch.device("cpu"), GPU):
        monkeypatch.setattr(Accelerator, "device", device)
        with pretended_gpu():
            encoder = Encoder(load_clip(clip_file, device), model_size=64)
            criterion = TrainingCriterion(encoder, decoder_of(encoder, kind).cpu(), LOSSES[kind])
            step = TrainingStep(criterion, TrainConfig(tmp_path, tmp_path), Accelerator(cpu=True), total_steps=10)
            values, skipped = step(make_batch(kind))
            assert not skipped
            assert all(
                isinstance(each, OnGPU) == (device == GPU)
                for each in (*criterion.parameters(), *step.mean.parameters())
            )
            mean = {name: value.cpu() for name, value in step.mean.state_dict().items()}
            steps.append((values, mean))
    (expected, expected_mean), (values, mean) = steps
    assert values == pytest.approx(expected, abs=1e-6)
    torch.testing.assert_close(mean, expected_mean)


def test_phrases_are_encoded_without_waiting_for_the_gpu(clip_file, gpu):
    encoder, before = TextEncoder(load_clip(clip_file, gpu)), OnGPU.waits
    assert encoder(PHRASES).is_token.device == gpu
    assert OnGPU.waits == before


def test_a_misplaced_tensor_is_noticed(gpu):
    with pytest.raises(RuntimeError, match="same device"):
        torch.zeros(2, device=gpu) + torch.arange(2)
    with pytest.raises(TypeError, match="to numpy"):
        torch.zeros(2, device=gpu).numpy()
