"""Retrieval before and after adaptation, against CLIP's own dense embeddings."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest
import torch

from benchmarks.forgetting import _by_regions
from grounding.clip.backbone import load_clip, normalise_pixels
from grounding.clip.encoder import Encoder
from grounding.methods.dense import DenseGrounder
from grounding.model.adaptation import SHARPNESS
from grounding.model.decoder import DecoderConfig, decoder_for
from pretraining.captions import captioned_pictures
from pretraining.heldout import HELD_OUT_SEED, caption_embeddings, first_is_right


def grounder(**decoder: object) -> DenseGrounder:
    encoder = Encoder(load_clip(), model_size=64, output_stride=32)
    made = decoder_for(encoder, DecoderConfig(**decoder))  # type: ignore[arg-type]
    return DenseGrounder(encoder, made, name="x")


@torch.no_grad()
@pytest.mark.parametrize("decoder", [{"lora_rank": 2}, {"lora_rank": 0}, {"kind": "adapters"}])
def test_nothing_learned_is_clips_own_retrieval_and_something_learned_is_not(decoder: dict[str, object]) -> None:
    adapted = grounder(**decoder)
    clip = adapted.encoder.clip
    gallery = list(islice(captioned_pictures(HELD_OUT_SEED, clip.model.visual.input_resolution), 6))
    pixels = normalise_pixels(torch.from_numpy(np.stack([each.image for each in gallery])).permute(0, 3, 1, 2))
    captions = caption_embeddings(clip, gallery)
    dense = adapted.encoder.dense(pixels).embeddings.flatten(2)  # (images, E, positions)
    own = torch.logsumexp(SHARPNESS * torch.einsum("ne,mep->nmp", captions, dense), dim=2) / SHARPNESS
    own = own - np.log(dense.shape[2]) / SHARPNESS
    torch.testing.assert_close(_by_regions(adapted, 1.0, pixels, captions), own, atol=1e-4, rtol=0)

    made = adapted.decoder
    last = [*made.regions[-1].parameters()] if decoder.get("kind") else [made.adapter.correction.weight]
    for learned in (*last, *(made.updates.up.values() if decoder.get("lora_rank") else ())):
        learned.normal_()
    torch.testing.assert_close(_by_regions(adapted, 0.0, pixels, captions), own, atol=1e-4, rtol=0)
    assert not torch.allclose(_by_regions(adapted, 1.0, pixels, captions), own, atol=1e-2)


def test_captions_that_are_true_of_nothing_are_left_out() -> None:
    similarity = torch.tensor([[0.9, 0.1], [0.8, 0.2], [0.3, 0.4]])  # 3 captions, 2 images
    true_of = np.array([[True, False, False], [True, True, False]])  # images, captions
    assert first_is_right(similarity, true_of) == [True, False]
