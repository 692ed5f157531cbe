import html
import itertools
import json
import re
import shutil

import pytest

from grounding.visualization.examples import choose_random
from grounding.visualization.gallery import write_gallery_page
from tests.visualization.made_up_examples import COLOURS, WHERE, answers, chosen, save_photograph

ROWS = choose_random(answers()["demo"], 1000, seed=0)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "folder" / "gallery.html"
    rows = answers(photograph=save_photograph(path.parents[1] / "photograph.png"))
    write_gallery_page(chosen(rows, 1000), path, colours=COLOURS, where=WHERE, weights="<CLIP>")
    return path, path.read_text(encoding="utf-8")


def cards(text):
    """Each card's index, sort keys and groups as written."""
    numbers = (
        r'<li data-index="(\d+)" data-iou="([\d.]+)" data-score="([\d.]+)" data-words="(\d+)"\s+data-right="([01])"'
    )
    return re.findall(numbers + r" data-groups='([^']*)'>", text)


def test_page_needs_nothing_from_elsewhere(written):
    _, text = written
    loaded = re.findall(r"""\b(?:src|href|action|srcset|poster)\s*=\s*["']?([^"']{23})""", text)
    assert set(loaded) == {"data:image/jpeg;base64,"}
    assert not re.search(r"https?:|url\(|@import|fetch\(|XMLHttpRequest|import\(|\son\w+=", text)


def test_page_holds_every_example_once(written):
    _, text = written
    found = cards(text)
    assert len(found) == len(ROWS) == 36
    for (index, iou, score, words, right, groups), row in zip(found, ROWS, strict=True):
        assert (float(iou), float(score)) == (row["iou"], row["scores"][0]) and int(words) == len(row["phrase"].split())
        assert (right == "1") == (row["iou"] >= 0.5) and ROWS[int(index)] is row
        assert {axis: tuple(kinds) for axis, kinds in json.loads(groups).items()} == row["groups"]
        assert html.escape(row["phrase"]).replace("&quot;", "&#34;").replace("&#x27;", "&#39;") in text


def test_page_escapes_what_others_wrote_and_says_how_it_was_chosen(written):
    _, text = written
    assert "<script>document" not in text and "<b>bold" not in text and "<CLIP>" not in text and "&lt;CLIP&gt;" in text
    assert text.count("<script>") == 1 and text.count("</button></li>") == 0
    for said in ("demo on made up, test: 36 random examples", "seed 0", "36 phrases", "representative"):
        assert said in text


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
def opened(browser, written):
    """Opens the page in a browser of the given options; the page must neither complain nor ask for anything."""
    contexts, wrong = [], []

    def open_page(**options):
        contexts.append(browser.new_context(**options))
        page = contexts[-1].new_page()
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda message: wrong.append(message.text))
        page.on(
            "request", lambda request: None if request.url.startswith(("file:", "data:")) else wrong.append(request.url)
        )
        page.goto(written[0].as_uri())
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not wrong


@pytest.fixture
def page(opened):
    return opened(viewport={"width": 1000, "height": 800})


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
    assert page.title() == "demo on made up, test: 36 random examples"  # no phrase was executed
    phrases = [text[1:-1] for text in page.locator("#cards .phrase").all_text_contents()]
    assert phrases == [row["phrase"] for row in ROWS]
    assert page.evaluate("[...document.images].every(image => image.complete && image.naturalWidth === 480)")


@pytest.mark.parametrize("text", ["number 1", 'QUOTED"', "<b>", "nothing like it"])
def test_text_filters(page, text):
    page.fill("#text", text)
    expected = [row for row in ROWS if text.lower() in row["phrase"].lower()]
    assert shown(page) == expected
    assert page.text_content("#count") == f"{len(expected)} of 36 shown"
    assert page.is_visible("#none") == (not expected)
    page.click("#reset")
    assert shown(page) == ROWS and not page.is_visible("#reset")


def test_choices_filter_and_add_up(page):
    for selector, value, fits in [
        ("#right", "1", lambda row: row["iou"] >= 0.5),
        ("#right", "0", lambda row: row["iou"] < 0.5),
        ("[data-axis='box area']", "medium", lambda row: row["sent_id"] % 3 == 1),
        ("[data-axis='category']", 'cup\'s "<top>"', lambda row: row["sent_id"] % 4 != 0),
        ("[data-axis='subset']", "even", lambda row: row["sent_id"] % 2 == 0),
    ]:
        page.select_option(selector, value)
        expected = [row for row in ROWS if fits(row)]
        assert 0 < len(expected) < len(ROWS) and shown(page) == expected
        page.fill("#text", "number")
        assert shown(page) == [row for row in expected if "number" in row["phrase"]]
        page.click("#reset")


def test_order_changes(page):
    keys = {"iou": lambda row: row["iou"], "score": lambda row: row["scores"][0],
            "words": lambda row: len(row["phrase"].split())}  # fmt: skip
    for name, sign in itertools.product(keys, (1, -1)):
        page.select_option("#order", f"{name} {sign}")
        expected = sorted(ROWS, key=lambda row, key=keys[name], sign=sign: sign * key(row))
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
    # The browser tells the page of the closing a moment after it has closed.
    index = next(number for number, row in enumerate(ROWS) if row is expected[1])
    page.wait_for_function("index => document.activeElement.closest('li')?.dataset.index == index", arg=index)


@pytest.mark.parametrize("width", [320, 1000])
def test_nothing_sticks_out_to_the_side(opened, width):
    page = opened(viewport={"width": width, "height": 700})
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.locator("#cards button").first.click()
    assert page.evaluate("document.querySelector('dialog').getBoundingClientRect().right") <= width
