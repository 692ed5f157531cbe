"""Learner: a batch goes in, the losses of the decoder come out, with boxes, without, or some of each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import NonNegativeInt
from torch import Tensor, nn

from grounding.contrast import Pairs, RegionPhraseContrast, WrongPhrases
from grounding.data.batches import TrainingBatch
from grounding.data.mirrored import can_be_mirrored, mirrored_phrase
from grounding.decoder import HeatmapDecoder
from grounding.dense_clip import DenseFeatures
from grounding.encoder import Encoder
from grounding.errors import InputError
from grounding.losses import box_masks, mask_loss
from grounding.shared_means import weighed_by_share
from grounding.similarity import pool
from grounding.weak import (
    WeakConfig,
    alike_neighbours,
    background_loss,
    colour_loss,
    mirror_loss,
    refuse_negative,
    similarity_targets,
)

# All that there are; several processes exchange how many phrases, neighbours or cells each is a mean over.
LOSSES = ("map_loss", "background_loss", "colour_loss", "mirror_loss", "mask_loss", "contrast_loss")


@dataclass(frozen=True)
class ContrastConfig:
    """The region-phrase contrastive loss.

    Attributes:
        weight: beside the other losses; 0 leaves it out.
        pooling: what a region is: "box", the mean embedding inside the annotated box, or "heatmap", the mean weighted
            by the predicted heatmap; without a box it is the latter.
        within_image: whether other regions of the same image are negatives.
        wrong_phrases: so many phrases one word apart are further negatives of each region.
    """

    weight: float = 0.1
    pooling: Literal["box", "heatmap"] = "box"
    within_image: bool = True
    wrong_phrases: NonNegativeInt = 0

    def __post_init__(self) -> None:
        refuse_negative("losses.contrast", weight=self.weight)


@dataclass(frozen=True)
class LossConfig:
    """What the decoder is trained on.

    Attributes:
        mask_weight: of BCE + Dice on box masks, where there are boxes.
        contrast: regions and phrases find each other.
        weak: what else is asked of phrases without a box.
    """

    mask_weight: float = 1.0
    contrast: ContrastConfig = field(default_factory=ContrastConfig)
    weak: WeakConfig = field(default_factory=WeakConfig)

    def __post_init__(self) -> None:
        refuse_negative("losses", mask_weight=self.mask_weight)


class Learner(nn.Module):
    """The decoder with the losses it is trained on: one module, so that several processes can share the work.

    Args:
        encoder: the frozen CLIP; none of its weights are among the parameters.
        decoder: what is trained.
        config: the losses and their weights.

    Raises:
        InputError: the contrast has nothing to teach.
    """

    def __init__(self, encoder: Encoder, decoder: HeatmapDecoder, config: LossConfig) -> None:
        super().__init__()
        if config.contrast.weight and config.contrast.pooling == "box" and decoder.adapter is None:
            raise InputError(
                "contrast.pooling is 'box' and decoder.adapter false: frozen embeddings of given boxes can learn "
                "nothing; give contrast.pooling heatmap, contrast.weight 0 or decoder.adapter true"
            )
        self.decoder = decoder
        self.contrast = (
            RegionPhraseContrast(within_image=config.contrast.within_image) if config.contrast.weight else None
        )
        self.config = config
        self._encoder = encoder
        self._teachers = [encoder.at(size) for size in config.weak.teacher_sizes if config.weak.map_weight]

    def forward(self, batch: TrainingBatch) -> dict[str, Tensor]:
        """The weighted losses of one batch, by name.

        Of several processes, each gives its slice of the batch. The mean over the processes of a loss, and of its
        gradient, is then that of one process with the whole batch (`weighed_by_share`).
        """
        device = self._encoder.device
        image_index, boxed = batch.image_index.to(device), batch.boxed.to(device)
        valid = batch.valid.to(device)[image_index]
        features = self._features_of(batch)
        phrases = self._encoder.encode_phrases(batch.phrases)
        regions = self.decoder.region_embeddings(features)
        logits = self.decoder(features, phrases, image_index, regions)
        stride = self.decoder.heatmap_stride
        # Where there is no box its mask is never looked at; NaN would still spoil gradients.
        masks = box_masks(batch.boxes_xyxy.to(device).nan_to_num(), logits.shape[-1], stride)
        own = features.embeddings.float()
        losses: dict[str, Tensor] = {}
        counts: dict[str, int | Tensor] = {}
        if not boxed.all():
            losses, counts = self._weak_losses(batch, own, phrases.embeddings, logits, valid, ~boxed)
        with torch.autocast(device.type, enabled=False):  # logarithms and temperatures need all of float32
            logits = logits.float()
            if boxed.any():
                losses["mask_loss"] = self.config.mask_weight * mask_loss(logits[boxed], masks[boxed], valid[boxed])
                counts["mask_loss"] = boxed.sum()
            if self.contrast is not None:
                by_box = boxed[:, None, None] & (self.config.contrast.pooling == "box")
                weights = torch.where(by_box, masks, logits.sigmoid() * valid)
                # Without a box, an adapter that may follow a phrase anywhere in its image soon does so at the wrong
                # place.
                by_adapter, by_clip = (pool(each, weights, image_index) for each in (regions.float(), own))
                pairs = Pairs(
                    regions=torch.where(boxed[:, None], by_adapter, by_clip),
                    phrases=phrases.embeddings,
                    region_ids=batch.region_ids.to(device),
                    image_ids=batch.image_ids.to(device)[image_index],
                    region_known=boxed,
                )
                losses["contrast_loss"] = self.config.contrast.weight * self.contrast(pairs, self._wrong(batch))
                counts["contrast_loss"] = len(pairs.regions)
            return weighed_by_share(losses, counts, LOSSES, device)

    def _features_of(self, batch: TrainingBatch) -> DenseFeatures:
        """CLIP's of the images: those that came with the batch, or else computed."""
        stored = batch.features
        if stored is None:
            return self._encoder.encode_squares(batch.squares)
        device = self._encoder.device

        def loaded(values: Tensor) -> Tensor:
            return values.to(device, torch.float32, memory_format=torch.channels_last)  # as the tower's own are

        return DenseFeatures(
            {stage: loaded(values) for stage, values in stored.pyramid.items()}, loaded(stored.embeddings)
        )

    def _at_teacher_sizes(self, squares: Tensor) -> Iterator[Tensor]:
        """(B, E, h, w) CLIP's own embeddings at each of the teacher's further sizes."""
        for encoder in self._teachers:
            size = (encoder.model_size, encoder.model_size)
            resized = F.interpolate(squares.permute(0, 3, 1, 2).float(), size=size, mode="bilinear")
            yield encoder.encode_squares(resized.round().to(torch.uint8).permute(0, 2, 3, 1)).embeddings.float()

    def _wrong(self, batch: TrainingBatch) -> WrongPhrases | None:
        if not batch.wrong_phrases:
            return None
        embeddings = self._encoder.encode_phrases(batch.wrong_phrases).embeddings
        return WrongPhrases(embeddings, batch.wrong_index.to(embeddings.device))

    def _weak_losses(
        self,
        batch: TrainingBatch,
        embeddings: Tensor,
        phrases: Tensor,
        logits: Tensor,
        valid: Tensor,
        chosen: Tensor,
    ) -> tuple[dict[str, Tensor], dict[str, int | Tensor]]:
        """Of the chosen phrases, those without a box: losses, but for the contrast, and how many things each is of."""
        weak, size = self.config.weak, logits.shape[-1]
        images, index = batch.image_index.to(logits.device)[chosen].unique(return_inverse=True)
        squares = batch.squares[images.cpu()]
        own = embeddings[images]
        phrases, kept, chosen_logits = phrases[chosen], valid[chosen], logits[chosen].float()
        teachers = [own, *self._at_teacher_sizes(squares)]
        asked = [phrase for phrase, weakly in zip(batch.phrases, chosen.tolist(), strict=True) if weakly]
        mirrors = [bool(weak.mirror_weight) and can_be_mirrored(phrase) for phrase in asked]
        if any(mirrors):
            said = [mirrored_phrase(phrase) for phrase, mirror in zip(asked, mirrors, strict=True) if mirror]
            mirrored = self._encoder.encode_squares(squares.flip(2))
            turned = self.decoder(mirrored, self._encoder.encode_phrases(said), index[mirrors])
        losses: dict[str, Tensor] = {}
        counts: dict[str, int | Tensor] = dict.fromkeys(("map_loss", "background_loss"), len(asked))
        with torch.autocast(logits.device.type, enabled=False):
            if weak.map_weight:
                targets = similarity_targets(
                    teachers, phrases, index, kept, threshold=weak.threshold, steepness=weak.steepness
                )
                losses["map_loss"] = weak.map_weight * mask_loss(chosen_logits, targets, kept)
            if weak.background_weight:
                inside, outside = (pool(own, each.sigmoid() * kept, index) for each in (chosen_logits, -chosen_logits))
                losses["background_loss"] = weak.background_weight * background_loss(inside, outside, phrases)
            if weak.colour_weight:
                pixels = squares.to(logits.device).permute(0, 3, 1, 2).float() / 255
                colours = F.adaptive_avg_pool2d(pixels, size)[index]
                losses["colour_loss"] = weak.colour_weight * colour_loss(chosen_logits, colours, kept)
                counts["colour_loss"] = sum(alike.sum() for alike in alike_neighbours(colours, kept))
            if any(mirrors):
                same = mirror_loss(chosen_logits[mirrors], turned.float(), kept[mirrors])
                losses["mirror_loss"] = weak.mirror_weight * same
                counts["mirror_loss"] = kept[mirrors].sum()
        return losses, counts
