"""One browser for all of these tests, and a page that must ask for nothing from outside."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from tests.support.browser import asked, chromium, jupyterlab, outside

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(scope="package")  # not of the session: while it is open, a test outside can run no event loop
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    page = browser.new_page()
    urls = asked(page)
    yield page
    page.close()
    assert not outside(urls)


@pytest.fixture(scope="module")
def lab(work: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A JupyterLab that shows a module's folder `work`, with a home of its own."""
    place = tmp_path_factory.mktemp("lab")
    with jupyterlab(place, work, TOOLKIT_HOME=str(place / "home"), PYTHONPATH=str(ROOT)) as address:
        yield address


@pytest.fixture(scope="module")
def lab_page(browser: Browser) -> Iterator[Page]:
    """One page for the notebooks of a module: to load JupyterLab takes longer than most of them."""
    page = browser.new_page()
    urls = asked(page)
    page.set_default_timeout(30_000)
    yield page
    page.close()
    assert not outside(urls)
