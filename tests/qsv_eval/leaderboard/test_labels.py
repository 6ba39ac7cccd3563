"""Names of models and settings."""

import pytest

from qsv_eval.leaderboard.labels import ModelStatement, differing_conditions, model_names, setting_names


def record(task="t", prompt="p", judge=None, torch="2.6", **answers):
    scoring, environment = {"judge": judge}, {"torch": torch}
    return {"task": task, "prompt": prompt, "answers": answers or None, "scoring": scoring, "environment": environment}


def test_one_protocol_needs_no_name():
    assert setting_names({"1": record(fps=1.0)}) == {"1": ""}


def test_what_answers_is_told_apart_between_tasks():
    names = setting_names({"1": record("a", frames=64), "2": record("b", frames=420)})
    assert names == {"1": "frames=64", "2": "frames=420"}


def test_what_each_task_has_of_its_own_is_not():
    assert setting_names({"1": record("a", "one", frames=64), "2": record("b", "other", frames=64)}) == {
        "1": "",
        "2": "",
    }
    names = setting_names({"1": record("a"), "2": record("a", judge="gpt"), "3": record("b")})
    assert names == {"1": "judge=none", "2": "judge=gpt", "3": ""}


def test_a_run_with_other_versions_stays_one_row():
    names = setting_names({"1": record("a"), "2": record("b"), "3": record("a", torch="2.7")})
    assert names == {"1": "torch=2.6", "2": "torch=2.6", "3": "torch=2.7"}
    assert set(setting_names({"1": record("a"), "2": record("b", torch="2.7")}).values()) == {""}


def test_names_that_would_be_the_same_are_written_out():
    one, other = record(vit={"dtype": "float32"}, llm={"dtype": "a"}), record(vit={"dtype": "half"}, llm={"dtype": "b"})
    assert setting_names({"1": one, "2": other})["1"] == "answers.llm.dtype=a, answers.vit.dtype=float32"


def test_a_long_value_is_a_digest():
    names = setting_names({"1": record(prompt="x" * 100), "2": record(prompt="y" * 100)})
    assert names["1"] != names["2"]
    assert all(len(name) == len("prompt=12345678") for name in names.values())


def test_two_that_read_the_same_are_still_two():
    names = setting_names({"1": record(option=None, fps=1), "2": record(fps=1)})
    assert names == {"1": "[1]", "2": "[2]"}


def test_rows_of_several_models_state_what_they_were_not_alike_in():
    ours = record(checkpoint="a", model_code="1", dtype="half", frame_rule={"max_frames": 420, "fps": 1.0})
    fewer = record(checkpoint="b", model_code="2", dtype="half", frame_rule={"max_frames": 8, "fps": 1.0})
    stated = differing_conditions([ours, fewer])
    assert stated == {"answers.frame_rule.max_frames"}
    assert setting_names({"1": ours}, stated) == {"1": "max_frames=420"}
    assert (
        differing_conditions(
            [ours, record(checkpoint="c", **{"dtype": "half", "frame_rule": ours["answers"]["frame_rule"]})]
        )
        == set()
    )


def test_frames_are_stated_in_each_models_own_words():
    ours = record(checkpoint="a", frame_rule={"max_frames": 420})
    other = record(model="llava", pretrained="org/llava", max_frames_num="8", conv_template="x")
    silent = record(model="qwen", pretrained="org/qwen")
    stated = differing_conditions([ours, other, silent])
    assert [setting_names({"1": one}, stated)["1"] for one in (ours, other, silent)] == [
        "max_frames=420",
        "max_frames_num=8",
        "",
    ]


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
    assert model_names([ModelStatement(place, "a")]) == [name]


def test_checkpoints_of_the_same_last_part_have_more_of_their_paths():
    runs = [
        ModelStatement("/r/stage2/final", "a"),
        ModelStatement("/r/stage3/final", "b"),
        ModelStatement("/r/other", "c"),
    ]
    assert model_names(runs) == ["stage2/final", "stage3/final", "other"]
    deeper = [ModelStatement("/x/1/s/final", "a"), ModelStatement("/x/2/s/final", "b")]
    assert model_names(deeper) == ["1/s/final", "2/s/final"]


def test_the_same_checkpoint_on_two_machines_is_one_model():
    assert model_names([ModelStatement("/here/final", "a"), ModelStatement("/there/final", "a")]) == ["final", "final"]


def test_a_folder_whose_files_changed_keeps_its_name():
    """Its rows differ by their setting, which then names the fingerprint."""
    assert model_names([ModelStatement("/r/final", "a"), ModelStatement("/r/final", "b")]) == ["final", "final"]
    assert model_names([ModelStatement("final", "a"), ModelStatement("final", "b")]) == ["final", "final"]
