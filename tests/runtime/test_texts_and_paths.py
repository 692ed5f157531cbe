"""On the command line a phrase is a text and a path is a path, whatever they look like to a reader of YAML."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from grounding.evaluation.score import ScoreConfig
from grounding.runtime.cli import parse
from grounding.runtime.errors import InputError
from grounding.training.config import TrainConfig
from grounding.visualization.commands import VisualizeConfig

# What YAML takes for a boolean, a number, nothing, a mapping, a comment, a list, a tag, an alias, a date.
TEXTS = ["yes", "null", "1", "1e5", "a: b", "{a: 1}", "# 1.jpg", "a #1.jpg", "~", "- a", "!!x", "*", "*.jpg", "&a",
         "2024-01-01", "photo[1].jpg", "[1].jpg", "~/x.jpg", "it's.jpg", '"q".jpg', "None"]  # fmt: skip


@pytest.mark.parametrize("text", TEXTS)
def test_a_phrase_is_a_text_and_a_path_a_path(tmp_path: Path, text: str) -> None:
    shown = parse(VisualizeConfig, "visualize", ["zero-shot", "--output", text, "--phrases", text, "--split", text,
                                                 f"--model.clip={text}"], positional="methods")  # fmt: skip
    assert shown == VisualizeConfig(["zero-shot"], Path(text), phrases=text, split=text,
                                    model=replace(shown.model, clip=text))  # fmt: skip
    if text != "null":  # which stands for nothing where there may be nothing
        trained = parse(TrainConfig, "train", ["--data", "d", "--output", "o", "--validation_data", text,
                                               "--start_from", text])  # fmt: skip
        assert (trained.validation_data, trained.start_from) == (Path(text), text)
        # The same in a configuration file, in quotes.
        section = {"methods": [text], "output": text, "image": text, "phrases": text}
        (tmp_path / "settings.yaml").write_text(yaml.safe_dump({"visualize": section}))
        read = parse(VisualizeConfig, "visualize", ["--config", str(tmp_path / "settings.yaml")])
        assert read == VisualizeConfig([text], Path(text), Path(text), text)


@pytest.mark.parametrize(
    "given", ['["the red circle", 26]', "[the red car]", "['a', 'b']", '["a", null]', '["a",]', f"{'[' * 5000}]"]
)
def test_brackets_that_hold_no_texts_in_quotes_are_refused(given: str) -> None:
    words = ["zero-shot", "--output", "o", "--image", "i", "--phrases"]
    for each in ([*words, given], [*words[:-1], f"--phrases={given}"]):
        with pytest.raises(InputError, match=r'no list of texts in quotes: write --phrases \'\["FIRST", "SECOND"\]\''):
            parse(VisualizeConfig, "visualize", each, positional="methods")
    listed = parse(VisualizeConfig, "visualize", [*words, '["a", "26"]'], positional="methods")
    assert listed.phrases == ["a", "26"]


def test_an_empty_path_is_not_the_present_folder() -> None:
    for words in (["--image", ""], ["--data="], ["--output", ""]):
        with pytest.raises(InputError, match=f"{words[0].rstrip('=')} is empty: give a path"):
            parse(VisualizeConfig, "visualize", ["zero-shot", "--output", "o", *words], positional="methods")
    with pytest.raises(InputError, match="--predictions is empty"):
        parse(ScoreConfig, "evaluate", [""], positional="predictions")


def test_numbers_switches_and_lists_are_read_as_before() -> None:
    words = ["--data", "d", "--output", "o", "--learning_rate", "1e-3", "--epochs", "1000", "--resume", "true",
             "--subset", "null", "--model.inference_sizes", "[448, 512]"]  # fmt: skip
    found = parse(TrainConfig, "train", words)
    assert (found.learning_rate, found.epochs, found.resume, found.subset) == (0.001, 1000, True, None)
    assert found.model.inference_sizes == (448, 512)
    found = parse(TrainConfig, "train", [*words, "--subset", ".5", "--resume", "no"])
    assert (found.subset, found.resume) == (0.5, False)
