"""A run goes to a hub and comes back as it was; what goes wrong on the way is said in one sentence."""

from __future__ import annotations

import hashlib
import shutil
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import yaml
from huggingface_hub import ModelCard, constants

import grounding
from grounding.deployment import hub as hub_module
from grounding.errors import InputError
from grounding.methods.hub_download import fetched
from grounding.methods.names import RUN_FILES, SHIPPED
from tests.deployment.hub.stand_in import HubStandIn, Repository
from tests.scripts import run_script

ABSOLUTE = "/home/somebody/secret"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """The shipped run as a folder of somebody's own, with what a training leaves besides."""
    folder = tmp_path / "runs" / "mine"
    shutil.copytree(SHIPPED["refshapes"], folder)
    config = yaml.safe_load((folder / "config.yaml").read_text())
    config |= {"data": f"{ABSOLUTE}/photos", "output": "C:\\somebody\\mine"}
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    (folder / "states").mkdir()
    (folder / "states" / "random_states_0.pkl").write_bytes(b"a pickle")
    return folder


def heatmaps(name: str | Path) -> list[np.ndarray]:
    image = np.random.default_rng(0).integers(0, 256, (60, 90, 3), dtype=np.uint8)
    return [each.heatmap for each in grounding.load(name).ground(image, ["the red circle", "the ring on the left"])]


@pytest.fixture
def mine(hub: HubStandIn, run: Path) -> Repository:
    """What is on the hub once the run was pushed there."""
    address = grounding.push(run, "somebody/mine")
    repository = hub.repositories["somebody/mine"]
    assert address == f"{hub.url}/somebody/mine/commit/{repository.head}"
    return repository


def test_a_run_comes_back_as_it_was(hub: HubStandIn, run: Path, mine: Repository) -> None:
    np.testing.assert_array_equal(heatmaps("hf://somebody/mine"), heatmaps(run))
    assert {name for _, name in hub.downloads} == set(RUN_FILES)
    # Nothing but the run was uploaded, and no path of this machine.
    assert set(mine.files) == {*RUN_FILES, "README.md", ".gitattributes"}
    assert not any(b"somebody/secret" in content or b"\\somebody" in content for content in mine.files.values())
    config = yaml.safe_load(mine.files["config.yaml"])
    assert (config["data"], config["output"]) == ("photos", "mine")
    assert config["model"] == yaml.safe_load((run / "config.yaml").read_text())["model"]
    text = mine.files["README.md"].decode()
    card = ModelCard(text)
    assert card.data.license == "mit" and card.data.model_name == "mine"
    assert 'grounding.load("hf://somebody/mine")' in text and "photos, split train (umd)" in text
    embedded = Path(grounding.__file__).parent / "weights" / "embedded_clip.safetensors"
    assert hashlib.sha256(embedded.read_bytes()).hexdigest()[:12] in text


def test_an_earlier_revision_can_be_loaded(run: Path, mine: Repository) -> None:
    first = mine.head
    for name in ("extraction.yaml", "box_quality.safetensors"):
        (run / name).unlink()
    grounding.push(run, "somebody/mine")
    assert "extraction.yaml" not in mine.files
    assert grounding.load("hf://somebody/mine").extraction.method == "components"  # type: ignore[attr-defined]
    assert grounding.load(f"hf://somebody/mine@{first}").extraction.method == "quality"  # type: ignore[attr-defined]


@pytest.mark.usefixtures("run")
def test_the_command(hub: HubStandIn, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["push", "--run", "runs/mine", "--repo", "hf://somebody/mine", "--private", "true"]
    outcome = run_script(capsys, "grounding.deployment.hub", *arguments)
    assert hub.repositories["somebody/mine"].private
    assert 'grounding.load("hf://somebody/mine")' in outcome.out


def test_only_a_name_with_the_prefix_is_looked_for_on_the_hub(hub: HubStandIn, mine: Repository) -> None:
    hub.downloads.clear()
    for name in ("runs/other", "somebody/mine", "somebody/mine@v1.0"):
        with pytest.raises(InputError, match=f"no run folder '{name}'.*named hf://{name}"):
            grounding.load(name)
    for name in ("./mine", "a/b/c", "~/mine"):
        with pytest.raises(InputError, match=r"give one of [^;]*$"):
            grounding.load(name)
    assert not hub.downloads


def refused(name: str) -> str:
    fetched.cache_clear()
    with pytest.raises(InputError) as refusal:
        grounding.load(name)
    assert "\n" not in str(refusal.value)
    return str(refusal.value)


def test_runs_that_cannot_be_had(hub: HubStandIn, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "is no repository on the model hub" in refused("hf://somebody/mine")
    for name in ("somebody/bad..name", "", "mine", "a/b/c", "../b", "somebody/mine@"):
        assert "is no name on a model hub" in refused(f"hf://{name}")
    grounding.push(run, "somebody/mine", private=True)
    assert "no such revision" in refused("hf://somebody/mine@v2")
    monkeypatch.delenv("HF_TOKEN")
    assert "log in with `hf auth login` if it is private" in refused("hf://somebody/mine")
    repository = hub.repositories["somebody/mine"]
    repository.private, repository.gated = False, True
    assert "is gated" in refused("hf://somebody/mine")
    repository.gated = False
    repository.commit({"config.yaml": repository.files["config.yaml"]})
    assert "is no run of this project: it has no decoder.safetensors" in refused("hf://somebody/mine")


@pytest.mark.usefixtures("mine")
def test_without_a_network(monkeypatch: pytest.MonkeyPatch) -> None:
    before = heatmaps("hf://somebody/mine")
    fetched.cache_clear()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    np.testing.assert_array_equal(heatmaps("hf://somebody/mine"), before)
    assert "HF_HUB_OFFLINE is set" in refused("hf://somebody/other")
    [decoder] = Path(constants.HF_HUB_CACHE).glob("**/snapshots/*/decoder.safetensors")
    decoder.unlink()  # as after a download that was cut off
    assert "needs the model hub, and HF_HUB_OFFLINE is set" in refused("hf://somebody/mine")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    assert "cannot be reached" in refused("hf://somebody/other")


@pytest.mark.parametrize(
    ("change", "extraction", "fragment"),
    [
        ({"clip": "/etc/passwd"}, {}, "names the CLIP '/etc/passwd'"),
        ({"decoder": {"class_path": "this.Anything"}}, {}, "no setting 'model.decoder.class_path'"),
        ({"decoder": '{"class_path": "this.Anything"}'}, {}, "model.decoder is"),
        ({"trust_checkpoint": True, "clip": "clip.pt"}, {}, "names the CLIP 'clip.pt'"),
        ({}, {"class_path": "this.Anything"}, "extraction.yaml is damaged (there is no setting 'class_path')"),
    ],
)
def test_a_configuration_that_wants_more(
    hub: HubStandIn, run: Path, change: dict, extraction: dict, fragment: str
) -> None:
    config = yaml.safe_load((run / "config.yaml").read_text())
    config["model"] |= change
    files = {name: (run / name).read_bytes() for name in RUN_FILES}
    files["config.yaml"] = yaml.safe_dump(config).encode()
    if extraction:
        files["extraction.yaml"] = yaml.safe_dump(extraction).encode()
    hub.repositories["somebody/mine"] = Repository()
    hub.repositories["somebody/mine"].commit(files)
    sys.modules.pop("this", None)
    assert fragment in refused("hf://somebody/mine")
    assert "this" not in sys.modules


def test_uploads_that_are_refused(hub: HubStandIn, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def push(*, fragment: str, repo: str = "somebody/mine", **settings: object) -> None:
        with pytest.raises(InputError, match=fragment):
            grounding.push(run, repo, **settings)

    monkeypatch.setattr(hub_module, "load", cache(grounding.load))  # it is the same run each time
    push(repo="mine", fragment="give user/name")
    push(licence="other-than-listed", fragment="license: no")
    hub.repositories.clear()
    hub.repositories["somebody/else"] = Repository()
    hub.repositories["somebody/else"].commit({"model.bin": b""})
    push(repo="somebody/else", fragment=r"holds model\.bin")
    grounding.push(run, "somebody/public")
    push(repo="somebody/public", private=True, fragment="already and public")
    monkeypatch.setenv("HF_TOKEN", "hf_reader")
    push(repo="somebody/new", fragment="no permission")
    monkeypatch.delenv("HF_TOKEN")
    push(repo="somebody/new", fragment="log in")
    with pytest.raises(InputError, match="no trained decoder"):
        grounding.push("zero-shot", "somebody/mine")


def test_a_clip_that_is_a_file(made: Path, hub: HubStandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    """It goes by its published name, or not at all."""
    run = made / "run"
    with pytest.raises(InputError, match=r"clip\.pt is a file that is not uploaded"):
        grounding.push(run, "somebody/toy")
    sha256 = grounding.load(run).encoder.clip.sha256  # type: ignore[attr-defined]
    monkeypatch.setitem(hub_module.ADDRESSES, "RN50", f"https://somewhere/{sha256}/RN50.pt")
    grounding.push(run, "somebody/toy")
    files = hub.repositories["somebody/toy"].files
    assert yaml.safe_load(files["config.yaml"])["model"]["clip"] == "RN50"
    assert not any(str(made).encode() in content for content in files.values())
