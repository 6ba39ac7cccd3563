"""The page holds everything, opens without a network, and shows every text as text."""

import json
import re
from html.parser import HTMLParser

import pytest
from run_files import replies, rows_of, write_foreign, write_run
from seen_runs import TASK, write_seen_run

from qsv_eval.leaderboard.publish import publish
from qsv_eval.leaderboard.write import make_leaderboard
from qsv_eval.model_adapters.engine.failure import ERROR_REPLY

HOSTILE = [
    "<img src=x onerror=alert(1)>",
    "</script><script>alert(2)</script>",
    "<!--<script>",
    "**bold** [link](javascript:alert(3)) `code`",
    "\x1b[31mred\x1b[0m \u202eback\u2028line",
    "{{ 7 * 7 }} {% raw %}",
    "half of a pair: \ud800",
]


class Page(HTMLParser):
    """What a browser would see in the page: tags, addresses, and the texts of script elements."""

    def __init__(self, path):
        super().__init__()
        self.tags, self.addresses, self.scripts, self.text, self._in_script = [], [], [], [], False
        self.source = path.read_text("utf-8")
        self.feed(self.source)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.addresses += [value for name, value in attrs if name in ("src", "href", "action", "data")]
        self._in_script = tag == "script"

    def handle_endtag(self, tag):
        self._in_script = self._in_script and tag != "script"

    def handle_data(self, text):
        (self.scripts if self._in_script else self.text).append(text)

    @property
    def data(self):
        return json.loads(self.scripts[0])


def side_file(folder, key):
    text = (folder / "page" / f"{key}.js").read_text("utf-8")
    start = f"qsvData[{json.dumps(key)}] = "
    assert text.startswith(start)
    assert not re.search("[<>&\u2028\u2029]", text)
    return json.loads(text.removeprefix(start).rstrip().removesuffix(";"))


def published(folder, output, *, plots=False, samples=100):
    publish(make_leaderboard([folder]), [folder], output, page=True, plots=plots, samples_per_task=samples)
    return Page(output / "index.html")


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("QSV_DATA", str(tmp_path_factory.mktemp("data")))
        patch.setenv("HF_HOME", str(tmp_path_factory.mktemp("hub")))
        said = ["right"] * 5 + ["other"] * 4 + ["hm", "", ERROR_REPLY]
        write_seen_run(folder / "seen", said, 8)
        write_run(folder / "mc", {"qsv_mvbench": rows_of("qsv_mvbench", replies(30, 0.5))})
        write_foreign(folder / "foreign")
        yield folder


def test_each_score_has_everything_behind_it(runs, tmp_path):
    page = published(runs, tmp_path)
    measured = [score for score in page.data["scores"] if score["kind"] != "published"]
    assert [score["task"] for score in measured] == [TASK, "qsv_mvbench", "videomme"]
    demo = measured[0]
    assert demo["outcomes"] == {"correct": 5, "wrong": 4, "unparsed": 1, "empty": 1, "error": 1, "unscored": 0}
    assert demo["n"] == 12
    assert (demo["usage"]["frames"], demo["usage"]["p5"], demo["usage"]["tokens_per_frame"]) == (8, 8, 16)
    assert measured[1]["usage"] is None
    protocols = side_file(tmp_path, "protocols/all")
    assert {score["protocol"] for score in measured} == set(protocols)
    shown = " ".join(page.text)
    assert demo["value_text"] in shown
    assert f"{demo['low_text']} to {demo['high_text']}" in shown


def test_published_numbers_stand_beside_measured_benchmarks_only(runs, tmp_path):
    tasks = {score["task"] for score in published(runs, tmp_path).data["scores"] if score["kind"] == "published"}
    assert tasks == {"qsv_mvbench"}


def test_groups_are_in_side_files(runs, tmp_path):
    page = published(runs, tmp_path)
    keys = [
        attrs["value"] for tag, attrs in page.tags if tag == "option" and attrs.get("value", "").startswith("groups/")
    ]
    tables = [side_file(tmp_path, key) for key in keys]
    assert any(table["columns"] == ["action_antonym", "scene_transition", "state_change"] for table in tables)
    assert all(len(row["cells"]) == len(table["columns"]) for table in tables for row in table["rows"])


def test_plots_are_named_beside_the_page(runs, tmp_path):
    page = published(runs, tmp_path, plots=True)
    assert page.data["plots"]
    assert all((tmp_path / plot[kind]).is_file() for plot in page.data["plots"] for kind in ("svg", "png"))
    assert 'id="plots"' in page.source
    assert 'id="plots"' not in published(runs, tmp_path / "without").source


def test_nothing_is_loaded_from_elsewhere(runs, tmp_path):
    page = published(runs, tmp_path, plots=True)
    assert all(address.startswith(("#", "data:,")) for address in page.addresses)
    [policy] = [attrs["content"] for tag, attrs in page.tags if "Content-Security-Policy" in attrs.values()]
    assert policy.startswith("default-src 'none'; script-src 'self' file: 'sha256-")
    assert "innerHTML" not in page.source
    assert [tag for tag, _ in page.tags].count("script") == 2


def test_hostile_texts_stay_text(tmp_path):
    groups = {"subtask": tuple(HOSTILE)}
    rows = rows_of("qsv_mvbench", HOSTILE * 2, groups=groups, question=HOSTILE[1])
    write_run(tmp_path / "run", {"qsv_mvbench": rows}, model=f"org/{HOSTILE[1]}", answers={"x": HOSTILE[0]})
    write_run(tmp_path / "other", {"qsv_mvbench": rows}, model="org/{{ 7 * 7 }}<b>", answers={"x": HOSTILE[2]})
    page = published(tmp_path, tmp_path / "out", plots=True)
    assert [tag for tag, _ in page.tags].count("script") == 2
    # The legend has one of its own.
    assert ([tag for tag, _ in page.tags].count("b"), "img" in {tag for tag, _ in page.tags}) == (1, False)
    assert not any(name.startswith("on") for _, attrs in page.tags for name in attrs)
    assert "{{ 7 * 7 }}<b>" in " ".join(page.text)
    shelf = next(score["shelf"] for score in page.data["scores"] if score["shelf"])
    samples = side_file(tmp_path / "out", shelf["key"])["samples"]
    said = {sample["reply"] for sample in samples}
    assert {HOSTILE[0], HOSTILE[1], HOSTILE[3]} <= said
    assert r"\x1b[31mred\x1b[0m \u202eback\u2028line" in said
    assert all(sample["question"] == HOSTILE[1] for sample in samples)


@pytest.mark.parametrize("task", ["qsv_activitynetqa", "qsv_textvqa"], ids=["judged", "short"])
def test_hostile_and_endless_open_answers_stay_text(tmp_path, task):
    endless = "\x1b[31m\u202eand then " * 20_000
    rows = rows_of(task, [*HOSTILE, endless], groups={"kind": ("object",)})
    verdicts = {f"{HOSTILE[0]}{HOSTILE[4]}": 4.0}
    write_run(tmp_path / "run", {task: [{**row, "verdicts": verdicts} for row in rows]}, answers={"x": HOSTILE[4]})
    page = published(tmp_path, tmp_path / "out")
    [shelf] = [score["shelf"] for score in page.data["scores"] if score["shelf"]]
    samples = side_file(tmp_path / "out", shelf["key"])["samples"]
    assert len(samples) == len(rows)
    read = [sample.get("extracted") for sample in samples]
    assert {text for text in read if isinstance(text, str)} >= {
        HOSTILE[0],
        HOSTILE[1],
        r"\x1b[31mred\x1b[0m \u202eback line",
        r"half of a pair: \ud800",
    }
    assert [text["characters"] > 200_000 for text in read if isinstance(text, dict)] == [True]
    assert (tmp_path / "out" / "page" / f"{shelf['key']}.js").stat().st_size < 20_000
    for file in (tmp_path / "out").rglob("*.*"):
        assert file.is_dir() or not set(file.read_text("utf-8")) & {"\x1b", "\u202e", "\u2028"}, file


def test_what_the_font_of_a_number_says_is_said_in_words_too(tmp_path):
    for frames, right in ((4, 0.5), (8, 0.55), (16, 0.1)):
        rows = {"qsv_mvbench": rows_of("qsv_mvbench", replies(90, right))}
        write_run(tmp_path / "runs" / str(frames), rows, answers={"frame_rule": {"max_frames": frames}})
    page = published(tmp_path / "runs", tmp_path / "out")
    said = re.findall(r'class="unseen"> (.*?) <', page.source)
    assert said == ["second best, not significantly different from the best", "best"]
    [key] = [attrs["value"] for tag, attrs in page.tags if tag == "option" and "value" in attrs and attrs["value"]]
    rows = side_file(tmp_path / "out", key)["rows"]
    assert {cell["said"] for row in rows for cell in row["cells"] if cell and cell["mark"] == "best"} == {"best"}


def test_a_score_without_a_value_is_sorted_as_none(tmp_path):
    write_run(tmp_path / "run", {"qsv_mvbench": rows_of("qsv_mvbench", [ERROR_REPLY] * 3)})
    page = published(tmp_path, tmp_path / "out")
    [score] = [one for one in page.data["scores"] if one["kind"] != "published"]
    assert score["value"] is None
    number = page.data["scores"].index(score)
    assert re.findall(rf'data-v="([^"]*)"><button[^>]* data-score="{number}"', page.source) == [""]


def test_the_same_runs_give_the_same_bytes_and_leave_nothing_of_another_page(runs, tmp_path):
    published(runs, tmp_path / "one")
    published(runs / "mc", tmp_path / "two")
    published(runs, tmp_path / "two")
    files = [
        sorted(path.relative_to(place) for path in place.rglob("*.*")) for place in (tmp_path / "one", tmp_path / "two")
    ]
    assert files[0] == files[1]
    for file in files[0]:
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes(), file


def test_a_page_without_samples_says_so(runs, tmp_path):
    page = published(runs, tmp_path, samples=0)
    assert "the limit is 0" in " ".join(page.text)
    assert not (tmp_path / "page" / "samples").exists()


def test_a_damaged_samples_file_costs_only_its_samples(tmp_path):
    write_run(tmp_path / "run", {"qsv_mvbench": rows_of("qsv_mvbench", replies(3, 0.5))})
    [file] = (tmp_path / "run").glob("*_samples_*")
    file.write_text("no sample\n")
    [score] = [one for one in published(tmp_path, tmp_path / "out").data["scores"] if one["kind"] == "official"]
    assert score["shelf"]["key"] == ""
    assert score["shelf"]["why"].startswith(f"{file.name}:1: not a sample")


def test_a_page_of_many_runs_stays_small(tmp_path):
    rows = {task: rows_of(task, replies(9, 0.5)) for task in ("qsv_videomme", "qsv_mvbench")}
    for number in range(50):
        answers = {"frame_rule": {"max_frames": number}}
        write_run(tmp_path / "runs" / f"{number}", rows, model=f"org/model-{number % 10}", answers=answers)
    page = published(tmp_path / "runs", tmp_path / "out")
    # A tenth of the 500 scores that the limit of 3 MB is for.
    assert len(page.source) < 0.6e6
