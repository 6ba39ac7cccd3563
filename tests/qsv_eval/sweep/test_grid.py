import pytest

from qsv_eval.model_adapters.errors import SetupError
from qsv_eval.sweep.grid import Grid

LEAST = {"tasks": ["demo"], "checkpoints": ["here"]}


def test_every_combination_is_a_cell_and_what_is_not_named_stays():
    settings = Grid.of(LEAST | {"frames": ["8", "16"], "fps": [1, 2], "cubing": ["equal"]}).settings()
    assert settings == [
        {"max_frames": frames, "fps": fps, "cubing": "equal"} for frames in (8, 16) for fps in (1.0, 2.0)
    ]
    assert Grid.of(LEAST).settings() == [{}]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"frames": ["8", "many"]}, r"frames\.1: .*integer"),
        ({"frames": [8, 8]}, "frames: duplicate values"),
        ({"frames": [0]}, "max_frames 0"),
        ({"fps": [0.2]}, "gives no frames"),
        ({"frame_rule": ["random"]}, "'random' is unknown"),
        ({"cubing": ["fair"]}, "'fair' is unknown"),
        ({"max_cubes": [0]}, "max_cubes is 0"),
        ({"frame": [8]}, "frame: .*; known are tasks, checkpoints, frames"),
        ({"tasks": []}, "tasks: "),
    ],
)
def test_what_cannot_be_is_refused_with_its_place(given, message):
    with pytest.raises(SetupError, match=message):
        Grid.of(LEAST | given)


def test_a_file_says_the_axes_and_options_replace_them(tmp_path):
    file = tmp_path / "grid.yaml"
    file.write_text("tasks: [demo]\ncheckpoints: [a, b]\nframes: [8, 64]\nfps: [0.5]\nframe_rule: [nested]\n")
    grid = Grid.read(file, {"frames": ["16"], "fps": []})
    assert (grid.checkpoints, grid.frames, grid.fps) == (["a", "b"], [16], [0.5])


@pytest.mark.parametrize("text", ["frames: [8", "- demo", "\x00"])
def test_a_file_that_is_no_grid_is_named(tmp_path, text):
    file = tmp_path / "grid.yaml"
    file.write_text(text)
    with pytest.raises(SetupError, match=r"grid\.yaml"):
        Grid.read(file, {})
    with pytest.raises(SetupError, match=r"absent\.yaml"):
        Grid.read(tmp_path / "absent.yaml", {})
