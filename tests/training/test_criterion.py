"""A batch's losses: which phrases have a part in which, and what regions are made of."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from grounding.clip.encoder import Encoder
from grounding.data.batches import TrainingBatch
from grounding.data.supervision import box_masks
from grounding.errors import InputError
from grounding.methods.dense import decoder_for
from grounding.model.decoder import DecoderConfig
from grounding.training.contrast import Pairs, RegionPhraseContrast
from grounding.training.criterion import ContrastConfig, LossConfig, TrainingCriterion
from grounding.training.losses import mask_loss
from tests.tiny_clip import loaded_tiny_clip

SIZE, STRIDE = 64, 4
PHRASES = ["the left box", "a red box", "the third box", "the box on the left", "number 7"]
BOXED = [True, True, False, False, False]
NOWHERE = [float("nan")] * 4
EVERYTHING = LossConfig(contrast=ContrastConfig(weight=0.1))


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return Encoder(loaded_tiny_clip(), model_size=SIZE)


def make_criterion(encoder: Encoder, losses: LossConfig = EVERYTHING, *, adapter: bool = True) -> TrainingCriterion:
    torch.manual_seed(0)
    config = DecoderConfig(width=16, blocks=1, queries=2, query_dim=8, adapter=adapter)
    criterion = TrainingCriterion(encoder, decoder_for(encoder, config), losses)
    if criterion.decoder.adapter is not None:
        torch.nn.init.normal_(criterion.decoder.adapter.correction.weight, std=0.2)
    return criterion


def make_batch() -> TrainingBatch:
    """One image with boxes and two phrases, one without and three; padding above and below the second."""
    generator = torch.Generator().manual_seed(0)
    valid = torch.ones(2, SIZE // STRIDE, SIZE // STRIDE, dtype=torch.bool)
    valid[1, :3] = valid[1, 13:] = False
    return TrainingBatch(
        squares=torch.randint(256, (2, SIZE, SIZE, 3), generator=generator, dtype=torch.uint8),
        valid=valid,
        image_ids=torch.tensor([7, 8]),
        phrases=PHRASES,
        boxes_xyxy=torch.tensor([[4.0, 8, 40, 30], [30, 30, 60, 62], NOWHERE, NOWHERE, NOWHERE]),
        boxed=torch.tensor(BOXED),
        image_index=torch.tensor([0, 0, 1, 1, 1]),
        region_ids=torch.tensor([3, 4, -1, -2, -3]),
    )


def rows_of(batch: TrainingBatch, rows: list[int]) -> TrainingBatch:
    """The batch with some of its phrases."""
    chosen = {name: getattr(batch, name)[rows] for name in ("boxes_xyxy", "boxed", "image_index", "region_ids")}
    phrases = [batch.phrases[row] for row in rows]
    return replace(batch, phrases=phrases, **chosen)


def test_every_loss_is_of_the_phrases_it_is_for(encoder):
    criterion, batch = make_criterion(encoder), make_batch()
    together = criterion(batch)
    boxed, weak = criterion(rows_of(batch, [0, 1])), criterion(rows_of(batch, [2, 3, 4]))
    assert set(boxed) == {"mask_loss", "contrast_loss"}
    assert set(weak) == {"map_loss", "colour_loss", "contrast_loss"}
    assert set(together) == set(boxed) | set(weak)
    for alone in (boxed, weak):
        for name in set(alone) - {"contrast_loss"}:
            assert together[name].item() == pytest.approx(alone[name].item(), rel=1e-4), name


def test_the_mask_loss_is_that_of_the_boxes(encoder):
    criterion, batch = make_criterion(encoder), make_batch()
    with torch.no_grad():
        logits = criterion.decoder(
            encoder.encode_squares(batch.squares), encoder.encode_phrases(PHRASES), batch.image_index
        )
        expected = mask_loss(logits[:2], box_masks(batch.boxes_xyxy[:2], 16, STRIDE), batch.valid[[0, 0]])
        assert criterion(batch)["mask_loss"].item() == pytest.approx(expected.item(), rel=1e-4)


@pytest.mark.parametrize(
    ("name", "part", "setting"),
    [("mask_loss", None, "mask_weight"), ("contrast_loss", "contrast", "weight")]
    + [(f"{each}_loss", "weak", f"{each}_weight") for each in ("map", "colour")],
)
def test_weights_weigh(encoder, name, part, setting):
    batch = make_batch()
    with torch.no_grad():
        before = make_criterion(encoder)(batch)
        holder = getattr(EVERYTHING, part) if part else EVERYTHING
        doubled = replace(holder, **{setting: 2 * getattr(holder, setting)})
        absent = replace(holder, **{setting: 0.0})
        doubled, absent = (replace(EVERYTHING, **{part: each}) if part else each for each in (doubled, absent))
        after, without = make_criterion(encoder, doubled)(batch), make_criterion(encoder, absent)(batch)
    for each in before:
        assert after[each].item() == pytest.approx((2 if each == name else 1) * before[each].item(), rel=1e-4)
    assert name not in without or without[name].item() == 0
    assert {each: value.item() for each, value in without.items() if each != name} == pytest.approx(
        {each: value.item() for each, value in before.items() if each != name}, rel=1e-4
    )


def test_a_box_that_is_nowhere_spoils_no_gradient(encoder):
    criterion = make_criterion(encoder)
    sum(criterion(make_batch()).values()).backward()
    assert all(parameter.grad.isfinite().all() for parameter in criterion.parameters())
    assert all(parameter.grad.abs().max() > 0 for parameter in criterion.parameters())


@pytest.mark.parametrize("pooling", ["box", "heatmap"])
def test_regions_are_adapted_where_there_is_a_box_and_clips_own_elsewhere(encoder, monkeypatch, pooling):
    """Cell by cell: the box's share of each or the heatmap's height in it, and no padding."""
    seen: list[Pairs] = []

    def spy(_: RegionPhraseContrast, pairs: Pairs) -> Tensor:
        seen.append(pairs)
        return pairs.regions.sum()

    monkeypatch.setattr(RegionPhraseContrast, "forward", spy)
    batch = make_batch()
    criterion = make_criterion(encoder, replace(EVERYTHING, contrast=ContrastConfig(weight=0.1, pooling=pooling)))
    with torch.no_grad():
        criterion(batch)
        features = encoder.encode_squares(batch.squares)
        heat = criterion.decoder(features, encoder.encode_phrases(PHRASES), batch.image_index).sigmoid().numpy()
        adapted = criterion.decoder.region_embeddings(features).numpy()
    [pairs] = seen
    masks = box_masks(batch.boxes_xyxy.nan_to_num(), 16, STRIDE).numpy()
    for row, image in enumerate(batch.image_index.tolist()):
        embeddings = adapted if BOXED[row] else features.embeddings.numpy()
        total = np.zeros(embeddings.shape[1])
        for i, j in np.ndindex(16, 16):
            weight = masks[row, i, j] if BOXED[row] and pooling == "box" else heat[row, i, j]
            if batch.valid[image, i, j]:
                total += weight * embeddings[image, :, i // 4, j // 4]
        np.testing.assert_allclose(pairs.regions[row], total / np.linalg.norm(total), atol=1e-4)
    assert pairs.region_ids.tolist() == batch.region_ids.tolist() and pairs.region_known.tolist() == BOXED
    assert pairs.image_ids.tolist() == [7, 7, 8, 8, 8]
    torch.testing.assert_close(pairs.phrases, encoder.encode_phrases(PHRASES).embeddings)


def test_losses_and_gradients_without_boxes_do_not_depend_on_them(encoder):
    """Were the boxes there, where `boxed` says that they are not to be used, nothing would change."""
    gradients = []
    for boxes in (make_batch().boxes_xyxy, torch.tensor([[4.0, 8, 40, 30], [30, 30, 60, 62]] + [[1.0, 2, 33, 44]] * 3)):
        criterion = make_criterion(encoder)
        sum(criterion(replace(make_batch(), boxes_xyxy=boxes)).values()).backward()
        gradients.append([parameter.grad for parameter in criterion.parameters()])
    assert all(torch.equal(*pair) for pair in zip(*gradients, strict=True))


@pytest.mark.parametrize("adapter", ["none", "zero"])
def test_without_the_adapters_correction_regions_are_clips_own(encoder, adapter):
    criterion = make_criterion(encoder, replace(EVERYTHING, contrast=ContrastConfig(weight=0.1, pooling="heatmap")),
                           adapter=adapter == "zero")  # fmt: skip
    if criterion.decoder.adapter is not None:
        torch.nn.init.zeros_(criterion.decoder.adapter.correction.weight)
    features = encoder.encode_squares(make_batch().squares)
    torch.testing.assert_close(criterion.decoder.region_embeddings(features), features.embeddings, atol=1e-6, rtol=0)
    assert make_criterion(encoder).decoder.region_embeddings(features).sub(features.embeddings).abs().max() > 0.01


def test_training_changes_the_adapter_and_nothing_of_clip(encoder):
    clip = encoder.clip.model
    before = {name: value.clone() for name, value in clip.state_dict().items()}
    criterion = make_criterion(encoder)
    of_clip = {id(parameter) for parameter in clip.parameters()}
    assert not any(id(parameter) in of_clip for parameter in criterion.parameters())
    optimizer = torch.optim.AdamW(criterion.parameters(), lr=0.1)
    adapter = criterion.decoder.adapter.correction.weight
    at_start = adapter.detach().clone()
    for _ in range(3):
        sum(criterion(make_batch()).values()).backward()
        optimizer.step()
        optimizer.zero_grad()
    assert (adapter - at_start).abs().max() > 0.01
    after = clip.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert all(parameter.grad is None for parameter in clip.parameters())


def test_a_contrast_that_cannot_teach_is_refused(encoder):
    with pytest.raises(InputError, match=r"contrast\.pooling is 'box' and decoder\.adapter false: .* give contrast"):
        make_criterion(encoder, adapter=False)
    for contrast in (ContrastConfig(weight=0.1, pooling="heatmap"), ContrastConfig(weight=0)):
        make_criterion(encoder, LossConfig(contrast=contrast), adapter=False)


def test_each_step_lowers_what_is_asked(encoder):
    criterion, batch = make_criterion(encoder), make_batch()
    optimizer = torch.optim.Adam(criterion.parameters(), lr=3e-3)
    history = []
    for _ in range(30):
        losses = criterion(batch)
        history.append({name: value.item() for name, value in losses.items()})
        sum(losses.values()).backward()
        optimizer.step()
        optimizer.zero_grad()
    assert history[-1]["mask_loss"] < 0.7 * history[0]["mask_loss"]
    assert history[-1]["map_loss"] < 0.7 * history[0]["map_loss"]
    assert sum(history[-1].values()) < 0.7 * sum(history[0].values())


def test_in_half_precision_the_losses_are_nearly_the_same(encoder):
    """As `accelerate` runs it for "bf16": the whole forward under autocast."""
    batch = make_batch()
    expected = make_criterion(encoder)(batch)
    criterion = make_criterion(encoder)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        losses = criterion(batch)
    for name, value in losses.items():
        assert value.dtype == torch.float32, name
        assert value.item() == pytest.approx(expected[name].item(), rel=0.1), name
    sum(losses.values()).backward()
    assert all(parameter.grad.isfinite().all() for parameter in criterion.parameters())
