"""PhraseReader: from the features of a phrase to what a decoder looks for."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from grounding.clip.text import PhraseFeatures
from grounding.errors import SettingsError

HEADS = 4  # of the transformer


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
