import pytest

from qsv_eval.model_adapters.errors import SetupError
from qsv_eval.model_adapters.model_args import ModelArgs
from qsv_eval.sweep import forecast as forecasting
from qsv_eval.sweep.forecast import forecast_sweep, print_forecast
from qsv_eval.sweep.grid import Grid


@pytest.fixture(scope="module", autouse=True)
def clip_cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


def planned(tiny, **axes):
    grid = Grid.of({"tasks": ["demo"], "checkpoints": [str(tiny)], **axes})
    return forecast_sweep(grid, {"device": "cpu", "dtype": "float32"}, limit=8)


def test_cells_cost_by_their_frames_and_together_less_than_one_by_one(tiny):
    found = planned(tiny, frames=[4, 8, 420])
    assert [cell.questions for cell in found.cells] == [8, 8, 8]
    frames = [cell.frames for cell in found.cells]
    assert frames[0] == 4 < frames[1] <= 8 < frames[2] < 60
    seconds = [cell.seconds for cell in found.cells]
    assert seconds == sorted(seconds)
    [dearest] = found.dearest.values()
    assert dearest.seconds == seconds[-1] <= found.seconds < sum(seconds)


@pytest.fixture
def plans(monkeypatch):
    """Collect what the plans are made with, and their units."""
    made = []
    plan = forecasting.make_work_items

    def make_units(*args, **sizes):
        made.append((sizes, plan(*args, **sizes)))
        return made[-1][1]

    monkeypatch.setattr(forecasting, "make_work_items", make_units)
    return made


@pytest.mark.parametrize(
    ("axes", "asked"),
    [
        # No clip has 100 frames, so what is allowed beyond is never used.
        ({"frames": [100, 420]}, 8),
        ({"frames": [4, 100, 420]}, 16),
        ({"frames": [420], "cubing": ["learned", "equal"]}, 16),
    ],
)
def test_cells_that_come_to_the_same_frames_and_cubes_cost_once(tiny, plans, axes, asked):
    found = planned(tiny, **axes)
    _, together = plans[-1]
    assert sum(len(batch) for unit in together for batch in unit.pending) == asked
    assert {cell.questions for cell in found.cells} == {8}
    assert found.seconds == sum(unit.cost_s for unit in together)


def test_the_plan_has_the_cache_that_the_engine_has(tiny, plans):
    planned(tiny, frames=[4])
    options = ModelArgs.parse({"pretrained": str(tiny)}).engine_options(96, show_progress=False)
    assert {sizes["cache_bytes"] for sizes, _ in plans} == {options.cache_bytes}


@pytest.mark.parametrize(("name", "meant"), [("vidoemme", "videomme"), ("lmms-eval/hellaswagg", "hellaswag")])
def test_a_task_that_nobody_has_is_refused_and_the_closest_named(tiny, name, meant):
    said = name.rpartition("/")[2]
    with pytest.raises(SetupError, match=rf"there is no task '{said}'; did you mean .*\b{meant}\b"):
        forecast_sweep(Grid.of({"tasks": [name], "checkpoints": [str(tiny)]}), {"device": "cpu"})


@pytest.mark.parametrize(("name", "kind"), [("lmms-eval/mvbench", "group"), ("lmms-eval/mmmu_*", "pattern")])
def test_what_stands_for_several_tasks_is_refused_before_anything_is_read(tiny, name, kind):
    with pytest.raises(SetupError, match=f"is a {kind}, but a sweep takes single tasks"):
        forecast_sweep(Grid.of({"tasks": [name], "checkpoints": [str(tiny)], "frames": [4]}), {})


def test_a_shorter_cube_costs_tokens(tiny):
    usual, short, few = planned(tiny, frames_per_cube=[5, 2.5]).cells + planned(tiny, max_cubes=[2]).cells
    assert few.tokens < usual.tokens < short.tokens
    assert "cubes" in short.memory


def test_of_foreign_tasks_nothing_is_known(tiny, capsys):
    grid = Grid.of({"tasks": ["lmms-eval/videomme"], "checkpoints": [str(tiny)]})
    found = forecast_sweep(grid, {"device": "cpu"})
    assert (found.cells, found.unknown) == ([], ["videomme"])
    print_forecast(found)
    assert "lmms-eval's own" in capsys.readouterr().out


def test_cells_cost_and_memory_are_printed(tiny, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    print_forecast(planned(tiny, frames=[4, 420]))
    said = capsys.readouterr().out
    assert "qsv_demo@max_frames=4 " in said
    assert "The longest video of the largest cell: " in said
    assert "MB of pixels" in said.replace("\n", " ")
    assert "2 cells: " in said
