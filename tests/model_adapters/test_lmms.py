"""The adapter under lmms-eval's evaluator, on tasks of every form: chat and simple, video, images, text."""

import json

import pytest

from qsv_eval.model_adapters.engine.failure import ERROR_REPLY
from qsv_eval.model_adapters.engine.journal import read_logs
from qsv_eval.model_adapters.engine.records import ExitReason
from qsv_eval.model_adapters.errors import SetupError
from qsv_eval.model_adapters.lmms import QuicksviewerChat, QuicksviewerSimple

TASK = """
task: {name}
dataset_path: json
dataset_kwargs:
  data_files:
    test: rows.jsonl
test_split: test
output_type: {output_type}
doc_to_visual: !function helpers.{visual}
doc_to_text: question
doc_to_target: answer
process_results: !function helpers.process_results
metric_list:
  - metric: length
    aggregation: mean
    higher_is_better: true
generation_kwargs:
  max_new_tokens: 4
  until: []
"""
HELPERS = """
import sys
from PIL import Image

def nothing(doc):
    return []

def one_image(doc):
    return [Image.new("RGB", (60, 40), doc["colour"])]

def two_images(doc):
    return [Image.new("L", (60, 40), 7), Image.new("RGBA", (30, 90), doc["colour"])]

def video(doc):
    return [doc["video"]]

def clip(doc):
    return [{"type": "video", "url": doc["video"], "video_start": 2, "video_end": 7}]

def gives_up(doc):
    if doc["colour"] == "blue":
        sys.exit("video path gone.mp4 does not exist")
    raise KeyError("no such column")

def second(doc):
    return 1

def choices(doc):
    return ["red", "blue", "green"]

def rounds(doc, lmms_eval_specific_kwargs=None, previous_output=None, round_idx=None, previous_round_info=None):
    if round_idx is None:
        return doc["question"]
    assert len(previous_output) == round_idx
    if round_idx == 2:
        return None, None, True, previous_output, None
    return [], f"You said {previous_output[-1]}. Why?", False, previous_output, {"seen": round_idx}

def process_results(doc, results):
    return {"length": float(len(results[0]))}
"""
CHOICE = """
task: form_choice
dataset_path: json
dataset_kwargs:
  data_files:
    test: rows.jsonl
test_split: test
output_type: multiple_choice
doc_to_visual: !function helpers.video
doc_to_text: question
doc_to_target: !function helpers.second
doc_to_choice: !function helpers.choices
metric_list:
  - metric: acc
    aggregation: mean
    higher_is_better: true
"""
FORMS = ("nothing", "one_image", "two_images", "video", "clip", "gives_up")


@pytest.fixture(scope="module")
def task_folder(tmp_path_factory, clips):
    folder = tmp_path_factory.mktemp("tasks")
    colours = ("red", "blue")
    rows = [
        {"question": f"What is {colour}?", "answer": "x", "colour": colour, "video": str(clips[0])}
        for colour in colours
    ]
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "helpers.py").write_text(HELPERS)
    for form in FORMS:
        text = TASK.format(name=f"form_{form}", visual=form, output_type="generate_until")
        (folder / f"form_{form}.yaml").write_text(text)
    text = TASK.format(name="form_rounds", visual="nothing", output_type="generate_until_multi_round")
    (folder / "form_rounds.yaml").write_text(
        text.replace("doc_to_text: question", "doc_to_text: !function helpers.rounds")
    )
    text = TASK.format(name="form_few_frames", visual="video", output_type="generate_until")
    (folder / "form_few_frames.yaml").write_text(text + "  max_frames: 3\n")
    (folder / "form_choice.yaml").write_text(CHOICE)
    return folder


def evaluate(adapter, folder, task, **options):
    from lmms_eval.evaluator import simple_evaluate
    from lmms_eval.tasks import TaskManager

    manager = TaskManager("WARNING", include_path=str(folder), include_defaults=False)
    return simple_evaluate(model=adapter, tasks=[task], task_manager=manager, bootstrap_iters=0, **options)


@pytest.fixture(params=[QuicksviewerChat, QuicksviewerSimple])
def adapter(request, tiny, tmp_path):
    return request.param(str(tiny), dtype="float32", max_frames=8, device="cpu", journal=tmp_path / "journal")


def replies(results, task):
    return [sample["filtered_resps"] for sample in results["samples"][task]]


def records(tmp_path):
    return [record for log in read_logs(tmp_path / "journal") for record in log.records]


@pytest.mark.parametrize("form", ["nothing", "one_image", "two_images", "video"])
def test_every_form_of_task(adapter, task_folder, form, tmp_path):
    results = evaluate(adapter, task_folder, f"form_{form}")
    assert len(replies(results, f"form_{form}")) == 2
    assert ERROR_REPLY not in str(replies(results, f"form_{form}"))
    videos = [len(record.videos) for record in records(tmp_path)]
    assert videos == [1, 1] if form == "video" else videos == [0, 0]
    counts = [sample["token_counts"][0] for sample in results["samples"][f"form_{form}"]]
    assert all(count["input_tokens"] > 8 and 1 <= count["output_tokens"] <= 4 for count in counts)


def test_bounds_of_a_clip_are_honoured(adapter, task_folder, tmp_path):
    evaluate(adapter, task_folder, "form_clip")
    for record in records(tmp_path):
        times = record.videos[0].timestamps_s
        assert 2 <= times[0] < times[-1] <= 8
        assert len(times) <= 6


def test_a_task_that_gives_up_on_a_sample(adapter, task_folder, tmp_path):
    results = evaluate(adapter, task_folder, "form_gives_up")
    assert ERROR_REPLY in str(replies(results, "form_gives_up")[0])
    assert adapter.failures() == {"form_gives_up": 2}
    reasons = [record.reason for record in records(tmp_path)]
    assert reasons == ["KeyError: 'no such column'", "video path gone.mp4 does not exist"]


def test_repeats_are_asked_apart(tiny, task_folder, tmp_path):
    adapter = QuicksviewerChat(str(tiny), dtype="float32", device="cpu", journal=tmp_path / "journal")
    evaluate(adapter, task_folder, "form_nothing", repeats=2)
    assert sorted(record.repeat for record in records(tmp_path)) == [0, 0, 1, 1]


def test_several_rounds(adapter, task_folder, tmp_path):
    """The task asks a second time, with the first reply, and then ends the conversation."""
    results = evaluate(adapter, task_folder, "form_rounds")
    for record, sample in zip(records(tmp_path), results["samples"]["form_rounds"], strict=True):
        assert len(record.rounds) == 2
        assert sample["resps"] == [[record.rounds]]
    assert adapter.sent_requests == 2


def test_choices_are_scored(tiny, task_folder, tmp_path):
    """lmms-eval's multiple choice takes the smallest loss; it has this form for simple models only."""
    adapter = QuicksviewerSimple(str(tiny), dtype="float32", max_frames=8, device="cpu", journal=tmp_path / "journal")
    results = evaluate(adapter, task_folder, "form_choice")
    losses = [[float(answer[0]) for answer in sample["filtered_resps"]] for sample in results["samples"]["form_choice"]]
    assert [len(set(each)) for each in losses] == [3, 3]
    kept = sorted(record.loss for record in records(tmp_path))
    assert kept == pytest.approx(sorted(loss for each in losses for loss in each))
    expected = sum(each.index(min(each)) == 1 for each in losses) / 2
    assert results["results"]["form_choice"]["acc,none"] == expected
    assert adapter.efficiency()["reads"] == 1


def test_a_choice_without_its_question(tiny, tmp_path):
    from lmms_eval.api.instance import Instance

    adapter = QuicksviewerSimple(str(tiny), device="cpu", journal=tmp_path / "journal")
    adapter.task_dict["mutual"] = {"test": [{"question": "?"}]}
    metadata = {"task": "mutual", "doc_id": 0, "repeats": 1, "split": "test"}
    request = Instance("loglikelihood", ("", "B"), 0, metadata, task_name="mutual", doc_id=0)
    [result] = adapter.loglikelihood([request])
    loss, is_greedy = result.text
    assert loss > 0
    assert not is_greedy


def test_padding_gets_its_twins_answer(tiny, task_folder, tmp_path):
    """lmms-eval fills up the smaller shares of a run with copies of a request."""
    from lmms_eval.evaluator import _clone_padding_request

    adapter = QuicksviewerChat(str(tiny), dtype="float32", device="cpu", journal=tmp_path / "journal")
    generate_until, results = adapter.generate_until, []

    def padded(requests):
        answers = generate_until(
            [*requests, _clone_padding_request(requests[-1]), _clone_padding_request(requests[-1])]
        )
        results.extend(answers)
        return answers[: len(requests)]

    adapter.generate_until = padded
    evaluate(adapter, task_folder, "form_one_image")
    assert len(results) == 4
    assert results[1] == results[2] == results[3]
    assert adapter.sent_requests == len(records(tmp_path)) == 2


def test_a_task_may_have_a_frame_rule_of_its_own(tiny, task_folder, tmp_path):
    adapter = QuicksviewerChat(str(tiny), dtype="float32", device="cpu", journal=tmp_path / "journal")
    evaluate(adapter, task_folder, "form_few_frames")
    assert [len(record.videos[0].timestamps_s) for record in records(tmp_path)] == [3, 3]


def test_clean_lets_go_of_the_model(tiny, task_folder, tmp_path):
    adapter = QuicksviewerChat(str(tiny), device="cpu", journal=tmp_path / "journal")
    evaluate(adapter, task_folder, "form_nothing")  # lmms-eval calls `clean` itself
    assert not hasattr(adapter.engine, "model")
    [log] = read_logs(tmp_path / "journal")
    assert log.end.how is ExitReason.DONE


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_frame": 8}, "there is no option 'max_frame'; did you mean max_frames?"),
        ({"zzz": 8}, "there is no option 'zzz'; known are pretrained"),
        ({"batch_size": "auto"}, "batch_size 'auto'"),
        ({"fps": 0.4}, "blocks"),
        ({"frame_rule": "random"}, "random"),
        ({"resize": "nearest"}, "nearest"),
        ({"dtype": "float8"}, "float8"),
        ({"pretrained": ""}, "pretrained=FOLDER_OR_HUB_ID is missing"),
    ],
)
def test_wrong_options_are_one_line(tiny, tmp_path, options, message):
    with pytest.raises(SetupError, match=message) as refused:
        QuicksviewerChat(**{"pretrained": str(tiny), "device": "cpu", "journal": tmp_path / "j"} | options)
    assert "\n" not in str(refused.value)


def test_manifest_names_both_adapters():
    from qsv_eval.model_adapters import manifests

    manifest = manifests()
    assert manifest.model_id == "quicksviewer"
    assert manifest.chat_class_path.endswith("lmms.QuicksviewerChat")
    assert manifest.simple_class_path.endswith("lmms.QuicksviewerSimple")


def test_an_image_in_memory_is_known_again(tiny, task_folder, tmp_path):
    for sent in (2, 0):
        adapter = QuicksviewerChat(str(tiny), dtype="float32", device="cpu", journal=tmp_path / "journal")
        evaluate(adapter, task_folder, "form_one_image")
        assert adapter.sent_requests == sent
