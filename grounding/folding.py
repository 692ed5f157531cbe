"""What a frozen image tower need not compute anew for every image: linear maps in a row become one, once, at load.

At inference a batch norm scales and shifts channels by fixed numbers, which a convolution's weights can do as well
(Jacob et al. 2018, "Quantization and Training of Neural Networks", section 3.2). Results differ by rounding only.
"""

from __future__ import annotations

import copy

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from grounding.clip_package import AttentionPool2d, ModifiedResNet


def fold_batch_norms(visual: ModifiedResNet) -> ModifiedResNet:
    """A copy of CLIP's ResNet with identities in the place of its batch norms; frozen, in evaluation mode.

    Args:
        visual: in evaluation mode; left as it is.
    """
    folded = copy.deepcopy(visual).requires_grad_(False).eval()
    for module in (folded, *(block for stage in _stages(folded) for block in stage)):
        for number in (1, 2, 3):
            convolution, norm = getattr(module, f"conv{number}"), getattr(module, f"bn{number}")
            setattr(module, f"conv{number}", fuse_conv_bn_eval(convolution, norm))
            setattr(module, f"bn{number}", nn.Identity())
        shortcut = getattr(module, "downsample", None)
        if shortcut is not None:  # CLIP's names for its pooling, its convolution and its norm are "-1", "0" and "1"
            shortcut._modules["0"] = fuse_conv_bn_eval(shortcut._modules["0"], shortcut._modules["1"])
            shortcut._modules["1"] = nn.Identity()
    return folded


@torch.no_grad()
def fold_projections(attnpool: AttentionPool2d) -> nn.Conv2d:
    """The attention pool's value and output projections as one 1x1 convolution, in the pool's type; frozen.

    Args:
        attnpool: of a frozen tower; left as it is.
    """
    value, output = attnpool.v_proj, attnpool.c_proj
    weight = output.weight.double() @ value.weight.double()
    bias = output.weight.double() @ value.bias.double() + output.bias.double()
    folded = nn.Conv2d(value.in_features, output.out_features, 1, device=value.weight.device)
    folded.weight = nn.Parameter(weight[:, :, None, None])
    folded.bias = nn.Parameter(bias)
    return folded.to(value.weight.dtype).requires_grad_(False)


def _stages(visual: ModifiedResNet) -> tuple[nn.Sequential, ...]:
    return visual.layer1, visual.layer2, visual.layer3, visual.layer4
