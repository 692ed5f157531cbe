"""A batch's losses: which parts of it have a say in which, with which weight, and what regions are made of."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from grounding.clip.dense import DenseFeatures
from grounding.clip.encoder import Encoder
from grounding.clip.text import PhraseFeatures
from grounding.data.batches import TrainingBatch
from grounding.data.supervision import box_masks
from grounding.model.decoder import DecoderConfig, decoder_for, updated_encoder
from grounding.training.contrast import ImagePhraseContrast, ImagesAndPhrases, Pairs, RegionPhraseContrast
from grounding.training.criterion import LossConfig, TrainingCriterion
from grounding.training.losses import embedding_distance, mask_loss
from grounding.training.step import _parameter_groups
from tests.tiny_clip import loaded_tiny_clip

SIZE, STRIDE, OUTPUT_STRIDE = 64, 4, 16
PHRASES = ["the left box", "a red box", "the third box", "the box on the left", "number 7"]
SETS = torch.tensor([2, 1, 0, 1, 1])  # how many boxes each phrase has, in a batch with sets
KINDS = ("convolutional", "adapters")
WEIGHT = 0.7  # of the distance
ALL = LossConfig(contrast_weight=0.1)


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return Encoder(loaded_tiny_clip(), model_size=SIZE)


def make_criterion(
    encoder: Encoder, losses: LossConfig = ALL, *, kind: str = "convolutional", **decoder: Any
) -> TrainingCriterion:
    """Corrections of embeddings are not at zero, where they start: else they would hide what lies before them."""
    torch.manual_seed(0)
    config = DecoderConfig(kind=kind, width=16, blocks=1, queries=2, query_dim=8, **decoder)  # type: ignore[arg-type]
    criterion = TrainingCriterion(encoder, decoder_for(encoder, config), losses)
    for name, parameter in criterion.decoder.named_parameters():
        if name in ("adapter.correction.weight", "regions.4.weight", "phrases.2.weight"):
            torch.nn.init.normal_(parameter, std=0.2)
    return criterion


def make_batch(kind: str = "convolutional") -> TrainingBatch:
    """Two images with two phrases and with three; padding above and below the second."""
    generator = torch.Generator().manual_seed(0)
    cells = SIZE // (OUTPUT_STRIDE if kind == "adapters" else STRIDE)
    valid = torch.ones(2, cells, cells, dtype=torch.bool)
    valid[1, : cells // 4] = valid[1, -(cells // 4) :] = False
    return TrainingBatch(
        squares=torch.randint(256, (2, SIZE, SIZE, 3), generator=generator, dtype=torch.uint8),
        valid=valid,
        image_ids=torch.tensor([7, 8]),
        phrases=PHRASES,
        boxes_xyxy=torch.tensor(
            [[4.0, 8, 40, 30], [30, 30, 60, 62], [1, 17, 33, 44], [2, 20, 30, 40], [40, 17, 64, 45]]
        ),
        box_counts=torch.ones(5, dtype=torch.long),
        image_index=torch.tensor([0, 0, 1, 1, 1]),
        region_ids=torch.tensor([3, 4, 5, 5, 6]),
    )


def asked(encoder: Encoder, batch: TrainingBatch) -> tuple[DenseFeatures, PhraseFeatures, Tensor]:
    """What a decoder is given of a batch."""
    return encoder.encode_squares(batch.squares), encoder.encode_phrases(batch.phrases), batch.image_index


def test_a_presence_head_has_a_loss(encoder):
    """The cross-entropy of whether a phrase has a box, where padding finds nothing."""
    criterion, batch = make_criterion(encoder, LossConfig(presence_weight=0.3), presence=True), make_batch()
    batch = replace(batch, box_counts=SETS)
    decoder = criterion.decoder
    with torch.no_grad():
        found, summary = decoder.compare(*asked(encoder, batch))
        expected = []
        for row, image in enumerate(batch.image_index):
            inside = batch.valid[image].unfold(0, 4, 4).unfold(1, 4, 4).flatten(2).any(dim=2)
            most = found[row][:, inside].amax(dim=1)
            probability = decoder.presence.layers(torch.cat([most, summary[row]])).sigmoid()
            expected.append(-(probability if SETS[row] else 1 - probability).log())
        losses = criterion(batch)
    assert losses["presence_loss"].item() == pytest.approx(0.3 * torch.stack(expected).mean().item(), rel=1e-4)
    assert set(losses) == {"mask_loss", "presence_loss"}


def test_the_mask_loss_is_that_of_the_boxes(encoder):
    criterion, batch = make_criterion(encoder, LossConfig()), make_batch()
    with torch.no_grad():
        logits = criterion.decoder(*asked(encoder, batch))
        expected = mask_loss(logits, box_masks(batch.boxes_xyxy, 16, STRIDE), batch.valid[batch.image_index])
        losses = criterion(batch)
    assert set(losses) == {"mask_loss"}
    assert losses["mask_loss"].item() == pytest.approx(expected.item(), rel=1e-4)


def test_a_region_is_the_mean_of_the_adapted_embeddings_in_its_box(encoder, monkeypatch):
    """Cell by cell, each with the share of it that the box covers; without a box, or with two, a phrase has none."""
    seen: list[Pairs] = []

    def spy(_: RegionPhraseContrast, pairs: Pairs) -> Tensor:
        seen.append(pairs)
        return pairs.regions.sum()

    monkeypatch.setattr(RegionPhraseContrast, "forward", spy)
    batch, criterion = make_batch(), make_criterion(encoder)
    with torch.no_grad():
        losses = criterion(batch)
        adapted = criterion.decoder.region_embeddings(encoder.encode_squares(batch.squares)).numpy()
        criterion(replace(batch, box_counts=SETS))
    pairs, of_sets = seen
    assert of_sets.region_ids.tolist() == [4, 5, 6] and len(of_sets.regions) == 3
    assert losses["contrast_loss"].item() == pytest.approx(0.1 * pairs.regions.sum().item())
    masks = box_masks(batch.boxes_xyxy, 16, STRIDE).numpy()
    for row, image in enumerate(batch.image_index.tolist()):
        total = np.zeros(adapted.shape[1])
        for i, j in np.ndindex(16, 16):
            total += masks[row, i, j] * adapted[image, :, i // 4, j // 4]
        np.testing.assert_allclose(pairs.regions[row], total / np.linalg.norm(total), atol=1e-4)
    assert pairs.region_ids.tolist() == batch.region_ids.tolist()
    torch.testing.assert_close(pairs.phrases, encoder.encode_phrases(PHRASES).embeddings)


def test_adapters_are_asked_about_images_and_their_phrases(encoder, monkeypatch):
    seen: list[ImagesAndPhrases] = []

    def spy(_: ImagePhraseContrast, own: ImagesAndPhrases, log_sharpness: Tensor) -> Tensor:
        seen.append(own)
        return own.regions.sum() + log_sharpness

    monkeypatch.setattr(ImagePhraseContrast, "forward", spy)
    batch, criterion = make_batch("adapters"), make_criterion(encoder, kind="adapters")
    with torch.no_grad():
        assert set(criterion(batch)) == {"contrast_loss"}
        features, phrases, _ = asked(encoder, batch)
        regions = criterion.decoder.region_embeddings(features)
        torch.testing.assert_close(seen[0].regions, regions)
        torch.testing.assert_close(seen[0].phrases, criterion.decoder.phrase_embeddings(phrases.embeddings))
    torch.testing.assert_close(seen[0].unadapted, phrases.embeddings)
    assert torch.equal(seen[0].valid, batch.valid) and seen[0].valid.shape[1:] == regions.shape[2:]
    assert seen[0].about.tolist() == [7, 7, 8, 8, 8] and seen[0].image_ids.tolist() == [7, 8]


@pytest.mark.parametrize("kind", KINDS)
def test_every_weight_is_learned_and_nothing_of_clip(encoder, kind):
    clip = encoder.clip.model
    before = {name: value.clone() for name, value in clip.state_dict().items()}
    more = {"lora_rank": 2, "presence": True} if kind == "convolutional" else {}
    criterion = make_criterion(encoder, kind=kind, **more)
    optimizer = torch.optim.AdamW(criterion.parameters(), lr=0.1)
    at_start = [parameter.detach().clone() for parameter in criterion.parameters()]
    for _ in range(3):
        optimizer.zero_grad()
        sum(criterion(make_batch(kind)).values()).backward()
        optimizer.step()
    assert all(parameter.grad.isfinite().all() for parameter in criterion.parameters())
    assert all(not torch.equal(*pair) for pair in zip(at_start, criterion.parameters(), strict=True))
    after = clip.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert all(parameter.grad is None for parameter in clip.parameters())


@pytest.mark.parametrize("kind", KINDS)
def test_in_half_precision_the_losses_are_nearly_the_same(encoder, kind):
    """As `accelerate` runs it for "bf16": the whole forward under autocast."""
    batch = make_batch(kind)
    expected = make_criterion(encoder, kind=kind)(batch)
    criterion = make_criterion(encoder, kind=kind)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        losses = criterion(batch)
    for name, value in losses.items():
        assert value.dtype == torch.float32, name
        assert value.item() == pytest.approx(expected[name].item(), rel=0.1), name
    sum(losses.values()).backward()
    assert all(parameter.grad.isfinite().all() for parameter in criterion.parameters())


@pytest.mark.parametrize("rank", [0, 2])
def test_the_decoders_embeddings_are_held_to_clips_own(encoder: Encoder, rank: int) -> None:
    criterion = make_criterion(encoder, LossConfig(distance_weight=WEIGHT), lora_rank=rank)
    batch, decoder = make_batch(), criterion.decoder
    learned = [decoder.adapter.correction.weight, *(decoder.updates.up.values() if rank else ())]
    for fill, distance in ((torch.nn.init.zeros_, 0), (torch.nn.init.normal_, WEIGHT)):
        for each in learned:
            fill(each)
        assert criterion(batch)["distance_loss"].item() == pytest.approx(distance, abs=0.3 * distance + 1e-5)
    losses = criterion(batch)
    adapted = decoder.region_embeddings(updated_encoder(encoder, decoder).encode_squares(batch.squares))
    own = encoder.encode_squares(batch.squares).embeddings
    torch.testing.assert_close(losses["distance_loss"], WEIGHT * embedding_distance(adapted, own, batch.valid))
    losses["distance_loss"].backward()
    reached = {name for name, each in decoder.named_parameters() if each.grad is not None}
    assert {name.split(".")[0] for name in reached} == {"adapter", *(["updates"] if rank else [])}


def test_adapters_are_held_on_both_sides(encoder: Encoder) -> None:
    criterion = make_criterion(encoder, LossConfig(distance_weight=WEIGHT), kind="adapters")
    batch, adapters = make_batch("adapters"), criterion.decoder
    losses = criterion(batch)
    features, phrases, _ = asked(encoder, batch)
    of_regions = embedding_distance(adapters.region_embeddings(features), features.embeddings, batch.valid)
    adapted = adapters.phrase_embeddings(phrases.embeddings)
    of_phrases = 1 - F.cosine_similarity(adapted, phrases.embeddings).mean()
    torch.testing.assert_close(losses["distance_loss"], WEIGHT * of_regions)
    torch.testing.assert_close(losses["phrase_distance_loss"], WEIGHT * of_phrases)


def test_kernels_decay_and_biases_and_norms_do_not(encoder: Encoder) -> None:
    criterion = make_criterion(encoder)
    groups = list(_parameter_groups(criterion, 0.02))
    decays = {id(each): group["weight_decay"] for group in groups for each in group["params"]}
    assert decays == {id(each): 0.02 if each.ndim > 1 else 0.0 for each in criterion.parameters()}
