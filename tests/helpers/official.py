"""Small copies of every video benchmark's official layouts: the same files, columns and folders, few questions."""

import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
from layout_files import (
    QUESTION_WITH_OPTIONS,
    SRT,
    WORDS,
    clip,
    lettered,
    parquet,
    picture,
    put,
    put_clips,
    zipped,
)

from qsv_eval.tasks.mvbench.task import SUBTASKS


def _videomme_rows() -> list[dict[str, Any]]:
    return [
        {
            "video_id": f"00{video}",
            "duration": ("short", "medium", "long")[video % 3],
            "domain": "Knowledge",
            "sub_category": "Geography",
            "url": "",
            "videoID": f"vid{video}",
            "question_id": f"00{video}-{i}",
            "task_type": "OCR Problems",
            "question": f"What is {i}?",
            "options": lettered("{}. {}."),
            "answer": "ABCD"[(video + i) % 4],
        }
        for video in range(3)
        for i in range(2)
    ]


def videomme_hub(folder: Path) -> None:
    """Write the downloaded repository: a parquet file and zips."""
    parquet(folder / "videomme/test-00000-of-00001.parquet", _videomme_rows())
    zipped(folder / "videos_chunked_01.zip", {f"data/vid{video}.mp4": clip() for video in (0, 1)})
    zipped(folder / "videos_chunked_02.zip", {"data/vid2.MP4": clip()})
    zipped(folder / "subtitle.zip", {f"subtitle/vid{video}.srt": SRT for video in (0, 1)})


def videomme_unpacked(folder: Path) -> None:
    parquet(folder / "videomme/test-00000-of-00001.parquet", _videomme_rows())
    put_clips(folder / "data", "vid0.mp4", "vid1.mp4", "vid2.mp4")
    put(folder / "subtitle/vid0.srt", SRT)


def _mvbench_json(folder: Path) -> None:
    for k, subtask in enumerate(SUBTASKS):
        suffix = {"action_antonym": ".webm", "fine_grained_pose": ".avi", "episodic_reasoning": ""}.get(subtask, ".mp4")
        bounded = suffix == "" or subtask in ("action_sequence", "action_prediction", "object_interaction")
        rows = [
            {
                "video": f"{subtask}_{i}{suffix}",
                "question": f"What happens {i}?",
                "candidates": list(WORDS[: 3 + k % 3]),
                "answer": WORDS[(k + i) % 3],
                **({"start": 0.5, "end": 1.5} if bounded or subtask == "action_localization" else {}),
            }
            for i in range(2)
        ]
        put(folder / f"json/{subtask}.json", rows)


def mvbench_main(folder: Path) -> None:
    """Write the branch `main`: zips of the original clips, one with frames."""
    _mvbench_json(folder)
    suffixes = {"action_antonym": ".webm", "fine_grained_pose": ".avi"}
    archives: dict[str, dict[str, bytes | str]] = {}
    for subtask, folders in SUBTASKS.items():
        top = folders.original.split("/")[0]
        for i in range(2):
            if subtask == "episodic_reasoning":
                frames = {f"{folders.original}/{subtask}_{i}/{n:05d}.jpg": picture(n * 20) for n in range(1, 10)}
                archives.setdefault(top, {}).update(frames)
            else:
                suffix = suffixes.get(subtask, ".mp4")
                archives.setdefault(top, {})[f"{folders.original}/{subtask}_{i}{suffix}"] = clip(suffix)
    for top, files in archives.items():
        zipped(folder / f"video/{top}.zip", files)


def mvbench_video(folder: Path) -> None:
    """Write the branch `video`: cut clips in a folder for each subtask."""
    _mvbench_json(folder)
    for subtask, folders in SUBTASKS.items():
        put_clips(folder / folders.cut, f"{subtask}_0.mp4", f"{subtask}_1.mp4")


_MLVU = {1: "plotQA", 2: "needle", 3: "ego", 4: "count", 5: "order", 6: "anomaly_reco", 7: "topic_reasoning"}


def mlvu_original(folder: Path) -> None:
    """Write the authors' folders; tasks differ in their number of questions, so macro and micro averages differ."""
    for number, task in _MLVU.items():
        rows = [
            {
                "video": f"{task}_{i}.mp4",
                "duration": 2.0,
                "question": f"What is {i}?",
                "candidates": list(WORDS[:4]),
                "answer": WORDS[i % 4],
                "question_type": task,
            }
            for i in range(1 + number % 3)
        ]
        put(folder / f"MLVU/json/{number}_{task}.json", rows)
        put_clips(folder / f"MLVU/video/{number}_{task}", *(row["video"] for row in rows))
    scene = {"video": "sub_0.mp4", "duration": 2.0, "question": "Describe it.", "answer": "A dog runs."}
    put(folder / "MLVU/json/8_sub_scene.json", [{**scene, "scoring_points": ["a dog", "it runs"]}])
    put(folder / "MLVU/json/9_summary.json", [{**scene, "video": "summary_0.mp4", "question": "Summarise it."}])
    put_clips(folder / "MLVU/video", "8_sub_scene/sub_0.mp4", "9_summary/summary_0.mp4")


def mlvu_parquet(folder: Path) -> None:
    rows = [
        {
            "video_name": f"{task}_{i}.mp4",
            "duration": 2.0,
            "question": QUESTION_WITH_OPTIONS,
            "answer": "ABCD"[i],
            "task_type": task,
        }
        for task in _MLVU.values()
        for i in range(2)
    ]
    parquet(folder / "data/test-00000-of-00001.parquet", rows)
    zipped(folder / "video_part_1.zip", {row["video_name"]: clip() for row in rows})


def mlvu_test(folder: Path) -> None:
    rows = [
        {
            "video": f"test_{i}.mp4",
            "question": "What is it?",
            "candidates": list(WORDS),
            "question_type": ("sportsQA", "tutorialQA")[i % 2],
            "question_id": f"Q{i}",
        }
        for i in range(3)
    ]
    put(folder / "test_multi_choice_tasks.json", rows)
    put_clips(folder / "video", *(row["video"] for row in rows))


def _nextqa_rows() -> list[dict[str, Any]]:
    kinds = ("CW", "CH", "TN", "TC", "TP", "DC", "DL", "DO")
    return [
        {
            "video": 4010069380 + i // 2,
            "frame_count": 16,
            "width": 64,
            "height": 64,
            "question": "why did the dog run",
            "answer": i % 5,
            "qid": i % 2,
            "type": kind,
            **{f"a{k}": word for k, word in enumerate(WORDS[:5])},
        }
        for i, kind in enumerate(kinds)
    ]


def nextqa_csv(folder: Path) -> None:
    path = folder / "test-data-nextqa/test.csv"
    path.parent.mkdir(parents=True)
    pd.DataFrame(_nextqa_rows()).to_csv(path, index=False)
    put_clips(folder / "NExTVideo/1164", *(f"{4010069380 + i}.mp4" for i in range(4)))


def nextqa_parquet(folder: Path) -> None:
    parquet(folder / "MC/test-00000-of-00001.parquet", _nextqa_rows())
    zipped(folder / "videos.zip", {f"NExTVideo/{4010069380 + i}.mp4": clip() for i in range(4)})


def _activitynet() -> list[dict[str, Any]]:
    return [
        {
            "question_id": f"v_1QIUV7.{i}_3",
            "video_name": f"1QIUV7.{i}",
            "question": "is the athlete wearing trousers",
            "answer": "yes",
            "type": 3 + i,
        }
        for i in range(3)
    ]


def activitynetqa_json(folder: Path) -> None:
    rows = _activitynet()
    put(folder / "test_q.json", [{key: row[key] for key in ("question", "question_id", "video_name")} for row in rows])
    put(folder / "test_a.json", [{key: row[key] for key in ("answer", "type", "question_id")} for row in rows])
    suffixes = (".mp4", ".webm", ".mkv")
    put_clips(
        folder / "all_test", *(f"v_{row['video_name']}{suffix}" for row, suffix in zip(rows, suffixes, strict=True))
    )


def activitynetqa_hub(folder: Path) -> None:
    rows = _activitynet()
    parquet(folder / "data/test-00000-of-00001.parquet", [{**row, "type": str(row["type"])} for row in rows])
    zipped(folder / "videos_chunked_01.zip", {f"all_test/v_{row['video_name']}.mp4": clip() for row in rows})


def videochatgpt_json(folder: Path) -> None:
    single = [{"video_name": f"v_p1{i}", "Q": "What happens?", "A": "A man runs."} for i in range(2)]
    pairs = [{"video_name": f"v_p1{i}", "Q1": "What runs?", "Q2": "Who runs?", "A": "A man."} for i in range(2)]
    put(folder / "generic_qa.json", single)
    put(folder / "temporal_qa.json", single[:1])
    put(folder / "consistency_qa.json", pairs)
    zipped(folder / "Test_Videos.zip", {f"Test_Videos/v_p1{i}.mp4": clip() for i in range(2)})


def videochatgpt_hub(folder: Path) -> None:
    single = [{"video_name": f"v_p1{i}", "question": "What happens?", "answer": "A man runs."} for i in range(2)]
    for name, rows in (("Generic", single), ("Temporal", single[:1])):
        extra = {"question_1": "None", "question_2": "None"}
        parquet(folder / name / "test-00000-of-00001.parquet", [{**row, **extra} for row in rows])
    # Two pairs on the same video, so the video's name does not identify a pair. The second questions come first.
    questions = [
        ("None", "Who runs?", "A man."),
        ("None", "Who sits?", "A dog."),
        ("What runs?", "None", "A man."),
        ("What sits?", "None", "A dog."),
    ]
    columns = ("video_name", "question", "question_1", "question_2", "answer")
    pairs = [dict(zip(columns, ("v_p10", "None", *row), strict=True)) for row in questions]
    parquet(folder / "Consistency/test-00000-of-00001.parquet", pairs)
    zipped(folder / "videos.zip", {f"Test_Videos/v_p1{i}.mp4": clip() for i in range(2)})


def egoschema_original(folder: Path) -> None:
    rows = [
        {"q_uid": f"uid{i}", "question": "Why?", **{f"option {n}": w for n, w in enumerate(WORDS[:5])}}
        for i in range(3)
    ]
    put(folder / "questions.json", rows)
    put(folder / "subset_answers.json", {"uid0": 0, "uid1": 4})
    put_clips(folder / "videos", "uid0.mp4", "uid1.mp4", "uid2.mp4")


def egoschema_hub(folder: Path) -> None:
    rows = [
        {
            "question_idx": str(i),
            "question": "Why?",
            "video_idx": f"uid{i}",
            "option": [f"{letter}. {word}" for letter, word in zip("ABCDE", WORDS, strict=False)],
            "answer": str(4 * i),
        }
        for i in range(2)
    ]
    parquet(folder / "Subset/test-00000-of-00001.parquet", rows)
    zipped(folder / "videos_chunked_01.zip", {f"videos/uid{i}.mp4": clip() for i in range(2)})


def _longvideobench(i: int) -> dict[str, Any]:
    return {
        "id": f"vid{i}_0",
        "video_id": f"vid{i}",
        "video_path": f"vid{i}.mp4",
        "question": "When?",
        "correct_choice": i,
        "topic_category": "KH-Knowledge-History",
        "question_category": ("S2E", "T3O")[i % 2],
        "duration_group": (15, 3600)[i % 2],
        "duration": 2.0,
        "subtitle_path": f"vid{i}_en.json",
    }


def longvideobench_json(folder: Path) -> None:
    put(folder / "lvb_val.json", [{**_longvideobench(i), "candidates": list(WORDS[:4])} for i in range(3)])
    parts = io.BytesIO()
    with tarfile.open(fileobj=parts, mode="w") as archive:
        for i in range(3):
            info = tarfile.TarInfo(f"videos/vid{i}.mp4")
            info.size = len(clip())
            archive.addfile(info, io.BytesIO(clip()))
    content = parts.getvalue()
    half = len(content) // 2
    put(folder / "videos.tar.part.aa", content[:half])
    put(folder / "videos.tar.part.ab", content[half:])


def longvideobench_hub(folder: Path) -> None:
    options = {"option0": "red", "option1": "green", "option2": "blue", "option3": "N/A", "option4": "N/A"}
    parquet(folder / "validation-00000-of-00001.parquet", [{**_longvideobench(i), **options} for i in range(3)])
    put_clips(folder / "videos", "vid0.mp4", "vid1.mp4", "vid2.mp4")


def lvbench_original(folder: Path) -> None:
    lines = [
        {
            "key": f"Cm73ma{i}",
            "qa": [
                {
                    "uid": f"{i}{k}",
                    "question": QUESTION_WITH_OPTIONS,
                    "answer": "ABCD"[k],
                    "question_type": ["entity recognition", "reasoning"][: 1 + k],
                }
                for k in range(2)
            ],
        }
        for i in range(2)
    ]
    put(folder / "video_info.meta.jsonl", "".join(json.dumps(line) + "\n" for line in lines))
    put_clips(folder / "videos", "Cm73ma0.mp4", "Cm73ma1.mp4")


def lvbench_hub(folder: Path) -> None:
    rows = [
        {
            "uid": str(i),
            "question": QUESTION_WITH_OPTIONS,
            "answer": "B",
            "video_path": f"vid{i}.mp4",
            "question_type": ["summarization"],
        }
        for i in range(2)
    ]
    parquet(folder / "data/train-00000-of-00001.parquet", rows)
    zipped(folder / "video_chunks.zip", {f"all_videos/vid{i}.mp4": clip() for i in range(2)})


class Layout(NamedTuple):
    """An official layout, and its number of samples in each split."""

    benchmark: str
    make: Callable[[Path], None]
    samples: dict[str, int]


VIDEO_LAYOUTS = [
    Layout("videomme", videomme_hub, {"test": 6}),
    Layout("videomme", videomme_unpacked, {"test": 6}),
    Layout("mvbench", mvbench_main, {"test": 40}),
    Layout("mvbench", mvbench_video, {"test": 40}),
    Layout("mlvu", mlvu_original, {"choice": 14, "generation": 2}),
    Layout("mlvu", mlvu_parquet, {"choice": 14}),
    Layout("mlvu_test", mlvu_test, {"test": 3}),
    Layout("nextqa", nextqa_csv, {"test": 8}),
    Layout("nextqa", nextqa_parquet, {"test": 8}),
    Layout("activitynetqa", activitynetqa_json, {"test": 3}),
    Layout("activitynetqa", activitynetqa_hub, {"test": 3}),
    Layout("videochatgpt", videochatgpt_json, {"test": 7}),
    Layout("videochatgpt", videochatgpt_hub, {"test": 7}),
    Layout("egoschema", egoschema_original, {"subset": 2}),
    Layout("egoschema", egoschema_hub, {"subset": 2}),
    Layout("longvideobench", longvideobench_json, {"val": 3}),
    Layout("longvideobench", longvideobench_hub, {"val": 3}),
    Layout("lvbench", lvbench_original, {"test": 4}),
    Layout("lvbench", lvbench_hub, {"test": 2}),
]
