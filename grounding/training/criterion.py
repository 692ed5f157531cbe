"""TrainingCriterion: from a batch, with boxes, without, or some of each, to the losses of the decoder."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from grounding.clip.encoder import Encoder
from grounding.clip.similarity import pool
from grounding.data.batches import TrainingBatch
from grounding.data.supervision import box_masks
from grounding.errors import SettingsError
from grounding.model.decoder import HeatmapDecoder
from grounding.runtime.distributed import scale_to_global_means
from grounding.training.contrast import Pairs, RegionPhraseContrast
from grounding.training.losses import mask_loss
from grounding.training.weak import WeakConfig, alike_neighbours, pairwise_affinity_loss, pseudo_masks, refuse_negative

LOSSES = ("map_loss", "colour_loss", "mask_loss", "contrast_loss")  # all that a batch may have
# A loss, a () mean times its weight, and how many phrases or pairs of cells it is a mean over.
WeightedMean = tuple[Tensor, int | Tensor]


@dataclass(frozen=True)
class ContrastConfig:
    """The region-phrase contrastive loss.

    Attributes:
        weight: beside the other losses; 0 leaves it out.
        pooling: what a region is: "box", the mean embedding inside the annotated box, or "heatmap", the mean weighted
            by the predicted heatmap; without a box it is the latter.
        within_image: whether other regions of the same image are negatives.
    """

    weight: float = 0.0
    pooling: Literal["box", "heatmap"] = "box"
    within_image: bool = True

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


class TrainingCriterion(nn.Module):
    """The decoder with the losses it is trained on, as one module that `DistributedDataParallel` can wrap.

    Args:
        encoder: the frozen CLIP; none of its weights are among the parameters.
        decoder: what is trained.
        config: the losses and their weights.

    Raises:
        SettingsError: the contrast has nothing to teach.
    """

    def __init__(self, encoder: Encoder, decoder: HeatmapDecoder, config: LossConfig) -> None:
        super().__init__()
        contrast = config.contrast
        if contrast.weight and contrast.pooling == "box" and decoder.adapter is None:
            raise SettingsError(
                "contrast.pooling is 'box' and decoder.adapter false: frozen embeddings of given boxes can learn "
                "nothing; give contrast.pooling heatmap, contrast.weight 0 or decoder.adapter true"
            )
        self.decoder = decoder
        self.contrast = RegionPhraseContrast(within_image=contrast.within_image) if contrast.weight else None
        self.config = config
        self._encoder = encoder
        self._teachers = [encoder.at(size) for size in config.weak.teacher_sizes if config.weak.map_weight]

    def forward(self, batch: TrainingBatch) -> dict[str, Tensor]:
        """The weighted losses of one batch, () each, by name, some of `LOSSES`.

        Of several processes, each gives its slice of the batch. The mean over the processes of a loss, and of its
        gradient, is then that of one process with the whole batch (`scale_to_global_means`).
        """
        device = self._encoder.device
        image_index, boxed = batch.image_index.to(device), batch.boxed.to(device)
        valid = batch.valid.to(device)[image_index]
        features = self._encoder.encode_squares(batch.squares)
        phrases = self._encoder.encode_phrases(batch.phrases)
        regions = self.decoder.region_embeddings(features)
        logits = self.decoder(features, phrases, image_index, regions)
        frozen = features.embeddings.float()
        # The masks of phrases without a box are never looked at; their NaN would still spoil gradients.
        boxes = batch.boxes_xyxy.to(device).nan_to_num()
        masks = box_masks(boxes, logits.shape[-1], self.decoder.heatmap_stride)

        losses: dict[str, WeightedMean] = {}
        if not boxed.all():
            losses |= self._weak_losses(batch, frozen, phrases.embeddings, logits, valid, ~boxed)
        with torch.autocast(device.type, enabled=False):  # logarithms and temperatures need float32
            logits = logits.float()
            if boxed.any():
                loss = mask_loss(logits[boxed], masks[boxed], valid[boxed])
                losses["mask_loss"] = self.config.mask_weight * loss, boxed.sum()
            if self.contrast is not None:
                by_box = boxed[:, None, None] & (self.config.contrast.pooling == "box")
                weights = torch.where(by_box, masks, logits.sigmoid() * valid)
                adapted, unadapted = (pool(each, weights, image_index) for each in (regions.float(), frozen))
                pairs = Pairs(
                    # Without a box, an adapter that may follow a phrase anywhere in its image soon does so at the
                    # wrong place.
                    regions=torch.where(boxed[:, None], adapted, unadapted),
                    phrases=phrases.embeddings,
                    region_ids=batch.region_ids.to(device),
                    image_ids=batch.image_ids.to(device)[image_index],
                    region_known=boxed,
                )
                losses["contrast_loss"] = self.config.contrast.weight * self.contrast(pairs), len(pairs.regions)
            return scale_to_global_means(losses, LOSSES, device)

    def _weak_losses(
        self,
        batch: TrainingBatch,
        embeddings: Tensor,
        phrases: Tensor,
        logits: Tensor,
        valid: Tensor,
        unboxed: Tensor,
    ) -> dict[str, WeightedMean]:
        """The losses of phrases without a box, but for the contrast.

        Args:
            batch: B images and P phrases.
            embeddings: (B, E, h, w) float32, CLIP's own.
            phrases: (P, E) float32.
            logits: (P, H, W) of the heatmaps.
            valid: (P, H, W) bool.
            unboxed: (P,) bool, which phrases have no box; at least one.
        """
        weak, device = self.config.weak, logits.device
        # Only images that such phrases are about: teachers are computed image by image.
        images, image_index = batch.image_index.to(device)[unboxed].unique(return_inverse=True)
        squares = batch.squares[images.cpu()]
        teachers = [embeddings[images], *self._at_teacher_sizes(squares)]
        phrases, valid, logits = phrases[unboxed], valid[unboxed], logits[unboxed].float()
        losses: dict[str, WeightedMean] = {}
        with torch.autocast(device.type, enabled=False):
            if weak.map_weight:
                targets = pseudo_masks(
                    teachers, phrases, image_index, valid, threshold=weak.threshold, steepness=weak.steepness
                )
                losses["map_loss"] = weak.map_weight * mask_loss(logits, targets, valid), len(logits)
            if weak.colour_weight:
                pixels = squares.to(device).permute(0, 3, 1, 2).float() / 255
                colours = F.adaptive_avg_pool2d(pixels, logits.shape[-1])[image_index]
                alike = alike_neighbours(colours, valid)
                count = sum(pairs.sum() for pairs in alike)
                losses["colour_loss"] = weak.colour_weight * pairwise_affinity_loss(logits, alike), count
        return losses

    def _at_teacher_sizes(self, squares: Tensor) -> Iterator[Tensor]:
        """(B, E, h, w) float32, CLIP's own embeddings at each of the teacher's further sizes."""
        for encoder in self._teachers:
            size = (encoder.model_size, encoder.model_size)
            resized = F.interpolate(squares.permute(0, 3, 1, 2).float(), size=size, mode="bilinear")
            yield encoder.encode_squares(resized.round().to(torch.uint8).permute(0, 2, 3, 1)).embeddings.float()
