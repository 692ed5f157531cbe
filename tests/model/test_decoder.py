import dataclasses

import pytest
import torch
import torch.nn.functional as F

from grounding.clip.dense import DenseFeatures
from grounding.clip.text import PhraseFeatures
from grounding.model.blocks import ModulatedBlock
from grounding.model.decoder import DecoderConfig, HeatmapDecoder
from grounding.runtime.errors import InputError

CHANNELS = {"layer1": 8, "layer2": 12, "layer3": 16, "layer4": 20}
EMBED_DIM, TOKEN_WIDTH = 10, 12
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


def make_phrases(count: int) -> PhraseFeatures:
    """Random features of phrases of three tokens, four, and so on."""
    generator = torch.Generator().manual_seed(1)
    embeddings = F.normalize(torch.randn(count, EMBED_DIM, generator=generator), dim=1)
    is_token = torch.arange(count + 2) < torch.arange(3, count + 3)[:, None]
    tokens = torch.randn(count, count + 2, TOKEN_WIDTH, generator=generator) * is_token[..., None]
    return PhraseFeatures(embeddings, tokens, is_token)


def one_phrase(phrases: PhraseFeatures, index: int) -> PhraseFeatures:
    """A phrase as it is encoded when it is the only one."""
    length = int(phrases.is_token[index].sum())
    chosen = slice(index, index + 1)
    return PhraseFeatures(
        phrases.embeddings[chosen], phrases.tokens[chosen, :length], phrases.is_token[chosen, :length]
    )


def make_decoder(output_stride: int = 16, **changes: object) -> HeatmapDecoder:
    torch.manual_seed(0)
    config = dataclasses.replace(SMALL, **changes)  # type: ignore[arg-type]
    return HeatmapDecoder(
        config, embed_dim=EMBED_DIM, token_width=TOKEN_WIDTH, pyramid_channels=CHANNELS, output_stride=output_stride
    ).eval()


@pytest.mark.parametrize("output_stride", [16, 32])
def test_phrases_and_images_together_equal_one_by_one(output_stride):
    decoder, features, phrases = make_decoder(output_stride), make_features(3, 64, 160, output_stride), make_phrases(5)
    image_index = [2, 0, 0, 1, 2]
    with torch.no_grad():
        together = decoder(features, phrases, torch.tensor(image_index))
        assert together.shape == (5, 256 // output_stride, 640 // output_stride) and together.dtype == torch.float32
        assert together.sigmoid().mean() < 0.35, "it starts low"
        for index, (logits, image) in enumerate(zip(together, image_index, strict=True)):
            pyramid = {stage: maps[image : image + 1] for stage, maps in features.pyramid.items()}
            alone = DenseFeatures(pyramid, features.embeddings[image : image + 1])
            expected = decoder(alone, one_phrase(phrases, index), torch.tensor([0]))[0]
            torch.testing.assert_close(logits, expected, atol=1e-5, rtol=0)
    assert (together[0] - together[4]).abs().max() > 1e-3, "one image, two phrases"
    swapped = decoder(features, phrases, torch.tensor([0, 0, 0, 1, 2]))
    assert (together[0] - swapped[0]).abs().max() > 1e-3, "one phrase, two images"


def test_region_embeddings_start_as_the_dense_embeddings():
    decoder, features = make_decoder(), make_features(2, 64, 96, 16)
    torch.testing.assert_close(decoder.region_embeddings(features), features.embeddings, atol=1e-6, rtol=0)
    torch.nn.init.normal_(decoder.adapter.correction.weight)
    corrected = decoder.region_embeddings(features)
    assert (corrected - features.embeddings).abs().max() > 0.1
    torch.testing.assert_close(corrected.norm(dim=1), torch.ones_like(corrected[:, 0]))


def test_a_query_dimension_that_the_heads_do_not_divide_is_refused():
    with pytest.raises(InputError, match=r"query_dim is 10: give a multiple of 4"):
        make_decoder(query_dim=10)


def test_two_threads_give_the_same_gradients_every_time() -> None:
    """Phrases share images, and the sums over them must not depend on which thread comes first."""
    decoder, features, phrases = make_decoder(), make_features(4, 128, 128, 16), make_phrases(24)
    image_index = torch.arange(24) % 4
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        found = set()
        for _ in range(3):
            decoder.zero_grad()
            decoder(features, phrases, image_index).square().sum().backward()
            found.add(b"".join(each.grad.numpy().tobytes() for each in decoder.parameters() if each.grad is not None))
    finally:
        torch.set_num_threads(threads)
    assert len(found) == 1


def test_padding_has_no_say_in_presence() -> None:
    """Neither in the presence head, nor in the highest heat where there is none."""
    features, phrases, index = make_features(2, 64, 96, 16), make_phrases(3), torch.tensor([1, 0, 1])
    valid = torch.ones(3, 16, 24, dtype=torch.bool)
    valid[:, :4] = False
    for head in (False, True):
        decoder = make_decoder(presence=head)
        with torch.no_grad():
            heat, presence = decoder.answer(features, phrases, index, valid)
            everywhere = decoder.answer(features, phrases, index, torch.ones_like(valid))[1]
            torch.testing.assert_close(heat, decoder(features, phrases, index).sigmoid())
            found, summary = decoder.compare(features, phrases, index)
        assert not torch.equal(presence, everywhere)
        if head:
            most = found[:, :, 1:].amax(dim=(2, 3))
            expected = decoder.presence.layers(torch.cat([most, summary], dim=1))[:, 0].sigmoid()
        else:
            expected = heat[:, 4:].amax(dim=(1, 2))
        torch.testing.assert_close(presence, expected)


def test_with_and_without_gradients_it_answers_the_same_and_leaves_features_as_they_are():
    features, decoder = make_features(1, 64, 64, 16), make_decoder()
    before = {name: values.clone() for name, values in features.pyramid.items()}
    with_gradients = decoder(features, make_phrases(2), torch.tensor([0, 0]))
    with torch.no_grad():
        found = decoder(features, make_phrases(2), torch.tensor([0, 0]))
    torch.testing.assert_close(found, with_gradients, atol=1e-6, rtol=0)
    assert all(torch.equal(values, features.pyramid[name]) for name, values in before.items())


def test_a_phrase_scales_and_shifts_channels():
    """Against FiLM as it is written, with gradients and without."""
    torch.manual_seed(0)
    block, x, summary = ModulatedBlock(8, 6, kernel_size=3), torch.randn(2, 8, 5, 4), torch.randn(2, 6)
    scale, shift = (each[..., None, None] for each in block.modulation(summary).split(8, dim=1))
    modulated = block.norm(block.depthwise(x)) * (1 + scale) + shift
    expected = x + block.project(F.gelu(block.expand(modulated)))
    torch.testing.assert_close(block(x, summary), expected)
    with torch.no_grad():
        torch.testing.assert_close(block(x, summary), expected)
