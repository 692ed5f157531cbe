"""Code in a checkpoint runs only where the user, or OpenAI's hash, says that it may."""

import builtins
import hashlib
import pickle
import zipfile
from pathlib import Path

import pytest
import torch

from grounding.clip import backbone
from grounding.clip.backbone import load_clip
from tests.clip.saved_clip import error, images, save_archive
from tests.tiny_clip import tiny_clip


class Malicious:
    """Unpickled without care, sets a mark that the test looks for."""

    def __reduce__(self):
        return exec, ("import builtins; builtins.malicious_code_ran = True",)


def write_malicious(path: Path, form: str) -> None:
    if form in ("pickle", "safetensors"):
        path.write_bytes(pickle.dumps(Malicious()))
    elif form == "in an archive":
        with zipfile.ZipFile(save_archive(path.with_name("whole.pt"))) as source, zipfile.ZipFile(path, "w") as target:
            for item in source.infolist():
                evil = item.filename.endswith("/data.pkl")
                target.writestr(item, pickle.dumps(Malicious(), protocol=2) if evil else source.read(item))
    else:
        weights = tiny_clip().state_dict() if form == "torch beside real weights" else {}
        torch.save({**weights, "evil": Malicious()}, path, _use_new_zipfile_serialization=form != "torch legacy")


@pytest.mark.parametrize(
    "form", ["pickle", "torch", "torch beside real weights", "torch legacy", "safetensors", "in an archive"]
)
def test_code_in_a_pickle_never_runs(tmp_path, monkeypatch, form):
    monkeypatch.setattr(builtins, "malicious_code_ran", False, raising=False)
    path = tmp_path / ("evil.safetensors" if form == "safetensors" else "evil.pt")
    write_malicious(path, form)
    error(path)
    assert not builtins.malicious_code_ran
    if form == "pickle":
        pickle.loads(path.read_bytes())
        assert builtins.malicious_code_ran, "the mark works"


def save_archive_that_runs_code(path: Path, mark: Path) -> Path:
    """TorchScript whose `__setstate__`, which runs while the archive is read, writes a file; returns `path`."""

    class Writing(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.mark = str(mark)

        @torch.jit.export
        def __getstate__(self) -> tuple[str, bool]:
            return self.mark, self.training

        @torch.jit.export
        def __setstate__(self, state: tuple[str, bool]) -> None:
            self.mark = state[0]
            self.training = bool(torch.from_file(self.mark, True, 4).sum() > 1)  # which makes the file

        def forward(self) -> str:
            return self.mark

    torch.jit.script(Writing()).save(str(path))
    return path


def test_an_archives_code_runs_only_where_it_is_trusted(tmp_path):
    path, mark = save_archive_that_runs_code(tmp_path / "evil.pt", tmp_path / "mark"), tmp_path / "mark"
    message = error(path, trust_checkpoint=False)
    assert "TorchScript" in message and "trust_checkpoint" in message and ".safetensors" in message
    assert not mark.exists()
    error(path)  # trusted, it is read, and is no CLIP
    assert mark.exists(), "reading runs code, so the test above tests something"


def test_an_archive_that_openai_published_needs_no_trust(tmp_path, monkeypatch):
    path = save_archive(tmp_path / "archive.pt")
    assert "none that OpenAI published" in error(path, trust_checkpoint=False)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    monkeypatch.setattr(backbone, "PUBLISHED_SHA256", frozenset({digest}))
    torch.testing.assert_close(load_clip(path).model.encode_image(images()), tiny_clip().encode_image(images()))
