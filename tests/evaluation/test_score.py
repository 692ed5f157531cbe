"""`evaluate.py score`: boxes of other systems under the same measures; in a wrong form, refused or warned of."""

from __future__ import annotations

import csv
import json
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from grounding import InputError, ModelConfig, RefCOCOg
from grounding.evaluation.compare import EvaluateConfig, compare
from grounding.evaluation.predictions import Prediction
from grounding.evaluation.score import FORMS, ScoreConfig, score
from tests.scripts import assert_refused, run_script
from tests.shared_data import SHARED_DATA, needs_shared_data
from tests.tiny_clip import save_tiny_clip
from tests.toy_data import write_toy_data

LOCALISATION = ("acc@0.25", "acc@0.5", "acc@0.5:0.95", "miou", "giou", "recall@1", "recall@5", "region_accuracy")


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, dict]:
    """(data, output, results) of a comparison whose predictions are then scored as foreign ones; not to be changed."""
    folder = tmp_path_factory.mktemp("scored")
    data = write_toy_data(folder / "data", {"train": 1, "val": 1, "test": 12})
    model = ModelConfig(clip=str(save_tiny_clip(folder / "clip.pt")), model_size=64)
    compare(EvaluateConfig(["yolo-clip"], data, folder / "out", bounds=[], model=model, device="cpu"))
    return data, folder / "out", json.loads((folder / "out" / "results.json").read_text())


def scored(path: Path, data: Path | None = None) -> dict:
    score(ScoreConfig(path, data, output=path.with_suffix(".scored")))
    return json.loads((path.with_suffix(".scored") / "results.json").read_text())["methods"][path.stem]


def test_all_forms_of_the_same_boxes_score_the_same(compared, tmp_path: Path) -> None:
    data, output, results = compared
    expected = results["methods"]["yolo-clip"]
    whole, bare, coco = (tmp_path / name for name in ("whole.jsonl", "bare.jsonl", "coco.json"))
    rows = list(map(json.loads, (output / "predictions" / "yolo-clip.jsonl").read_text().splitlines()))
    coco.write_text(json.dumps([
        {"image_id": row["sent_id"], "bbox": [x1, y1, x2 - x1, y2 - y1], "score": score}
        for row in rows for (x1, y1, x2, y2), score in zip(row["boxes_xyxy"], row["scores"], strict=True)
    ]))  # fmt: skip
    worst_first = [{key: row[key][::-1] for key in ("boxes_xyxy", "scores")} for row in rows]
    for path, known in ((whole, [*rows[0]]), (bare, ["sent_id"])):
        made = [{**{key: row[key] for key in known}, **boxes} for row, boxes in zip(rows, worst_first, strict=True)]
        path.write_text("\n".join(map(json.dumps, made)))
    for path, method in ((whole, scored(whole)), (bare, scored(bare, data)), (coco, scored(coco, data))):
        assert method["n"] == expected["n"], path
        for name in LOCALISATION[: -1 if path == whole else None]:  # no data set, no regions
            assert method["metrics"][name] == pytest.approx(expected["metrics"][name], abs=1e-3), (path, name)
        assert method["intervals"]["miou"] == pytest.approx(expected["intervals"]["miou"], abs=1e-3), path


SOUND = Prediction(1, 1, 1, 1, "a", (0.0, 0.0, 4.0, 4.0), ((0.0, 0.0, 4.0, 4.0),), (1.0,))
LINE = SOUND.to_json()


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.jsonl", "", "holds no box"),
        ("a.jsonl", '{"sent_id": 1}\n', "'boxes_xyxy' is missing"),
        ("a.jsonl", "[" * 100_000, "line 1"),
        ("a.jsonl", '{"sent_id": 99999, "boxes_xyxy": [[1, 2, 3, 4]], "scores": [1]}\n', "sent_id 99999"),
        ("a.jsonl", '{"sent_id": 9, "boxes_xyxy": [[1, 2, 3]], "scores": [1]}\n', "four finite numbers"),
        ("a.jsonl", '{"sent_id": 9, "boxes_xyxy": [[1, 2, 3, 4]], "scores": []}\n', "1 boxes and 0 scores"),
        ("a.jsonl", '{"sent_id": 20, "boxes_xyxy": [[1, 2, 3, 4]], "scores": [1]}\n' * 2, "twice"),
        ("a.jsonl", '{"sent_id": 9, "boxes_xyxy": [[1, 2, 3, 4]], "scores": [1], "at_random": true}\n', "at random"),
        ("a.jsonl", '{"sent_id": 9, "boxes_xyxy": [[0.1, 0.2, 0.5, 1.1]], "scores": [1]}\n', "boxes within 0 and 1"),
        ("a.json", '[{"image_id": 9, "bbox": [30, 40, -10, 20], "score": 1}]', "corners are x1 <= x2"),
        ("a.json", f'[{{"image_id": 9, "bbox": [1, 2, 3, 4], "score": 1{"0" * 400}}}]', "no list"),
        ("own.jsonl", f"{LINE}\n" + LINE.replace("[0.0, 0.0, 4.0, 4.0], ", "[3, 3, 3, 3], ", 1), "line 2 is no"),
        ("own.json", "[]", "add --data"),
    ],
)  # fmt: skip
def test_a_wrong_file_is_one_sentence(compared, tmp_path, name, content, words) -> None:
    path = tmp_path / name
    path.write_text(content)
    data = None if path.stem == "own" else compared[0]
    with pytest.raises(InputError) as refused:
        score(ScoreConfig(path, data, output=tmp_path / "out"))
    assert str(path) in str(refused.value) and words in str(refused.value) and "\n" not in str(refused.value)
    assert not (tmp_path / "out").exists()


def test_from_the_command_line(compared, capsys) -> None:
    data, output, results = compared
    outcome = run_script(capsys, "evaluate.py", "score", output / "predictions" / "yolo-clip.jsonl", "--data", data)
    assert outcome.code == 0 and f"{results['methods']['yolo-clip']['metrics']['acc@0.5']:.3f}" in outcome.out
    assert_refused(run_script(capsys, "evaluate.py", "score", output / "none.json"), output / "none.json", "no file")


def test_scores_of_another_scale_have_no_calibration_error(tmp_path: Path) -> None:
    for scores, calibrated in (((17.5, -3.0), False), ((1.0, 0.0), True)):
        lines = [replace(SOUND, sent_id=i, scores=(value,)).to_json() for i, value in enumerate(scores)]
        (tmp_path / "own.jsonl").write_text("\n".join(lines))
        method = scored(tmp_path / "own.jsonl")
        assert method["metrics"]["miou"] == 1 and "intervals" not in method, "of one image"
        assert ("ece" in method["metrics"]) is ("reliability" in method) is calibrated


# What is measured is each annotated box, a pixel wider: an IoU near 1, were it read rightly.
CORNERS, COCO, CENTRE, Y_FIRST = FORMS
AS_WRITTEN: dict[str, Callable[..., list[float]]] = {
    COCO: lambda x1, y1, x2, y2: [x1, y1, x2 - x1, y2 - y1],
    CENTRE: lambda x1, y1, x2, y2: [(x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1],
    Y_FIRST: lambda x1, y1, x2, y2: [y1, x1, y2, x2],
    CORNERS: lambda x1, y1, x2, y2: [x1, y1, x2, y2],
}


@pytest.mark.parametrize(("file", "right"), [("a.jsonl", CORNERS), ("a.json", COCO)])
@pytest.mark.parametrize("name", FORMS)
def test_no_form_passes_for_another_one_in_silence(compared, tmp_path: Path, file: str, right: str, name: str) -> None:
    lines = []
    for each in RefCOCOg(compared[0], "test").expressions:
        x1, y1, x2, y2 = each.box_xyxy
        box = AS_WRITTEN[name](x1, y1, x2 + 1, y2)
        lines.append({"sent_id": each.sent_id, "image_id": each.sent_id, "boxes_xyxy": [box], "scores": [1],
                      "bbox": box, "score": 1})  # fmt: skip
    path = tmp_path / file
    path.write_text("\n".join(map(json.dumps, lines)) if right == CORNERS else json.dumps(lines))
    if name in (COCO, CENTRE) and right == CORNERS:
        with pytest.raises(InputError, match=r"a.jsonl, line \d+ .*corners are x1 <= x2 and y1 <= y2, got \["):
            scored(path, compared[0])  # far from the origin, x is larger than the width
        return
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        assert (scored(path, compared[0])["metrics"]["miou"] > 0.9) is (name == right)
    told = [f"{file} was read as {right} in pixels", f"would fit better as {name} (0.9"]
    assert len(said) == (name != right) and all(words in str(each.message) for each in said for words in told)


@pytest.mark.parametrize(
    ("table", "published"),
    [
        pytest.param("refcocog-peer/yolov5_clip_rn50_umd_test.csv",
                     {"n": 9602, "acc@0.3": 0.604666, "acc@0.5": 0.543637, "acc@0.7": 0.496146, "miou": 0.5273},
                     marks=needs_shared_data("refcocog-peer")),
        pytest.param("refcocog-mini/annotations/peer_yolov5_clip_rn50.csv", {"n": 24, "acc@0.5": 0.375, "miou": 0.458},
                     marks=needs_shared_data("refcocog-mini")),
    ],
)  # fmt: skip
def test_a_published_systems_figures_are_reproduced(tmp_path: Path, table: str, published: dict[str, float]) -> None:
    lines = []
    with (SHARED_DATA / table).open(newline="", encoding="utf-8") as file:
        for number, row in enumerate(csv.DictReader(file)):
            predicted, annotated = (
                [float(row[f"{kind}_{edge}"]) for edge in ("x1", "y1", "x2", "y2")] for kind in ("pred", "gt")
            )
            ids = dict.fromkeys(("image_id", "ref_id", "ann_id", "sent_id"), number)
            lines.append(json.dumps({**ids, "phrase": "", "annotated_xyxy": annotated, "boxes_xyxy": [predicted],
                                     "scores": [1]}))  # fmt: skip
    (tmp_path / "peer.jsonl").write_text("\n".join(lines))
    measured = score(ScoreConfig(tmp_path / "peer.jsonl"))["methods"]["peer"]
    found = {"n": measured["n"], **measured["metrics"]}
    assert {name: found[name] for name in published} == pytest.approx(published, abs=5e-4)
