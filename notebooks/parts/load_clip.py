from types import SimpleNamespace

import clip
from clip.model import CLIP, AttentionPool2d, Bottleneck, ModifiedResNet, build_model
from safetensors.torch import load_file


class LoadedCLIP(SimpleNamespace):
    """The frozen foundation model, and its `image_tower` with batch norms folded: OpenAI's RN50, or the project's."""


def load_clip():
    """RN50, or offline the small CLIP of its architecture that the project trained."""
    if OFFLINE:
        model = build_model(load_file(WEIGHTS / "embedded_clip.safetensors"))
    else:
        model, _ = clip.load(RN50, device="cpu", jit=False)
    model = model.float().eval().requires_grad_(False).to(DEVICE)
    return LoadedCLIP(model=model, image_tower=fold_batch_norms(model.visual).to(memory_format=torch.channels_last))
