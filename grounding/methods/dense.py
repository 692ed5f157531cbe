"""The methods that turn a heatmap into boxes: ours and its zero-shot form."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from grounding.clip.encoder import EncodedImages, EncodedView, Encoder
from grounding.clip.precision import own_mode
from grounding.clip.similarity import similarity_of
from grounding.clip.text import as_phrases
from grounding.data.augmentation_rules import can_be_mirrored, mirrored_phrase
from grounding.data.images import ImageLike
from grounding.extraction import extract
from grounding.extraction.quality import BoxQualityHead
from grounding.extraction.settings import required_head
from grounding.methods.calibration import Calibration, calibrated, with_cosines
from grounding.methods.config import ModelConfig
from grounding.methods.grounder import EncodingGrounder
from grounding.methods.similarity_maps import similarity_heatmaps
from grounding.model.adaptation import EmbeddingAdapters
from grounding.model.decoder import HeatmapDecoder, updated_encoder
from grounding.runtime.errors import SettingsError
from grounding.types import Grounding

PHRASES_TOGETHER = 64  # that go through the decoder at once: more gain no time, and each takes memory


class DenseGrounder(EncodingGrounder):
    """Heatmaps from dense CLIP features, boxes from heatmaps.

    Args:
        encoder: the frozen CLIP, dense.
        decoder: refines the similarity map; adapters correct the embeddings that it is made of; None leaves it as it
            is: the zero-shot form.
        model: its extraction, inference_sizes, inference_flip and spatial_rules count here. A somewhat larger size than
            it was trained at is often the better (Touvron et al. 2019, "Fixing the train-test resolution discrepancy").
        quality_head: for an extraction by "quality".
        calibration: makes probabilities of scores and presence, and says which boxes are the answer.

    Attributes:
        raw_scores: whether scores and presence stay as the heatmap gives them, for a calibration to be fitted to.
    """

    encoded = EncodedImages

    def __init__(
        self,
        encoder: Encoder,
        decoder: HeatmapDecoder | EmbeddingAdapters | None,
        *,
        name: str,
        model: ModelConfig | None = None,
        quality_head: BoxQualityHead | None = None,
        calibration: Calibration | None = None,
    ) -> None:
        model = model or ModelConfig()
        if model.extraction.method == "quality":
            required_head(model.extraction, quality_head)
        if model.spatial_rules and isinstance(decoder, HeatmapDecoder):
            raise SettingsError("spatial_rules act on similarity maps, and a decoder makes none: leave them out")
        self.encoder, self.clip, self.text = encoder, encoder.clip, encoder.encode_phrases
        seen_by = updated_encoder(encoder, decoder)
        self._encoders = [seen_by.at(size) for size in model.inference_sizes] or [seen_by]
        self.identity = tuple(each.identity for each in self._encoders)
        self.decoder = decoder.eval() if decoder is not None else None
        self.flip, self.extraction, self.spatial_rules = model.inference_flip, model.extraction, model.spatial_rules
        self.quality_head = quality_head
        self.calibration = calibration
        self.raw_scores, self.name = False, name
        self.weights = encoder.clip.weights

    @own_mode()
    def similarity_maps(self, image: ImageLike | EncodedImages, phrases: Sequence[str]) -> list[np.ndarray]:
        """What CLIP sees, with the decoder's updates of it: each phrase's cosine with the dense embeddings.

        Per phrase (H, W) float32 in [-1, 1], at the original image's size; the mean over the input sizes. Takes and
        raises what `ground` does.
        """
        phrases = as_phrases(phrases)
        if not phrases:
            return []
        embeddings = self.encoder.encode_phrases(phrases).embeddings
        of_the_image = torch.zeros(len(embeddings), dtype=torch.long, device=embeddings.device)
        views = [view for view in self._encoded(image).views if not view.mirrored]
        of_each_view = [
            [
                view.letterboxes[0].map_to_image(values)
                for values in similarity_of(view.features.embeddings, embeddings, of_the_image).cpu().numpy()
            ]
            for view in views
        ]
        return [np.mean(maps, axis=0) for maps in zip(*of_each_view, strict=True)]

    def _encode(self, images: Sequence[np.ndarray]) -> EncodedImages:
        views = [encoder.encode(images) for encoder in self._encoders]
        if self.flip:
            mirrored = [np.ascontiguousarray(image[:, ::-1]) for image in images]
            views += [replace(encoder.encode(mirrored), mirrored=True) for encoder in self._encoders]
        return EncodedImages(tuple(images), tuple(views), self.identity)

    def _ground_encoded(self, encoded: EncodedImages, phrases: Sequence[Sequence[str]]) -> list[list[Grounding]]:
        image_of = [index for index, asked in enumerate(phrases) for _ in asked]
        flat = [phrase for asked in phrases for phrase in asked]
        asked_of = {False: flat}  # by whether the view is mirrored
        if any(view.mirrored for view in encoded.views):
            asked_of[True] = [mirrored_phrase(phrase) if can_be_mirrored(phrase) else phrase for phrase in flat]
        image_index = torch.tensor(image_of, device=self.encoder.device)
        of_views = [self._heatmaps(view, asked_of[view.mirrored], image_index) for view in encoded.views]
        answers: list[list[Grounding]] = [[] for _ in phrases]
        for row, (index, phrase) in enumerate(zip(image_of, flat, strict=True)):
            own = [(maps[row], presence[row]) for maps, presence in of_views]
            answers[index].append(self._grounding(encoded, index, phrase, own))
        return answers

    def _heatmaps(self, view: EncodedView, phrases: Sequence[str], image_index: Tensor) -> list[np.ndarray]:
        """Of one view (P, h, w) and (P,) float32, as `_some_heatmaps`, some phrases at a time."""
        parts = [slice(first, first + PHRASES_TOGETHER) for first in range(0, len(phrases), PHRASES_TOGETHER)]
        answers = [self._some_heatmaps(view, phrases[part], image_index[part]) for part in parts]
        return [torch.cat(each).float().cpu().numpy() for each in zip(*answers, strict=True)]

    def _some_heatmaps(self, view: EncodedView, phrases: Sequence[str], image_index: Tensor) -> tuple[Tensor, Tensor]:
        """(P, h, w) in [0, 1] over the model's square, and (P,) in [0, 1] whether anything there fits each phrase."""
        if isinstance(self.decoder, HeatmapDecoder):
            precision, device = self.encoder.clip.precision, image_index.device.type
            valid = view.valid_mask(self.decoder.heatmap_stride)[image_index]
            with torch.autocast(device, precision, enabled=precision != torch.float32):
                return self.decoder.answer(view.features, self.encoder.encode_phrases(phrases), image_index, valid)
        return similarity_heatmaps(self.encoder, self.decoder, view, phrases, image_index,
                                   spatial_rules=self.spatial_rules)  # fmt: skip

    def _grounding(
        self, encoded: EncodedImages, index: int, phrase: str, answers: Sequence[tuple[np.ndarray, float]]
    ) -> Grounding:
        over_image, present = [], []
        for view, (values, presence) in zip(encoded.views, answers, strict=True):
            if view.mirrored and not can_be_mirrored(phrase):  # "the sign that says STOP"
                continue
            heat = view.letterboxes[index].map_to_image(values)
            over_image.append(heat[:, ::-1] if view.mirrored else heat)
            present.append(presence)
        heatmap = over_image[0] if len(over_image) == 1 else np.mean(over_image, axis=0)
        boxes_xyxy, scores = extract(heatmap, self.extraction, self.quality_head, encoded.images[index])
        answer = Grounding(phrase, boxes_xyxy, scores, heatmap, encoded.images[index], presence=float(np.mean(present)))
        if self.calibration is not None and not self.raw_scores:
            return replace(calibrated(answer, self.calibration), calibrated=True)
        return with_cosines(answer) if self.decoder is None and not self.raw_scores else answer
