"""A real browser for tests and screenshots: Chromium, wherever it is installed."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

# The browser's own errands would look like the page's.
OPTIONS = ["--no-sandbox", "--headless", "--disable-gpu", "--disable-background-networking",
           "--disable-component-update", "--disable-sync"]  # fmt: skip
MISSING = "there is no Chromium: install your system's chromium package, or run playwright install chromium"


@contextmanager
def chromium() -> Iterator[Browser | None]:
    """A running browser; None where there is none."""
    with sync_playwright() as playwright:
        own = playwright.chromium.executable_path
        found = shutil.which("chromium") or (own if Path(own).is_file() else None)
        if found is None:
            yield None
            return
        browser = playwright.chromium.launch(executable_path=found, args=OPTIONS)
        yield browser
        browser.close()
