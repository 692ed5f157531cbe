"""DenseCLIP: CLIP's ResNet as a feature pyramid and per-pixel embeddings in CLIP's joint space.

Zhou et al. 2022, "Extract Free Dense Labels from CLIP" (MaskCLIP), section 3.2: the attention pool's value and output
projections, applied to every position by itself, keep a position's embedding comparable with text.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from grounding.clip.backbone import AttentionPool2d, Bottleneck, ModifiedResNet

STAGES = ("layer1", "layer2", "layer3", "layer4")


@dataclass(frozen=True, eq=False)
class DenseFeatures:
    """What the image tower says of a batch of images.

    The pyramid is stage name -> (B, C, H / s, W / s) of the tower's type, at strides s of 4, 8, 16 and the output
    stride; dense embeddings are (B, E, H / s, W / s) float32 at the output stride, L2-normalised along E.
    """

    pyramid: dict[str, Tensor]
    embeddings: Tensor


class DenseCLIP(nn.Module):
    """A frozen CLIP ResNet that answers for every position instead of for the whole image.

    The output stride is 32 as trained, or 16, where the last stage keeps its resolution: its pooling runs with stride 1
    and its later 3x3 convolutions are dilated, so that every second position equals the stride-32 result.
    `compiled`, `torch.compile` makes kernels of the stages for this machine, once for every shape of input; that takes
    about half a minute and needs a C++ compiler, and pays where thousands of images follow.
    """

    def __init__(self, visual: ModifiedResNet, *, output_stride: int = 16, compiled: bool = False) -> None:
        super().__init__()
        self.visual = visual.requires_grad_(False).eval()
        self.output_stride = output_stride
        self.compiled = compiled
        self._tower = _Tower(visual, output_stride)
        self._frozen_tower = self._tower.compiled() if compiled else self._tower.forward

    def train(self, mode: bool = True) -> DenseCLIP:
        """Stays in evaluation mode: training statistics would change the frozen batch norms."""
        return super().train(False)

    @property
    def embed_dim(self) -> int:
        """E, the dimension of CLIP's joint space."""
        return self.visual.attnpool.c_proj.out_features

    @property
    def pyramid_channels(self) -> dict[str, int]:
        """Channels of every stage."""
        return {stage: getattr(self.visual, stage)[-1].conv3.out_channels for stage in STAGES}

    def forward(self, pixels: Tensor, updates: Mapping[str, Tensor] | None = None) -> DenseFeatures:
        """Dense features of a batch.

        Pixels are (B, 3, H, W), normalised as CLIP expects, H and W multiples of 32. `updates` are added to weights of
        the image tower, by their names in `visual`; gradients reach them.
        """
        pixels = pixels.to(self.visual.conv1.weight.dtype)
        if updates is None:
            with torch.no_grad():
                pyramid, projected = self._frozen_tower(pixels)
        else:
            updated = {f"visual.{name}": self.visual.get_parameter(name) + added for name, added in updates.items()}
            pyramid, projected = functional_call(self._tower, updated, (pixels,))
        return DenseFeatures(pyramid, F.normalize(projected.float(), dim=1))

    @torch.no_grad()
    def with_updates(self, updates: Mapping[str, Tensor]) -> DenseCLIP:
        """A copy with the updates added for good, which costs no more than this one."""
        visual = copy.deepcopy(self.visual)
        for name, added in updates.items():
            weight = visual.get_parameter(name)
            weight.copy_(weight.float() + added.float())  # rounded once
        return DenseCLIP(visual, output_stride=self.output_stride, compiled=self.compiled)


class _Tower(nn.Module):
    """All that costs time, as a module: `torch.compile` takes the parameters of modules alone as constants."""

    def __init__(self, visual: ModifiedResNet, output_stride: int) -> None:
        super().__init__()
        self.visual = visual
        self.projection = fold_projections(visual.attnpool)
        self.output_stride = output_stride

    def forward(self, pixels: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        """The stages, and (B, E, h, w) the dense embeddings before they are normalised."""
        pyramid = resnet_stages(self.visual, pixels, output_stride=self.output_stride)
        return pyramid, self.projection(pyramid["layer4"])

    def compiled(self) -> Callable[[Tensor], tuple[dict[str, Tensor], Tensor]]:
        """`forward` by `torch.compile`, with the weights as constants, which lets what follows a convolution be fused.

        That takes "freezing", which is looked up while a first input is traced, when `torch.compile`'s own options are
        not yet in force.
        """
        import torch._inductor.config as inductor  # a second that nobody else should wait for

        compiled = torch.compile(self, dynamic=False)

        def run(pixels: Tensor) -> tuple[dict[str, Tensor], Tensor]:
            with inductor.patch(freezing=True):
                result: tuple[dict[str, Tensor], Tensor] = compiled(pixels)
                return result

        return run


@torch.no_grad()
def fold_projections(attnpool: AttentionPool2d) -> nn.Conv2d:
    """The attention pool's value and output projections as one 1x1 convolution, in the pool's type; frozen."""
    value, output = attnpool.v_proj, attnpool.c_proj
    # On the CPU, because Apple's GPUs have no float64.
    first, first_bias, second, second_bias = (
        each.cpu().double() for each in (value.weight, value.bias, output.weight, output.bias)
    )
    folded = nn.Conv2d(value.in_features, output.out_features, 1)
    folded.weight = nn.Parameter((second @ first)[:, :, None, None])
    folded.bias = nn.Parameter(second @ first_bias + second_bias)
    return folded.to(value.weight.dtype).to(value.weight.device).requires_grad_(False)


def resnet_stages(visual: ModifiedResNet, pixels: Tensor, *, output_stride: int) -> dict[str, Tensor]:
    """Stage name -> (B, C, H / s, W / s), before positions are pooled, of pixels (B, 3, H, W) of the tower's type."""
    x = visual.relu1(visual.bn1(visual.conv1(pixels)))
    x = visual.relu2(visual.bn2(visual.conv2(x)))
    x = visual.avgpool(visual.relu3(visual.bn3(visual.conv3(x))))
    pyramid = {}
    for stage in STAGES[:3]:
        x = getattr(visual, stage)(x)
        pyramid[stage] = x
    pyramid["layer4"] = visual.layer4(x) if output_stride == 32 else _layer4_at_stride_16(visual.layer4, x)
    return pyramid


def _layer4_at_stride_16(layer4: nn.Sequential, x: Tensor) -> Tensor:
    first, *others = layer4
    x = _block_without_stride(first, x)
    for block in others:
        x = _block_dilated(block, x)
    return x


def _block_without_stride(block: Bottleneck, x: Tensor) -> Tensor:
    """The stage's first block, whose 3x3 convolution comes before its pooling and so needs no dilation."""
    out = block.relu1(block.bn1(block.conv1(x)))
    out = block.relu2(block.bn2(block.conv2(out)))
    out = block.bn3(block.conv3(_pool_stride_1(out)))
    shortcut = _pool_stride_1(x)
    for name, module in block.downsample.named_children():
        if name != "-1":  # CLIP's name for the pooling that has just been done
            shortcut = module(shortcut)
    return block.relu3(out + shortcut)


def _block_dilated(block: Bottleneck, x: Tensor) -> Tensor:
    out = block.relu1(block.bn1(block.conv1(x)))
    out = block.relu2(block.bn2(F.conv2d(out, block.conv2.weight, block.conv2.bias, padding=2, dilation=2)))
    return block.relu3(block.bn3(block.conv3(out)) + x)


def _pool_stride_1(x: Tensor) -> Tensor:
    """2x2 average pooling at every position; the last row and column are repeated to keep the size."""
    return F.avg_pool2d(F.pad(x, (0, 1, 0, 1), mode="replicate"), kernel_size=2, stride=1)
