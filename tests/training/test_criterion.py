"""A batch's losses: which parts of it have a say in which, and what regions are made of."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from grounding.clip.encoder import Encoder
from grounding.data.batches import TrainingBatch
from grounding.data.supervision import box_masks
from grounding.errors import InputError
from grounding.model.decoder import DecoderConfig, decoder_for
from grounding.training.contrast import ImagePhraseContrast, ImagesAndPhrases, Pairs, RegionPhraseContrast
from grounding.training.criterion import LossConfig, TrainingCriterion, criterion_for
from grounding.training.losses import mask_loss
from tests.tiny_clip import loaded_tiny_clip

SIZE, STRIDE, OUTPUT_STRIDE = 64, 4, 16
PHRASES = ["the left box", "a red box", "the third box", "the box on the left", "number 7"]
SETS = torch.tensor([2, 1, 0, 1, 1])  # how many boxes each phrase has, in a batch with sets
EVERYTHING = LossConfig(contrast_weight=0.1)
KINDS = ("convolutional", "adapters")


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return Encoder(loaded_tiny_clip(), model_size=SIZE)


def make_criterion(
    encoder: Encoder, losses: LossConfig = EVERYTHING, *, kind: str = "convolutional", **decoder: Any
) -> TrainingCriterion:
    """Corrections of embeddings are not at zero, where they start: else they would hide what lies before them."""
    torch.manual_seed(0)
    config = DecoderConfig(kind=kind, width=16, blocks=1, queries=2, query_dim=8, **decoder)  # type: ignore[arg-type]
    criterion = criterion_for(encoder, decoder_for(encoder, config), losses)
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


def test_every_kind_has_its_losses(encoder):
    assert set(make_criterion(encoder)(make_batch())) == {"mask_loss", "contrast_loss"}
    assert set(make_criterion(encoder, LossConfig())(make_batch())) == {"mask_loss"}
    assert set(make_criterion(encoder, kind="adapters")(make_batch("adapters"))) == {"contrast_loss"}


def test_a_presence_head_has_a_loss(encoder):
    """The cross-entropy of whether a phrase has a box, where padding finds nothing."""
    criterion, batch = make_criterion(encoder, LossConfig(presence_weight=0.3), presence=True), make_batch()
    batch = replace(batch, box_counts=SETS)
    decoder = criterion.decoder
    with torch.no_grad():
        found, summary = decoder.compare(
            encoder.encode_squares(batch.squares), encoder.encode_phrases(PHRASES), batch.image_index
        )
        expected = []
        for row, image in enumerate(batch.image_index):
            inside = batch.valid[image].unfold(0, 4, 4).unfold(1, 4, 4).flatten(2).any(dim=2)
            most = found[row][:, inside].amax(dim=1)
            probability = decoder.presence.layers(torch.cat([most, summary[row]])).sigmoid()
            expected.append(-(probability if SETS[row] else 1 - probability).log())
        losses = criterion(batch)
    assert losses["presence_loss"].item() == pytest.approx(0.3 * torch.stack(expected).mean().item(), rel=1e-4)
    assert set(losses) == {"mask_loss", "presence_loss"}


def test_a_phrase_without_boxes_or_with_two_is_no_pair_of_a_region(encoder, monkeypatch):
    seen: list[Pairs] = []
    monkeypatch.setattr(RegionPhraseContrast, "forward", lambda _, pairs: (seen.append(pairs), torch.zeros(()))[1])
    make_criterion(encoder)(replace(make_batch(), box_counts=SETS))
    assert seen[0].region_ids.tolist() == [4, 5, 6] and len(seen[0].regions) == 3


def test_the_mask_loss_is_that_of_the_boxes(encoder):
    criterion, batch = make_criterion(encoder), make_batch()
    with torch.no_grad():
        logits = criterion.decoder(
            encoder.encode_squares(batch.squares), encoder.encode_phrases(PHRASES), batch.image_index
        )
        expected = mask_loss(logits, box_masks(batch.boxes_xyxy, 16, STRIDE), batch.valid[batch.image_index])
        assert criterion(batch)["mask_loss"].item() == pytest.approx(expected.item(), rel=1e-4)


@pytest.mark.parametrize(
    ("name", "doubled"),
    [
        ("mask_loss", replace(EVERYTHING, mask_weight=2.0)),
        ("contrast_loss", replace(EVERYTHING, contrast_weight=0.2)),
    ],
)
def test_weights_weigh(encoder, name, doubled):
    with torch.no_grad():
        before, after = (make_criterion(encoder, losses)(make_batch()) for losses in (EVERYTHING, doubled))
    for each in before:
        assert after[each].item() == pytest.approx((2 if each == name else 1) * before[each].item(), rel=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_every_weight_is_learned(encoder, kind):
    criterion = make_criterion(encoder, kind=kind)
    sum(criterion(make_batch(kind)).values()).backward()
    assert all(parameter.grad.isfinite().all() for parameter in criterion.parameters())
    assert all(parameter.grad.abs().max() > 0 for parameter in criterion.parameters())


def test_a_region_is_the_mean_of_the_adapted_embeddings_in_its_box(encoder, monkeypatch):
    """Cell by cell, each with the share of it that the box covers."""
    seen: list[Pairs] = []

    def spy(_: RegionPhraseContrast, pairs: Pairs) -> Tensor:
        seen.append(pairs)
        return pairs.regions.sum()

    monkeypatch.setattr(RegionPhraseContrast, "forward", spy)
    batch, criterion = make_batch(), make_criterion(encoder)
    with torch.no_grad():
        criterion(batch)
        adapted = criterion.decoder.region_embeddings(encoder.encode_squares(batch.squares)).numpy()
    [pairs] = seen
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
        criterion(batch)
        regions = criterion.decoder.region_embeddings(encoder.encode_squares(batch.squares))
        asked = encoder.encode_phrases(PHRASES).embeddings
        torch.testing.assert_close(seen[0].regions, regions)
        torch.testing.assert_close(seen[0].phrases, criterion.decoder.phrase_embeddings(asked))
    torch.testing.assert_close(seen[0].unadapted, asked)
    assert torch.equal(seen[0].valid, batch.valid) and seen[0].valid.shape[1:] == regions.shape[2:]
    assert seen[0].about.tolist() == [7, 7, 8, 8, 8] and seen[0].image_ids.tolist() == [7, 8]


def test_adapters_do_not_look_at_boxes(encoder):
    nowhere = torch.full((len(PHRASES), 4), torch.nan)
    losses = [
        make_criterion(encoder, kind="adapters")(replace(make_batch("adapters"), **changes))["contrast_loss"]
        for changes in ({}, {"boxes_xyxy": nowhere, "region_ids": -torch.arange(1, 6)})
    ]
    assert torch.equal(*losses)


@pytest.mark.parametrize("kind", KINDS)
def test_training_changes_nothing_of_clip(encoder, kind):
    clip = encoder.clip.model
    before = {name: value.clone() for name, value in clip.state_dict().items()}
    criterion = make_criterion(encoder, kind=kind)
    of_clip = {id(parameter) for parameter in clip.parameters()}
    assert not any(id(parameter) in of_clip for parameter in criterion.parameters())
    optimizer = torch.optim.AdamW(criterion.parameters(), lr=0.1)
    at_start = [parameter.detach().clone() for parameter in criterion.parameters()]
    for _ in range(3):
        sum(criterion(make_batch(kind)).values()).backward()
        optimizer.step()
        optimizer.zero_grad()
    assert all(not torch.equal(*pair) for pair in zip(at_start, criterion.parameters(), strict=True))
    after = clip.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert all(parameter.grad is None for parameter in clip.parameters())


def test_a_contrast_that_cannot_teach_is_refused(encoder):
    with pytest.raises(InputError, match=r"losses\.contrast_weight is above 0 and decoder\.adapter false: .* give"):
        make_criterion(encoder, adapter=False)
    make_criterion(encoder, LossConfig(), adapter=False)


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
