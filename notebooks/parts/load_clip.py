from collections import namedtuple

import clip
from clip.model import CLIP, AttentionPool2d, Bottleneck, ModifiedResNet, build_model
from safetensors.torch import load_file

LoadedCLIP = namedtuple("LoadedCLIP", "model image_tower")  # frozen; of the tower, batch norms are folded


def load_clip():
    """RN50, or offline the small CLIP of its architecture that the project trained."""
    if OFFLINE:
        model = build_model(load_file(WEIGHTS / "embedded_clip.safetensors"))
    else:
        model, _ = clip.load(RN50, device="cpu", jit=False)
    model = model.float().eval().requires_grad_(False).to(DEVICE)
    return LoadedCLIP(model, fold_batch_norms(model.visual).to(memory_format=torch.channels_last))
