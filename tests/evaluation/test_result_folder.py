"""A comparison never replaces another one's files: it is refused, and the same one and a larger one are not."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from grounding import InputError, ModelConfig
from grounding.evaluation.compare import compare
from grounding.evaluation.config import EvaluateConfig
from grounding.evaluation.result_folder import refuse_another, settings_of
from grounding.evaluation.score import ScoreConfig, score
from grounding.methods.names import method_places
from tests.tiny_clip import save_tiny_clip
from tests.toy_data import write_toy_data
from tests.trained_run import make_trained_run


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> EvaluateConfig:
    folder = tmp_path_factory.mktemp("comparison")
    data = write_toy_data(folder / "data", {"val": 2, "test": 2})
    model = ModelConfig(clip=str(save_tiny_clip(folder / "clip.pt")), model_size=64)
    config = EvaluateConfig(["centred-box", "yolo-clip"], data, folder / "out", bounds=["whole-image"], model=model,
                            device="cpu")  # fmt: skip
    compare(config)
    return config


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"methods": ["centred-box"]}, "methods"),
        ({"methods": ["yolo-clip", "centred-box"]}, "methods"),  # held against another one
        ({"bounds": []}, "bounds"),
        ({"split": "val"}, "split"),
        ({"precision": "bfloat16"}, "precision"),
    ],
)
def test_another_comparison_is_refused_and_nothing_is_touched(made: EvaluateConfig, changed: Any, said: str) -> None:
    before = content(made.output)
    with pytest.raises(InputError, match=rf"out holds other results \({said}; .*give another --output"):
        compare(replace(made, **changed))
    assert content(made.output) == before


def test_the_same_and_a_larger_one_go_on(made: EvaluateConfig) -> None:
    compare(replace(made, images_per_batch=16, workers=0))
    larger = replace(made, methods=["centred-box", "yolo-clip", "zero-shot"], bounds=["centred-box", "whole-image"])
    found = compare(replace(larger, bounds=["whole-image", "box-mask"]))
    assert found is not None and list(found.results["methods"]) == larger.methods
    with pytest.raises(InputError, match="methods"):
        compare(made)


def test_score_and_compare_do_not_share_a_folder(made: EvaluateConfig, tmp_path: Path) -> None:
    predictions = made.output / "predictions" / "yolo-clip.jsonl"
    with pytest.raises(InputError, match="holds other results"):
        score(ScoreConfig(predictions, output=made.output))
    config = ScoreConfig(predictions, output=tmp_path)
    assert score(config) == score(config)
    with pytest.raises(InputError, match="holds other results"):
        compare(replace(made, output=tmp_path))
    (tmp_path / "results_settings.json").unlink()
    with pytest.raises(InputError, match="nothing says of what"):
        score(config)


def test_two_runs_with_folders_of_one_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = [make_trained_run(tmp_path / name) / "run" for name in ("a", "b")]
    config = EvaluateConfig([str(run) for run in runs], tmp_path / "a" / "data", tmp_path / "out", bounds=[],
                            extraction_images=1, device="cpu")  # fmt: skip
    found = compare(config)
    assert found is not None and list(found.results["methods"]) == ["a-run", "b-run"]
    for folder in ("predictions", "extraction"):
        names = {path.stem for path in (config.output / folder).iterdir()}
        assert names == {"a-run", "b-run"}, folder
    assert set(found.results["methods"]["b-run"]["behind"]) == {"acc@0.5", "miou", "pointing"}
    alone = replace(config, methods=[str(runs[0])], output=tmp_path / "alone")
    compare(alone)
    before = content(alone.output)
    with pytest.raises(InputError, match="other results"):
        compare(replace(alone, methods=[str(runs[1])]))  # it is called the same, and is another one
    assert content(alone.output) == before
    [[name, place]] = json.loads((alone.output / "results_settings.json").read_text())["methods"]
    assert name == "run" and (alone.output / place).resolve() == runs[0].resolve()
    monkeypatch.chdir(tmp_path.rename(tmp_path.with_name("moved")))
    moved = replace(alone, methods=["a/run"], data=Path("a/data"), output=Path("alone"))
    asked = settings_of("compare", moved, methods=method_places(["run"], ["a/run"]))
    refuse_another(Path("alone/results.json"), asked)  # all have moved together
    with pytest.raises(InputError, match="other results"):
        refuse_another(Path("alone/results.json"), {**asked, "methods": method_places(["run"], ["b/run"])})
