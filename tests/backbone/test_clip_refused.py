"""Files that hold no CLIP of the right kind, or not all of one: each is refused in one line."""

import numpy as np
import pytest
import torch

from tests.backbone.saved_clip import SAVERS, error
from tests.tiny_clip import tiny_clip


def test_vision_transformer_is_refused(tmp_path):
    vit = tiny_clip(layers=1, width=64)
    torch.save(vit.state_dict(), tmp_path / "vit.pt")
    assert "ResNet" in error(tmp_path / "vit.pt") and "RN50" in error(tmp_path / "vit.pt")


@pytest.mark.parametrize("name", SAVERS)
def test_truncated_file_is_refused(tmp_path, name):
    path = SAVERS[name](tmp_path / name)
    content = path.read_bytes()
    for share in (0.999, 0.5, 0.001, 0.0):
        path.write_bytes(content[: int(share * len(content))])
        error(path)


@pytest.mark.parametrize("suffix", [".pt", ".safetensors", ".jpg", ""])
def test_foreign_file_is_refused(tmp_path, suffix):
    path = tmp_path / f"foreign{suffix}"
    path.write_bytes(np.random.default_rng(0).bytes(4096))
    error(path)


@pytest.mark.parametrize("content", [[1, 2], {}, {"state_dict": {}}, {"a": torch.zeros(2)}, torch.zeros(3), 7, None])
def test_another_checkpoint_is_refused(tmp_path, content):
    path = tmp_path / "other.pt"
    torch.save(content, path)
    assert "no CLIP checkpoint" in error(path)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("visual.layer3.0.conv1.weight", None),
        ("visual.layer1.0.conv1.weight", None),
        ("ln_final.weight", None),
        ("text_projection", torch.zeros(3)),
        ("text_projection", "a string"),
        ("visual.attnpool.positional_embedding", torch.zeros(4, 256)),
        ("ln_final.weight", torch.zeros(8)),
        ("visual.layer2.0.bn1.weight", torch.zeros(3)),
    ],
)
def test_incomplete_checkpoint_is_refused(tmp_path, key, value):
    state = dict(tiny_clip().state_dict())
    if value is None:
        del state[key]
    else:
        state[key] = value
    torch.save(state, tmp_path / "incomplete.pt")
    assert "incomplete" in error(tmp_path / "incomplete.pt")
