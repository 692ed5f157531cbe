import clip
from clip.model import CLIP, AttentionPool2d, Bottleneck, ModifiedResNet, Transformer, build_model
from safetensors.torch import load_file


def load_clip():
    """The frozen foundation model: OpenAI's RN50, or the small one of its architecture that the project trained."""
    if OFFLINE:
        model = build_model(load_file(WEIGHTS / "embedded_clip.safetensors"))
    else:
        model, _ = clip.load(RN50, device="cpu", jit=False)
    return LoadedCLIP(model.float().eval().requires_grad_(False).to(DEVICE), name=MODE, weights="", sha256="")
