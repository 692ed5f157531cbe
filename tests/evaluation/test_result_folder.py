"""A comparison never replaces another one's files: it is refused, and the same one and a larger one are not."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from grounding import InputError, ModelConfig
from grounding.evaluation.compare import EvaluateConfig, compare
from grounding.evaluation.result_folder import refuse_another, settings_of
from grounding.evaluation.score import ScoreConfig, score
from grounding.methods.names import method_places


@pytest.fixture(scope="module")
def config(made: Path, tmp_path_factory: pytest.TempPathFactory) -> EvaluateConfig:
    """A comparison that has been made."""
    model, folder = ModelConfig(clip=str(made / "clip.pt"), model_size=64), tmp_path_factory.mktemp("comparison")
    config = EvaluateConfig(["reclip", "yolo-clip"], made / "data", folder / "out", bounds=["whole-image"],
                            model=model, device="cpu")  # fmt: skip
    compare(config)
    return config


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_another_comparison_is_refused_and_nothing_is_touched(config: EvaluateConfig) -> None:
    before = content(config.output)
    # Other methods first: these are what the others are held against.
    for name, value in (("methods", ["yolo-clip", "reclip"]), ("bounds", []), ("split", "val")):
        with pytest.raises(InputError, match=rf"out holds other results \({name}; .*give another --output"):
            compare(replace(config, **{name: value}))
    assert content(config.output) == before


def test_the_same_and_a_larger_one_go_on(config: EvaluateConfig) -> None:
    compare(replace(config, images_per_batch=16, workers=0))
    larger = replace(config, methods=[*config.methods, "zero-shot"], bounds=["whole-image", "box-mask"])
    assert list(compare(larger)["methods"]) == larger.methods
    with pytest.raises(InputError, match="methods"):
        compare(config)


def test_score_and_compare_do_not_share_a_folder(config: EvaluateConfig, tmp_path: Path) -> None:
    predictions = config.output / "predictions" / "yolo-clip.jsonl"
    with pytest.raises(InputError, match="holds other results"):
        score(ScoreConfig(predictions, output=config.output))
    scored = ScoreConfig(predictions, output=tmp_path)
    assert score(scored) == score(scored)
    with pytest.raises(InputError, match="holds other results"):
        compare(replace(config, output=tmp_path))
    (tmp_path / "results_settings.json").unlink()
    with pytest.raises(InputError, match="nothing says of what"):
        score(scored)


def test_two_runs_with_folders_of_one_name(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = [str(shutil.copytree(made / "run", tmp_path / name / "run")) for name in "ab"]
    data = Path(shutil.copytree(made / "data", tmp_path / "data"))
    alone = EvaluateConfig(runs[:1], data, tmp_path / "out", bounds=[], extraction_images=1, device="cpu")
    compare(alone)
    before = content(alone.output)
    with pytest.raises(InputError, match="other results"):
        compare(replace(alone, methods=runs[1:]))  # it is called the same, and is another one
    assert content(alone.output) == before
    [[name, place]] = json.loads((alone.output / "results_settings.json").read_text())["methods"]
    assert name == "run" and (alone.output / place).resolve() == Path(runs[0])
    both = replace(alone, methods=runs, output=tmp_path / "both")
    assert list(compare(both)["methods"]) == ["a-run", "b-run"]
    for folder in ("predictions", "extraction"):
        assert {path.stem for path in (both.output / folder).iterdir()} == {"a-run", "b-run"}, folder
    monkeypatch.chdir(tmp_path.rename(tmp_path.with_name("moved")))
    moved = replace(alone, methods=["a/run"], data=Path("data"), output=Path("out"))
    refuse_another(Path("out/results.json"), settings_of("compare", moved, methods=method_places(["run"], ["a/run"])))
