import json

import numpy as np
import pytest
from torch.utils.tensorboard import SummaryWriter

from grounding.errors import InputError
from grounding.runtime.cli import parse
from grounding.visualization.curves import CurvesConfig, curves, draw_curves, read_logs

METRICS = ("acc@0.5", "miou", "pointing")
TITLES = {"total loss": "total_loss", "mask loss": "mask_loss", "contrast loss": "contrast_loss",
          "learning rate": "learning_rate", "validation Acc@0.5": "acc@0.5", "validation mIoU": "miou",
          "validation pointing": "pointing"}  # fmt: skip
LOSSES = list(TITLES)[:3]


def write_run(folder, *, steps=40, epochs=3, first=1, seed=0, when=1000.0, losses=None):
    """A run's logs by TensorBoard's own writer; what was written, by tag and step."""
    rng = np.random.default_rng(seed)
    written = {}
    with SummaryWriter(str(folder), filename_suffix=f".{when:g}") as writer:
        tags = [(f"train/{name}", first, steps) for name in losses or list(TITLES.values())[:4]]
        tags += [(f"validation/{name}", 1, epochs) for name in METRICS]
        for tag, begin, end in tags:
            for step in range(begin, end + 1):
                value = float(np.float32(rng.random()))
                writer.add_scalar(tag, value, step, walltime=when + step)
                written.setdefault(tag.partition("/")[2], {})[step] = value
    return written


def draw(*folders, metrics=METRICS):
    return draw_curves(read_logs(folders), metrics=list(metrics))


def panels(figure):
    return {axis.get_title(loc="left"): axis for axis in figure.axes}


def points(line):
    return dict(zip(*(data.tolist() for data in line.get_data()), strict=True))


def test_what_is_drawn_was_logged(tmp_path):
    written = [write_run(tmp_path / "one"), write_run(tmp_path / "two", steps=25, epochs=1, seed=1)]
    figure = draw(tmp_path / "one", tmp_path / "two")
    drawn = panels(figure)
    assert list(drawn) == list(TITLES)
    legend = [line.get_color() for line in figure.legends[0].get_lines()]
    for title, name in TITLES.items():
        lines = drawn[title].lines[:: 2 if title in LOSSES else 1]  # of a loss, each is followed by its mean
        assert [points(line) for line in lines] == [of_run[name] for of_run in written]
        assert drawn[title].get_xlabel() == ("epoch" if title.startswith("validation") else "step")
        assert [line.get_color() for line in lines] == legend and len(set(legend)) == 2
    assert drawn["validation mIoU"].lines[1].get_marker() == "o"  # a line of one point alone would not be seen
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["one", "two"]


def test_the_mean_of_a_loss_by_hand_with_a_gap_at_a_skipped_step(tmp_path):
    values = [1.0, 3.0, float("inf"), 2.0]
    with SummaryWriter(str(tmp_path)) as writer:
        for step, value in enumerate(values):
            writer.add_scalar("train/total_loss", value, step)
    _, mean = panels(draw(tmp_path))["total loss"].lines
    weights = [0.9**2, 0.9, 1.0]
    expected = [1.0, (0.9 * 1 + 3) / 1.9, np.nan, np.dot(weights, [1, 3, 2]) / sum(weights)]
    np.testing.assert_allclose(mean.get_ydata(), expected)


def test_what_a_resumed_run_logged_again_replaces_what_it_had_logged(tmp_path):
    before = write_run(tmp_path / "run", steps=30, epochs=2)
    after = write_run(tmp_path / "run", first=21, seed=1, when=2000.0)
    drawn = panels(draw(tmp_path / "run"))
    found = points(drawn["total loss"].lines[0])
    assert found == {**before["total_loss"], **after["total_loss"]} and list(found) == list(range(1, 41))
    assert points(drawn["validation Acc@0.5"].lines[0]) == after["acc@0.5"]


def test_killed_run_is_drawn(tmp_path):
    written = write_run(tmp_path / "run")
    (events,) = (tmp_path / "run").glob("events*")
    events.write_bytes(events.read_bytes()[:-30])
    drawn = panels(draw(tmp_path / "run"))
    assert points(drawn["total loss"].lines[0]) == written["total_loss"]
    assert len(points(drawn["validation pointing"].lines[0])) == 2  # the last value is the one that was cut


def test_a_run_that_lacks_a_loss_is_left_out_of_its_panel(tmp_path):
    old = write_run(tmp_path / "old", losses=["mirror_loss"])
    write_run(tmp_path / "new")
    drawn = panels(draw(tmp_path / "old", tmp_path / "new"))
    assert len(drawn["mirror loss"].lines) == 2 and points(drawn["mirror loss"].lines[0]) == old["mirror_loss"]
    assert drawn["total loss"].lines[0].get_color() == drawn["validation mIoU"].lines[1].get_color()


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
        write_run(folder, steps=1, epochs=0)
    figure = draw(*folders)
    assert len({(line.get_color(), str(line._dash_pattern)) for line in figure.axes[0].lines[::2]}) == 15
    figure.draw_without_rendering()
    extent = figure.legends[0].get_window_extent()
    assert extent.x0 >= 0 and extent.x1 <= figure.bbox.x1


@pytest.mark.parametrize(("kind", "magic"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")])
def test_formats(tmp_path, kind, magic):
    write_run(tmp_path / "run", steps=3)
    output = None if kind == "png" else tmp_path / "out"
    (path,) = curves(CurvesConfig([tmp_path / "run"], output, format=kind))
    assert path == (output or tmp_path / "run") / f"curves.{kind}"
    assert path.stat().st_size > 5000 and path.read_bytes().startswith(magic)


@pytest.mark.parametrize(
    ("runs", "options", "said"),
    [
        (["run", "empty"], {}, "empty holds no TensorBoard events"),
        (["nowhere"], {}, "nowhere holds no"),
        (["begun"], {}, "nothing yet"),
        ([], {}, "no run"),
        (["run"], {"metrics": ["acc"]}, "acc@0.5, miou, pointing"),
    ],
)
def test_what_cannot_be_drawn_is_refused(tmp_path, runs, options, said):
    write_run(tmp_path / "run", steps=2)
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty/metrics.jsonl").write_text(json.dumps({"epoch": 1, "miou": 0.5}))
    SummaryWriter(str(tmp_path / "begun")).close()
    with pytest.raises(InputError, match=said):
        curves(CurvesConfig([tmp_path / name for name in runs], tmp_path / "out", **options))
    assert not (tmp_path / "out").exists()


def test_command_line(tmp_path):
    words = [str(tmp_path / "a"), str(tmp_path / "b"), "--metrics", '["miou"]', "--format", "svg"]
    config = parse(CurvesConfig, "visualize", words, positional="runs", command="curves", section="curves")
    assert config == CurvesConfig([tmp_path / "a", tmp_path / "b"], metrics=["miou"], format="svg")
