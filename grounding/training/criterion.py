"""From a batch to the losses of what is trained: of the decoder with boxes, of the adapters without any."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from pydantic import NonNegativeFloat
from torch import Tensor, nn

from grounding.clip.encoder import Encoder
from grounding.clip.similarity import pool
from grounding.data.batches import TrainingBatch
from grounding.data.supervision import box_masks, phrase_masks
from grounding.model.adaptation import EmbeddingAdapters
from grounding.model.decoder import HeatmapDecoder
from grounding.runtime.distributed import scale_to_global_means
from grounding.training.contrast import ImagePhraseContrast, ImagesAndPhrases, Pairs, RegionPhraseContrast
from grounding.training.losses import embedding_distance, mask_loss

# A loss, a () mean times its weight, and how many things it is a mean over.
WeightedMean = tuple[Tensor, int]


@dataclass(frozen=True)
class LossConfig:
    """What is trained on beside the box masks of the decoder, or the contrast of images and phrases of adapters, whose
    weight is 1; 0 leaves a loss out.

    Attributes:
        presence_weight: of the cross-entropy of whether anything fits the phrase, where the decoder has a presence
            head.
        contrast_weight: of the contrast of regions and phrases, which finds each one's own; the decoder's alone.
        distance_weight: of the cosine distance between CLIP's embeddings as adapters or low-rank updates have them and
            CLIP's own, the means over positions, and of adapters also over phrases.
    """

    presence_weight: NonNegativeFloat = 0.5
    contrast_weight: NonNegativeFloat = 0.0
    distance_weight: NonNegativeFloat = 0.0


class TrainingCriterion(nn.Module):
    """What is trained with its losses, as one module that `DistributedDataParallel` can wrap; CLIP is no part of it.

    Of several processes, each gives its slice of the batch. The mean over the processes of a loss, and of its gradient,
    is then that of one process with the whole batch (`scale_to_global_means`).
    """

    def __init__(self, encoder: Encoder, decoder: HeatmapDecoder | EmbeddingAdapters, config: LossConfig) -> None:
        super().__init__()
        self.decoder = decoder
        if isinstance(decoder, EmbeddingAdapters):
            self.image_contrast = ImagePhraseContrast()
        else:
            self.region_contrast = RegionPhraseContrast() if config.contrast_weight else None
        self._encoder, self._config = encoder, config

    def forward(self, batch: TrainingBatch) -> dict[str, Tensor]:
        """The weighted losses of one batch, () each, by name: "mask_loss", "presence_loss", "contrast_loss",
        "distance_loss" of the decoder, "contrast_loss", "distance_loss", "phrase_distance_loss" of adapters."""
        if isinstance(self.decoder, EmbeddingAdapters):
            return scale_to_global_means(self._without_boxes(batch, self.decoder))
        return scale_to_global_means(self._with_boxes(batch, self.decoder))

    def _with_boxes(self, batch: TrainingBatch, decoder: HeatmapDecoder) -> dict[str, WeightedMean]:
        device = self._encoder.device
        image_index, counts = batch.image_index.to(device), batch.box_counts.to(device)
        updates = decoder.updates() if decoder.updates is not None else None
        features = self._encoder.encode_squares(batch.squares, updates)
        phrases = self._encoder.encode_phrases(batch.phrases)
        valid = batch.valid.to(device)[image_index]
        regions = decoder.region_embeddings(features)
        x, summary = decoder.compare(features, phrases, image_index, regions)
        logits = decoder.refine(x, summary, features, image_index)
        of_boxes = box_masks(batch.boxes_xyxy.to(device), logits.shape[-1], decoder.heatmap_stride)
        masks = phrase_masks(of_boxes, counts)
        with torch.autocast(device.type, enabled=False):  # logarithms and temperatures need float32
            losses: dict[str, WeightedMean] = {"mask_loss": (mask_loss(logits.float(), masks, valid), len(logits))}
            if decoder.presence is not None:
                present = decoder.presence(x.float(), summary.float(), valid)
                loss = F.binary_cross_entropy_with_logits(present, (counts > 0).to(present.dtype))
                losses["presence_loss"] = self._config.presence_weight * loss, len(present)
            if self.region_contrast is not None:
                one = counts == 1  # the pairs of a region and its phrase
                pairs = Pairs(
                    regions=pool(regions.float(), masks[one], image_index[one]),
                    phrases=phrases.embeddings[one],
                    region_ids=batch.region_ids.to(device)[one],
                )
                contrast = self.region_contrast(pairs)
                losses["contrast_loss"] = self._config.contrast_weight * contrast, len(pairs.regions)
        if self._config.distance_weight:
            own = features if updates is None else self._encoder.encode_squares(batch.squares)
            distance = embedding_distance(regions.float(), own.embeddings.float(), batch.valid.to(device))
            losses["distance_loss"] = self._config.distance_weight * distance, len(regions)
        return losses

    def _without_boxes(self, batch: TrainingBatch, decoder: EmbeddingAdapters) -> dict[str, WeightedMean]:
        """Boxes play no part."""
        device, weight = self._encoder.device, self._config.distance_weight
        features = self._encoder.encode_squares(batch.squares)
        phrases = self._encoder.encode_phrases(batch.phrases).embeddings
        valid, image_ids = batch.valid.to(device), batch.image_ids.to(device)
        regions, adapted = decoder.region_embeddings(features).float(), decoder.phrase_embeddings(phrases).float()
        with torch.autocast(device.type, enabled=False):
            own = ImagesAndPhrases(  # unit length again: half precision has rounded it
                regions=F.normalize(regions, dim=1),
                valid=valid,
                phrases=F.normalize(adapted, dim=1),
                unadapted=phrases,
                image_ids=image_ids,
                about=image_ids[batch.image_index.to(device)],
            )
            contrast = self.image_contrast(own, decoder.log_sharpness)
            losses: dict[str, WeightedMean] = {"contrast_loss": (contrast, len(phrases))}
        if weight:
            distance = embedding_distance(own.regions, features.embeddings, valid)
            losses["distance_loss"] = weight * distance, len(features.embeddings)
            distances = 1 - F.cosine_similarity(adapted, phrases)
            losses["phrase_distance_loss"] = weight * distances.mean(), len(phrases)
        return losses
