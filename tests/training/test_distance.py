"""The distance that adapted embeddings keep to CLIP's own, by hand and in both criteria."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from grounding.clip.encoder import Encoder
from grounding.errors import InputError
from grounding.training.criterion import LossConfig
from grounding.training.losses import embedding_distance
from tests.tiny_clip import loaded_tiny_clip
from tests.training.test_criterion import SIZE, make_batch, make_criterion

WEIGHT = 0.7


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return Encoder(loaded_tiny_clip(), model_size=SIZE)


def test_by_a_loop_padding_left_out() -> None:
    torch.manual_seed(0)
    adapted, original = (F.normalize(torch.randn(2, 5, 2, 3), dim=1) for _ in range(2))
    valid = torch.ones(2, 4, 6, dtype=torch.bool)
    valid[1, 1:] = valid[1, :, 2:] = False  # of the second image a part of one cell is left
    first = [
        1 - F.cosine_similarity(adapted[0, :, y, x], original[0, :, y, x], dim=0) for y in (0, 1) for x in range(3)
    ]
    second = 1 - F.cosine_similarity(adapted[1, :, 0, 0], original[1, :, 0, 0], dim=0)
    expected = (torch.stack(first).mean() + second) / 2
    torch.testing.assert_close(embedding_distance(adapted, original, valid), expected)
    assert embedding_distance(original, original, valid).abs() < 1e-6


def test_low_rank_updates_are_held_to_clips_own_embeddings(encoder: Encoder) -> None:
    criterion = make_criterion(encoder, LossConfig(distance_weight=WEIGHT), lora_rank=2)
    batch = make_batch()
    assert criterion(batch)["distance_loss"].abs() < 1e-5  # nothing is learned yet
    for up in criterion.decoder.updates.up.values():
        torch.nn.init.normal_(up)
    losses = criterion(batch)
    updated = encoder.updated(criterion.decoder.updates()).encode_squares(batch.squares).embeddings
    own = encoder.encode_squares(batch.squares).embeddings
    torch.testing.assert_close(losses["distance_loss"], WEIGHT * embedding_distance(updated, own, batch.valid))
    losses["distance_loss"].backward()
    reached = {name for name, each in criterion.decoder.named_parameters() if each.grad is not None}
    assert reached and all(name.startswith("updates.") for name in reached)


def test_adapters_are_held_on_both_sides(encoder: Encoder) -> None:
    criterion, batch = (
        make_criterion(encoder, LossConfig(distance_weight=WEIGHT), kind="adapters"),
        make_batch("adapters"),
    )
    losses, adapters = criterion(batch), criterion.decoder
    features, phrases = encoder.encode_squares(batch.squares), encoder.encode_phrases(batch.phrases).embeddings
    of_regions = embedding_distance(adapters.region_embeddings(features), features.embeddings, batch.valid)
    of_phrases = 1 - F.cosine_similarity(adapters.phrase_embeddings(phrases), phrases).mean()
    torch.testing.assert_close(losses["distance_loss"], WEIGHT * of_regions)
    torch.testing.assert_close(losses["phrase_distance_loss"], WEIGHT * of_phrases)


def test_nothing_to_hold_back_is_refused(encoder: Encoder) -> None:
    with pytest.raises(InputError, match=r"losses.distance_weight is above 0 and decoder.lora_rank 0"):
        make_criterion(encoder, LossConfig(distance_weight=1.0))
