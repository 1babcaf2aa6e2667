"""A visitor's browser: the system's Chromium, headless."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright

# Seconds that a busy machine may take.
expect.set_options(timeout=20_000)


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """The system's Chromium; no browser is ever downloaded."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        pytest.fail("Browser tests need Chromium: on Debian, apt-get install chromium.")
    with sync_playwright() as playwright:
        # Containers run as root without user namespaces; these pages are our own.
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A fresh visitor. What the browser complains about, refused scripts and styles included, fails the test."""
    context = browser.new_context(viewport={"width": 1180, "height": 860}, locale="en-GB")
    page = context.new_page()
    complaints: list[str] = []

    def note(message: ConsoleMessage) -> None:
        # Chromium calls refusals errors: the payment page's 402 to a declined card, a shop's 409 and 429.
        address = message.location["url"]
        refusal = "/c/pay/" in address or "/c/frame/" in address or "429" in message.text or "409" in message.text
        if message.type == "error" and not refusal:
            complaints.append(message.text)

    page.on("console", note)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    yield page
    context.close()
    assert complaints == []


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = Path(os.environ.get("HOLDFAST_PICTURES", tmp_path))
    folder.mkdir(parents=True, exist_ok=True)
    return folder
