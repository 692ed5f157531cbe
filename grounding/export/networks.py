"""The three networks of a run as modules from tensors to tensors: what an ONNX file can hold.

Image tower, text tower and decoder are apart as they are in `DenseGrounder`: an image is encoded once, however many
phrases are asked of it. What one gives bears the names of what the next one takes.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from grounding.clip_backbone import normalise_pixels, text_states
from grounding.clip_package import CLIP
from grounding.decoder import STAGES_READ, HeatmapDecoder
from grounding.dense_clip import DenseCLIP, DenseFeatures
from grounding.text import PhraseFeatures

FEATURES = ("coarse", "middle", "fine", "embeddings")
PHRASES = ("phrase_embeddings", "tokens", "is_token")
HEATMAPS = "heatmaps"


class ImageTower(nn.Module):
    """Letterboxed images to the dense features that a decoder reads.

    Args:
        dense: the frozen image tower.
    """

    def __init__(self, dense: DenseCLIP) -> None:
        super().__init__()
        self.dense = dense
        self.stages = STAGES_READ[dense.output_stride]

    def forward(self, squares: Tensor) -> tuple[Tensor, ...]:
        """`FEATURES` of squares (B, S, S, 3) uint8 RGB: three stages, coarse to fine, and the dense embeddings."""
        features = self.dense(normalise_pixels(squares.permute(0, 3, 1, 2)))
        return (*(features.pyramid[stage] for stage in self.stages), features.embeddings)


class TextTower(nn.Module):
    """Token ids to what `TextEncoder` makes of them.

    Args:
        model: the frozen CLIP whose text tower is used.
    """

    def __init__(self, model: CLIP) -> None:
        super().__init__()
        self.model = model

    def forward(self, ids: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """`PHRASES` of token ids (P, L) int64, L at most 77, zero after the end token: see `PhraseFeatures`."""
        embeddings, states = text_states(self.model, ids)
        is_token = torch.arange(ids.shape[1], device=ids.device) <= ids.argmax(dim=-1)[:, None]
        words = self.model.token_embedding(ids)
        words = F.layer_norm(words, words.shape[-1:])
        tokens = torch.cat([words, states.half().float()], dim=-1) * is_token[..., None]  # it keeps states in half
        return F.normalize(embeddings, dim=-1), tokens, is_token


class Decoder(nn.Module):
    """Features and phrases, tensor by tensor, to heatmaps.

    Args:
        decoder: the trained decoder.
        output_stride: of the dense embeddings, 16 or 32.
    """

    def __init__(self, decoder: HeatmapDecoder, *, output_stride: int) -> None:
        super().__init__()
        self.decoder = decoder
        self.stages = STAGES_READ[output_stride]

    def forward(
        self,
        coarse: Tensor,
        middle: Tensor,
        fine: Tensor,
        embeddings: Tensor,
        phrase_embeddings: Tensor,
        tokens: Tensor,
        is_token: Tensor,
        image_index: Tensor,
    ) -> Tensor:
        """Heatmaps (P, h, w) in [0, 1] of P phrases, each about the image that image_index (P,) int64 names."""
        pyramid = dict(zip(self.stages, (coarse, middle, fine), strict=True))
        phrases = PhraseFeatures(phrase_embeddings, tokens, is_token)
        logits: Tensor = self.decoder(DenseFeatures(pyramid, embeddings), phrases, image_index)
        return logits.sigmoid()
