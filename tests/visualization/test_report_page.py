import base64
import re
from html.parser import HTMLParser

import pytest

from grounding.visualization.examples import select_examples
from grounding.visualization.report import PICTURES, write_report
from grounding.visualization.tables import all_tables
from tests.visualization.made_up_examples import answers, save_photograph
from tests.visualization.results_example import example_results

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


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    results = example_results()
    results["methods"]["zero-shot+yolo"] = results["methods"].pop("reclip")
    (folder / "out/plots").mkdir(parents=True)
    (folder / "out/plots/of_an_earlier_one.png").touch()
    rows = answers(photograph=save_photograph(folder / "photograph.png"))
    write_report(folder / "out", results, rows, command=COMMAND)
    assert {path.name for path in (folder / "out").iterdir()} == {"report.html", "plots", "tables"}
    text = (folder / "out/report.html").read_text(encoding="utf-8")
    return results, list((folder / "out/plots").iterdir()), text, Page(text)


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


def test_links_lead_somewhere_and_plots_are_the_files_whole(written):
    _, plots, _, page = written
    targets = [attributes["href"][1:] for attributes in page.of("a")]
    assert len(targets) == 8 and set(targets) <= page.ids
    found = [base64.b64decode(image["src"].partition("base64,")[2]) for image in page.of("img") if image["alt"]]
    assert len(plots) == 4 and sorted(found) == sorted(path.read_bytes() for path in plots)


def test_examples_are_shown_with_how_they_were_chosen(written):
    _, _, text, page = written
    selected = [select_examples(answers(), show, PICTURES) for show in ("random", "best", "worst", "disputed")]
    assert all(explanation in page.texts for explanation, _ in selected)
    phrases = [line for line in page.texts if line.startswith("“")]
    assert phrases == [f"“{example['demo']['phrase']}”" for _, chosen in selected for example in chosen]
    expected = selected[0][1][0]["demo"]
    assert f"IoU {expected['iou']:.2f}, score {expected['scores'][0]:.2f}" in text
    assert text.count("zero-shot: IoU") == len(selected[3][1]) > 0 and "best box of zero-shot" in text


def test_every_table_is_there_whole_with_its_caption(written):
    results, _, _, page = written
    text = " ".join(page.texts)
    for table in all_tables(results):
        assert table.title in text and table.caption in text
    shown = ("main", "differences", "localisation", "semantic", "subsets", "groups")
    for name, table in zip(shown, all_tables(results), strict=True):
        titles = [[title] for title in table.sections] if len(table.sections) > 1 else []
        rows = [row for of_section in table.sections.values() for row in of_section]
        head, *found = page.tables[name]
        assert tuple(head) == table.headings
        assert [row for row in found if len(row) > 1] == rows and [row for row in found if len(row) == 1] == titles


def test_methods_and_bounds_are_explained(written):
    _, _, raw, page = written
    text = " ".join(page.texts)
    # The first of the run, which is called after its folder, "demo" here, and of no other method.
    for said in ("what was trained turns CLIP", "Selvaraju", "These are no methods"):
        assert text.count(said) == 1
    assert "<script" not in raw and "</button>" not in raw and COMMAND in page.texts, "text is escaped"


def test_little_was_measured(tmp_path):
    """Boxes that another program made: one method, and nothing but localisation."""
    metrics = {"acc@0.25": 0.8, "acc@0.3": 0.7, "acc@0.5": 0.5, "acc@0.75": 0.3, "miou": 0.5}
    results = {"data": "a.jsonl", "split": "val", "methods": {"boxes <b>by</b> others": {"n": 9, "metrics": metrics}}}
    write_report(tmp_path, results, {"boxes <b>by</b> others": []}, command=COMMAND)
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    page = Page(text)
    assert set(page.tables) == {"main", "localisation"}
    assert page.tables["main"][0] == ["method", "n", "Acc@0.25", "Acc@0.5", "Acc@0.75", "mIoU"]
    assert page.tables["main"][1][0] == "boxes <b>by</b> others" and not page.of("b")
    assert {attributes["href"][1:] for attributes in page.of("a")} == {"measured", "main", "repeat"}
    assert "Only 9 queries" in " ".join(page.texts) and not page.of("img")
    assert "These are no methods" not in text and "bootstrap" not in text
