import dataclasses

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from grounding.decoder import DecoderConfig, HeatmapDecoder
from grounding.dense_clip import DenseFeatures

CHANNELS = {"layer1": 8, "layer2": 12, "layer3": 16, "layer4": 20}
EMBED_DIM = 10
SMALL = DecoderConfig(width=16, blocks=2, queries=3, query_dim=8)


def make_features(images: int, height: int, width: int, output_stride: int) -> DenseFeatures:
    """Random features of images of height x width model pixels, in the shapes that DenseCLIP gives."""
    generator = torch.Generator().manual_seed(0)
    strides = {"layer1": 4, "layer2": 8, "layer3": 16, "layer4": output_stride}
    pyramid = {
        stage: torch.randn(images, CHANNELS[stage], height // stride, width // stride, generator=generator)
        for stage, stride in strides.items()
    }
    shape = (images, EMBED_DIM, height // output_stride, width // output_stride)
    return DenseFeatures(pyramid, F.normalize(torch.randn(shape, generator=generator), dim=1))


def make_phrases(count: int) -> Tensor:
    return F.normalize(torch.randn(count, EMBED_DIM, generator=torch.Generator().manual_seed(1)), dim=1)


def make_decoder() -> HeatmapDecoder:
    torch.manual_seed(0)
    return HeatmapDecoder(SMALL, embed_dim=EMBED_DIM, pyramid_channels=CHANNELS).eval()


@pytest.mark.parametrize("output_stride", [16, 32])
@pytest.mark.parametrize(("height", "width"), [(64, 64), (96, 96), (64, 160)])
def test_heatmap_has_stride_4(output_stride, height, width):
    features = make_features(2, height, width, output_stride)
    logits = make_decoder()(features, make_phrases(3), torch.tensor([1, 0, 1]))
    assert logits.shape == (3, height // 4, width // 4) and logits.dtype == torch.float32
    assert logits.isfinite().all()


@pytest.mark.parametrize("output_stride", [16, 32])
def test_phrases_and_images_together_equal_one_by_one(output_stride):
    decoder, features, phrases = make_decoder(), make_features(3, 64, 64, output_stride), make_phrases(5)
    image_index = [2, 0, 0, 1, 2]
    with torch.no_grad():
        together = decoder(features, phrases, torch.tensor(image_index))
        for logits, phrase, image in zip(together, phrases, image_index, strict=True):
            pyramid = {stage: maps[image : image + 1] for stage, maps in features.pyramid.items()}
            alone = DenseFeatures(pyramid, features.embeddings[image : image + 1])
            torch.testing.assert_close(logits, decoder(alone, phrase[None], torch.tensor([0]))[0], atol=1e-5, rtol=0)
    assert (together[0] - together[4]).abs().max() > 1e-3, "one image, two phrases"
    swapped = decoder(features, phrases, torch.tensor([0, 0, 0, 1, 2]))
    assert (together[0] - swapped[0]).abs().max() > 1e-3, "one phrase, two images"


@pytest.mark.parametrize("output_stride", [16, 32])
def test_region_embeddings_start_as_the_dense_embeddings(output_stride):
    decoder, features = make_decoder(), make_features(2, 64, 96, output_stride)
    torch.testing.assert_close(decoder.region_embeddings(features), features.embeddings, atol=1e-6, rtol=0)
    torch.nn.init.normal_(decoder.adapter.weight)
    corrected = decoder.region_embeddings(features)
    assert (corrected - features.embeddings).abs().max() > 0.1
    torch.testing.assert_close(corrected.norm(dim=1), torch.ones_like(corrected[:, 0]))


def test_a_heatmap_starts_low():
    logits = make_decoder()(make_features(1, 64, 64, 16), make_phrases(1), torch.tensor([0]))
    assert logits.sigmoid().mean() < 0.35


def test_every_parameter_learns():
    decoder = make_decoder()
    logits = decoder(make_features(2, 64, 64, 16), make_phrases(4), torch.tensor([0, 1, 1, 0]))
    logits.square().mean().backward()
    assert [name for name, parameter in decoder.named_parameters() if not parameter.grad.abs().max() > 0] == []


@pytest.mark.xfail(strict=True, reason="over 4.5 million at present, 2.1 of them in `queries`")
def test_decoder_for_rn50_stays_small():
    channels = {"layer1": 256, "layer2": 512, "layer3": 1024, "layer4": 2048}
    decoder = HeatmapDecoder(DecoderConfig(), embed_dim=1024, pyramid_channels=channels)
    assert 1_000_000 < sum(parameter.numel() for parameter in decoder.parameters()) < 4_000_000


@pytest.mark.parametrize("field", ["width", "blocks", "queries", "query_dim"])
def test_every_setting_changes_the_size(field):
    def size(config: DecoderConfig) -> int:
        decoder = HeatmapDecoder(config, embed_dim=EMBED_DIM, pyramid_channels=CHANNELS)
        return sum(parameter.numel() for parameter in decoder.parameters())

    larger = dataclasses.replace(SMALL, **{field: 2 * getattr(SMALL, field)})
    assert size(larger) > size(SMALL)
