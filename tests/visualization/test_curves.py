import json

import numpy as np
import pytest
from torch.utils.tensorboard import SummaryWriter

from grounding.errors import InputError
from grounding.runtime.cli import parse
from grounding.visualization.curves import CurvesConfig, curves, draw_curves, read_logs, smoothed

METRICS = ("acc@0.5", "miou", "pointing")


def write_run(folder, *, steps=40, epochs=3, first=1, seed=0, when=1000.0):
    """A run's logs by TensorBoard's own writer; what was written, by tag and step."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    written = {}
    with SummaryWriter(str(folder), filename_suffix=f".{when:g}") as writer:
        for step in range(first, steps + 1):
            for name in ("total_loss", "mask_loss", "contrast_loss", "learning_rate"):
                value = float(np.float32(rng.random()))
                writer.add_scalar(f"train/{name}", value, step, walltime=when + step)
                written.setdefault(name, {})[step] = value
    lines = [{"epoch": epoch, "step": 10 * epoch, **{name: float(rng.random()) for name in METRICS}}
             for epoch in range(1, epochs + 1)]  # fmt: skip
    with (folder / "metrics.jsonl").open("a") as file:
        file.writelines(json.dumps(line) + "\n" for line in lines)
    for name in METRICS:
        written[name] = {line["epoch"]: line[name] for line in lines}
    return written


def draw(*folders, smoothing=0.0, metrics=METRICS):
    return draw_curves(read_logs(folders), metrics=list(metrics), smoothing=smoothing)


def panels(figure):
    return {axis.get_title(loc="left"): axis for axis in figure.axes}


def points(line):
    return dict(zip(*(data.tolist() for data in line.get_data()), strict=True))


TITLES = {"total loss": "total_loss", "mask loss": "mask_loss", "contrast loss": "contrast_loss",
          "learning rate": "learning_rate", "validation Acc@0.5": "acc@0.5", "validation mIoU": "miou",
          "validation pointing": "pointing"}  # fmt: skip


def test_what_is_drawn_was_logged(tmp_path):
    written = [write_run(tmp_path / "one"), write_run(tmp_path / "two", steps=25, epochs=1, seed=1)]
    figure = draw(tmp_path / "one", tmp_path / "two")
    drawn = panels(figure)
    assert list(drawn) == list(TITLES)
    for title, name in TITLES.items():
        lines = drawn[title].lines
        assert [points(line) for line in lines] == [of_run[name] for of_run in written]
        assert drawn[title].get_xlabel() == ("epoch" if title.startswith("validation") else "step")
        # A run has one colour in every panel and in the legend.
        colours = [line.get_color() for line in lines]
        assert colours == [line.get_color() for line in figure.legends[0].get_lines()] and len(set(colours)) == 2
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["one", "two"]


def test_smoothing_by_hand(tmp_path):
    written = write_run(tmp_path / "run")
    drawn = panels(draw(tmp_path / "run", smoothing=0.8))
    raw, mean = drawn["mask loss"].lines
    assert points(raw) == written["mask_loss"] and raw.get_alpha() < 0.5
    values = list(written["mask_loss"].values())
    for index, (_, value) in enumerate(points(mean).items()):
        weights = 0.8 ** np.arange(index, -1, -1)
        assert value == pytest.approx(np.average(values[: index + 1], weights=weights))
    for title in ("learning rate", "validation mIoU"):  # not noisy
        assert [points(line) for line in drawn[title].lines] == [written[TITLES[title]]]


def test_a_skipped_step_is_a_gap_and_no_end():
    values = np.random.default_rng(0).random(20)
    smooth = smoothed(np.insert(values, [0, 5, 12], [np.nan, np.inf, np.nan]), 0.9)
    assert np.flatnonzero(~np.isfinite(smooth)).tolist() == [0, 6, 14]
    np.testing.assert_allclose(smooth[np.isfinite(smooth)], smoothed(values, 0.9))
    np.testing.assert_allclose(smoothed(np.full(7, 3.5), 0.99), 3.5)
    np.testing.assert_array_equal(smoothed(values, 0.0), values)


def test_resumed_run_keeps_the_later_values(tmp_path):
    before = write_run(tmp_path / "run", steps=30, epochs=2)
    # A clock set back or a name out of order must not decide: the file that was written later does.
    after = write_run(tmp_path / "run", first=21, steps=40, epochs=3, seed=5, when=2000.0)
    assert len(list((tmp_path / "run").glob("events*"))) == 2
    drawn = panels(draw(tmp_path / "run"))
    (line,) = drawn["total loss"].lines
    assert points(line) == {**before["total_loss"], **after["total_loss"]}
    assert list(points(line)) == list(range(1, 41))
    (line,) = drawn["validation Acc@0.5"].lines
    assert points(line) == after["acc@0.5"]


def test_killed_run_is_drawn(tmp_path):
    written = write_run(tmp_path / "run")
    (events,) = (tmp_path / "run").glob("events*")
    events.write_bytes(events.read_bytes()[:-30])
    with (tmp_path / "run/metrics.jsonl").open("a") as file:
        file.write('{"epoch": 4, "acc')
    drawn = panels(draw(tmp_path / "run"))
    assert points(drawn["total loss"].lines[0]) == written["total_loss"]
    assert len(points(drawn["learning rate"].lines[0])) == 39  # the last value is the one that was cut
    assert points(drawn["validation mIoU"].lines[0]) == written["miou"]


def test_without_events_only_validation(tmp_path):
    written = write_run(tmp_path / "run", epochs=1)
    next((tmp_path / "run").glob("events*")).unlink()
    assert list(panels(draw(tmp_path / "run", metrics=["miou"]))) == ["validation mIoU"]
    drawn = panels(draw(tmp_path / "run", smoothing=0.9))
    assert list(drawn) == list(TITLES)[4:]
    for title, axis in drawn.items():
        assert points(axis.lines[0]) == written[TITLES[title]]
        assert axis.lines[0].get_marker() == "o"  # a line of one point alone would not be seen


def test_without_metrics_file_events_say_it(tmp_path):
    with SummaryWriter(str(tmp_path / "run")) as writer:
        writer.add_scalar("validation/miou", 0.5, 1)
    (log,) = read_logs([tmp_path / "run"])
    assert log.epochs == {"miou": {1: 0.5}} and log.steps == {}


def test_a_run_that_lacks_a_loss_is_left_out_of_its_panel(tmp_path):
    write_run(tmp_path / "old")
    next((tmp_path / "old").glob("events*")).unlink()
    with SummaryWriter(str(tmp_path / "old")) as writer:
        writer.add_scalar("train/mirror_loss", 0.25, 3)
    write_run(tmp_path / "new")
    drawn = panels(draw(tmp_path / "old", tmp_path / "new"))
    assert points(drawn["mirror loss"].lines[0]) == {3: 0.25} and len(drawn["mirror loss"].lines) == 1
    (line,) = drawn["total loss"].lines
    assert line.get_color() == drawn["validation mIoU"].lines[1].get_color()


def test_names_tell_runs_apart(tmp_path):
    folders = [tmp_path / name for name in ("a/demo", "b/demo", "b/other", "c/b/demo")]
    for folder in folders:
        write_run(folder, steps=2, epochs=1)
    assert [log.name for log in read_logs(folders[:3])] == ["a-demo", "b-demo", "other"]
    names = [log.name for log in read_logs(folders)]
    assert names[0] == "a-demo" and names[3] == "c-b-demo" and names[1] == f"{tmp_path.name}-b-demo"
    assert [log.name for log in read_logs([folders[0], folders[0] / "../demo"])] == ["demo"]


def test_more_runs_than_colours(tmp_path):
    folders = [tmp_path / f"run_{index:02d}_{'w' * 40}" for index in range(15)]
    for folder in folders:
        write_run(folder, steps=2, epochs=1)
    figure = draw(*folders)
    assert len({(line.get_color(), str(line._dash_pattern)) for line in figure.axes[0].lines}) == 15
    figure.draw_without_rendering()
    extent = figure.legends[0].get_window_extent()
    assert extent.x0 >= 0 and extent.x1 <= figure.bbox.x1


@pytest.mark.parametrize(("kind", "magic"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")])
def test_formats(tmp_path, kind, magic):
    write_run(tmp_path / "run")
    for output in (tmp_path / "out", *([None] if kind == "png" else [])):
        (path,) = curves(CurvesConfig([tmp_path / "run"], output, format=kind))
        assert path == (output or tmp_path / "run") / f"curves.{kind}"
        assert path.stat().st_size > 5000 and path.read_bytes().startswith(magic)


@pytest.mark.parametrize(
    ("runs", "options", "said"),
    [
        (["run", "empty"], {}, "empty holds neither"),
        (["nowhere"], {}, "nowhere holds neither"),
        (["begun"], {}, "nothing yet"),
        (["damaged"], {}, "line 2"),
        ([], {}, "no run"),
        (["run"], {"smoothing": 1.0}, "smoothing"),
        (["run"], {"smoothing": -0.1}, "smoothing"),
        (["run"], {"metrics": ["acc"]}, "acc@0.5, miou, pointing"),
        (["silent"], {"metrics": []}, "--metrics"),
    ],
)
def test_what_cannot_be_drawn_is_refused(tmp_path, runs, options, said):
    for name in ("run", "damaged", "silent"):
        write_run(tmp_path / name)
    for name in ("empty", "begun"):
        (tmp_path / name).mkdir()
    (tmp_path / "begun/metrics.jsonl").write_text("")
    path = tmp_path / "damaged/metrics.jsonl"
    path.write_text(path.read_text().replace('{"epoch": 2', "{", 1))
    next((tmp_path / "silent").glob("events*")).unlink()
    with pytest.raises(InputError, match=said):
        curves(CurvesConfig([tmp_path / name for name in runs], tmp_path / "out", **options))
    assert not (tmp_path / "out").exists()


def test_command_line(tmp_path):
    words = [str(tmp_path / "a"), str(tmp_path / "b"), "--metrics", '["miou"]', "--smoothing", "0", "--format", "svg"]
    config = parse(CurvesConfig, "visualize", words, positional="runs", command="curves", section="curves")
    assert config == CurvesConfig([tmp_path / "a", tmp_path / "b"], metrics=["miou"], smoothing=0, format="svg")
