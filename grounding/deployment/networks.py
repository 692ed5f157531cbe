"""The three networks of a run as modules from tensors to tensors, and as the content of ONNX files.

Image tower, text tower and decoder are apart as they are in `DenseGrounder`: an image is encoded once, however many
phrases are asked of it. What one gives bears the names of what the next one takes.
"""

from __future__ import annotations

import copy
import logging
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.export import Dim

from grounding.clip.backbone import CLIP, normalise_pixels
from grounding.clip.dense import DenseCLIP, DenseFeatures
from grounding.clip.encoder import Encoder
from grounding.clip.text import CONTEXT_LENGTH, PhraseFeatures, text_states, tokenize
from grounding.model.decoder import STAGES_READ, HeatmapDecoder, updated_encoder

OPSET = 18
TRACED_PHRASES = ["the red ring left of the star", "the ring", "a large blue cross"]
FEATURES = ("coarse", "middle", "fine", "embeddings")
PHRASES = ("phrase_embeddings", "tokens", "is_token")


class ImageTower(nn.Module):
    """Letterboxed images to the dense features that a decoder reads."""

    def __init__(self, dense: DenseCLIP) -> None:
        super().__init__()
        self.dense = dense
        self.stages = STAGES_READ[dense.output_stride]

    def forward(self, squares: Tensor) -> tuple[Tensor, ...]:
        """`FEATURES` of squares (B, S, S, 3) uint8 RGB: three stages, coarse to fine, and the dense embeddings."""
        features = self.dense(normalise_pixels(squares.permute(0, 3, 1, 2)))
        return (*(features.pyramid[stage] for stage in self.stages), features.embeddings)


class TextTower(nn.Module):
    """Token ids to what `TextEncoder` makes of them."""

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


class DecoderNetwork(nn.Module):
    """Features and phrases, tensor by tensor, to heatmaps."""

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


def onnx_networks(encoder: Encoder, decoder: HeatmapDecoder) -> Iterator[tuple[str, bytes]]:
    """Name and ONNX content of each network; batches, input sizes, phrases and their lengths are dynamic."""
    images, phrases, length = Dim("images", min=1), Dim("phrases", min=1), Dim("length", min=1, max=CONTEXT_LENGTH)
    image_tower, text_tower = ImageTower(updated_encoder(encoder, decoder).dense), TextTower(encoder.clip.model)
    network = DecoderNetwork(decoder, output_stride=encoder.dense.output_stride)
    squares = torch.zeros(2, encoder.model_size, encoder.model_size, 3, dtype=torch.uint8)
    sides = {0: images, 1: Dim.DYNAMIC, 2: Dim.DYNAMIC}
    ids = tokenize(TRACED_PHRASES)
    tokens = {0: phrases, 1: length}
    map_of_images = {0: images, 2: Dim.DYNAMIC, 3: Dim.DYNAMIC}
    dynamic = (*(map_of_images,) * len(FEATURES), {0: phrases}, tokens, tokens, {0: phrases})

    yield "image_tower", to_onnx(image_tower, (squares,), outputs=FEATURES, dynamic=(sides,))
    yield "text_tower", to_onnx(text_tower, (ids,), outputs=PHRASES, dynamic=(tokens,))
    arguments = (*image_tower(squares), *text_tower(ids), torch.tensor([0, 1, 0]))
    yield "decoder", to_onnx(network, arguments, outputs=["heatmaps"], dynamic=dynamic)


def to_onnx(
    model: nn.Module,
    arguments: tuple[Tensor, ...],
    *,
    outputs: Sequence[str],
    inputs: Sequence[str] | None = None,
    dynamic: tuple[dict[int, Any], ...] | None = None,
) -> bytes:
    """A module as the content of an ONNX file, the same bytes each time, traced on `arguments`; inputs are named like
    these if None, and `dynamic` has, per argument, the dimensions that may have another size."""
    # On a copy, in the usual memory layout: others would be traced as transpositions.
    model = copy.deepcopy(model).cpu().eval().requires_grad_(False).to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    fast_path = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)  # fused attention has no counterpart in ONNX
    log = logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.ERROR)  # it warns of its own parts, here and below
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.onnx.export(model, arguments, input_names=inputs, output_names=list(outputs),
                                        dynamic_shapes=dynamic, opset_version=OPSET, dynamo=True,
                                        verbose=False)  # fmt: skip
    finally:
        log.setLevel(level)
        torch.backends.mha.set_fastpath_enabled(fast_path)
    assert program is not None  # it is without `dynamo` only
    content = program.model_proto
    for part in (*content.graph.node, *content.graph.value_info, *content.graph.initializer):
        # A fifth of a small file: the lines of Python, with their folders, that each operation came from.
        del part.metadata_props[:]
    return content.SerializeToString(deterministic=True)
