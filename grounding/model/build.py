"""New decoders and adapters for a CLIP, and the CLIP that a trained decoder goes with."""

from __future__ import annotations

import torch

from grounding.clip.encoder import Encoder
from grounding.model.adaptation import STAGE, EmbeddingAdapters, LowRankUpdates
from grounding.model.decoder import DecoderConfig, HeatmapDecoder


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
