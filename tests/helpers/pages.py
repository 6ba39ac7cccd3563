"""The page in headless Chromium, driven by Selenium, without a network."""

import os
import shutil
from contextlib import contextmanager
from pathlib import Path

import pytest

__all__ = ["opened"]

NAMES = {"QSV_CHROMIUM": ("chromium", "chromium-browser", "google-chrome"), "QSV_CHROMEDRIVER": ("chromedriver",)}


def _program(variable: str) -> str:
    program = os.environ.get(variable) or next(filter(None, map(shutil.which, NAMES[variable])), None)
    if program is None:
        pytest.fail(f"none of {', '.join(NAMES[variable])} is on the path; install chromium and chromium-driver")
    return program


@contextmanager
def opened(page: Path, *, width: int = 1280, height: int = 900, dark: bool = False):
    """Open a page from disk and yield the browser; at the end its console must be empty."""
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = _program("QSV_CHROMIUM")
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(_program("QSV_CHROMEDRIVER")))
    try:
        # Without motion, because a clicked element may still be moving.
        preferences = {"prefers-color-scheme": "dark" if dark else "light", "prefers-reduced-motion": "reduce"}
        features = [{"name": name, "value": value} for name, value in preferences.items()]
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        # Without a network, so that any access to it is an error in the console.
        browser.execute_cdp_cmd("Network.enable", {})
        offline = {"offline": True, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
        browser.execute_cdp_cmd("Network.emulateNetworkConditions", offline)
        browser.get(page.as_uri())
        yield browser
        assert browser.get_log("browser") == []
    finally:
        browser.quit()
