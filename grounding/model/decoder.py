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
import torch.nn.functional as F
from torch import Tensor, nn

from grounding.clip.dense import DenseFeatures
from grounding.clip.similarity import similarity_of
from grounding.clip.text import PhraseFeatures
from grounding.errors import SettingsError
from grounding.model.adaptation import RegionAdapter

# The stages that a decoder reads, coarse to fine, by the output stride of the dense embeddings.
STAGES_READ = {16: ("layer3", "layer2", "layer1"), 32: ("layer4", "layer3", "layer2")}
SIMILARITY_SCALE = 10.0  # brings cosines, of which CLIP uses a narrow band, to the size of the queries' products
HEADS = 4  # of the phrase reader's transformer


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
    """

    kind: Literal["convolutional", "adapters"] = "convolutional"
    width: int = 96
    blocks: int = 3
    queries: int = 8
    query_dim: int = 128
    reader_layers: int = 2
    adapter: bool = True

    def __post_init__(self) -> None:
        least = {"width": 4, "blocks": 0, "queries": 0, "query_dim": 1, "reader_layers": 1}
        for name, lowest in least.items():
            if getattr(self, name) < lowest:
                raise SettingsError(f"decoder.{name} is {getattr(self, name)}: give at least {lowest}")


class HeatmapDecoder(nn.Module):
    """Text-conditioned convolutional refinement of the similarity map, up to a quarter of the output stride.

    Args:
        config: its size.
        embed_dim: E of CLIP's joint space.
        token_width: of the vectors of a phrase's tokens.
        pyramid_channels: channels of the CLIP stages "layer1" to "layer4".
        output_stride: s of the dense embeddings, 16 or 32.

    Attributes:
        heatmap_stride: model pixels per cell of the heatmap, s / 4.
    """

    def __init__(
        self,
        config: DecoderConfig,
        *,
        embed_dim: int,
        token_width: int,
        pyramid_channels: Mapping[str, int],
        output_stride: int,
    ) -> None:
        super().__init__()
        self.config = config
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

    def region_embeddings(self, features: DenseFeatures) -> Tensor:
        """(B, E, H / s, W / s) L2-normalised: CLIP's dense embeddings, corrected where there is an adapter."""
        if self.adapter is None:
            return features.embeddings
        corrected: Tensor = self.adapter(features.embeddings, features.pyramid[self._stages[0]])
        return corrected

    def forward(
        self,
        features: DenseFeatures,
        phrases: PhraseFeatures,
        image_index: Tensor,
        regions: Tensor | None = None,
    ) -> Tensor:
        """Heatmap logits of P phrases about B images.

        Args:
            features: of the B images, at model size H x W.
            phrases: the P phrases.
            image_index: (P,) int64, the image each phrase is about.
            regions: (B, E, H / s, W / s), the result of `region_embeddings(features)` where it is known already.

        Returns:
            (P, H / heatmap_stride, W / heatmap_stride) logits, float32 or, under autocast, of its type.
        """
        if regions is None:
            regions = self.region_embeddings(features)
        # What depends on the image alone is computed once per image, then expanded to its phrases.
        coarse_stage, middle_stage, fine_stage = (features.pyramid[stage] for stage in self._stages)
        image = torch.cat([regions, coarse_stage], dim=1)  # (B, E + C, h, w) at stride s
        coarse = expand_to_phrases(self.coarse_in(torch.cat([image, _coordinates(image)], dim=1)), image_index)
        middle = expand_to_phrases(self.middle_in(middle_stage), image_index)
        fine = expand_to_phrases(self.fine_in(fine_stage), image_index)

        # The phrase meets the image: one map of cosines and one for each query, (P, 1 + Q, h, w).
        similarity = SIMILARITY_SCALE * similarity_of(regions, phrases.embeddings, image_index)
        queries, summary = self.reader(phrases)
        keys = expand_to_phrases(self.keys(image), image_index)
        query_maps = torch.einsum("pdhw,pqd->pqhw", keys, queries) / self.config.query_dim**0.5
        x = coarse + self.maps_in(torch.cat([similarity[:, None], query_maps], dim=1))

        # Refinement: at stride s, s / 2 and s / 4.
        for block in self.coarse:
            x = block(x, summary)
        x = _upsampled(self.middle_up(x), middle) + middle
        x = self.middle(x, summary)
        x = _upsampled(self.fine_up(x), fine) + fine
        return self.head(F.gelu(x))[:, 0]


class ModulatedBlock(nn.Module):
    """A residual depthwise-separable block whose channels the phrase scales and shifts."""

    def __init__(self, width: int, phrase_dim: int, *, kernel_size: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(width, width, kernel_size, padding=kernel_size // 2, groups=width)
        self.norm = nn.GroupNorm(1, width)
        self.modulation = nn.Linear(phrase_dim, 2 * width)
        self.expand = nn.Conv2d(width, 2 * width, 1)
        self.project = nn.Conv2d(2 * width, width, 1)

    def forward(self, x: Tensor, summary: Tensor) -> Tensor:
        """(P, C, h, w) and (P, D) phrase summaries to (P, C, h, w)."""
        scale, shift = self.modulation(summary)[..., None, None].chunk(2, dim=1)
        out = self.norm(self.depthwise(x)) * (1 + scale) + shift
        return x + self.project(F.gelu(self.expand(out)))


class PhraseReader(nn.Module):
    """From a phrase's features to query vectors for the image and one vector that sums the phrase up.

    CLIP's phrase embedding says what a phrase mentions, and little of who does what to whom: "the star left of the
    ring" and "the ring left of the star" lie close together (Yuksekgonul et al. 2023, "When and why vision-language
    models behave like bags-of-words", section 2). The token states still hold it, and a small transformer reads them.

    Args:
        embed_dim: E of CLIP's joint space.
        token_width: of the vectors of single tokens.
        queries: query vectors per phrase.
        dim: of every vector that comes out.
        layers: of the transformer.
    """

    def __init__(self, *, embed_dim: int, token_width: int, queries: int, dim: int, layers: int) -> None:
        super().__init__()
        if dim % HEADS:
            raise SettingsError(f"decoder.query_dim is {dim}: give a multiple of {HEADS}")
        self.from_embedding = nn.Linear(embed_dim, dim)
        self.from_tokens = nn.Sequential(nn.LayerNorm(token_width), nn.Linear(token_width, dim))
        self.slots = nn.Parameter(torch.randn(queries, dim) / dim**0.5)
        layer = nn.TransformerEncoderLayer(
            dim, HEADS, dim_feedforward=2 * dim, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
        )
        self.transformer = nn.TransformerEncoder(layer, layers, norm=nn.LayerNorm(dim), enable_nested_tensor=False)

    def forward(self, phrases: PhraseFeatures) -> tuple[Tensor, Tensor]:
        """Query vectors (P, Q, D) and summaries (P, D) of P phrases."""
        count, queries = phrases.embeddings.shape[0], len(self.slots)
        summary = self.from_embedding(phrases.embeddings)[:, None]
        x = torch.cat([summary, self.slots.expand(count, -1, -1), self.from_tokens(phrases.tokens)], dim=1)
        own = phrases.is_token.new_ones(count, 1 + queries)
        x = self.transformer(x, src_key_padding_mask=~torch.cat([own, phrases.is_token], dim=1))
        return x[:, 1 : 1 + queries], x[:, 0]


def expand_to_phrases(x: Tensor, image_index: Tensor) -> Tensor:
    """(B, ...) of images to (P, ...) of their phrases; a single image's (1, ...) is left to broadcasting."""
    # Not x[image_index]: its gradient adds up the phrases of an image in an order that depends on threads.
    return x if x.shape[0] == 1 else x.index_select(0, image_index)


def _coordinates(x: Tensor) -> Tensor:
    """(B, 2, h, w): column and row of every position, from -1 to 1."""
    rows, columns = (_evenly_spaced(count, like=x) for count in x.shape[2:])
    grid = torch.stack(torch.meshgrid(columns, rows, indexing="xy"))
    # In the layout of the features beside which they are put: a mixture of layouts is slow to concatenate.
    return grid.expand(x.shape[0], -1, -1, -1).contiguous(memory_format=torch.channels_last)


def _evenly_spaced(count: int, *, like: Tensor) -> Tensor:
    """(count,) from -1 to 1. Not `torch.linspace`, which the export to ONNX can trace for one count only."""
    steps = torch.arange(count, device=like.device)
    return ((2 * steps + 1 - count) / max(count - 1, 1)).to(like.dtype)


def _upsampled(x: Tensor, like: Tensor) -> Tensor:
    return F.interpolate(x, size=like.shape[-2:], mode="bilinear", align_corners=False)
