"""OpenAI's package `clip`, imported here and nowhere else: its import announces that pkg_resources is deprecated."""

import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import clip
    from clip.model import CLIP, AttentionPool2d, Bottleneck, ModifiedResNet, Transformer, build_model
    from clip.simple_tokenizer import SimpleTokenizer

__all__ = ["CLIP", "AttentionPool2d", "Bottleneck", "ModifiedResNet", "SimpleTokenizer", "Transformer", "build_model",
           "clip"]  # fmt: skip
