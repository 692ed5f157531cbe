"""A run on a model hub is loaded as it is; what goes wrong on the way is said in one sentence."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import Mock

import numpy as np
import pytest
import yaml
from huggingface_hub import HfApi, constants, errors

import grounding
from grounding.methods.hub_download import fetched
from grounding.methods.names import RUN_FILES, SHIPPED
from grounding.runtime.errors import InputError

FILES = {name: (SHIPPED["refshapes"] / name).read_bytes() for name in RUN_FILES}
Hub = dict[str, dict[str, bytes]]


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """Revision -> files of the repository somebody/mine, in place of what huggingface_hub would list and download."""
    hub = {"main": FILES}

    def snapshot_download(_: HfApi, repo: str, *, revision: str | None, allow_patterns: list[str]) -> str:
        assert repo == "somebody/mine"
        folder = tmp_path / "cache" / (revision or "main")
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in hub[revision or "main"].items():
            if any(fnmatch(name, pattern) for pattern in allow_patterns):
                (folder / name).write_bytes(content)
        return str(folder)

    monkeypatch.setattr(HfApi, "snapshot_download", snapshot_download)
    fetched.cache_clear()
    yield hub
    fetched.cache_clear()


def refused(name: str) -> str:
    fetched.cache_clear()
    with pytest.raises(InputError) as refusal:
        grounding.load(name)
    assert "\n" not in str(refusal.value)
    return str(refusal.value)


def test_a_run_is_what_it_was_before_it_was_shared(hub: Hub, tmp_path: Path) -> None:
    hub["main"] = FILES | {"random_states_0.pkl": b"a pickle", "code.py": b"nobody asks for it"}
    image = np.random.default_rng(0).integers(0, 256, (60, 90, 3), dtype=np.uint8)
    shared, own = (grounding.load(name).ground(image, ["the ring"])[0] for name in ("hf://somebody/mine", "refshapes"))
    np.testing.assert_array_equal(shared.heatmap, own.heatmap)
    assert {path.name for path in (tmp_path / "cache" / "main").iterdir()} == set(RUN_FILES)


def test_an_earlier_revision_can_be_loaded(hub: Hub) -> None:
    hub |= {"v1": FILES, "main": {name: FILES[name] for name in RUN_FILES[:2]}}
    assert grounding.load("hf://somebody/mine").extraction.method == "components"
    assert grounding.load("hf://somebody/mine@v1").extraction.method == "quality"


def test_only_a_name_with_the_prefix_is_looked_for_on_the_hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(HfApi, "snapshot_download", None)  # calling it would fail
    for name in ("runs/other", "somebody/mine", "somebody/mine@v1.0"):
        assert f"no run folder '{name}'" in refused(name) and f"named hf://{name}" in refused(name)
    assert "named hf://" not in refused("./mine")


def test_a_name_that_no_hub_has() -> None:
    """By the library's rules, too, which it looks at before it connects."""
    for name in ("somebody/bad..name", "", "mine", "a/b/c", "../b", "somebody/mine@"):
        assert "is no name on a model hub" in refused(f"hf://{name}")


def test_runs_that_cannot_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    for error in (errors.RepositoryNotFoundError, errors.RevisionNotFoundError, errors.GatedRepoError):
        refusal = error("401\n\nnot for you", response=SimpleNamespace(headers={}, request=None))
        monkeypatch.setattr(HfApi, "snapshot_download", Mock(side_effect=refusal))
        told = refused("hf://somebody/mine")
        assert f"({error.__name__}: 401 not for you)" in told and "`hf auth login`" in told


def test_without_a_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As the library itself says it."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    told = refused("hf://somebody/other")
    assert "connect and try again" in told and "LocalEntryNotFoundError" not in told, "the reason is said"
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert "HF_HUB_OFFLINE" in refused("hf://somebody/other")


def test_a_configuration_that_wants_more(hub: Hub) -> None:
    sys.modules.pop("this", None)
    config = yaml.safe_load(FILES["config.yaml"])
    for change, fragment in (
        ({"clip": "/etc/passwd"}, "names the CLIP '/etc/passwd'"),
        ({"decoder": {"class_path": "this.Anything"}}, "no setting 'model.decoder.class_path'"),
    ):
        wanted = yaml.safe_dump({**config, "model": config["model"] | change})
        hub["main"] = FILES | {"config.yaml": wanted.encode()}
        assert fragment in refused("hf://somebody/mine")
    hub["main"] = FILES | {"extraction.yaml": b"class_path: this.Anything"}
    assert "extraction.yaml is damaged (there is no setting 'class_path')" in refused("hf://somebody/mine")
    assert "this" not in sys.modules


def test_a_repository_without_weights_is_no_run(hub: Hub) -> None:
    hub["main"] = {"config.yaml": FILES["config.yaml"]}
    assert "is no run of this project: it has no decoder.safetensors" in refused("hf://somebody/mine")
