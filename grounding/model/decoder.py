"""HeatmapDecoder: from CLIP's dense features and a phrase to the logits of a heatmap.

The phrase enters in two ways. A few query vectors made from it are compared with every position, beside CLIP's own
embedding of the phrase, which gives the zero-shot similarity map until training corrects the dense embeddings; and it
scales and shifts the channels of every convolutional block (Perez et al. 2018, "FiLM", section 2). Blocks at the
output stride have 7x7 depthwise convolutions (Liu et al. 2022, "A ConvNet for the 2020s", section 2.5): a relation
such as "left of" needs reach.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from grounding.clip.dense import DenseFeatures
from grounding.clip.encoder import Encoder
from grounding.clip.similarity import similarity_of
from grounding.clip.text import PhraseFeatures
from grounding.model.adaptation import STAGE, EmbeddingAdapters, LowRankUpdates, RegionAdapter
from grounding.model.blocks import (
    ModulatedBlock,
    PhraseReader,
    PresenceHead,
    coordinates,
    expand_to_phrases,
    gelu,
    upsampled,
)
from grounding.runtime.errors import SettingsError

# The stages that a decoder reads, coarse to fine, by the output stride of the dense embeddings.
STAGES_READ = {16: ("layer3", "layer2", "layer1"), 32: ("layer4", "layer3", "layer2")}
SIMILARITY_SCALE = 10.0  # brings cosines, of which CLIP uses a narrow band, to the size of the queries' products


@dataclass(frozen=True)
class DecoderConfig:
    """What turns CLIP's features into a heatmap, and its size.

    Attributes:
        kind: "convolutional", the `HeatmapDecoder`, which is trained with boxes; or "adapters", `EmbeddingAdapters`,
            trained without any, whose similarity map is the heatmap. What follows is of the former.
        width: channels at the output stride; half of them at half of it, a quarter at a quarter.
        blocks: convolutional blocks at the output stride.
        queries: query vectors per phrase, besides the phrase embedding itself.
        query_dim: dimension of these, in which they are compared with positions.
        reader_layers: transformer layers that read the phrase.
        adapter: whether CLIP's dense embeddings are corrected by a learned term (`RegionAdapter`).
        lora_rank: of the low-rank updates of CLIP's last stages (`LowRankUpdates`); 0 leaves CLIP as it is.
        presence: whether it learns to say that what a phrase names is not there (`PresenceHead`); training then needs
            phrases of which that is so.
    """

    kind: Literal["convolutional", "adapters"] = "convolutional"
    width: int = 96
    blocks: int = 3
    queries: int = 8
    query_dim: int = 128
    reader_layers: int = 2
    adapter: bool = True
    lora_rank: int = 0
    presence: bool = False

    def __post_init__(self) -> None:
        least = {"width": 4, "blocks": 0, "queries": 0, "query_dim": 1, "reader_layers": 1, "lora_rank": 0}
        for name, lowest in least.items():
            if getattr(self, name) < lowest:
                raise SettingsError(f"decoder.{name} is {getattr(self, name)}: give at least {lowest}")


class HeatmapDecoder(nn.Module):
    """Text-conditioned convolutional refinement of the similarity map, up to a quarter of the output stride.

    The dense embeddings have E = `embed_dim` and stride s = `output_stride`, 16 or 32; a cell of the heatmap has s / 4
    model pixels.
    """

    def __init__(
        self,
        config: DecoderConfig,
        *,
        embed_dim: int,
        token_width: int,
        pyramid_channels: Mapping[str, int],
        output_stride: int,
        updates: LowRankUpdates | None = None,
    ) -> None:
        super().__init__()
        self.config = config
        self.updates = updates
        self.heatmap_stride = output_stride // 4
        self._stages = STAGES_READ[output_stride]
        coarse, middle, fine = (pyramid_channels[stage] for stage in self._stages)
        width, dim = config.width, config.query_dim
        self.adapter = RegionAdapter(coarse, embed_dim) if config.adapter else None
        self.keys = nn.Conv2d(embed_dim + coarse, dim, 1)
        self.reader = PhraseReader(embed_dim=embed_dim, token_width=token_width, queries=config.queries, dim=dim,
                                   layers=config.reader_layers)  # fmt: skip

        # Joint embeddings and the stage beside them, two coordinates, the similarity map and the queries' maps.
        self.coarse_in = nn.Conv2d(embed_dim + coarse + 2, width, 1)
        self.maps_in = nn.Conv2d(1 + config.queries, width, 1)
        self.coarse = nn.ModuleList(ModulatedBlock(width, dim, kernel_size=7) for _ in range(config.blocks))
        self.middle_in = nn.Conv2d(middle, width // 2, 1)
        self.middle_up = nn.Conv2d(width, width // 2, 1)
        self.middle = ModulatedBlock(width // 2, dim, kernel_size=5)
        self.fine_in = nn.Conv2d(fine, width // 4, 1)
        self.fine_up = nn.Conv2d(width // 2, width // 4, 1)
        # At the finest level there are many positions and little left to decide: no block of its own.
        self.head = nn.Conv2d(width // 4, 1, 3, padding=1)
        # Boxes are small: most of a heatmap starts and stays low.
        self.head.bias = nn.Parameter(torch.full((1,), -2.0))
        self.presence = PresenceHead(width, dim) if config.presence else None

    def region_embeddings(self, features: DenseFeatures) -> Tensor:
        """(B, E, H / s, W / s) L2-normalised: CLIP's dense embeddings, corrected where there is an adapter."""
        if self.adapter is None:
            return features.embeddings
        corrected: Tensor = self.adapter(features.embeddings, features.pyramid[self._stages[0]])
        return corrected

    def forward(self, features: DenseFeatures, phrases: PhraseFeatures, image_index: Tensor) -> Tensor:
        """(P, H / heatmap_stride, W / heatmap_stride) heatmap logits of P phrases, each about one of B images.

        The features are of the B images, at model size H x W; `image_index`, (P,) int64, is each phrase's image.
        """
        x, summary = self.compare(features, phrases, image_index)
        return self.refine(x, summary, features, image_index)

    def answer(
        self, features: DenseFeatures, phrases: PhraseFeatures, image_index: Tensor, valid: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Heatmaps in [0, 1], and (P,) in [0, 1] whether anything fits each phrase: without a head, the highest heat.

        Arguments are as for `forward`; `valid`, bool in the heatmaps' shape, is False on padding.
        """
        x, summary = self.compare(features, phrases, image_index)
        heat = self.refine(x, summary, features, image_index).sigmoid()
        if self.presence is None:
            return heat, heat.masked_fill(~valid, 0).amax(dim=(1, 2))
        return heat, self.presence(x, summary, valid).sigmoid()

    def compare(
        self,
        features: DenseFeatures,
        phrases: PhraseFeatures,
        image_index: Tensor,
        regions: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """(P, width, H / s, W / s) what each phrase finds at each position, and (P, query_dim) the phrases' summaries.

        `regions` is the result of `region_embeddings` where it is known already.
        """
        if regions is None:
            regions = self.region_embeddings(features)
        # What depends on the image alone is computed once per image, then expanded to its phrases.
        image = torch.cat([regions, features.pyramid[self._stages[0]]], dim=1)  # (B, E + C, h, w)
        coarse = expand_to_phrases(self.coarse_in(torch.cat([image, coordinates(image)], dim=1)), image_index)

        # The phrase meets the image: one map of cosines and one for each query, (P, 1 + Q, h, w).
        similarity = SIMILARITY_SCALE * similarity_of(regions, phrases.embeddings, image_index)
        queries, summary = self.reader(phrases)
        keys = expand_to_phrases(self.keys(image), image_index)
        query_maps = torch.einsum("pdhw,pqd->pqhw", keys, queries) / self.config.query_dim**0.5
        x = coarse + self.maps_in(torch.cat([similarity[:, None], query_maps], dim=1))
        for block in self.coarse:
            x = block(x, summary)
        return x, summary

    def refine(self, x: Tensor, summary: Tensor, features: DenseFeatures, image_index: Tensor) -> Tensor:
        """Heatmap logits, as `forward` has them, from what `compare` gave: at stride s / 2 and s / 4."""
        _, middle_stage, fine_stage = (features.pyramid[stage] for stage in self._stages)
        middle = expand_to_phrases(self.middle_in(middle_stage), image_index)
        fine = expand_to_phrases(self.fine_in(fine_stage), image_index)
        x = upsampled(self.middle_up(x), middle) + middle
        x = self.middle(x, summary)
        x = upsampled(self.fine_up(x), fine) + fine
        return self.head(gelu(x))[:, 0]


def decoder_for(encoder: Encoder, config: DecoderConfig) -> HeatmapDecoder | EmbeddingAdapters:
    """A new decoder, or new adapters, that fit the encoder's CLIP."""
    dense = encoder.dense
    if config.kind == "adapters":
        adapters = EmbeddingAdapters(dense.embed_dim, dense.pyramid_channels[STAGE])
        return adapters.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    updates = LowRankUpdates(dense, rank=config.lora_rank) if config.lora_rank else None
    decoder = HeatmapDecoder(config, embed_dim=dense.embed_dim, token_width=encoder.encode_phrases.token_width,
                             pyramid_channels=dense.pyramid_channels, output_stride=dense.output_stride,
                             updates=updates)  # fmt: skip
    return decoder.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # halves a step on the CPU


def updated_encoder(encoder: Encoder, decoder: HeatmapDecoder | EmbeddingAdapters | None) -> Encoder:
    """The encoder with what a decoder learned for it (`LowRankUpdates`); the encoder itself where that is nothing."""
    if isinstance(decoder, HeatmapDecoder) and decoder.updates is not None:
        return encoder.updated(decoder.updates())
    return encoder
