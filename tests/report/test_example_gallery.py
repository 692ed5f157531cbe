import html
import json
import re
import shutil
from collections import Counter

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb

from grounding.drawing import as_array
from grounding.errors import InputError
from grounding.report.choices import choose_best, choose_disputed, choose_random, choose_worst, rival_of
from grounding.report.example_gallery import draw_gallery
from grounding.report.example_page import write_example_page
from grounding.report.example_rows import COLOURS
from grounding.report.examples import Wanted
from grounding.report.fitted_text import fitted, width_of
from tests.report.results_example import example_predictions

HOSTILE = [
    "<script>document.title='hacked'</script>",
    "it's \"quoted\" & 'single'",
    "</button></li><b>bold",
    "costs $5 $\\frac{",
]
WHERE = "made up, test"


def answers(images=12):
    """Rows of two methods, some phrases hostile, with three axes of groups."""
    rows = example_predictions(images=images)
    for of_method in rows.values():
        for row in of_method:
            number = row["sent_id"]
            row["phrase"] = HOSTILE[number] if number < len(HOSTILE) else "word " * (number % 5) + f"number {number}"
            row["groups"] = {
                "box area": (("small", "medium", "large")[number % 3],),
                "category": ('cup\'s "<top>"' if number % 4 else "plate",),
                "subset": ("even", "all") if number % 2 == 0 else ("all",),
            }
    return rows


def wanted(show="random", by="box area", of_group="random", seed=0):
    return Wanted(show, by, of_group, seed)


def ids(section):
    return [example[0]["sent_id"] for example in section.examples]


def grey(_):
    return np.full((100, 120, 3), 128, dtype=np.uint8)


def test_random_is_by_lot_and_independent_of_order():
    rows = answers()["ours"]
    chosen = choose_random(rows, 10, seed=4)
    assert len({row["sent_id"] for row in chosen}) == 10
    assert choose_random(rows[::-1], 10, seed=4) == chosen and choose_random(rows, 4, seed=4) == chosen[:4]
    assert choose_random(rows, 10, seed=5) != chosen
    assert len(choose_random(rows, 1000, seed=4)) == len(rows)
    # Each phrase comes as often as any other, whatever its image.
    counts = Counter(choose_random(rows, 1, seed=seed)[0]["sent_id"] for seed in range(3600))
    assert len(counts) == len(rows) and max(counts.values()) < 160 and min(counts.values()) > 50


def test_rival():
    assert rival_of("ours", ["ours", "zero-shot", "yolo-clip"]) == "yolo-clip"
    assert rival_of("yolo-clip", ["ours", "zero-shot", "yolo-clip"]) == "ours"
    assert rival_of("ours", ["ours"]) is None


def test_what_is_wanted_is_chosen():
    both = answers()
    rows, rival = both.values()
    for show, choose in (("best", choose_best), ("worst", choose_worst)):
        (section,) = wanted(show).choose({"ours": rows}, 5).sections
        assert [example[0] for example in section.examples] == choose(rows, 5)
    (section,) = wanted("disputed").choose(both, 5).sections
    assert list(section.examples) == choose_disputed(rows, rival, 5)
    (section,) = wanted(seed=3).choose({"ours": rows}, 5).sections
    assert [example[0] for example in section.examples] == choose_random(rows, 5, seed=3)


def test_groups_by_brute_force():
    rows = answers()["ours"]
    sections = wanted("breakdown").choose({"ours": rows}, 3).sections
    assert [section.title for section in sections] == ["small", "medium", "large"]
    for index, section in enumerate(sections):
        inside = [row for row in rows if row["sent_id"] % 3 == index]
        right = 100 * np.mean([row["iou"] >= 0.5 for row in inside])
        assert section.note == f"12 phrases, {right:.1f}\N{NO-BREAK SPACE}% right"
        assert len(section.examples) == 3 and all(sent_id % 3 == index for sent_id in ids(section))
    extremes = wanted("breakdown", "subset", "extremes").choose({"ours": rows}, 2).sections
    assert [section.title for section in extremes] == ["all: best", "all: worst", "even: best", "even: worst"]
    even = [row for row in rows if row["sent_id"] % 2 == 0]
    assert ids(extremes[2]) == [row["sent_id"] for row in choose_best(even, 2)]
    assert ids(extremes[3]) == [row["sent_id"] for row in choose_worst(even, 2)]
    kept = wanted("breakdown", "category").choose({"ours": rows}, 2, most_groups=1)
    assert [section.title for section in kept.sections] == ['cup\'s "<top>"']  # three quarters of the phrases
    assert "The 1 most frequent of 2 groups" in kept.explanation


def test_nothing_right_and_nothing_wrong():
    rows = [{**row, "iou": 1.0} for row in answers()["ours"]]
    assert wanted("worst").choose({"ours": rows}, 5).sections == ()
    extremes = wanted("breakdown", "box area", "extremes").choose({"ours": rows}, 5).sections
    assert [section.title for section in extremes] == ["small: best", "medium: best", "large: best"]


@pytest.mark.parametrize(
    ("show", "said"),
    [("random", "at random (seed 0) from 36 phrases"), ("best", "do not say how often"),
     ("worst", "do not say how often"), ("disputed", "where only zero-shot is right")],
)  # fmt: skip
def test_how_it_was_chosen_is_said(show, said):
    both = answers()
    given = both if show == "disputed" else {"ours": both["ours"]}
    explanation = wanted(show).choose(given, 5).explanation
    assert said in explanation and ("representative" in explanation) == (show == "random")
    right = 100 * np.mean([row["iou"] >= 0.5 for row in both["ours"]])
    assert f"ours answers {right:.1f}\N{NO-BREAK SPACE}% " in explanation


def test_text_fits_by_its_letters():
    for text in ("word " * 60, "W" * 200, "i" * 200, "short"):
        lines = fitted(text, 1.5, 9, 3)
        assert 1 <= len(lines) <= 3 and all(width_of(line, 9) <= 1.5 for line in lines)
        shortened = "".join(lines).replace(" ", "") != text.replace(" ", "")
        assert shortened == lines[-1].endswith("…")
    # As much as there is room for, not less.
    assert width_of(fitted("i" * 200, 1.5, 9, 3)[0], 9) > 1.4


def one_example(annotated, boxes, phrase="a cup"):
    rows = {
        name: [{"sent_id": 1, "image_id": 1, "phrase": phrase, "annotated_xyxy": annotated, "boxes_xyxy": [box],
                "scores": [0.5], "iou": iou, "groups": {}}]
        for (name, box), iou in zip(boxes.items(), (0.9, 0.0), strict=False)
    }  # fmt: skip
    return wanted("disputed" if len(boxes) > 1 else "random").choose(rows, 1)


def near(picture, colour):
    return np.abs(picture.astype(int) - np.array(to_rgb(colour)) * 255).max(axis=2) < 40


def extent(mask):
    (rows,), (columns,) = np.nonzero(mask.any(axis=1)), np.nonzero(mask.any(axis=0))
    return np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1])


@pytest.mark.parametrize("size", [(144, 144), (640, 480), (100, 300), (600, 120)])
def test_boxes_lie_where_they_belong(size):
    width, height = size
    photograph = np.zeros((height, width, 3), dtype=np.uint8)
    photograph[:] = (150, 30, 60)
    whole = np.array([width, height, width, height])
    annotated, ours, rival = (whole * shares for shares in
                              ([0.1, 0.1, 0.4, 0.45], [0.5, 0.2, 0.9, 0.5], [0.2, 0.55, 0.7, 0.9]))  # fmt: skip
    examples = one_example(annotated, {"ours": ours, "zero-shot": rival})
    figure = draw_gallery(examples, lambda image_id: photograph, where=WHERE)
    picture = as_array(figure)
    ground = near(picture, np.array([150, 30, 60]) / 255)
    left, top, right, bottom = extent(ground)
    assert (right - left) / (bottom - top) == pytest.approx(width / height, rel=0.03)
    inside = np.zeros_like(ground)
    inside[top:bottom, left:right] = True
    scale = np.array([(right - left) / width, (bottom - top) / height] * 2)
    for box, colour in ((annotated, "#FFFFFF"), (ours, COLOURS[0]), (rival, COLOURS[1])):
        np.testing.assert_allclose(extent(near(picture, colour) & inside), box * scale + [left, top, left, top], atol=4)


def test_coinciding_boxes_are_both_seen():
    photograph = np.full((100, 100, 3), 60, dtype=np.uint8)
    box = np.array([20, 20, 80, 80])
    picture = as_array(draw_gallery(one_example(box, {"ours": box}), lambda image_id: photograph, where=WHERE))
    left, top, right, bottom = extent(near(picture, (60 / 255,) * 3))
    inside = picture[top:bottom, left:right]
    assert near(inside, "#FFFFFF").sum() > 300 and near(inside, COLOURS[0]).sum() > 300


@pytest.mark.parametrize("show", ["random", "disputed", "breakdown"])
@pytest.mark.parametrize("shape", [(100, 120), (300, 90), (60, 400)])
def test_no_text_is_cut_off_or_lies_on_another(show, shape):
    both = answers()
    for row in both["ours"]:
        row["phrase"] = "Wide words with $signs " * (row["sent_id"] % 9 + 1)
    examples = wanted(show, "category").choose(both if show == "disputed" else {"ours": both["ours"]}, 6)
    figure = draw_gallery(examples, lambda image_id: np.zeros((*shape, 3), dtype=np.uint8), where="W" * 90)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    boxes = [text.get_window_extent(canvas.get_renderer()) for text in figure.texts]
    boxes += [legend.get_window_extent(canvas.get_renderer()) for legend in figure.legends]
    boxes += [axis.get_window_extent() for axis in figure.axes]
    assert len(boxes) > 20
    for index, box in enumerate(boxes):
        assert box.x0 >= 0 and box.y0 >= 0 and box.x1 <= figure.bbox.x1 and box.y1 <= figure.bbox.y1
        for other in boxes[:index]:
            across = min(box.x1, other.x1) - max(box.x0, other.x0)
            along = min(box.y1, other.y1) - max(box.y0, other.y0)
            assert across < 1 or along < 3, (box, other)


def test_what_is_left_over_is_no_larger():
    figure = draw_gallery(wanted().choose({"ours": answers()["ours"]}, 6), grey, where=WHERE)
    heights = [axis.get_window_extent().height for axis in figure.axes]
    assert len(heights) == 6 and heights == pytest.approx([heights[0]] * 6, rel=0.01)


def test_too_tall_a_picture_is_refused():
    rows = answers(images=400)["ours"]
    with pytest.raises(InputError, match="smaller --count"):
        draw_gallery(wanted().choose({"ours": rows}, 1200), grey, where=WHERE)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "folder" / "gallery.html"
    write_example_page(wanted().choose({"ours": answers()["ours"]}, 1000), grey, path, where=WHERE, weights="<CLIP>")
    return path, path.read_text(encoding="utf-8")


def cards(text):
    """Each card's index, sort keys and groups as written."""
    pattern = (
        r'<li data-index="(\d+)" data-iou="([\d.]+)" data-score="([\d.]+)" data-words="(\d+)"\s+data-right="([01])" '
    )
    pattern += r"data-groups='([^']*)'>"
    return re.findall(pattern, text)


def test_page_needs_nothing_from_elsewhere(written):
    _, text = written
    loaded = re.findall(r"""\b(?:src|href|action|srcset|poster)\s*=\s*["']?([^"']{23})""", text)
    assert set(loaded) == {"data:image/jpeg;base64,"}
    assert not re.search(r"https?:|url\(|@import|fetch\(|XMLHttpRequest|import\(|\son\w+=", text)


def test_page_holds_every_example_once(written):
    _, text = written
    found = cards(text)
    rows = choose_random(answers()["ours"], 1000, seed=0)
    assert len(found) == len(rows) == 36
    for (index, iou, score, words, right, groups), row in zip(found, rows, strict=True):
        assert (
            float(iou) == row["iou"] and float(score) == row["scores"][0] and int(words) == len(row["phrase"].split())
        )
        assert (right == "1") == (row["iou"] >= 0.5) and rows[int(index)] is row
        assert {axis: tuple(kinds) for axis, kinds in json.loads(groups).items()} == row["groups"]
        assert html.escape(row["phrase"]).replace("&quot;", "&#34;").replace("&#x27;", "&#39;") in text
    shown_twice = wanted("breakdown", "subset").choose({"ours": answers()["ours"]}, 100)
    assert sum(len(section.examples) for section in shown_twice.sections) == 36 + 18


def test_page_escapes_what_others_wrote(written):
    _, text = written
    assert "<script>document" not in text and "<b>bold" not in text and "<CLIP>" not in text and "&lt;CLIP&gt;" in text
    assert text.count("<script>") == 1 and text.count("</button></li>") == 0


def test_page_says_how_its_examples_were_chosen(written):
    _, text = written
    assert "ours on made up, test: 36 random examples" in text
    assert "seed 0" in text and "36 phrases" in text and "representative" in text


@pytest.fixture(scope="module")
def browser():
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("no chromium on the path")
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture
def page(browser, written):
    context = browser.new_context(viewport={"width": 1000, "height": 800})
    opened, wrong = context.new_page(), []
    opened.on("pageerror", lambda error: wrong.append(str(error)))
    opened.on("console", lambda message: wrong.append(message.text))
    opened.on(
        "request", lambda request: None if request.url.startswith(("file:", "data:")) else wrong.append(request.url)
    )
    opened.goto(written[0].as_uri())
    yield opened
    assert not wrong
    context.close()


ROWS = choose_random(answers()["ours"], 1000, seed=0)


def shown(page):
    """Rows of the visible cards, in the order in which they stand on the page."""
    places = page.eval_on_selector_all(
        "#cards > li",
        "cards => cards.filter(c => c.offsetParent).map(c => [c.offsetTop, c.offsetLeft, Number(c.dataset.index)])",
    )
    assert places == sorted(places)
    return [ROWS[index] for _, _, index in places]


def test_everything_is_shown_at_first(page):
    assert shown(page) == ROWS
    assert page.text_content("#count") == "36 of 36 shown"
    assert page.title() == "ours on made up, test: 36 random examples"  # no phrase was executed
    phrases = [text[1:-1] for text in page.locator("#cards .phrase").all_text_contents()]
    assert phrases == [row["phrase"] for row in ROWS]
    assert page.evaluate("[...document.images].every(image => image.complete && image.naturalWidth === 120)")


@pytest.mark.parametrize("text", ["number 1", 'QUOTED"', "<b>", "nothing like it"])
def test_text_filters(page, text):
    page.fill("#text", text)
    expected = [row for row in ROWS if text.lower() in row["phrase"].lower()]
    assert shown(page) == expected
    assert page.text_content("#count") == f"{len(expected)} of 36 shown"
    assert page.is_visible("#none") == (not expected)
    page.click("#reset")
    assert shown(page) == ROWS and not page.is_visible("#reset")


@pytest.mark.parametrize(
    ("selector", "value", "fits"),
    [
        ("#right", "1", lambda row: row["iou"] >= 0.5),
        ("#right", "0", lambda row: row["iou"] < 0.5),
        ("[data-axis='box area']", "medium", lambda row: row["sent_id"] % 3 == 1),
        ("[data-axis='category']", "cup's \"<top>\"", lambda row: row["sent_id"] % 4 != 0),
        ("[data-axis='subset']", "even", lambda row: row["sent_id"] % 2 == 0),
    ],
)  # fmt: skip
def test_choices_filter(page, selector, value, fits):
    page.select_option(selector, value)
    expected = [row for row in ROWS if fits(row)]
    assert 0 < len(expected) < len(ROWS) and shown(page) == expected
    page.fill("#text", "number")
    assert shown(page) == [row for row in expected if "number" in row["phrase"]]  # filters add up


@pytest.mark.parametrize(
    ("value", "key"),
    [
        ("iou 1", lambda row: row["iou"]),
        ("iou -1", lambda row: -row["iou"]),
        ("score 1", lambda row: row["scores"][0]),
        ("score -1", lambda row: -row["scores"][0]),
        ("words 1", lambda row: len(row["phrase"].split())),
        ("words -1", lambda row: -len(row["phrase"].split())),
    ],
)
def test_order_changes(page, value, key):
    page.select_option("#order", value)
    expected = sorted(ROWS, key=key)
    assert shown(page) == expected != ROWS
    page.select_option("#order", "index 1")
    assert shown(page) == ROWS


def test_enlarging_by_keyboard(page):
    page.select_option("#right", "1")
    expected = shown(page)
    page.locator("#cards > li:visible button").first.focus()
    page.keyboard.press("Enter")
    enlarged = page.locator("dialog .phrase")
    assert enlarged.text_content() == f"“{expected[0]['phrase']}”"
    page.keyboard.press("ArrowLeft")
    assert enlarged.text_content() == f"“{expected[-1]['phrase']}”"
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert enlarged.text_content() == f"“{expected[1]['phrase']}”"
    wide = page.evaluate(
        "document.querySelector('dialog img').clientWidth / document.querySelector('#cards img').clientWidth"
    )
    assert wide > 2
    page.keyboard.press("Escape")
    assert not page.is_visible("dialog")
    focused = page.evaluate("Number(document.activeElement.closest('li').dataset.index)")
    assert ROWS[focused] is expected[1]


def test_boxes_on_the_page_lie_where_they_belong(page):
    drawn = page.evaluate(
        """[...document.querySelectorAll('#cards > li')].map(card => {
            const [photo, ...lines] = [card.querySelector('img'), ...card.querySelectorAll('.line')]
                .map(part => part.getBoundingClientRect());
            const scale = 120 / photo.width;
            return lines.map(line => [line.left - photo.left, line.top - photo.top, line.right - photo.left,
                line.bottom - photo.top].map(value => value * scale));
        })"""
    )
    for lines, row in zip(drawn, ROWS, strict=True):
        np.testing.assert_allclose(lines, [row["boxes_xyxy"][0], row["annotated_xyxy"]], atol=1.5)


@pytest.mark.parametrize("width", [320, 390, 1000])
def test_nothing_sticks_out_to_the_side(browser, written, width):
    context = browser.new_context(viewport={"width": width, "height": 700})
    page = context.new_page()
    page.goto(written[0].as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.locator("#cards button").first.click()
    assert page.evaluate("document.querySelector('dialog').getBoundingClientRect().right") <= width
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_ground(browser, written, scheme):
    def luminance(colour):
        parts = np.array([int(part) for part in re.findall(r"\d+", colour)[:3]]) / 255
        linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
        return linear @ [0.2126, 0.7152, 0.0722]

    context = browser.new_context(color_scheme=scheme)
    page = context.new_page()
    page.goto(written[0].as_uri())
    ground = luminance(page.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert (ground > 0.5) == (scheme == "light")
    for selector in ("body", ".note", ".yes", ".no", "h1", "button.open"):
        ink = luminance(page.evaluate(f"getComputedStyle(document.querySelector({selector!r})).color"))
        assert (max(ink, ground) + 0.05) / (min(ink, ground) + 0.05) >= 4.5, selector  # WCAG AA
    context.close()
