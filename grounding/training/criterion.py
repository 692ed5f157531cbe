"""From a batch to the losses of what is trained: of the decoder with boxes, of the adapters without any."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from pydantic import NonNegativeFloat
from torch import Tensor, nn

from grounding.clip.dense import DenseFeatures
from grounding.clip.encoder import Encoder
from grounding.clip.similarity import pool
from grounding.data.batches import TrainingBatch
from grounding.data.supervision import box_masks, phrase_masks
from grounding.errors import SettingsError
from grounding.model.adaptation import EmbeddingAdapters
from grounding.model.decoder import HeatmapDecoder
from grounding.runtime.distributed import scale_to_global_means
from grounding.training.contrast import ImagePhraseContrast, ImagesAndPhrases, Pairs, RegionPhraseContrast
from grounding.training.losses import embedding_distance, mask_loss

# A loss, a () mean times its weight, and how many phrases it is a mean over.
WeightedMean = tuple[Tensor, int]


@dataclass(frozen=True)
class LossConfig:
    """What the decoder is trained on; 0 leaves a loss out. Of these, adapters know the distance alone, beside the
    contrast of images and phrases, whose weight is 1.

    Attributes:
        mask_weight: of BCE + Dice on box masks.
        presence_weight: of the cross-entropy of whether anything fits the phrase, where the decoder has a presence
            head.
        contrast_weight: of the contrast of regions and phrases, which finds each one's own.
        distance_weight: of the cosine distance between CLIP's embeddings as adapters or low-rank updates have them and
            CLIP's own, the means over positions, and of adapters also over phrases.
    """

    mask_weight: NonNegativeFloat = 1.0
    presence_weight: NonNegativeFloat = 0.5
    contrast_weight: NonNegativeFloat = 0.0
    distance_weight: NonNegativeFloat = 0.0


class TrainingCriterion(nn.Module):
    """What is trained with its losses, as one module that `DistributedDataParallel` can wrap.

    Of several processes, each gives its slice of the batch. The mean over the processes of a loss, and of its gradient,
    is then that of one process with the whole batch (`scale_to_global_means`).

    Args:
        encoder: the frozen CLIP; none of its weights are among the parameters.
        decoder: what is trained.

    Attributes:
        decoder: as given.
    """

    def __init__(self, encoder: Encoder, decoder: HeatmapDecoder | EmbeddingAdapters) -> None:
        super().__init__()
        self.decoder = decoder
        self._encoder = encoder

    def forward(self, batch: TrainingBatch) -> dict[str, Tensor]:
        """The weighted losses of one batch, () each, by name: "mask_loss", "presence_loss", "contrast_loss",
        "distance_loss", "phrase_distance_loss"."""
        return scale_to_global_means(self.weighted_means(batch))

    def weighted_means(self, batch: TrainingBatch) -> dict[str, WeightedMean]:
        """This process's losses by name, times their weights."""
        raise NotImplementedError


class BoxCriterion(TrainingCriterion):
    """The decoder with box masks and the region-phrase contrast.

    Args:
        encoder, decoder: as for `TrainingCriterion`.
        config: the losses and their weights.

    Raises:
        SettingsError: the contrast has nothing to teach, or the distance nothing to hold back.
    """

    decoder: HeatmapDecoder

    def __init__(self, encoder: Encoder, decoder: HeatmapDecoder, config: LossConfig) -> None:
        super().__init__(encoder, decoder)
        if config.contrast_weight and decoder.adapter is None:
            raise SettingsError(
                "losses.contrast_weight is above 0 and decoder.adapter false: frozen embeddings of given boxes can "
                "learn nothing; give losses.contrast_weight 0 or decoder.adapter true"
            )
        if config.distance_weight and decoder.updates is None:
            raise SettingsError(
                "losses.distance_weight is above 0 and decoder.lora_rank 0: nothing changes CLIP; give "
                "losses.distance_weight 0 or decoder.lora_rank 8"
            )
        self.contrast = RegionPhraseContrast() if config.contrast_weight else None
        self.config = config

    def weighted_means(self, batch: TrainingBatch) -> dict[str, WeightedMean]:
        """As `TrainingCriterion`."""
        updates = self.decoder.updates() if self.decoder.updates is not None else None
        features = self._encoder.encode_squares(batch.squares, updates)
        losses = self.of_features(features, batch)
        if self.config.distance_weight:
            own = self._encoder.encode_squares(batch.squares).embeddings
            distance = embedding_distance(features.embeddings, own, batch.valid.to(own.device))
            losses["distance_loss"] = self.config.distance_weight * distance, len(own)
        return losses

    def of_features(self, features: DenseFeatures, batch: TrainingBatch) -> dict[str, WeightedMean]:
        """`weighted_means` of a batch whose images are encoded."""
        device = self._encoder.device
        image_index = batch.image_index.to(device)
        phrases = self._encoder.encode_phrases(batch.phrases)
        regions = self.decoder.region_embeddings(features)
        valid = batch.valid.to(device)[image_index]
        counts = batch.box_counts.to(device)
        x, summary = self.decoder.compare(features, phrases, image_index, regions)
        logits = self.decoder.refine(x, summary, features, image_index)
        of_boxes = box_masks(batch.boxes_xyxy.to(device), logits.shape[-1], self.decoder.heatmap_stride)
        masks = phrase_masks(of_boxes, counts)
        with torch.autocast(device.type, enabled=False):  # logarithms and temperatures need float32
            losses: dict[str, WeightedMean] = {
                "mask_loss": (self.config.mask_weight * mask_loss(logits.float(), masks, valid), len(logits))
            }
            if self.decoder.presence is not None:
                present = self.decoder.presence(x.float(), summary.float(), valid)
                loss = F.binary_cross_entropy_with_logits(present, (counts > 0).to(present.dtype))
                losses["presence_loss"] = self.config.presence_weight * loss, len(present)
            if self.contrast is not None:
                one = counts == 1  # the pairs of a region and its phrase
                pairs = Pairs(
                    regions=pool(regions.float(), masks[one], image_index[one]),
                    phrases=phrases.embeddings[one],
                    region_ids=batch.region_ids.to(device)[one],
                )
                losses["contrast_loss"] = self.config.contrast_weight * self.contrast(pairs), len(pairs.regions)
        return losses


class ContrastCriterion(TrainingCriterion):
    """The adapters with the contrast of images and phrases; boxes play no part.

    Args:
        encoder, decoder: as for `TrainingCriterion`.
        config: of which the distance's weight is read.
    """

    decoder: EmbeddingAdapters

    def __init__(self, encoder: Encoder, decoder: EmbeddingAdapters, config: LossConfig) -> None:
        super().__init__(encoder, decoder)
        self.contrast = ImagePhraseContrast()
        self.distance_weight = config.distance_weight

    def weighted_means(self, batch: TrainingBatch) -> dict[str, WeightedMean]:
        """As `TrainingCriterion`."""
        features = self._encoder.encode_squares(batch.squares)
        losses = self.of_features(features, batch)
        if self.distance_weight:
            own, adapted = features.embeddings, self.decoder.region_embeddings(features).float()
            distance = embedding_distance(F.normalize(adapted, dim=1), own, batch.valid.to(own.device))
            losses["distance_loss"] = self.distance_weight * distance, len(own)
            phrases = self._encoder.encode_phrases(batch.phrases).embeddings
            distances = 1 - F.cosine_similarity(self.decoder.phrase_embeddings(phrases).float(), phrases)
            losses["phrase_distance_loss"] = self.distance_weight * distances.mean(), len(phrases)
        return losses

    def of_features(self, features: DenseFeatures, batch: TrainingBatch) -> dict[str, WeightedMean]:
        """`weighted_means` of a batch whose images are encoded."""
        device = self._encoder.device
        phrases = self._encoder.encode_phrases(batch.phrases)
        regions = self.decoder.region_embeddings(features)
        adapted = self.decoder.phrase_embeddings(phrases.embeddings)
        image_ids = batch.image_ids.to(device)
        with torch.autocast(device.type, enabled=False):
            own = ImagesAndPhrases(  # unit length again: half precision has rounded it
                regions=F.normalize(regions.float(), dim=1),
                valid=batch.valid.to(device),
                phrases=F.normalize(adapted.float(), dim=1),
                unadapted=phrases.embeddings,
                image_ids=image_ids,
                about=image_ids[batch.image_index.to(device)],
            )
            return {"contrast_loss": (self.contrast(own, self.decoder.log_sharpness), len(own.phrases))}


def criterion_for(
    encoder: Encoder, decoder: HeatmapDecoder | EmbeddingAdapters, config: LossConfig
) -> TrainingCriterion:
    """The losses that fit what is trained.

    Raises:
        SettingsError: as `BoxCriterion`.
    """
    if isinstance(decoder, EmbeddingAdapters):
        return ContrastCriterion(encoder, decoder, config)
    return BoxCriterion(encoder, decoder, config)
