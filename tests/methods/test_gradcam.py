"""Grad-CAM against the `clip` package's own forward pass, one phrase at a time, with hooks on its last stage."""

from __future__ import annotations

import clip
import numpy as np
import pytest
import torch

from grounding.clip.backbone import normalise_pixels
from grounding.extraction import ExtractionConfig
from grounding.geometry import Letterbox
from grounding.methods.gradcam import GradCAMGrounder
from tests.tiny_clip import RESOLUTION, loaded_tiny_clip

PHRASES = ["a cat", "the man in the red coat", "a tree to the left"]


def by_hand(model: torch.nn.Module, image: np.ndarray, phrase: str) -> tuple[np.ndarray, float]:
    """The heatmap, and the cosine of image and phrase, from -1 to 1 brought to 0 to 1."""
    letterbox = Letterbox.fit((image.shape[1], image.shape[0]), RESOLUTION)
    square = torch.from_numpy(letterbox.apply(image)).permute(2, 0, 1)[None]
    seen: list[torch.Tensor] = []

    def keep(module: torch.nn.Module, arguments: object, output: torch.Tensor) -> torch.Tensor:
        seen.append(output.detach().requires_grad_())
        return seen[0]

    hook = model.visual.layer4.register_forward_hook(keep)
    embedding = model.encode_image(normalise_pixels(square))[0]
    hook.remove()
    text = model.encode_text(clip.tokenize([phrase]))[0]
    cosine = torch.nn.functional.cosine_similarity(embedding, text, dim=0)
    cosine.backward()
    [activation], [gradient] = seen[0], seen[0].grad
    cam = sum(gradient[channel].mean() * activation[channel] for channel in range(len(activation)))
    cam = cam.detach().clamp(min=0).numpy() * letterbox.valid_mask(32)
    return letterbox.map_to_image((cam / max(cam.max(), 1e-30)).astype(np.float32)), (1 + float(cosine)) / 2


def test_equals_one_phrase_at_a_time_and_clip_stays_frozen():
    loaded = loaded_tiny_clip()
    grounder = GradCAMGrounder(loaded, extraction=ExtractionConfig())
    assert grounder.name == "gradcam" and grounder.weights == loaded.weights
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 255, (height, width, 3), dtype=np.uint8) for height, width in ((64, 64), (40, 90))]
    asked, hot = [PHRASES, PHRASES[:2]], 0
    for _ in range(2):  # the phrases of the first time can be used again
        for image, groundings, phrases in zip(images, grounder.ground_batch(images, asked), asked, strict=True):
            for grounding, phrase in zip(groundings, phrases, strict=True):
                expected, presence = by_hand(loaded.model, image, phrase)
                assert grounding.heatmap.shape == image.shape[:2] and len(grounding.boxes_xyxy) >= 1
                np.testing.assert_allclose(grounding.heatmap, expected, atol=2e-4)
                assert grounding.presence == pytest.approx(presence, abs=1e-5)
                hot += expected.max() > 0.5
    assert hot >= 6  # most maps are more than zeros
    assert all(parameter.grad is None for parameter in loaded.model.parameters())
