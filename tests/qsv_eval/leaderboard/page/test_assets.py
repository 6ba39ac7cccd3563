"""Colours of the page have a contrast of at least 4.5 to 1 (WCAG 2.2, AA), in light and dark mode."""

import re
from importlib.resources import files

import pytest

CSS = (files("qsv_eval.leaderboard.page") / "assets" / "page.css").read_text("utf-8")
BLOCKS = re.findall(r":root \{(.*?)\}", CSS, re.DOTALL)
DAY, NIGHT = (dict(re.findall(r"--([\w-]+): (#\w+)", block)) for block in BLOCKS)


def luminance(colour):
    digits = colour.lstrip("#")
    digits = "".join(2 * digit for digit in digits) if len(digits) == 3 else digits
    parts = [int(digits[place : place + 2], 16) / 255 for place in (0, 2, 4)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one, other):
    darker, lighter = sorted(map(luminance, (one, other)))
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("colours", [DAY, NIGHT], ids=["day", "night"])
@pytest.mark.parametrize("ink", ["ink", "soft", "faint", "accent", "unparsed"])
@pytest.mark.parametrize("ground", ["ground", "hover"])
def test_what_is_written_can_be_read(colours, ink, ground):
    assert contrast(colours[ink], colours[ground]) >= 4.5


def test_contrast_is_that_of_the_standard():
    assert contrast("#000", "#ffffff") == pytest.approx(21)
    assert contrast("#767676", "#fff") == pytest.approx(4.54, abs=0.01)
