"""`evaluate.py score`: boxes of other systems, in three forms, under the same measures."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from grounding import InputError, ModelConfig, RefCOCOg
from grounding.evaluation.config import EvaluateConfig
from grounding.evaluation.score import ScoreConfig, score
from grounding.visualization.report import report_comparison
from tests.scripts import assert_refused, run_script
from tests.shared_data import SHARED_DATA, needs_shared_data
from tests.tiny_clip import save_tiny_clip
from tests.toy_data import write_toy_data

COLUMNS = "gt_x1,gt_y1,gt_x2,gt_y2,pred_x1,pred_y1,pred_x2,pred_y2"


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, dict]:
    """(data, output, results) of a comparison whose predictions are then scored as foreign ones."""
    folder = tmp_path_factory.mktemp("scored")
    data = write_toy_data(folder / "data", {"train": 1, "val": 1, "test": 7})
    model = ModelConfig(clip=str(save_tiny_clip(folder / "clip.pt")), model_size=64)
    report_comparison(EvaluateConfig(["yolo-clip"], data, folder / "out", bounds=[], model=model, device="cpu"))
    return data, folder / "out", json.loads((folder / "out" / "results.json").read_text())


def scored(config: ScoreConfig, output: Path) -> dict:
    score(replace(config, output=output))
    return json.loads((output / "results.json").read_text())["methods"]["predictions"]


LOCALISATION = ("acc@0.25", "acc@0.5", "acc@0.5:0.95", "miou", "giou", "recall@1", "recall@5", "region_accuracy")


def test_three_forms_of_the_same_boxes_score_the_same(compared, tmp_path: Path) -> None:
    data, output, results = compared
    expected = results["methods"]["yolo-clip"]
    ours = output / "predictions" / "yolo-clip.jsonl"
    table, whole, bare = (tmp_path / name for name in ("boxes.csv", "whole.jsonl", "bare.jsonl"))
    rows = [json.loads(line) for line in ours.read_text().splitlines()]
    values = [[row["image_id"], row["sent_id"], *row["annotated_xyxy"], *row["boxes_xyxy"][0]] for row in rows]
    lines = [f"image_id,sent_id,{COLUMNS}", *(",".join(map(str, each)) for each in values)]
    worst_first = [{key: row[key][::-1] for key in ("boxes_xyxy", "scores")} for row in rows]
    for path, known in ((whole, [*rows[0]]), (bare, ["sent_id"])):
        made = [{**{key: row[key] for key in known}, **boxes} for row, boxes in zip(rows, worst_first, strict=True)]
        path.write_text("\n".join(map(json.dumps, made)))
    table.write_text("\n".join(lines))
    found = {
        "csv": scored(ScoreConfig(table, "csv"), tmp_path / "1"),
        "own jsonl": scored(ScoreConfig(whole, "jsonl"), tmp_path / "2"),
        "jsonl": scored(ScoreConfig(bare, "jsonl", data=data), tmp_path / "3"),
        "coco": scored(ScoreConfig(output / "coco" / "yolo-clip.json", "coco", data=data), tmp_path / "4"),
    }
    for form, method in found.items():
        assert method["n"] == expected["n"], form
        for name in LOCALISATION:
            if form in ("csv", "own jsonl") and name == "region_accuracy":
                continue  # no data set, no regions
            if form == "csv" and name == "recall@5":
                continue  # one box a row
            assert method["metrics"][name] == pytest.approx(expected["metrics"][name], abs=1e-3), (form, name)
        assert method["intervals"]["miou"] == pytest.approx(expected["intervals"]["miou"], abs=1e-3), form


def test_an_unanswered_expression_counts_as_wrong(compared, tmp_path: Path) -> None:
    data, output, results = compared
    sentences = [each.sent_id for each in RefCOCOg(data, "test").expressions]
    records = json.loads((output / "coco" / "yolo-clip.json").read_text())
    path = tmp_path / "some.json"
    path.write_text(json.dumps([each for each in records if each["image_id"] != sentences[0]]))
    method = scored(ScoreConfig(path, "coco", data=data), tmp_path / "out")
    assert method["n"] == len(sentences)
    assert method["metrics"]["no_proposal"] == pytest.approx(1 / len(sentences))
    assert method["metrics"]["miou"] < results["methods"]["yolo-clip"]["metrics"]["miou"]


@pytest.mark.parametrize(
    ("form", "content", "words"),
    [
        ("csv", "a,b\n1,2\n", "no column 'pred_x1'"),
        ("csv", f"{COLUMNS}\n1,2,3,4,5,6,7,x\n", "row 1"),
        ("csv", f"{COLUMNS}\n1,2,3,4,5,6,7,nan\n", "row 1"),
        ("csv", f"{COLUMNS}\n1,nan,3,4,5,6,7,8\n", "row 1"),
        ("csv", f"score,{COLUMNS}\nnan,1,2,3,4,5,6,7,8\n", "row 1"),
        ("csv", f"{COLUMNS}\n1,2,3,4,5,6,7,8\n".encode() + b"\xff", "row 1"),
        ("csv", f"{COLUMNS}\n", "no prediction"),
        ("csv", f"sent_id,{COLUMNS}\n" + "1,1,2,3,4,5,6,7,8\n" * 2, "twice"),
        ("jsonl", '{"sent_id": 1}\n', "line 1"),
        ("jsonl", '{"sent_id": 99999, "boxes_xyxy": [[1, 2, 3, 4]], "scores": [1]}\n', "sent_id 99999"),
        ("jsonl", '{"sent_id": 9, "boxes_xyxy": [[1, 2, 3]], "scores": [1]}\n', "four finite numbers"),
        ("jsonl", '{"sent_id": 9, "boxes_xyxy": [[1, 2, 3, 4]], "scores": []}\n', "1 boxes and 0 scores"),
        ("jsonl", '{"sent_id": 20, "boxes_xyxy": [[1, 2, 3, 4]], "scores": [1]}\n' * 2, "twice"),
        ("jsonl", '{"sent_id": 9, "boxes_xyxy": [[1, 2, 3, 4]], "scores": [1], "at_random": true}\n', "at random"),
        ("jsonl", b"\xff\xfe", "holds no box"),
        ("jsonl", "[" * 100_000, "line 1"),
        ("jsonl", f'{{"sent_id": 9, "boxes_xyxy": [[1, 2, 3, 1{"0" * 400}]], "scores": [1]}}\n', "line 1"),
        ("jsonl", '{"sent_id": 9, "boxes_xyxy": [[1, 2, 3, 4]], "scores": [Infinity]}\n', "finite"),
        ("coco", '[{"image_id": 9, "bbox": [1, 2, 3, 4], "score": NaN}]', "finite"),
        ("coco", "[" * 100_000, "no list"),
        ("coco", f'[{{"image_id": 9, "bbox": [1, 2, 3, 4], "score": 1{"0" * 400}}}]', "no list"),
        ("coco", '{"image_id": 1}', "no list"),
        ("coco", b"\xff\xfe", "no list"),
        ("coco", "nonsense", "no list"),
        ("coco", '[{"image_id": 99999, "bbox": [1, 2, 3, 4], "score": 1}]', "sent_id 99999"),
    ],
)  # fmt: skip
def test_a_wrong_file_is_one_sentence(compared, tmp_path, capsys, form, content, words) -> None:
    path = tmp_path / "foreign"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    data = [] if form == "csv" else ["--data", compared[0]]
    outcome = run_script(capsys, "evaluate.py", "score", path, "--format", form, *data, "--output", tmp_path / "out")
    assert_refused(outcome, path, words)
    assert not (tmp_path / "out").exists()


def test_what_is_missing_is_named(compared, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no file"):
        score(ScoreConfig(tmp_path / "none.csv", "csv"))
    (tmp_path / "boxes.csv").write_text(f"{COLUMNS}\n1,2,3,4,5,6,7,8\n")
    with pytest.raises(InputError, match="--data would be ignored"):
        score(ScoreConfig(tmp_path / "boxes.csv", "csv", data=compared[0]))
    with pytest.raises(InputError, match="--data"):
        score(ScoreConfig(compared[1] / "coco" / "yolo-clip.json", "coco"))


def test_a_spreadsheets_mark_and_another_scale_of_scores(tmp_path: Path) -> None:
    path = tmp_path / "boxes.csv"
    path.write_text(f"\ufeff{COLUMNS},score\n0,0,4,4,0,0,4,2,17.5\n0,0,4,4,0,0,4,4,-3\n", encoding="utf-8")
    method = scored(ScoreConfig(path, "csv"), tmp_path / "out")
    assert method["metrics"]["miou"] == 0.75
    assert "ece" not in method["metrics"] and "reliability" not in method and "intervals" not in method


@needs_shared_data("refcocog-peer")
def test_a_published_systems_figures_are_reproduced(tmp_path: Path) -> None:
    path = SHARED_DATA / "refcocog-peer" / "yolov5_clip_rn50_umd_test.csv"
    method = scored(ScoreConfig(path, "csv"), tmp_path)
    assert method["n"] == 9602
    published = {"acc@0.3": 0.604666, "acc@0.5": 0.543637, "acc@0.7": 0.496146, "miou": 0.5273}
    for name, value in published.items():
        assert method["metrics"][name] == pytest.approx(value, abs=5e-5), name


@needs_shared_data("refcocog-mini")
def test_a_published_systems_boxes_on_real_photographs(tmp_path: Path) -> None:
    path = SHARED_DATA / "refcocog-mini" / "annotations" / "peer_yolov5_clip_rn50.csv"
    method = scored(ScoreConfig(path, "csv"), tmp_path)
    assert method["n"] == 24
    assert method["metrics"]["miou"] == pytest.approx(0.458, abs=5e-4)
    assert method["metrics"]["acc@0.5"] == pytest.approx(0.375)
