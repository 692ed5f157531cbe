"""A file gives the model that was saved in it, frozen, as the clip package's loader gives it."""

import copy
import hashlib

import clip
import pytest
import torch

from grounding.clip_backbone import load_clip
from tests.backbone.saved_clip import PHRASES, SAVERS, images
from tests.tiny_clip import save_openai_archive, tiny_clip


@pytest.mark.parametrize("name", SAVERS)
def test_file_gives_the_model_that_was_saved(tmp_path, model, name):
    path = SAVERS[name](tmp_path / name)
    loaded = load_clip(path, trust_checkpoint=True)
    tokens = clip.tokenize(PHRASES)
    with torch.no_grad():
        torch.testing.assert_close(loaded.model.encode_image(images()), model.encode_image(images()), atol=0, rtol=0)
        torch.testing.assert_close(loaded.model.encode_text(tokens), model.encode_text(tokens), atol=0, rtol=0)
    assert loaded.name == str(path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert name in loaded.weights and digest[:12] in loaded.weights


@pytest.mark.parametrize("name", ["archive.pt", "state_dict.pt"])
def test_file_gives_what_clips_own_loader_gives(tmp_path, name):
    """On weights that half precision cannot hold, which clip rounds and the test above does not have."""
    exact = copy.deepcopy(tiny_clip())
    for parameter in exact.parameters():
        parameter.mul_(1.0001)
    path = tmp_path / name
    if name == "archive.pt":
        save_openai_archive(exact, path)
    else:
        torch.save(exact.state_dict(), path)
    reference, _ = clip.load(str(path), device="cpu", jit=False)
    loaded = load_clip(path, trust_checkpoint=True).model
    state = loaded.state_dict()
    assert list(state) == list(reference.state_dict())
    for key, tensor in reference.state_dict().items():
        torch.testing.assert_close(state[key], tensor, atol=0, rtol=0)
    with torch.no_grad():
        torch.testing.assert_close(loaded.encode_image(images()), reference.encode_image(images()))


def test_model_is_frozen_float32_in_evaluation_mode(tmp_path):
    loaded = load_clip(save_openai_archive(tiny_clip(), tmp_path / "archive.pt"), trust_checkpoint=True).model
    assert not any(parameter.requires_grad for parameter in loaded.parameters())
    assert {parameter.dtype for parameter in loaded.parameters()} == {torch.float32}
    assert not any(module.training for module in loaded.modules())


def test_the_archive_is_one_as_openai_publishes(tmp_path):
    """So that the tests above mean something: TorchScript, half precision, three scalars among the weights."""
    state = torch.jit.load(save_openai_archive(tiny_clip(), tmp_path / "archive.pt")).state_dict()
    assert {"input_resolution", "context_length", "vocab_size"} == set(state) - set(tiny_clip().state_dict())
    assert state["visual.conv1.weight"].dtype == torch.float16
    assert state["visual.bn1.running_mean"].dtype == torch.float32
