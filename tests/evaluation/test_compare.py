"""`evaluate.py compare` on a tiny data set: what it leaves, and that a killed one goes on where it was."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock

import pytest
from filelock import FileLock

from grounding import InputError, ModelConfig, RefCOCOg
from grounding.evaluation import compare as comparison
from grounding.evaluation import registry
from grounding.evaluation.compare import EvaluateConfig
from grounding.evaluation.evaluate import predict_blocks
from grounding.evaluation.predictions import read_predictions
from grounding.runtime import files
from grounding.visualization import report as drawn
from grounding.visualization.report import report_comparison
from tests.toy_data import write_toy_data

METHODS = ["zero-shot", "gradcam", "yolo-clip", "reclip"]
BOUNDS = ["whole-image", "centred-box", "random-proposal", "yolo-oracle", "annotated-clip", "box-mask"]


@pytest.fixture(scope="module")
def finished(made: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[EvaluateConfig, str]:
    """A finished comparison, and the table it returned."""
    model, folder = ModelConfig(clip=str(made / "clip.pt"), model_size=64), tmp_path_factory.mktemp("comparison")
    config = EvaluateConfig(METHODS, made / "data", folder / "out", model=model, device="cpu")
    return config, report_comparison(config)


@pytest.fixture
def other(finished, tmp_path: Path) -> EvaluateConfig:
    """The same comparison in another folder, without bounds."""
    return replace(finished[0], output=tmp_path / "out", bounds=[])


def read(config: EvaluateConfig) -> dict:
    return json.loads((config.output / "results.json").read_text())


def test_results_have_one_form(finished) -> None:
    config, table = finished
    results = read(config)
    count = len(RefCOCOg(config.data, "test").expressions)
    assert (results["data"], results["split"]) == (str(config.data), "test")
    assert results["images"] == 3 and "clip.pt" in results["weights"] and "sha256" in results["proposals"]
    assert list(results["methods"]) == METHODS and list(results["bounds"]) == BOUNDS
    blind = dict.fromkeys(("whole-image", "centred-box", "box-mask"), "none")
    assert results["precision"] == dict.fromkeys([*METHODS, *BOUNDS], "float32") | blind
    assert results["similarity_precision"] == "float32"
    for name, result in (results["methods"] | results["bounds"]).items():
        assert result["n"] == count
        assert ("mass_inside" in result["metrics"]) == (name != "random-proposal")
        assert {"acc@0.5", "miou", "giou", "pointing", "recall@5", "region_accuracy",
                "category_accuracy", "text_cosine", "crop_euclidean"} <= set(result["metrics"])  # fmt: skip
        assert result["seconds"]["per_image"] > 0
        low, high = result["intervals"]["acc@0.5"]
        assert low <= result["metrics"]["acc@0.5"] <= high
        assert ("behind" in result) == (name != METHODS[0])
        line = next(line for line in table.splitlines() if line.startswith(name + " "))
        assert f"{result['metrics']['acc@0.5']:.3f}" in line
    assert "clip.pt" in table


def test_bounds_bound(finished) -> None:
    results = read(finished[0])
    bounds = {name: result["metrics"] for name, result in results["bounds"].items()}
    for method in ("yolo-clip", "reclip"):
        assert results["methods"][method]["metrics"]["miou"] <= bounds["yolo-oracle"]["miou"]
    assert bounds["random-proposal"]["miou"] <= bounds["yolo-oracle"]["miou"]
    assert bounds["box-mask"]["acc@0.5"] == 1
    # Two coloured boxes in each image; CLIP's choice among the annotated ones is one of them.
    assert bounds["annotated-clip"]["recall@5"] == 1
    assert bounds["annotated-clip"]["region_accuracy"] == bounds["annotated-clip"]["acc@0.5"]


def test_folder_holds_predictions_tables_plots_and_page(finished) -> None:
    folder = finished[0].output
    assert {path.name for path in folder.iterdir()} == {
        "results.json", "results_settings.json", "predictions", "tables", "plots", "report.html",
        "compare.lock", "extraction",
    }  # fmt: skip
    assert {"tables.md", "tables.tex", "comparison.csv"} <= {path.name for path in (folder / "tables").iterdir()}
    assert len(list((folder / "plots").glob("*.png"))) == 4
    page = (folder / "report.html").read_text()
    assert all(name in page for name in (*METHODS, *BOUNDS)) and not list(folder.rglob("*.part"))


@pytest.mark.usefixtures("no_plots")
def test_a_finished_method_is_not_asked_again(finished, tmp_path: Path, monkeypatch) -> None:
    config, table = finished
    monkeypatch.setattr(comparison, "predict_blocks", None)
    assert report_comparison(config) == table
    copied = replace(config, output=tmp_path / "copied")
    for folder in ("predictions", "extraction"):
        shutil.copytree(config.output / folder, copied.output / folder)
    comparison.compare(copied)
    assert read(copied) == read(config)


def test_killed_midway_nothing_is_lost_or_repeated(other: EvaluateConfig, tmp_path: Path, monkeypatch) -> None:
    data = write_toy_data(tmp_path / "data", {"val": 1, "test": 19})
    config = replace(other, methods=["zero-shot", "yolo-clip"], data=data)
    comparison.compare(config)
    again = replace(config, output=tmp_path / "again")
    asked: list[tuple[str, int]] = []

    def killed_once(method, dataset, blocks, **options):
        for of_block in predict_blocks(method, dataset, blocks, **options):
            if method.name == "yolo-clip" and len(asked) == 19 + 16:
                asked.append(("killed", 0))
                raise KeyboardInterrupt
            asked.extend((method.name, of_image[0].image_id) for of_image in of_block)
            yield of_block

    monkeypatch.setattr(comparison, "predict_blocks", killed_once)
    with pytest.raises(KeyboardInterrupt):
        comparison.compare(again)
    assert not (again.output / "results.json").exists()
    comparison.compare(again)
    assert len(asked) == len(set(asked)) == 2 * 19 + 1
    for name in config.methods:
        one, whole = (
            [replace(each, seconds=0) for each in read_predictions(folder / "predictions" / f"{name}.jsonl")]
            for folder in (again.output, config.output)
        )
        assert one == whole


def test_what_looks_at_no_image_is_a_box_in_its_middle(finished) -> None:
    for name, share in (("whole-image", 1), ("centred-box", 1 / 4)):
        for answer in read_predictions(finished[0].output / "predictions" / f"{name}.jsonl"):
            x1, y1, x2, y2 = answer.boxes_xyxy[0]
            assert (x2 - x1) * (y2 - y1) == pytest.approx(share * answer.image_area)


@pytest.mark.parametrize("name", ["yolo-clip", "zero-shot+yolo"])
def test_answers_depend_on_the_detectors_file(finished, name: str) -> None:
    settings = registry.MethodSettings(finished[0].model, finished[0].proposals, "cpu")
    grounder = registry.load_method(name, settings)
    before = registry.origin_of(grounder, name, settings)
    grounder.proposer.sha256 = "of another file at the same place"
    assert registry.origin_of(grounder, name, settings) != before


def test_changed_settings_are_measured_anew(other: EvaluateConfig) -> None:
    config = replace(other, methods=["zero-shot", "yolo-clip"])
    comparison.compare(config)
    path = config.output / "predictions" / "yolo-clip.jsonl"
    before = path.stat().st_mtime_ns, (path.parent / "zero-shot.jsonl").stat().st_mtime_ns
    for name in ("results.json", "results_settings.json"):
        (config.output / name).unlink()
    comparison.compare(replace(config, proposals=replace(config.proposals, max_proposals=1)))
    assert path.stat().st_mtime_ns != before[0]
    assert (path.parent / "zero-shot.jsonl").stat().st_mtime_ns == before[1]
    assert all(len(each.boxes_xyxy) == 1 for each in read_predictions(path))


def test_wrong_names_are_refused(other: EvaluateConfig) -> None:
    for changed, said in (({"bounds": ["sky"]}, "no bound 'sky'"), ({"methods": []}, "no method is named")):
        with pytest.raises(InputError, match=said):
            comparison.compare(replace(other, **changed))
    assert not other.output.exists()


def test_one_comparison_at_a_time_in_a_folder(other: EvaluateConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "SECONDS_FOR_THE_KILLED", 0.1)
    other.output.mkdir()
    with FileLock(other.output / "compare.lock"), pytest.raises(InputError, match="another comparison works in"):
        comparison.compare(other)


def test_every_heatmap_method_is_tuned_on_val_and_the_results_say_how(other: EvaluateConfig) -> None:
    bounds = ["yolo-oracle", "annotated-clip"]
    config = replace(other, methods=["zero-shot", "gradcam", "yolo-clip"], bounds=bounds, precision="bfloat16")
    comparison.compare(config)
    results = read(config)
    halved = dict.fromkeys(config.methods, "bfloat16")
    assert results["precision"] == halved | dict.fromkeys(bounds, "float32"), "bounds are measured in float32"
    for name in ("zero-shot", "gradcam"):
        chosen = json.loads((config.output / "extraction" / f"{name}.json").read_text())
        best = max(chosen["rows"], key=lambda row: row["miou"])["extraction"]
        assert results["methods"][name]["extraction"] == best
        assert results["methods"][name]["extraction_chosen_on"].startswith("val, ")
    assert "extraction" not in results["methods"]["yolo-clip"]


def test_the_split_that_is_measured_chooses_nothing(other: EvaluateConfig) -> None:
    config = replace(other, methods=["zero-shot"], split="val")
    comparison.compare(config)
    assert not (config.output / "extraction").exists()
    with pytest.raises(InputError, match="extraction_split"):
        comparison.compare(replace(config, extraction_split="test"))


def test_answers_depend_on_no_page() -> None:
    package = Path(registry.__file__).parents[1]
    others = {"errors.py", "__init__.py", "__main__.py", "runtime", "weights", "webapp", "visualization", "training",
              "deployment", "__pycache__"}  # fmt: skip
    assert {path.name for path in package.iterdir()} - others == set(registry.ANSWERS_DEPEND_ON)


def test_data_without_a_val_split(other: EvaluateConfig, tmp_path: Path) -> None:
    config = replace(other, data=write_toy_data(tmp_path / "data", {"test": 2}), methods=["zero-shot"])
    comparison.compare(replace(config, methods=["yolo-clip"], output=tmp_path / "boxes"))  # nothing to choose
    with pytest.raises(InputError, match=r"has no split 'val'.*--extraction_split null"):
        comparison.compare(config)
    comparison.compare(replace(config, extraction_split=None))
    assert read(config)["methods"]["zero-shot"]["extraction_chosen_on"] == "none: as configured"


@pytest.mark.usefixtures("no_plots")
def test_results_are_there_only_with_all_that_they_are_about(other: EvaluateConfig, monkeypatch) -> None:
    """Neither beside new predictions, which they are not of, nor before the report."""
    config = replace(other, methods=["zero-shot"])
    results, seen = config.output / "results.json", []

    def looked_at(*arguments, **named):
        seen.append(results.exists())
        return predict_blocks(*arguments, **named)

    comparison.compare(config)
    config = replace(config, methods=["zero-shot", "gradcam"])
    monkeypatch.setattr(comparison, "predict_blocks", looked_at)
    with monkeypatch.context() as patched:
        patched.setattr(drawn, "write_report", Mock(side_effect=KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            report_comparison(config)
    assert seen == [False] and not results.exists()
    report_comparison(config)
    assert results.exists() and (config.output / "report.html").exists()
