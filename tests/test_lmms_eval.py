"""The owner's command, word for word: `lmms-eval --model quicksviewer --tasks videomme`, and what else there is.

Each test is a process of its own, as a user starts it, without a network: the hub's files lie in a prepared cache.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

VIDEO_IDS = ("abcdefghijk", "lmnopqrstuv")


def video_mme_rows() -> list[dict]:
    return [
        {
            "video_id": f"{number:03}",
            "duration": ("short", "long")[number],
            "domain": "Knowledge",
            "sub_category": "Geography",
            "url": f"https://www.youtube.com/watch?v={video}",
            "videoID": video,
            "question_id": f"{number:03}-{index}",
            "task_type": "Counting Problem",
            "question": "How many scenes are there?",
            "options": ["A. Two.", "B. Three.", "C. Four.", "D. Five."],
            "answer": "ABCD"[index],
        }
        for number, video in enumerate(VIDEO_IDS)
        for index in range(3)
    ]


@pytest.fixture(scope="module")
def hub_home(tmp_path_factory, clips) -> Path:
    """An HF_HOME in which lmms-eval's Video-MME was downloaded before: its table, and the unpacked videos."""
    import datasets

    home = tmp_path_factory.mktemp("hf_home")
    table = home / "rows.parquet"
    datasets.Dataset.from_list(video_mme_rows()).to_parquet(table)
    datasets.load_dataset("parquet", data_files={"test": str(table)}, cache_dir=str(home / "built"))
    [arrow] = (home / "built").rglob("*.arrow")
    cached = home / "datasets" / "lmms-eval___video-mme" / "videomme" / "0.0.0" / ("0" * 40)
    cached.mkdir(parents=True)
    shutil.copy(arrow, cached / "video-mme-test.arrow")
    info = json.loads((arrow.parent / "dataset_info.json").read_text())
    info |= {"dataset_name": "video-mme", "config_name": "videomme", "builder_name": "parquet"}
    (cached / "dataset_info.json").write_text(json.dumps(info))
    videos = home / "videomme" / "data"
    videos.mkdir(parents=True)
    shutil.copy(clips[0], videos / f"{VIDEO_IDS[0]}.mp4")
    shutil.copy(clips[1], videos / f"{VIDEO_IDS[1]}.mkv")
    return home


def lmms_eval(hub_home: Path, output: Path, model_args: str, *words: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {
        "HF_HOME": str(hub_home),
        "HF_DATASETS_OFFLINE": "1",
        "LMMS_EVAL_DATASETS_CACHE": str(hub_home / "datasets"),
        "XDG_CACHE_HOME": str(hub_home / "cache"),
    }
    command = [sys.executable, "-m", "lmms_eval", "--model", "quicksviewer", "--model_args", model_args]
    command += ["--batch_size", "1", "--device", "cpu", "--output_path", str(output), "--log_samples", *words]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)


def results_of(output: Path) -> dict:
    [path] = output.rglob("*_results.json")
    return json.loads(path.read_text())


def samples_of(output: Path) -> list[dict]:
    [path] = output.rglob("*_samples_*.jsonl")
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_the_owners_command(hub_home, tiny, tmp_path):
    model = f"pretrained={tiny},dtype=float32,journal={tmp_path / 'journal'}"
    done = lmms_eval(hub_home, tmp_path / "out", model, "--tasks", "videomme")
    assert "videomme_perception_score" in done.stdout, done.stderr[-3000:]
    results = results_of(tmp_path / "out")
    assert results["n-samples"]["videomme"]["effective"] == 6
    samples = samples_of(tmp_path / "out")
    assert len(samples) == 6
    assert all(sample["token_counts"][0]["input_tokens"] > 100 for sample in samples)
    assert len(list((tmp_path / "journal").glob("*.jsonl"))) == 1


def test_a_missing_video_costs_its_own_questions(hub_home, tiny, tmp_path):
    home = tmp_path / "home"
    shutil.copytree(hub_home, home)
    next(home.rglob(f"{VIDEO_IDS[1]}.mkv")).unlink()
    model = f"pretrained={tiny},dtype=float32,journal={tmp_path / 'journal'}"
    lmms_eval(home, tmp_path / "out", model, "--tasks", "videomme", "--force_simple")
    replies = [sample["filtered_resps"] for sample in samples_of(tmp_path / "out")]
    failed = ["\u26a0\u26a0\u26a0" in str(reply) for reply in replies]
    assert failed == [False] * 3 + [True] * 3
    journal = "".join(path.read_text() for path in (tmp_path / "journal").glob("*.jsonl"))
    assert f"{VIDEO_IDS[1]}.mp4 does not exist" in journal


def test_our_tasks_by_include_path(hub_home, tiny, tmp_path):
    from qsv_eval.tasks import FOLDER

    model = f"pretrained={tiny},dtype=float32,max_frames=8,journal={tmp_path / 'journal'}"
    words = ("--include_path", str(FOLDER), "--tasks", "qsv_demo", "--limit", "6")
    done = lmms_eval(hub_home, tmp_path / "out", model, *words)
    assert "{'n': 6, 'counts': " in done.stdout, done.stderr[-3000:]
    outcome = results_of(tmp_path / "out")["results"]["qsv_demo"]["outcome,none"]
    assert outcome["n"] == 6
    assert outcome["protocol"]["answers"]["frame_rule"]["max_frames"] == 8
    assert all(len(record["videos"][0]["timestamps_s"]) == 8 for record in journal_of(tmp_path / "journal"))


def journal_of(folder: Path) -> list[dict]:
    lines = [line for path in folder.glob("*.jsonl") for line in path.read_text().splitlines()]
    return [record for line in lines if "key" in (record := json.loads(line))]


def test_a_typo_in_model_args(hub_home, tiny, tmp_path):
    done = lmms_eval(hub_home, tmp_path / "out", f"pretrained={tiny},max_frame=8", "--tasks", "videomme")
    assert "there is no option 'max_frame'; did you mean max_frames?" in done.stdout + done.stderr
    assert not list(tmp_path.rglob("*_results.json"))


def test_a_run_of_lmms_evals_own_task_with_a_missing_video_is_incomplete(hub_home, tiny, tmp_path):
    home = tmp_path / "home"
    shutil.copytree(hub_home, home)
    next(home.rglob(f"{VIDEO_IDS[1]}.mkv")).unlink()
    environment = os.environ | {"HF_HOME": str(home), "LMMS_EVAL_DATASETS_CACHE": str(home / "datasets")}
    command = [sys.executable, "-m", "qsv_eval.cli", "run", "--tasks", "lmms-eval/videomme", "--pretrained", str(tiny)]
    command += ["--device", "cpu", "--dtype", "float32", "--output", str(tmp_path / "out")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 3, done.stderr[-3000:]
    assert "INCOMPLETE" in done.stdout
    assert "videomme_perception_score" in done.stdout
    assert results_of(tmp_path / "out")["n-samples"]["videomme"]["effective"] == 6
    protocol = results_of(tmp_path / "out")["protocols"]["videomme"]
    assert protocol["generation"]["max_new_tokens"] == 16
    assert protocol["answers"]["frame_rule"]["max_frames"] == 420
    assert len(protocol["hash"]) == 16
