import clip
from clip.model import CLIP, AttentionPool2d, Bottleneck, ModifiedResNet, Transformer, build_model
from safetensors.torch import load_file


def load_clip():
    """The frozen foundation model: OpenAI's RN50, or the small one of its architecture that the project trained."""
    if OFFLINE:
        model, name = build_model(load_file(WEIGHTS / "embedded_clip.safetensors")), "embedded"
    else:
        model, name = clip.load("RN50", device="cpu", jit=False)[0], "RN50"
    model = model.float().eval().requires_grad_(False).to(DEVICE)
    return LoadedCLIP(model, name, weights=name, sha256="")
