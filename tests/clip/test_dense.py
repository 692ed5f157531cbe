import copy

import pytest
import torch
import torch.nn.functional as F
from clip.model import CLIP, AttentionPool2d
from torch import Tensor, nn

from grounding.clip.backbone import fold_batch_norms
from grounding.clip.dense import STAGES, DenseCLIP, fold_projections, resnet_stages
from tests.tiny_clip import EMBED_DIM, tiny_clip


@pytest.fixture
def tiny() -> CLIP:
    """With two blocks in the last stage, so that one of them is dilated at stride 16."""
    return tiny_clip(layers=(1, 2, 1, 3))


def pixels(height: int, width: int, count: int = 2) -> Tensor:
    """Smooth random pictures, normalised: noise alone would look the same everywhere to CLIP."""
    coarse = torch.randn(count, 3, 5, 5, generator=torch.Generator().manual_seed(height + width))
    return F.interpolate(2 * coarse, (height, width), mode="bicubic")


def test_every_stage_is_clips_own(tiny):
    outputs: dict[str, Tensor] = {}
    for stage in STAGES:
        block = getattr(tiny.visual, stage)
        block.register_forward_hook(lambda m, a, output, stage=stage: outputs.setdefault(stage, output))
    tiny.encode_image(pixels(64, 64))
    pyramid = resnet_stages(tiny.visual, pixels(64, 64), output_stride=32)
    torch.testing.assert_close(pyramid, outputs)


def one_pixel_pool(attnpool: AttentionPool2d) -> AttentionPool2d:
    """The attention pool for a map of one position, without its positional embedding."""
    pool = AttentionPool2d(1, attnpool.c_proj.in_features, attnpool.num_heads, attnpool.c_proj.out_features).eval()
    weights = {name: tensor for name, tensor in attnpool.state_dict().items() if name != "positional_embedding"}
    pool.load_state_dict({**weights, "positional_embedding": torch.zeros_like(pool.positional_embedding)})
    return pool


def test_dense_embedding_is_the_attention_pool_on_one_pixel(tiny):
    features = DenseCLIP(tiny.visual, output_stride=16)(pixels(64, 96))
    each_position = features.pyramid["layer4"].permute(0, 2, 3, 1).reshape(-1, 256, 1, 1)
    expected = F.normalize(one_pixel_pool(tiny.visual.attnpool)(each_position), dim=-1)
    found = features.embeddings.permute(0, 2, 3, 1).reshape(-1, EMBED_DIM)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
    assert features.embeddings.std(dim=(2, 3)).max() > 0.01


@pytest.mark.parametrize(("height", "width"), [(64, 64), (32, 32), (96, 160)])
def test_at_stride_16_every_second_position_is_that_of_stride_32(tiny, height, width):
    images = pixels(height, width)
    fine, coarse = (DenseCLIP(tiny.visual, output_stride=stride)(images) for stride in (16, 32))
    for stage, stride, channels in zip(STAGES, (4, 8, 16, 16), (32, 64, 128, 256), strict=True):
        assert fine.pyramid[stage].shape == (2, channels, height // stride, width // stride)
    assert fine.embeddings.shape == (2, EMBED_DIM, height // 16, width // 16)
    assert DenseCLIP(tiny.visual).pyramid_channels == {"layer1": 32, "layer2": 64, "layer3": 128, "layer4": 256}
    torch.testing.assert_close(fine.pyramid["layer4"][..., ::2, ::2], coarse.pyramid["layer4"])
    torch.testing.assert_close(fine.embeddings[..., ::2, ::2], coarse.embeddings, atol=1e-5, rtol=0)
    between = fine.embeddings[..., 1::2, 1::2]
    assert (between - coarse.embeddings).abs().max() > 1e-3, "positions between are not copies"


@pytest.mark.parametrize("output_stride", [16, 32])
def test_nothing_of_clip_changes_in_training(output_stride):
    visual = tiny_clip().requires_grad_(True).train().visual
    before = copy.deepcopy(visual.state_dict())
    dense = DenseCLIP(visual, output_stride=output_stride)
    parent = nn.Sequential(dense).train()
    assert dense.train() is dense
    assert not any(module.training for module in dense.modules()) and parent.training
    assert not any(parameter.requires_grad for parameter in dense.parameters())
    features = dense(pixels(64, 64).requires_grad_())
    for tensor in (features.embeddings, *features.pyramid.values()):
        assert not tensor.requires_grad
    assert list(visual.state_dict()) == list(before)
    for name, tensor in visual.state_dict().items():
        torch.testing.assert_close(tensor, before[name], atol=0, rtol=0)


def test_with_batch_norms_folded_the_embedding_stays_clips_own():
    visual = tiny_clip(layers=(3, 4, 6, 3), width=64, resolution=224, embed_dim=1024).visual  # RN50's own shape
    before = copy.deepcopy(visual.state_dict())
    folded = fold_batch_norms(visual)
    images = torch.randn(1, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = visual(images)
        assert (folded(images) - expected).abs().max() < 1e-4 * max(float(expected.abs().max()), 1)
        for stride in (16, 32):
            dense, reference = (DenseCLIP(tower, output_stride=stride)(images) for tower in (folded, visual))
            torch.testing.assert_close(dense.embeddings, reference.embeddings, atol=1e-4, rtol=0)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in folded.modules())
    assert all(torch.equal(before[name], each) for name, each in visual.state_dict().items()), "the tower is left as is"


def test_only_what_was_brought_to_the_cpu_becomes_float64(tiny: CLIP, on_cpu: set[int]) -> None:
    fold_projections(tiny.visual.attnpool)
    assert len(on_cpu) == 4
