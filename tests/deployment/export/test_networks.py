"""A network in ONNX against the same one in PyTorch, at sizes that it was not traced at."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from onnxruntime import InferenceSession
from torch.export import Dim

from grounding.clip.encoder import Encoder
from grounding.deployment.export import OLDEST_TORCH
from grounding.deployment.networks import FEATURES, ImageTower, to_onnx
from tests.tiny_clip import loaded_tiny_clip

pytestmark = pytest.mark.skipif(torch.__version__ < OLDEST_TORCH, reason=f"the export needs PyTorch {OLDEST_TORCH}")


def test_features_at_stride_16() -> None:
    """Which the shipped run does not have."""
    encoder = Encoder(loaded_tiny_clip(), model_size=64, output_stride=16)
    traced_at = torch.zeros(2, 64, 64, 3, dtype=torch.uint8)
    sides = {0: Dim("images", min=1), 1: Dim.DYNAMIC, 2: Dim.DYNAMIC}
    session = InferenceSession(to_onnx(ImageTower(encoder.dense), (traced_at,), outputs=FEATURES, dynamic=(sides,)))
    for images, size in ((1, 64), (3, 96), (1, 160)):
        squares = np.random.default_rng(size).integers(0, 256, (images, size, size, 3), dtype=np.uint8)
        expected = encoder.encode_squares(torch.from_numpy(squares))
        coarse, middle, fine, embeddings = session.run(None, {"squares": squares})
        for stage, found in (("layer3", coarse), ("layer2", middle), ("layer1", fine)):
            reference = expected.pyramid[stage].numpy()
            np.testing.assert_allclose(found, reference, atol=1e-4 * np.abs(reference).max())
        np.testing.assert_allclose(embeddings, expected.embeddings.numpy(), atol=1e-5)
