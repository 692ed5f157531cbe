"""A file gives the model that was saved in it, frozen, as the clip package's loader gives it, or is refused."""

import copy
import hashlib

import clip
import numpy as np
import pytest
import torch

from grounding.clip.backbone import load_clip
from tests.clip.saved_clip import SAVERS, error, images
from tests.tiny_clip import save_openai_archive, tiny_clip


@pytest.mark.parametrize("name", SAVERS)
def test_file_gives_the_model_that_was_saved(tmp_path, name):
    path = SAVERS[name](tmp_path / name)
    loaded = load_clip(path, trust_checkpoint=True)
    saved, state = tiny_clip().state_dict(), loaded.model.state_dict()
    assert list(state) == list(saved) and all(torch.equal(state[key], saved[key]) for key in saved)
    assert loaded.name == str(path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert loaded.sha256 == digest and name in loaded.weights and digest[:12] in loaded.weights
    assert not any(parameter.requires_grad for parameter in loaded.model.parameters())
    assert {parameter.dtype for parameter in loaded.model.parameters()} == {torch.float32}
    assert not any(module.training for module in loaded.model.modules())


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


def test_missing_file_and_unknown_name_are_refused(tmp_path):
    for name in (tmp_path / "missing.pt", tmp_path, "RN51", "ViT-B/32", "RN50x64", ""):
        message = error(name)
        assert "embedded" in message and "RN50" in message and "path" in message


@pytest.mark.parametrize("name", SAVERS)
def test_truncated_or_foreign_file_is_refused(tmp_path, name):
    path = SAVERS[name](tmp_path / name)
    content = path.read_bytes()
    for damaged in (content[:-400], content[: len(content) // 2], b"", np.random.default_rng(0).bytes(4096)):
        path.write_bytes(damaged)
        error(path)


def changed(key, value):
    """A tiny CLIP's weights without one of them, or with something else in its place."""
    return {name: each for name, each in {**tiny_clip().state_dict(), key: value}.items() if each is not None}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        *((content, "no CLIP checkpoint") for content in ([1, 2], {"state_dict": {}}, None)),
        (changed("visual.layer3.0.conv1.weight", None), "incomplete"),
        (changed("text_projection", "a string"), "incomplete"),
        (changed("visual.attnpool.positional_embedding", torch.zeros(4, 256)), "incomplete"),
        (tiny_clip(layers=1, width=64).state_dict(), "without a ResNet image tower: give one of RN50"),
    ],
)
def test_another_checkpoint_is_refused(tmp_path, content, said):
    torch.save(content, tmp_path / "other.pt")
    assert said in error(tmp_path / "other.pt")
