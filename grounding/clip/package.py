"""OpenAI's package `clip`, imported here and nowhere else: its import announces that pkg_resources is deprecated."""

import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import clip
    from clip.clip import _tokenizer as TOKENIZER
    from clip.model import CLIP, AttentionPool2d, Bottleneck, ModifiedResNet, Transformer, build_model

__all__ = ["CLIP", "TOKENIZER", "AttentionPool2d", "Bottleneck", "ModifiedResNet", "Transformer", "build_model", "clip"]
