"""Plots draw known scores, name those left out, and are the same bytes each time."""

import matplotlib
import pytest
from run_files import replies, rows_of, write_foreign, write_run
from seen_runs import TASK, write_seen_run

from qsv_eval.leaderboard.plots.curves import against_frames, against_tokens, cost_breakdown, group_bars
from qsv_eval.leaderboard.plots.draw import drawings_of, write_plots
from qsv_eval.leaderboard.plots.points import Point, points_of
from qsv_eval.leaderboard.plots.scaling import power_law
from qsv_eval.leaderboard.publish import publish
from qsv_eval.leaderboard.records import PARTS, TaskCost
from qsv_eval.leaderboard.write import make_leaderboard
from qsv_eval.model_adapters.engine.failure import ERROR_REPLY
from qsv_eval.model_adapters.errors import SetupError


def point(frames, value, *, model="m", **more):
    usage = None
    if frames is not None:
        seconds = dict.fromkeys(PARTS, frames / 100)
        usage = TaskCost(9, frames, frames / 2, 2 * frames, 3, 16 * frames, 16 * frames + 50, 16, 0.2, seconds)
    interval = {} if value is None else {"low": value - 2, "high": value + 2}
    fixed = {"model": model, "setting": f"max_frames={frames}", "scale": "percent", "value": value, "low": None}
    fixed |= {"high": None, "is_complete": True, "is_degraded": False, "usage": usage}
    return Point(**fixed | interval | more)


def legend_of(figure):
    return [text.get_text() for legend in figure.legends for text in legend.get_texts()]


def texts(figure):
    said = [axes.get_xlabel() + axes.get_ylabel() + axes.get_title() for axes in figure.axes] + legend_of(figure)
    return " ".join(" ".join(said).split())


def drawn(axes):
    """Return the points of the lines of an axes."""
    return [list(zip(*line.get_data(), strict=True)) for line in axes.lines]


CURVE = [point(8, 40.0), point(64, 50.0), point(16, 44.0)]


def test_scores_and_cost_against_frames_really_used():
    figure = against_frames("t", [*CURVE, point(32, 30.0, model="other")])
    above, below = figure.axes
    assert drawn(above) == [[(8, 40.0), (16, 44.0), (64, 50.0)], [(32, 30.0)]]
    assert [y for _, y in drawn(below)[0]] == [178, 306, 1074]
    assert legend_of(figure) == ["m", "other"]


def test_what_differs_in_more_than_frames_is_another_line():
    points = [
        point(frames, value, setting=f"cubing={cubing}, max_frames={frames}")
        for cubing, value in (("learned", 50.0), ("equal", 40.0))
        for frames in (8, 16)
    ]
    assert legend_of(against_frames("t", points)) == ["m · cubing=learned", "m · cubing=equal"]
    rates = [point(frames, 50.0, setting=f"answers.frame_rule.fps={frames}") for frames in (1, 2, 4)]
    assert legend_of(against_frames("t", rates)) == ["m"]


def test_scores_against_tokens():
    [axes] = against_tokens("t", CURVE).axes
    assert drawn(axes) == [[(128, 40.0), (256, 44.0), (1024, 50.0)]]


@pytest.mark.parametrize("plot", [against_frames, against_tokens, power_law])
def test_what_is_not_known_is_left_out_and_named(plot):
    unknown = point(None, 70.0, model="unknown")
    figure = plot("t", [*CURVE, unknown, point(128, None, model="unscored")])
    said = texts(figure)
    assert "left out, frames really used are not known: unknown" in said
    assert "left out, no score: unscored" in said
    assert all(y < 60 for line in drawn(figure.axes[0]) for _, y in line)
    assert plot("t", [unknown]) is None


def test_the_power_law_says_its_exponent_and_which_models_are_too_short():
    figure = power_law("t", [*CURVE, point(8, 10.0, model="short")])
    assert "b = 0.10" in texts(figure)
    assert "not fitted, fewer than 3 numbers of frames: short" in texts(figure)
    assert power_law("t", CURVE[:2]) is None


def test_points_at_the_same_frames_are_one_measurement():
    """Above the length of the videos a limit changes nothing, and the same answers are counted once."""
    again = [point(frames, 50.0, setting=f"max_frames={limit}") for limit, frames in ((128, 64.5), (420, 65.0))]
    figure = power_law("t", [*CURVE, *again])
    [alone] = legend_of(power_law("t", CURVE))
    assert legend_of(figure) == [alone]
    said = texts(figure)
    assert "almost the same frames as another point: m · max_frames=128, m · max_frames=420" in said


INCOMPLETE = point(32, 20.0, is_complete=False)
DEGRADED = point(128, 90.0, is_degraded=True)


@pytest.mark.parametrize("plot", [against_frames, against_tokens])
def test_a_score_that_may_yet_change_is_hollow_and_named(plot):
    figure = plot("t", [*CURVE, INCOMPLETE, DEGRADED])
    line, hollow = figure.axes[0].lines
    assert len(line.get_xdata()) == 5
    assert (hollow.get_markerfacecolor(), list(hollow.get_ydata())) == ("white", [20.0, 90.0])
    assert "hollow, some questions have no score: m · max_frames=32" in texts(figure)
    assert "hollow, some answers use fewer frames because memory ran out: m · max_frames=128" in texts(figure)
    assert "hollow" not in texts(plot("t", CURVE))


def test_no_power_law_goes_through_a_score_that_may_yet_change():
    figure = power_law("t", [*CURVE, INCOMPLETE, DEGRADED])
    [alone] = legend_of(power_law("t", CURVE))
    assert legend_of(figure) == [alone]
    assert "left out, some questions have no score: m · max_frames=32" in texts(figure)
    assert "left out, some answers use fewer frames because memory ran out: m · max_frames=128" in texts(figure)
    assert power_law("t", [*CURVE[:2], INCOMPLETE]) is None


def test_what_is_incomplete_or_degraded_is_known_of_a_point(tmp_path):
    write_run(tmp_path / "a", {"qsv_mvbench": rows_of("qsv_mvbench", ["C", "A", ERROR_REPLY])}, model="a")
    degraded = {"qsv_mvbench": 1}
    write_run(tmp_path / "b", {"qsv_mvbench": rows_of("qsv_mvbench", ["C", "A"])}, model="b", degraded=degraded)
    write_run(tmp_path / "c", {"qsv_mvbench": rows_of("qsv_mvbench", ["C", "A"])}, model="c")
    points = points_of(make_leaderboard([tmp_path]).measured.scores, {})["qsv_mvbench"]
    assert [(point.is_complete, point.is_degraded) for point in points] == [(False, False), (True, True), (True, False)]


def test_parts_of_the_cost_add_up():
    [axes] = cost_breakdown("t", CURVE).axes
    stacked = [bar for bar in axes.patches if bar.get_height() == 0.5]
    assert max(bar.get_x() + bar.get_width() for bar in stacked) == pytest.approx(3.2)
    assert len(axes.get_yticklabels()) == 3


def test_groups_as_bars(tmp_path):
    write_run(tmp_path, {"qsv_mvbench": rows_of("qsv_mvbench", replies(30, 0.5))})
    scores = make_leaderboard([tmp_path]).measured.scores
    part = scores[scores["field"] == "subtask"]
    [axes] = group_bars("qsv_mvbench", "subtask", part).axes
    assert sorted(bar.get_width() for bar in axes.patches) == sorted(part["value"])
    assert {label.get_text() for label in axes.get_yticklabels()} == set(part["group"])
    assert group_bars("t", "x", part[part["value"].isna()]) is None


def test_a_bar_of_a_group_with_questions_without_a_score_is_hatched(tmp_path):
    said = replies(30, 0.5)
    write_run(tmp_path, {"qsv_mvbench": rows_of("qsv_mvbench", [ERROR_REPLY, *said[1:]])})
    scores = make_leaderboard([tmp_path]).measured.scores
    part = scores[scores["field"] == "subtask"]
    [unsure] = part[part["complete"] == False]["group"]  # noqa: E712 - a frame's column
    figure = group_bars("qsv_mvbench", "subtask", part)
    [axes] = figure.axes
    places = {label.get_text(): place for place, label in zip(axes.get_yticks(), axes.get_yticklabels(), strict=True)}
    [hatched] = [bar for bar in axes.patches if bar.get_hatch()]
    assert hatched.get_y() < places[unsure] < hatched.get_y() + hatched.get_height()
    assert "hatched, some questions have no score: 1 bar" in texts(figure)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    for frames in (4, 8, 16):
        write_seen_run(folder / str(frames), ["right"] * frames + ["other"] * 14, frames)
    write_seen_run(folder / "unknown", ["right", "other"] * 5, model="org/$other_$\\x", usage=False)
    write_foreign(folder / "foreign")
    return folder


def test_the_same_runs_give_the_same_bytes(tmp_path, runs):
    made = make_leaderboard([runs])
    options = {"page": False, "plots": True, "samples_per_task": 0}
    files = publish(made, [runs], tmp_path / "one", **options)
    names = {file.name for file in files}
    assert {f"{TASK}-{kind}.svg" for kind in ("frames", "tokens", "power-law", "cost", "by-duration")} <= names
    with matplotlib.rc_context({"svg.hashsalt": None, "font.size": 20, "text.usetex": False}):
        publish(made, [runs], tmp_path / "two", **options)
    written = sorted(path.relative_to(tmp_path / "one") for path in (tmp_path / "one").rglob("*.*"))
    assert {path.suffix for path in written} == {".svg", ".png"}
    for path in written:
        assert (tmp_path / "one" / path).read_bytes() == (tmp_path / "two" / path).read_bytes(), path
    assert b"dc:date" not in (tmp_path / "one" / "plots" / f"{TASK}-frames.svg").read_bytes()


def test_a_folder_that_cannot_be_written_to(tmp_path):
    (tmp_path / "file").write_text("")
    scores = make_leaderboard([write_foreign(tmp_path / "run")]).measured.scores
    with pytest.raises(SetupError, match="name another --output"):
        write_plots(drawings_of({}, scores, tmp_path / "file"), tmp_path / "file")
