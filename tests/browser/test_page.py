"""Use of the page in a browser: by mouse and keys, wide and narrow, light and dark."""

import re
import shutil

import pytest
from run_files import replies, rows_of, write_run
from seen_runs import TASK, write_seen_run

pytestmark = pytest.mark.browser

pytest.importorskip("selenium", reason="tox -e browser has it")

from pages import opened  # noqa: E402 - Selenium is there only in its own environment
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402
from selenium.webdriver.support.ui import Select, WebDriverWait  # noqa: E402

from qsv_eval.leaderboard.publish import publish  # noqa: E402
from qsv_eval.leaderboard.write import make_leaderboard  # noqa: E402
from qsv_eval.model_adapters.engine.failure import ERROR_REPLY  # noqa: E402

NOTHING = "\N{EN DASH}"
OPEN = "qsv_activitynetqa"
"""A task whose answers are whole replies."""
LONG = "and then " * 120_000
HOSTILE = "</script><img src=x onerror='window.hurt=1'>**b**[l](javascript:window.hurt=1)\x1b[31m"


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    folder = tmp_path_factory.mktemp("board")
    with pytest.MonkeyPatch.context() as patch:
        (folder / "data").mkdir()
        patch.setenv("QSV_DATA", str(folder / "data"))
        patch.setenv("HF_HOME", str(folder / "hub"))
        for frames, right in ((4, 3), (8, 6), (16, 9)):
            said = ["right"] * right + ["other"] * 8 + [HOSTILE, LONG]
            write_seen_run(folder / "runs" / str(frames), said, frames)
        # A run without one reply has a score without a value.
        write_seen_run(folder / "runs" / "32", [ERROR_REPLY] * 9, 32, usage=False)
        write_run(folder / "runs" / "open", {OPEN: rows_of(OPEN, [HOSTILE, LONG], groups={"kind": ("object",)})})
        rows = rows_of("qsv_mvbench", replies(60, 0.6))
        write_run(folder / "runs" / "other", {"qsv_mvbench": rows}, model="org/other")
        output, runs = folder / "out", folder / "runs"
        publish(make_leaderboard([runs]), [runs], output, page=True, plots=True, samples_per_task=100)
    return output / "index.html"


@pytest.fixture
def browser(page):
    with opened(page) as found:
        yield found


def find(browser, selector):
    return browser.find_element(By.CSS_SELECTOR, selector)


def texts(browser, selector):
    return [one.text for one in browser.find_elements(By.CSS_SELECTOR, selector) if one.is_displayed()]


def wait(browser, condition):
    return WebDriverWait(browser, 10).until(lambda _: condition())


def press(browser, *keys):
    browser.switch_to.active_element.send_keys(*keys)


def numbers(browser, table, column):
    values = texts(browser, f"#{table} tbody tr > :nth-child({column}) .value")
    return [float(re.match(r"[\d.]+", text)[0]) for text in values if text != NOTHING]


def open_samples(browser, task=TASK):
    Select(find(browser, "#sample-task")).select_by_value(task)
    wait(browser, lambda: "samples" in find(browser, "#sample-count").text)
    wait(browser, lambda: texts(browser, "#sample-list li"))


def test_a_table_is_sorted_by_its_headings(browser):
    heading = find(browser, "#headline th:nth-child(3)")
    assert heading.text == TASK
    assert heading.get_attribute("aria-sort") == "none"
    for said, way in (("descending", True), ("ascending", False)):
        heading.find_element(By.TAG_NAME, "button").click()
        assert heading.get_attribute("aria-sort") == said
        found = numbers(browser, "headline", 3)
        assert len(found) == 3
        assert found == sorted(found, reverse=way)
        # What has no number stands last, whichever way: scores without a value as well as what was not measured.
        cells = [text.split("\n")[0] for text in texts(browser, "#headline tbody tr > :nth-child(3)")]
        assert cells.count(NOTHING) > 1
        assert NOTHING not in cells[:3]


def test_a_table_is_filtered(browser):
    everything = len(texts(browser, "#headline tbody tr"))
    find(browser, '[data-filter="headline"]').send_keys("max_frames=8")
    assert len(texts(browser, "#headline tbody tr")) == 1
    assert find(browser, '[data-count="headline"]').text == f"1 of {everything} rows"
    press(browser, Keys.ESCAPE)
    assert len(texts(browser, "#headline tbody tr")) == everything
    find(browser, '[data-hide="headline"]').click()
    assert len(texts(browser, "#headline tbody tr")) == 6


def test_a_score_opens_with_all_that_stands_behind_it(browser):
    find(browser, "#headline tbody tr:nth-child(2) [data-score]").click()
    body = find(browser, "#score-view .body")
    assert "8 wrong" in body.text
    assert "frames really used" in body.text
    wait(browser, lambda: "answers.frame_rule.max_frames" in body.text)
    body.find_element(By.XPATH, ".//button[text()='Browse its samples']").click()
    assert not find(browser, "#score-view").is_displayed()
    wait(browser, lambda: texts(browser, "#sample-list li"))


def test_groups_and_plots_follow_their_selects(browser):
    wait(browser, lambda: texts(browser, "#group-table tbody tr"))
    Select(find(browser, "#group-choice")).select_by_visible_text(f"{TASK}: task_type")
    wait(browser, lambda: "direction" in texts(browser, "#group-table thead button"))
    Select(find(browser, "#plot-choice")).select_by_visible_text(TASK)
    for image in browser.find_elements(By.CSS_SELECTOR, "#plot-figures img"):
        browser.execute_script("arguments[0].scrollIntoView()", image)
        wait(browser, lambda image=image: image.get_property("naturalWidth") > 0)


def test_a_sample_shows_frames_cubes_and_what_was_said(browser):
    open_samples(browser)
    find(browser, "#sample-list li").click()
    view = find(browser, "#sample-view")
    wait(browser, lambda: len(view.find_elements(By.CSS_SELECTOR, ".film img")) == 4)
    assert view.find_element(By.CSS_SELECTOR, ".film img").get_property("naturalWidth") == 160
    assert len(view.find_elements(By.CSS_SELECTOR, ".timeline i")) == 1
    assert view.find_element(By.CSS_SELECTOR, ".outcome").text == "wrong"
    assert view.find_element(By.CSS_SELECTOR, ".options .taken").text.endswith("read from the reply")


def test_samples_are_filtered_and_searched(browser):
    open_samples(browser)
    Select(find(browser, "#sample-outcome")).select_by_value("unparsed")
    assert len(texts(browser, "#sample-list li")) == 2
    find(browser, "#sample-search").send_keys("ONERROR script")
    assert len(texts(browser, "#sample-list li")) == 1
    find(browser, "#sample-search").clear()
    Select(find(browser, "#sample-outcome")).select_by_value("")
    Select(find(browser, "#sample-group")).select_by_visible_text("task_type: first")
    assert 0 < len(texts(browser, "#sample-list li")) < 13


def test_browsing_a_scores_samples_begins_with_all_of_them(browser):
    """What was filtered in another run's samples hides none of them."""
    open_samples(browser)
    Select(find(browser, "#sample-outcome")).select_by_value("unparsed")
    find(browser, "#sample-search").send_keys("script")
    find(browser, "#headline tbody tr:nth-child(2) [data-score]").click()
    find(browser, "#score-view .body").find_element(By.XPATH, ".//button[text()='Browse its samples']").click()
    wait(browser, lambda: re.match(r"(\d+) of \1 samples", find(browser, "#sample-count").text))
    assert find(browser, "#sample-search").get_property("value") == ""


def test_times_are_minutes_and_whole_seconds(browser):
    """The reference's frames are in the middle of seconds; 1:60 is no time."""
    said = browser.execute_script("return [0.5, 59.94, 60, 119.5, 3599.5].map(clock)")
    assert said == ["0.5 s", "59.9 s", "1:00", "1:59", "59:59"]


def test_keys_alone_are_enough(browser):
    browser.execute_script("document.getElementById('samples').scrollIntoView({behavior: 'instant'})")
    open_samples(browser)
    browser.execute_script("document.activeElement.blur()")
    press(browser, "/")
    assert browser.switch_to.active_element.get_attribute("id") == "sample-search"
    press(browser, Keys.ENTER, Keys.ARROW_DOWN, Keys.ARROW_DOWN, Keys.ARROW_UP)
    assert find(browser, "#sample-list").get_attribute("aria-activedescendant") == "sample-1"
    press(browser, Keys.ENTER)
    first = find(browser, "#sample-view-title").text
    press(browser, Keys.ARROW_RIGHT)
    assert find(browser, "#sample-view-title").text != first
    press(browser, Keys.ARROW_LEFT)
    assert find(browser, "#sample-view-title").text == first
    press(browser, Keys.ESCAPE)
    assert not find(browser, "#sample-view").is_displayed()
    assert browser.switch_to.active_element.get_attribute("id") == "sample-list"


def test_arrows_go_through_a_table(browser):
    first = find(browser, "#headline tbody tr:nth-child(2) [data-score]")
    browser.execute_script("arguments[0].focus()", first)
    press(browser, Keys.ARROW_DOWN)
    second = find(browser, "#headline tbody tr:nth-child(3) [data-score]")
    assert browser.switch_to.active_element == second
    press(browser, Keys.ENTER)
    assert find(browser, "#score-view").is_displayed()


def test_hostile_and_endless_replies_stay_text(browser):
    open_samples(browser)
    Select(find(browser, "#sample-outcome")).select_by_value("unparsed")
    items = browser.find_elements(By.CSS_SELECTOR, "#sample-list li")
    items[0].click()
    reply = find(browser, "#sample-view .reply")
    assert reply.text == HOSTILE.replace("\x1b", "\\x1b")
    press(browser, Keys.ARROW_RIGHT)
    reply = find(browser, "#sample-view .reply")
    assert len(reply.get_property("textContent")) < 2_000
    button = find(browser, "#sample-view .reply + button")
    # The task strips replies.
    assert button.text == f"Show all {len(LONG):,} characters"
    button.click()
    wait(browser, lambda: len(reply.get_property("textContent")) == len(LONG))
    assert browser.execute_script("return window.hurt") is None


def test_hostile_and_endless_open_answers_stay_text(browser):
    open_samples(browser, OPEN)
    find(browser, "#sample-list li").click()
    body = find(browser, "#sample-view .body")
    read = body.find_element(By.XPATH, ".//dt[text()='read from the reply']/following-sibling::dd")
    # Emphasis is none of what is read.
    assert read.text == HOSTILE.replace("\x1b", "\\x1b").replace("**", "")
    press(browser, Keys.ARROW_RIGHT)
    read = body.find_element(By.XPATH, ".//dt[text()='read from the reply']/following-sibling::dd")
    assert len(read.find_element(By.TAG_NAME, "pre").get_property("textContent")) < 2_000
    assert read.find_element(By.TAG_NAME, "button").text.startswith("Show all")
    assert browser.execute_script("return window.hurt") is None


HOLD = """
const real = window.load;
window.held = [];
window.load = async (key) => {
  if (key === arguments[0]) await new Promise((go, fail) => window.held.push({ go, fail }));
  return real(key);
};
"""
"""Holds up the loading of a side file until a test lets it go on or fail."""


def shelf_of(browser, run):
    return browser.execute_script("return page.scores[Number(arguments[0])].shelf.key", run)


def two_runs(browser):
    return [option.get_attribute("value") for option in Select(find(browser, "#sample-run")).options][:2]


def test_samples_that_cannot_be_loaded_leave_nothing_of_another_run(browser):
    open_samples(browser)
    one, other = two_runs(browser)
    browser.execute_script(HOLD, shelf_of(browser, other))
    Select(find(browser, "#sample-run")).select_by_value(other)
    assert texts(browser, "#sample-list li") == []
    find(browser, "#sample-search").send_keys("what")
    assert find(browser, "#sample-count").text == "Loading…"
    browser.execute_script("held[0].fail(new Error('it is gone'))")
    wait(browser, lambda: find(browser, "#sample-count").text == "it is gone")
    browser.execute_script("openSample()")
    assert not find(browser, "#sample-view").is_displayed()
    find(browser, "#sample-search").clear()
    Select(find(browser, "#sample-run")).select_by_value(one)
    wait(browser, lambda: texts(browser, "#sample-list li"))


def test_a_failure_that_comes_too_late_is_no_longer_said(browser):
    open_samples(browser)
    one, other = two_runs(browser)
    browser.execute_script(HOLD, shelf_of(browser, other))
    Select(find(browser, "#sample-run")).select_by_value(other)
    Select(find(browser, "#sample-run")).select_by_value(one)
    wait(browser, lambda: texts(browser, "#sample-list li"))
    said = find(browser, "#sample-count").text
    browser.execute_async_script("held[0].fail(new Error('it is gone')); setTimeout(arguments[0], 50)")
    assert find(browser, "#sample-count").text == said
    assert texts(browser, "#sample-list li")


def test_groups_that_come_too_late_do_not_sort_twice(browser):
    wait(browser, lambda: texts(browser, "#group-table tbody tr"))
    choice = Select(find(browser, "#group-choice"))
    one, other = [option.get_attribute("value") for option in choice.options][:2]
    browser.execute_script(HOLD, other)
    choice.select_by_value(other)
    choice.select_by_value(one)
    browser.execute_async_script("held[0].go(); setTimeout(arguments[0], 50)")
    heading = find(browser, "#group-table th:nth-child(2)")
    heading.find_element(By.TAG_NAME, "button").click()
    assert heading.get_attribute("aria-sort") == "descending"


def test_a_side_file_without_its_data_is_named(page, tmp_path):
    shutil.copytree(page.parent, tmp_path / "copy")
    [file] = (tmp_path / "copy" / "page" / "samples").glob(f"{OPEN}*.js")
    file.write_text("")
    with opened(tmp_path / "copy" / page.name) as browser:
        Select(find(browser, "#sample-task")).select_by_value(OPEN)
        said = f"page/samples/{file.name} is damaged: make the page again"
        wait(browser, lambda: find(browser, "#sample-count").text == said)
        assert texts(browser, "#sample-list li") == []


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_it_fits_and_can_be_read(page, width, dark):
    with opened(page, width=width, height=800, dark=dark) as browser:
        open_samples(browser)
        assert browser.execute_script("return document.documentElement.scrollWidth") <= width
        find(browser, "#sample-list li").click()
        assert find(browser, "#sample-view").rect["width"] <= width
        ink, ground = browser.execute_script(
            "const s = getComputedStyle(document.body); return [s.color, s.backgroundColor]"
        )
        assert (_lightness(ground) < 60) == dark
        assert abs(_lightness(ink) - _lightness(ground)) > 150


def _lightness(colour):
    parts = colour.partition("(")[2].rstrip(")").split(",")[:3]
    return sum(float(part) for part in parts) / 3


def test_every_control_has_a_name_and_every_heading_says_how_it_is_sorted(browser):
    nameless = browser.execute_script(
        "return [...document.querySelectorAll('button, input, select, [role], img')].filter(e =>"
        " !(e.getAttribute('aria-label') || e.textContent.trim() || e.labels?.length || e.alt)).map(e => e.outerHTML)"
    )
    # The list of samples is named, and filled when it is wanted.
    assert nameless == []
    assert not browser.find_elements(By.CSS_SELECTOR, "thead th:not([aria-sort])")
