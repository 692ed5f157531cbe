"""Pictures of the web page for its documentation: `python -m benchmarks.screenshots`, with the shipped decoder."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image
from playwright.sync_api import Page, expect

from benchmarks.chromium import MISSING, chromium
from benchmarks.measuring import run
from grounding.runtime.errors import InputError
from grounding.webapp.serving import ServeConfig, launch

WIDTH, HEIGHT = 1400, 1000
COLOURS = 256  # of a palette, which makes the files less than half as large


def main(output: Path = Path("docs/images")) -> None:
    """Serve the page, use it as a user would, and write what the browser shows.

    Args:
        output: folder for page.png and page_error.png.
    """
    config = ServeConfig("refshapes", port=0, device="cpu")
    with TemporaryDirectory() as folder, chromium() as browser:
        if browser is None:
            raise InputError(MISSING)
        served, url = launch(config, Path(folder))
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        page.goto(url)
        page.locator("#examples .thumbnail-item").nth(1).click()
        answered(page, "box")
        page.locator("#phrases textarea").fill("the heart\nthe turquoise moon\nthe red circle")
        page.locator("#ask").click()
        answered(page, 'Probably not there: "the red circle"')
        save(page, output / "page.png")
        broken = Path(folder) / "holiday.jpg"
        broken.write_bytes(b"this is no picture")
        page.locator("#upload input[type=file]").set_input_files(broken)
        answered(page, "cannot be read")
        save(page, output / "page_error.png")
        served.close(verbose=False)


def answered(page: Page, words: str) -> None:
    """Wait until the line of status says so."""
    expect(page.locator("#status .status")).to_contain_text(words, timeout=60_000)


def save(page: Page, path: Path) -> None:
    """Write what is shown, once nothing moves any more."""
    page.mouse.move(0, 0)
    page.wait_for_timeout(1500)
    path.parent.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=path, full_page=True)
    palette = Image.open(path).convert("RGB").quantize(COLOURS, kmeans=3, dither=Image.Dither.NONE)
    palette.save(path, optimize=True)


if __name__ == "__main__":
    run(main)
