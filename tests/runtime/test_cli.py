import io
import os
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from grounding.runtime.cli import exit_on_input_error, parse
from grounding.runtime.errors import InputError

EXPERIMENT = """
train:
  learning_rate: 0.5
  epochs: 7
  decoder: {width: 9}
evaluate:
  epochs: 1
nothing: {}
own: {epochs: 9, decoder: {blocks: 1}}
"""


@dataclass(frozen=True)
class Decoder:
    """Nested settings."""

    width: int = 3
    blocks: int = 4


@dataclass(frozen=True)
class Config:
    """Settings of a script that does not exist."""

    run: str = "runs/default"
    learning_rate: float = 0.1
    epochs: int = 2
    decoder: Decoder = Decoder()
    subset: int | None = None


@pytest.fixture
def experiment(tmp_path) -> str:
    path = tmp_path / "experiment.yaml"
    path.write_text(EXPERIMENT)
    return str(path)


def test_file_over_defaults_by_section(experiment):
    expected = Config(learning_rate=0.5, epochs=7, decoder=Decoder(width=9))
    assert parse(Config, "train", ["--config", experiment]) == expected
    assert parse(Config, "evaluate", ["--config", experiment]) == Config(epochs=1)
    assert parse(Config, "nothing", ["--config", experiment]) == parse(Config, "train", []) == Config()
    own = parse(Config, "train", ["--config", experiment], own_section="own")
    assert own == Config(learning_rate=0.5, epochs=9, decoder=Decoder(width=9, blocks=1))


def test_command_line_over_file_wherever_the_file_is_named(experiment):
    options = ["--learning_rate", "2", "--decoder.blocks", "1", "--subset=5"]
    expected = Config(learning_rate=2.0, epochs=7, decoder=Decoder(width=9, blocks=1), subset=5)
    assert parse(Config, "train", [f"--config={experiment}", *options]) == expected
    assert parse(Config, "train", [*options, "--config", experiment]) == expected


def test_one_field_may_stand_first_without_its_flag(experiment):
    assert parse(Config, "train", ["runs/a"], positional="run") == Config(run="runs/a")
    config = parse(Config, "train", ["runs/a", "--config", experiment, "--epochs", "3"], positional="run")
    assert config == Config(run="runs/a", learning_rate=0.5, epochs=3, decoder=Decoder(width=9))
    assert parse(Config, "train", ["--run", "runs/b"], positional="run") == Config(run="runs/b")
    assert parse(Config, "train", [], positional="run") == Config()


def test_a_list_field_takes_the_leading_words():
    @dataclass(frozen=True)
    class Listed:
        """Several at once."""

        methods: list[str]
        epochs: int = 1

    def listed(*words: str) -> Listed:
        return parse(Listed, "evaluate", words, positional="methods", command="compare")

    assert listed("runs/a", "zero-shot", "--epochs", "3") == Listed(["runs/a", "zero-shot"], 3)
    assert listed("runs/a") == Listed(["runs/a"])
    assert listed("--methods", '["x", "y"]') == Listed(["x", "y"])
    assert listed("1", "true") == Listed(["1", "true"]), "names that look like something else"
    assert listed("x", "--epochs", "3", "--epochs", "4").epochs == 4


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--no_such_field", "1"], "no_such_field"),
        (["--epochs", "many"], "epochs"),
        (["--decoder.no_such_field", "1"], "no_such_field"),
        (["stray"], "stray"),
        (["--config"], "--config"),
    ],
)
def test_wrong_argument_ends_with_code_2_and_names_it(capsys, arguments, word):
    with pytest.raises(SystemExit) as exit_info, exit_on_input_error():
        parse(Config, "train", arguments)
    assert exit_info.value.code == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ") and word in line and "train.py --help" in line


def test_help_names_script_and_fields(capsys):
    with pytest.raises(SystemExit) as exit_info:
        parse(Config, "train", ["--help"], positional="run")
    shown = capsys.readouterr().out
    assert exit_info.value.code == 0
    for words in ("train.py", "[RUN]", "Settings of a script that does not exist.", "--decoder.width"):
        assert words in shown


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"train: {no_such_field: 1}", "section 'train': there is no setting 'no_such_field'"),
        (b"train: {epochs: many}", "section 'train': epochs is 'many': "),
        *((content, "YAML") for content in (b"train: [1, 2", b"\xff\x00\x01", b"train: !!python/x a", None)),
        *((content, "no section 'train'") for content in (b"evaluate: {}", b"", b"- train", b"train", b"train: 3")),
    ],
)
def test_a_file_that_cannot_be_used_is_named(tmp_path, content, said):
    path: Path = tmp_path / "broken.yaml"
    path.mkdir() if content is None else path.write_bytes(content)
    with pytest.raises(InputError) as info:
        parse(Config, "train", ["--config", str(path)])
    assert "\n" not in str(info.value) and str(path) in str(info.value) and said in str(info.value)


def test_other_errors_and_success_pass_through(capsys):
    with pytest.raises(ValueError, match="a bug"), exit_on_input_error():
        raise ValueError("a bug")
    with exit_on_input_error():
        print("done")
    assert capsys.readouterr().out == "done\n"


def test_a_console_of_few_letters_shows_escapes(monkeypatch):
    console = io.TextIOWrapper(io.BytesIO(), encoding="cp1252")
    monkeypatch.setattr(sys, "stdout", console)
    with exit_on_input_error():
        print("pictures/红.png", os.fsdecode(b"caf\xe9"))
    console.flush()
    assert console.buffer.getvalue().split() == [b"pictures/\\u7ea2.png", b"caf\\udce9"]


def test_an_input_error_ends_the_script_with_one_line_that_no_terminal_obeys(capsys):
    with pytest.raises(SystemExit) as exit_info, exit_on_input_error():
        raise InputError("the phrase '\x1b]0;title\x07\nred\ud83d' is\rodd: give another")
    shown = "error: the phrase '\\x1b]0;title\\x07\\nred\\ud83d' is\\rodd: give another\n"
    assert exit_info.value.code == 2 and capsys.readouterr() == ("", shown)


def test_of_a_very_long_sentence_beginning_and_remedy_are_kept():
    sentence = str(InputError(f"a.json holds {'x' * 10**6}: get the file again from its source"))
    assert len(sentence) == 1000 and str(InputError(sentence)) == sentence
    assert sentence.startswith("a.json holds xxx") and sentence.endswith("xxx: get the file again from its source")
