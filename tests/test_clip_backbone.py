import builtins
import copy
import hashlib
import json
import pickle
import urllib.error
import zipfile
from pathlib import Path

import clip
import numpy as np
import pytest
import torch
from clip.clip import _transform
from clip.model import CLIP
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor

from grounding import ModelConfig, clip_files, load
from grounding.clip_backbone import RESNETS, encode_tokens, load_clip, normalise_pixels, tokenize
from grounding.errors import InputError
from tests.shared_data import SHARED_DATA, needs_shared_data
from tests.tiny_clip import RESOLUTION, save_openai_archive, save_tiny_clip, tiny_clip

PHRASES = ["a cat", "the man in the red coat, left of the tree", "Bicycle", "naïve café — 日本", "a <|endoftext|> b"]


@pytest.fixture(scope="module")
def model() -> CLIP:
    return tiny_clip()


def images(count: int = 2) -> Tensor:
    return torch.randn(count, 3, RESOLUTION, RESOLUTION, generator=torch.Generator().manual_seed(0))


def save_safetensors(path: Path) -> Path:
    save_file({name: tensor.contiguous() for name, tensor in tiny_clip().state_dict().items()}, path)
    return path


def error(name: str | Path, *, trust_checkpoint: bool = True) -> str:
    """The message of the InputError that loading raises: one line that names what was asked for."""
    with pytest.raises(InputError) as info:
        load_clip(name, trust_checkpoint=trust_checkpoint)
    message = str(info.value)
    assert str(name) in message and "\n" not in message
    return message


SAVERS = {
    "archive.pt": lambda path: save_openai_archive(tiny_clip(), path),
    "state_dict.pt": save_tiny_clip,
    "tiny.safetensors": save_safetensors,
}


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


class Malicious:
    """Unpickled without care, sets a mark that the test looks for."""

    def __reduce__(self):
        return exec, ("import builtins; builtins.malicious_code_ran = True",)


@pytest.mark.parametrize("form", ["pickle", "torch", "torch beside real weights", "torch legacy", "safetensors"])
def test_code_in_a_pickle_never_runs(tmp_path, monkeypatch, form):
    monkeypatch.setattr(builtins, "malicious_code_ran", False, raising=False)
    path = tmp_path / ("evil.safetensors" if form == "safetensors" else "evil.pt")
    if form in ("pickle", "safetensors"):
        path.write_bytes(pickle.dumps(Malicious()))
    elif form == "torch beside real weights":
        torch.save({**tiny_clip().state_dict(), "evil": Malicious()}, path)
    else:
        torch.save({"evil": Malicious()}, path, _use_new_zipfile_serialization=form == "torch")
    error(path)
    assert not builtins.malicious_code_ran
    if form == "pickle":
        pickle.loads(path.read_bytes())
        assert builtins.malicious_code_ran, "the mark works"


def test_code_in_an_archives_pickle_never_runs(tmp_path, monkeypatch):
    monkeypatch.setattr(builtins, "malicious_code_ran", False, raising=False)
    whole = save_openai_archive(tiny_clip(), tmp_path / "whole.pt")
    path = tmp_path / "evil.pt"
    with zipfile.ZipFile(whole) as source, zipfile.ZipFile(path, "w") as target:
        for item in source.infolist():
            evil = item.filename.endswith("/data.pkl")
            target.writestr(item, pickle.dumps(Malicious(), protocol=2) if evil else source.read(item))
    error(path)
    assert not builtins.malicious_code_ran


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


def test_an_archive_that_openai_published_needs_no_trust(tmp_path, monkeypatch, model):
    path = save_openai_archive(tiny_clip(), tmp_path / "archive.pt")
    assert "none that OpenAI published" in error(path, trust_checkpoint=False)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    monkeypatch.setattr(clip_files, "PUBLISHED_SHA256", frozenset({digest}))
    torch.testing.assert_close(load_clip(path).model.encode_image(images()), model.encode_image(images()))


def test_the_published_hashes_are_those_of_the_clip_package():
    # RN50's as OpenAI's repository has it, clip/clip.py.
    assert "afeb0e10f9e5a86da6080e35cf09123aca3b358a0c3e3b6c78a7b63bc04b6762" in clip_files.PUBLISHED_SHA256
    assert len(clip_files.PUBLISHED_SHA256) == len(clip.available_models())
    assert all(len(each) == 64 and int(each, 16) for each in clip_files.PUBLISHED_SHA256)


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


def test_pixels_are_normalised_as_clip_does():
    image = np.random.default_rng(0).integers(0, 256, (RESOLUTION, RESOLUTION, 3), dtype=np.uint8)
    expected = _transform(RESOLUTION)(Image.fromarray(image))
    result = normalise_pixels(torch.from_numpy(image).permute(2, 0, 1)[None])
    torch.testing.assert_close(result[0], expected, atol=1e-6, rtol=0)


def test_tokens_are_clips_own():
    tokens = tokenize(PHRASES)
    assert tokens.dtype == torch.int64 and tokens.shape == (len(PHRASES), 77)
    np.testing.assert_array_equal(tokens, clip.tokenize(PHRASES))


@pytest.mark.parametrize("phrase", ["", " ", "\n\t"])
def test_empty_phrase_is_refused(phrase):
    with pytest.raises(InputError, match="empty"):
        tokenize(["a cat", phrase])


def test_a_phrase_has_at_most_77_tokens():
    longest = " ".join(["cat"] * 75)  # and the start and the end token
    assert (tokenize([longest]) != 0).all()
    with pytest.raises(InputError, match=r"'dog cat cat.*77 tokens") as info:
        tokenize(["a cat", "dog " + longest, longest])
    assert len(str(info.value)) < 150
    with pytest.raises(InputError, match=f"'{'日本語' * 20}' is"):
        tokenize(["日本語" * 20])


@pytest.mark.parametrize("phrase", ["a" * 100_000, "cat " * 30_000, "日" * 20_000, " " * 100_000 + "cat"])
def test_very_long_phrases_are_refused_before_they_are_tokenized(phrase, monkeypatch):
    monkeypatch.setattr(clip, "tokenize", None)
    with pytest.raises(InputError, match=rf"has {len(phrase)} characters: shorten it"):
        tokenize(["a cat", phrase])


def test_half_a_character_is_refused():
    with pytest.raises(InputError, match=r"the phrase 'a \\ud83d cat' holds half a character"):
        tokenize(["a \ud83d cat"])


@pytest.mark.parametrize("phrase", ["a \x00 cat", "\x1b[31mcat", "\u202etac", "z" + "\u0301" * 20, "$x$", "{{7*7}}"])
def test_odd_characters_are_text_like_any_other(phrase):
    np.testing.assert_array_equal(tokenize([phrase]), clip.tokenize([phrase]))


@pytest.mark.parametrize(
    "phrases",
    [PHRASES, PHRASES[:1], [" ".join(["cat"] * 75)], [" ".join(["cat"] * 75), "dog", " ".join(["the tree"] * 20)]],
    ids=["mixed", "one short", "77 tokens", "77 tokens among others"],
)
def test_the_text_tower_stopped_early_equals_the_whole(model, phrases):
    tokens = clip.tokenize(phrases)
    with torch.no_grad():
        expected = model.encode_text(tokens)
        assert (encode_tokens(model, tokens)[0] - expected).abs().max() < 1e-5
    assert expected.std() > 0.1


def test_the_text_tower_runs_no_further_than_the_longest_phrase(model):
    lengths = []
    hook = model.ln_final.register_forward_hook(lambda module, arguments, output: lengths.append(output.shape[1]))
    encode_tokens(model, clip.tokenize(["cat", "a dog on a mat"]))
    hook.remove()
    assert lengths == [7]  # five words between the start and the end token


@needs_shared_data("google-refexp-val5000")
def test_the_text_tower_stopped_early_equals_the_whole_on_real_expressions(model):
    lines = (SHARED_DATA / "google-refexp-val5000" / "expressions.jsonl").read_text().splitlines()
    sentences = [json.loads(line)["sent"] for line in lines]
    assert len(sentences) == 5000
    with torch.no_grad():
        for start in range(0, len(sentences), 500):
            tokens = tokenize(sentences[start : start + 500])
            assert (encode_tokens(model, tokens)[0] - model.encode_text(tokens)).abs().max() < 1e-5


def test_a_method_takes_the_users_word_from_its_model(tmp_path):
    path = str(save_openai_archive(tiny_clip(), tmp_path / "archive.pt"))
    with pytest.raises(InputError, match="TorchScript"):
        load("zero-shot", model=ModelConfig(clip=path, model_size=64))
    assert load("zero-shot", model=ModelConfig(clip=path, model_size=64, trust_checkpoint=True)).name == "zero-shot"
