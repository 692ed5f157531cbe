import base64
import io
import re
from html.parser import HTMLParser

import pytest
from PIL import Image

from grounding.visualization.galleries import Gallery, Picture
from grounding.visualization.plots import draw_plots
from grounding.visualization.report_page import PLOTS, RUN_SENTENCE, write_page
from grounding.visualization.tables import all_tables
from tests.visualization.results_example import BOUNDS, METHODS, example_results, foreign_results

HOSTILE = "<script>alert('x')</script> & \"the cup\""
COMMAND = "python compare.py --data 'a <b>' && echo done"
VOID = {"meta", "img", "br", "hr", "link", "input"}


class Page(HTMLParser):
    """Tags with their attributes, the ids, and the tables by the id of their section; complains about bad nesting."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.ids, self.texts, self.tables, self._open = [], set(), [], {}, []
        self._section = ""
        self.feed(text)
        self.close()
        assert not self._open, f"not closed: {self._open}"

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.tags.append((tag, attributes))
        self.ids.add(attributes.get("id"))
        if tag not in VOID:
            self._open.append(tag)
        if tag == "section":
            self._section = attributes["id"]
        if tag == "tr":
            self.tables.setdefault(self._section, []).append([])

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)
        if self._open and self._open[-1] in ("td", "th"):
            self.tables[self._section][-1].append(data)

    def of(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


def picture_bytes():
    file = io.BytesIO()
    Image.new("RGB", (8, 8), "red").save(file, "JPEG")
    return file.getvalue()


GALLERIES = [
    Gallery("Best", "The best <ones>.", (Picture(picture_bytes(), HOSTILE, "demo: IoU 0.91"),)),
    Gallery("Disputed", "Nothing to show.", ()),
]


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    results = example_results()
    plots = draw_plots(results, folder / "plots")
    write_page(results, plots, GALLERIES, folder / "out/report.html", command=COMMAND)
    assert [path.name for path in (folder / "out").iterdir()] == ["report.html"]
    text = (folder / "out/report.html").read_text(encoding="utf-8")
    return results, plots, text, Page(text)


def test_nothing_is_loaded_from_elsewhere(written):
    _, _, text, page = written
    for tag, attributes in page.tags:
        assert tag not in ("script", "link", "iframe", "object", "embed", "base")
        for name, value in attributes.items():
            assert not name.startswith("on")
            if name in ("src", "href", "srcset", "data", "poster", "action"):
                assert value.startswith(("data:image/", "#"))
    style = re.search(r"<style>(.*)</style>", text, re.DOTALL).group(1)
    assert "url(" not in style and "@import" not in style
    assert "prefers-color-scheme: dark" in style and "@media print" in style


def test_links_lead_somewhere(written):
    *_, page = written
    targets = [attributes["href"][1:] for attributes in page.of("a")]
    assert len(targets) == 8 and set(targets) <= page.ids


def test_pictures_are_the_files_whole(written):
    _, plots, _, page = written
    found = [base64.b64decode(image["src"].partition("base64,")[2]) for image in page.of("img")]
    assert found == [*(plots[name].read_bytes() for name in PLOTS), GALLERIES[0].pictures[0].jpeg]
    assert set(plots) == set(PLOTS)
    assert all(image["alt"] for image in page.of("img"))


def test_every_number_is_the_measured_one(written):
    results, _, _, page = written
    head, *rows = page.tables["main"]
    assert [row[0] for row in rows if len(row) == 1] == ["methods", "bounds, not methods"]
    rows = [row for row in rows if len(row) > 1]
    assert [row[0] for row in rows] == [*METHODS, *BOUNDS]
    metrics = {"Acc@0.25": "acc@0.25", "Acc@0.75": "acc@0.75", "mIoU": "miou", "GIoU": "giou", "Pointing": "pointing",
               "Mass in": "mass_inside", "R@5": "recall@5", "Region acc": "region_accuracy",
               "Cat. acc": "category_accuracy", "No box": "no_proposal"}  # fmt: skip
    for row in rows:
        record = {**results["methods"], **results["bounds"]}[row[0]]
        cells = dict(zip(head, row, strict=True))
        low, high = record["intervals"]["acc@0.5"]
        expected = {heading: f"{record['metrics'][metric]:.3f}" for heading, metric in metrics.items()}
        expected["method"], expected["n"] = row[0], str(record["n"])
        expected["s/image"] = f"{record['seconds']['per_image']:.3f}"
        expected["ms/phrase"] = f"{record['seconds']['per_phrase'] * 1000:.1f}"
        expected["Acc@0.5 [95 %]"] = f"{record['metrics']['acc@0.5']:.3f} [{low:.3f}, {high:.3f}]"
        assert cells == expected


def test_every_table_is_there_with_its_caption(written):
    results, _, _, page = written
    text = " ".join(page.texts)
    for table in all_tables(results):
        assert table.title in text and table.caption in text
    assert set(page.tables) == {"main", "differences", "localisation", "semantic", "subsets", "groups"}
    third = list(results["methods"])[2]
    assert page.tables["differences"][2][2] == f"{results['methods'][third]['behind']['acc@0.5']['p_value']:.4f}"


def test_methods_and_bounds_are_explained(written):
    *_, page = written
    text = " ".join(page.texts)
    assert "Selvaraju" in text and "These are no methods" in text
    assert "given to the comparison under this name" not in text


def test_text_is_escaped(written):
    _, _, text, page = written
    assert page.of("img")[-1]["alt"] == HOSTILE and "<script" not in text
    assert "The best <ones>." in page.texts and COMMAND in page.texts
    assert "Nothing to show." not in text


def test_little_was_measured(tmp_path):
    results = foreign_results()
    write_page(results, {}, [], tmp_path / "report.html", command=COMMAND)
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    page = Page(text)
    assert set(page.tables) == {"main", "localisation"}
    assert page.tables["main"][0] == ["method", "n", "Acc@0.25", "Acc@0.5", "Acc@0.75", "mIoU"]
    assert page.tables["main"][1][0] == "boxes <b>by</b> others" and not page.of("b")
    assert {attributes["href"][1:] for attributes in page.of("a")} == {"measured", "main", "repeat"}
    assert "Only 9 queries" in " ".join(page.texts) and not page.of("img")
    assert "These are no methods" not in text


def test_many_queries_bring_no_warning(written):
    *_, page = written
    assert "queries:" not in " ".join(page.texts)


def test_a_failing_page_leaves_the_old_one(tmp_path):
    path = tmp_path / "report.html"
    path.write_text("old")
    with pytest.raises(FileNotFoundError):
        write_page(foreign_results(), {"confusion": tmp_path / "gone.png"}, [], path, command="")
    assert path.read_text() == "old"


def test_a_run_is_described_whatever_its_folder_is_called(written):
    """Of the method that is known by no name of its own, "demo" here, and of no other one."""
    assert "".join(written[3].texts).count(RUN_SENTENCE) == 1
