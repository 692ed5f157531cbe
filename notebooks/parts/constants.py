from types import SimpleNamespace

import torch

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
AMP = DEVICE.type == "cuda"  # float16 with a gradient scaler: a T4 has no bfloat16
torch.set_num_threads(min(torch.get_num_threads(), 2))
SIZES = {  # side of the model's input in pixels, and of that at tests; images of each split; then of a training
    "fast": dict(size=64, test_size=96, train=8, unboxed=8, val=4, test=4,
                 epochs=1, images=2, phrases=2, small=4, steps=2),
    "refshapes": dict(size=320, test_size=384, train=600, unboxed=2400, val=50, test=160,
                      epochs=3, images=8, phrases=3, small=240, steps=60),
    "refcocog": dict(size=640, test_size=640, train=None, unboxed=None, val=300, test=None,
                     epochs=4, images=16, phrases=6, small=2000, steps=500),
}  # fmt: skip
# `small`, `steps`: images and steps of the short trainings; `cached`: CLIP's features of all images fit into memory.
STRIDE = 32  # of CLIP's embeddings, in pixels of the model's input
SETTINGS = SimpleNamespace(**SIZES["fast" if FAST else MODE], cached=OFFLINE)
