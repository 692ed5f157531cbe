"""What YAML files of strangers may hold: data, not too much of it, and no names of modules."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonargparse import ArgumentParser
from pydantic import NonNegativeInt

from grounding.methods.config import ModelConfig, read_model_config
from grounding.model.decoder import DecoderConfig
from grounding.runtime.config_io import MAX_BYTES, check_fields, from_plain, plain, read_yaml
from grounding.runtime.errors import InputError
from tests.runtime.test_cli import Config, Decoder, parse

WAYS_TO_NAME_A_CLASS = [
    "decoder: {class_path: evil_of_a_stranger.Evil, init_args: {}}",
    "decoder: evil_of_a_stranger.Evil",
    """decoder: '{"class_path": "evil_of_a_stranger.Evil"}'""",
    "decoder.class_path: evil_of_a_stranger.Evil",
    "class_path: evil_of_a_stranger.Evil",
]


@pytest.fixture
def mark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that importing the module `evil_of_a_stranger` writes."""
    (tmp_path / "evil_of_a_stranger.py").write_text(f"open({str(tmp_path / 'mark')!r}, 'w').close()\nclass Evil: ...")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "evil_of_a_stranger", raising=False)
    return tmp_path / "mark"


@pytest.mark.parametrize("way", WAYS_TO_NAME_A_CLASS)
def test_no_run_and_no_configuration_file_imports_a_module(tmp_path: Path, mark: Path, way: str) -> None:
    section = yaml.safe_load(way)
    (tmp_path / "config.yaml").write_text(yaml.safe_dump({"model": section}))
    with pytest.raises(InputError, match=r"config\.yaml is damaged \((there is no setting '|)model\."):
        read_model_config(tmp_path)
    (tmp_path / "own.yaml").write_text(yaml.safe_dump({"train": section}))
    with pytest.raises(InputError, match=r"own\.yaml, section 'train': "):
        parse(Config, "train", ["--config", str(tmp_path / "own.yaml")])
    assert not mark.exists()
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(ModelConfig, "model")
    with pytest.raises(Exception, match="evil_of_a_stranger"):
        parser.parse_object({"model": section})
    assert mark.exists(), "the parser alone imports it, so the test above tests something"


def test_no_run_makes_its_reader_open_another_file(tmp_path: Path) -> None:
    (tmp_path / "other.yaml").write_text("width: 32\n")
    (tmp_path / "config.yaml").write_text(yaml.safe_dump({"model": {"decoder": str(tmp_path / "other.yaml")}}))
    with pytest.raises(InputError, match=r"model\.decoder is .* should be a dictionary"):
        read_model_config(tmp_path)


def test_no_run_permits_anything_itself(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("model: {trust_checkpoint: true, decoder: {width: 32}}")
    assert read_model_config(tmp_path) == ModelConfig(decoder=DecoderConfig(width=32))
    assert read_model_config(tmp_path, trust_checkpoint=True).trust_checkpoint
    assert "trust_checkpoint" not in plain(ModelConfig(trust_checkpoint=True))


@dataclass(frozen=True)
class Outer:
    output: Path
    inner: Config | None = None
    numbers: list[NonNegativeInt] = field(default_factory=list)
    pair: tuple[float, ...] = ()


@pytest.mark.parametrize(
    ("content", "refusal"),
    [
        ({"inner": {"decoder": {"class_path": "a.B"}}}, r"there is no setting 'inner\.decoder\.class_path'"),
        ({"inner": "a.B"}, "inner is 'a.B': .*dictionary"),
        ({"numbers": [1, -1]}, r"numbers\.1 is -1: .*greater than or equal to 0"),
        ({"numbers": "x" * 100}, r"numbers is 'x{59}\.\.\.: .*list"),
        ({}, "output is missing"),
        (None, "it is None"),
    ],
)
def test_dataclasses_are_looked_into_all_the_way_down(content: Any, refusal: str) -> None:
    given = {"output": "a", **content} if content else content
    with pytest.raises(ValueError, match=refusal):
        from_plain(given, Outer)
    if content != {}:
        with pytest.raises(ValueError, match=refusal):
            check_fields(content, Outer)


def test_plain_values_become_the_dataclass_and_back() -> None:
    content = {"output": "a/b", "inner": {"decoder": {"width": 3}}, "numbers": [1], "pair": ["1e-3", 2]}
    settings = from_plain(content, Outer)
    assert settings == Outer(Path("a/b"), Config(decoder=Decoder(width=3)), [1], (0.001, 2.0))
    assert from_plain(plain(settings), Outer) == settings
    check_fields({"numbers": [1], "inner": None}, Outer)


def test_what_a_dataclass_itself_refuses_is_its_own_error() -> None:
    with pytest.raises(InputError, match=r"^decoder\.width is 0: give at least 4$"):
        from_plain({"decoder": {"width": 0}}, ModelConfig)


def bomb(first: str, line: str) -> str:
    """YAML of ten lines, each of which holds the one before nine times."""
    return "\n".join([f"a0: &a0 {first}", *(line.format(i, ", ".join([f"*a{i - 1}"] * 9)) for i in range(1, 10))])


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (bomb("[1]", "a{0}: &a{0} [{1}]"), "repeats another one"),
        ("model: &a [*a]", "repeats another one"),
        (bomb("{x: 1}", "a{0}: &a{0} {{<<: [{1}]}}"), "repeats another one"),
        ("[" * 3000, "no YAML"),
        ("x: " + "1" * MAX_BYTES, "larger than"),
        ("x: !!python/object/apply:os.system ['true']", "no YAML"),
        ("x: !!timestamp 9999-99-99", "no YAML"),
        ("? {a: 1}\n: 2", "no YAML"),
    ],
    ids=["nine to the tenth", "itself", "merged", "deep", "long", "tag", "date", "key"],
)  # fmt: skip
def test_what_is_no_file_of_settings_is_refused_in_one_sentence(tmp_path: Path, content: str, reason: str) -> None:
    (tmp_path / "config.yaml").write_text(content)
    with pytest.raises(ValueError, match=reason) as caught:
        read_yaml(tmp_path / "config.yaml")
    assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match=r"config\.yaml is damaged") as refused:
        read_model_config(tmp_path)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("content", ["train: {}", "model:", "[model]"])
def test_a_run_without_its_section_is_damaged_and_has_no_defaults(tmp_path: Path, content: str) -> None:
    (tmp_path / "config.yaml").write_text(content)
    with pytest.raises(InputError, match=r"config.yaml is damaged \(.*: restore it or train again"):
        read_model_config(tmp_path)
