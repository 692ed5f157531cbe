"""Models by name come through the clip package's own loader."""

import hashlib
import urllib.error

import clip
import pytest
import torch

from grounding.clip_backbone import RESNETS, load_clip
from tests.backbone.saved_clip import error, images
from tests.tiny_clip import tiny_clip


def test_missing_file_and_unknown_name_are_refused(tmp_path):
    for name in (tmp_path / "missing.pt", tmp_path, "RN51", "ViT-B/32", "RN50x64", ""):
        message = error(name)
        assert "embedded" in message and "RN50" in message and "path" in message


@pytest.mark.parametrize("name", RESNETS)
def test_named_model_goes_through_clips_own_loader(tmp_path, monkeypatch, model, name):
    assert name in clip.available_models()
    monkeypatch.setenv("HOME", str(tmp_path))
    asked = []

    def fake_load(name, device, jit):
        asked.append((name, device, jit))
        cache = tmp_path / ".cache" / "clip"  # where clip.load keeps its files
        cache.mkdir(parents=True)
        (cache / f"{name}.pt").write_bytes(b"as if downloaded")
        return tiny_clip().requires_grad_(True).train(), None

    monkeypatch.setattr(clip, "load", fake_load)
    loaded = load_clip(name)
    assert asked == [(name, "cpu", False)] and loaded.name == name
    assert name in loaded.weights and hashlib.sha256(b"as if downloaded").hexdigest()[:12] in loaded.weights
    assert not any(p.requires_grad for p in loaded.model.parameters()) and not loaded.model.training
    torch.testing.assert_close(loaded.model.encode_image(images()), model.encode_image(images()))


@pytest.mark.parametrize(
    "failure",
    [
        urllib.error.URLError("no route to host"),
        RuntimeError("the SHA256 checksum does not match\nsecond line"),
        TimeoutError(),
        ConnectionResetError("reset"),
    ],
    ids=lambda failure: type(failure).__name__,
)
def test_failed_download_says_what_to_do(monkeypatch, failure):
    def failing(*args, **kwargs):
        raise failure

    monkeypatch.setattr(clip, "load", failing)
    message = error("RN50")
    assert "could not be downloaded" in message and "path" in message
