"""The tower with its batch norms folded against the `clip` package's own."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from grounding.clip_backbone import fold_batch_norms
from grounding.dense_clip import DenseCLIP, dense_embeddings
from tests.tiny_clip import random_rn50, tiny_clip


@pytest.mark.parametrize("make", [tiny_clip, random_rn50])
def test_the_embedding_stays_clips_own(make) -> None:
    model = make()
    before = copy.deepcopy(model.visual.state_dict())
    folded = fold_batch_norms(model.visual)
    size = model.visual.input_resolution
    images = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = model.encode_image(images)
        scale = float(expected.abs().max())
        assert (folded(images) - expected).abs().max() < 1e-4 * max(scale, 1)
        for stride in (16, 32):
            features = DenseCLIP(folded, output_stride=stride)(images)
            apart = dense_embeddings(model.visual.attnpool, features.pyramid["layer4"])
            torch.testing.assert_close(features.embeddings, apart, atol=1e-5, rtol=0)
            dense, reference = (DenseCLIP(tower, output_stride=stride)(images) for tower in (folded, model.visual))
            torch.testing.assert_close(dense.embeddings, reference.embeddings, atol=1e-4, rtol=0)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in folded.modules())
    assert not any(parameter.requires_grad for parameter in folded.parameters())
    after = model.visual.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before), "the tower itself is left as it is"
