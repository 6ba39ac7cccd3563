"""What the rows of a table are called."""

import pytest

from qsv_eval.leaderboard.modelnames import Stated, model_names


@pytest.mark.parametrize(
    ("place", "name"),
    [
        ("Qwen/Qwen2.5-VL-7B-Instruct", "Qwen/Qwen2.5-VL-7B-Instruct"),
        ("/data/runs/stage3/final", "final"),
        ("./tiny", "tiny"),
        ("tiny", "tiny"),
        ("llava", "llava"),
    ],
)
def test_an_id_is_a_name_and_a_folder_goes_by_its_last_part(place, name):
    assert model_names([Stated(place, "a")]) == [name]


def test_checkpoints_of_the_same_last_part_have_more_of_their_paths():
    runs = [Stated("/r/stage2/final", "a"), Stated("/r/stage3/final", "b"), Stated("/r/other", "c")]
    assert model_names(runs) == ["stage2/final", "stage3/final", "other"]
    deeper = [Stated("/x/1/s/final", "a"), Stated("/x/2/s/final", "b")]
    assert model_names(deeper) == ["1/s/final", "2/s/final"]


def test_the_same_checkpoint_on_two_machines_is_one_model():
    assert model_names([Stated("/here/final", "a"), Stated("/there/final", "a")]) == ["final", "final"]


def test_a_folder_whose_files_changed_keeps_its_name():
    """Its rows differ by their setting, which then names the fingerprint."""
    assert model_names([Stated("/r/final", "a"), Stated("/r/final", "b")]) == ["final", "final"]
    assert model_names([Stated("final", "a"), Stated("final", "b")]) == ["final", "final"]
