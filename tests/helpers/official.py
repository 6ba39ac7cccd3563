"""Small but real copies of every benchmark's official layouts: the same files, columns and folders, few questions."""

import io
import json
import tarfile
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import av
import numpy as np
import pandas as pd
from PIL import Image

from qsv_eval.tasks.mvbench.task import SUBTASKS

WORDS = ("red", "green", "blue", "white", "black", "grey")
SRT = """1
00:00:00,000 --> 00:00:01,000
<font color="white" size=".72c">hello there</font>

2
00:00:01,000 --> 00:00:02,500
goodbye

3
00:01:00,000 --> 00:01:01,000
much later
"""


@cache
def clip(suffix: str = ".mp4", seconds: int = 2) -> bytes:
    """A video of noise, 8 frames a second."""
    file = io.BytesIO()
    draw = np.random.default_rng(0)
    formats = {".mp4": "mp4", ".mkv": "matroska", ".webm": "matroska", ".avi": "avi"}
    with av.open(file, "w", format=formats[suffix]) as container:
        stream = container.add_stream("mpeg4", rate=8)
        stream.width = stream.height = 64
        for _ in range(8 * seconds):
            frame = av.VideoFrame.from_ndarray(draw.integers(0, 255, (64, 64, 3), np.uint8))
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return file.getvalue()


@cache
def picture(shade: int = 0) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (48, 32), (shade, 100, 200)).save(file, "JPEG")
    return file.getvalue()


def put(path: Path, content: bytes | str | Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def parquet(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(rows).to_parquet(path)
    return path


def zipped(path: Path, files: dict[str, bytes | str]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


# ---- videos


def _videomme_rows() -> list[dict[str, Any]]:
    return [
        {
            "video_id": f"00{video}",
            "duration": ("short", "medium", "long")[video % 3],
            "domain": "Knowledge",
            "sub_category": "Geography",
            "url": "",
            "videoID": f"vid{video}",
            "question_id": f"00{video}-{number}",
            "task_type": "OCR Problems",
            "question": f"What is {number}?",
            "options": [f"{letter}. {word}." for letter, word in zip("ABCD", WORDS, strict=False)],
            "answer": "ABCD"[(video + number) % 4],
        }
        for video in range(3)
        for number in range(2)
    ]


def videomme_hub(folder: Path) -> None:
    """The repository as it is downloaded: a parquet file and zips."""
    parquet(folder / "videomme/test-00000-of-00001.parquet", _videomme_rows())
    zipped(folder / "videos_chunked_01.zip", {f"data/vid{video}.mp4": clip() for video in (0, 1)})
    zipped(folder / "videos_chunked_02.zip", {"data/vid2.MP4": clip()})
    zipped(folder / "subtitle.zip", {f"subtitle/vid{video}.srt": SRT for video in (0, 1)})


def videomme_unpacked(folder: Path) -> None:
    parquet(folder / "videomme/test-00000-of-00001.parquet", _videomme_rows())
    for video in range(3):
        put(folder / f"data/vid{video}.mp4", clip())
    put(folder / "subtitle/vid0.srt", SRT)


def _mvbench_json(folder: Path) -> None:
    for number, subtask in enumerate(SUBTASKS):
        suffix = {"action_antonym": ".webm", "fine_grained_pose": ".avi", "episodic_reasoning": ""}.get(subtask, ".mp4")
        bounded = suffix == "" or subtask in ("action_sequence", "action_prediction", "object_interaction")
        rows = [
            {
                "video": f"{subtask}_{place}{suffix}",
                "question": f"What happens {place}?",
                "candidates": list(WORDS[: 3 + number % 3]),
                "answer": WORDS[(number + place) % 3],
                **({"start": 0.5, "end": 1.5} if bounded or subtask == "action_localization" else {}),
            }
            for place in range(2)
        ]
        put(folder / f"json/{subtask}.json", rows)


def mvbench_main(folder: Path) -> None:
    """The branch `main`: zips of the original clips, one with frames."""
    _mvbench_json(folder)
    suffixes = {"action_antonym": ".webm", "fine_grained_pose": ".avi"}
    archives: dict[str, dict[str, bytes | str]] = {}
    for subtask, folders in SUBTASKS.items():
        top = folders.original.split("/")[0]
        for place in range(2):
            if subtask == "episodic_reasoning":
                frames = {f"{folders.original}/{subtask}_{place}/{n:05d}.jpg": picture(n * 20) for n in range(1, 10)}
                archives.setdefault(top, {}).update(frames)
            else:
                suffix = suffixes.get(subtask, ".mp4")
                archives.setdefault(top, {})[f"{folders.original}/{subtask}_{place}{suffix}"] = clip(suffix)
    for top, files in archives.items():
        zipped(folder / f"video/{top}.zip", files)


def mvbench_video(folder: Path) -> None:
    """The branch `video`: cut clips in folders of their own."""
    _mvbench_json(folder)
    for subtask, folders in SUBTASKS.items():
        for place in range(2):
            put(folder / f"{folders.cut}/{subtask}_{place}.mp4", clip())


_MLVU = {1: "plotQA", 2: "needle", 3: "ego", 4: "count", 5: "order", 6: "anomaly_reco", 7: "topic_reasoning"}


def mlvu_original(folder: Path) -> None:
    """The authors' folders; the tasks have different numbers of questions, so macro and micro averages differ."""
    for number, task in _MLVU.items():
        rows = [
            {
                "video": f"{task}_{place}.mp4",
                "duration": 2.0,
                "question": f"What is {place}?",
                "candidates": list(WORDS[:4]),
                "answer": WORDS[place % 4],
                "question_type": task,
            }
            for place in range(1 + number % 3)
        ]
        put(folder / f"MLVU/json/{number}_{task}.json", rows)
        for row in rows:
            put(folder / f"MLVU/video/{number}_{task}/{row['video']}", clip())
    scene = {"video": "sub_0.mp4", "duration": 2.0, "question": "Describe it.", "answer": "A dog runs."}
    put(folder / "MLVU/json/8_sub_scene.json", [{**scene, "scoring_points": ["a dog", "it runs"]}])
    put(folder / "MLVU/json/9_summary.json", [{**scene, "video": "summary_0.mp4", "question": "Summarise it."}])
    put(folder / "MLVU/video/8_sub_scene/sub_0.mp4", clip())
    put(folder / "MLVU/video/9_summary/summary_0.mp4", clip())


def mlvu_parquet(folder: Path) -> None:
    rows = [
        {
            "video_name": f"{task}_{place}.mp4",
            "duration": 2.0,
            "question": "What is it?\n" + "\n".join(f"({c}) {w}" for c, w in zip("ABCD", WORDS, strict=False)),
            "answer": "ABCD"[place],
            "task_type": task,
        }
        for task in _MLVU.values()
        for place in range(2)
    ]
    parquet(folder / "data/test-00000-of-00001.parquet", rows)
    zipped(folder / "video_part_1.zip", {row["video_name"]: clip() for row in rows})


def mlvu_test(folder: Path) -> None:
    rows = [
        {
            "video": f"test_{place}.mp4",
            "question": "What is it?",
            "candidates": list(WORDS),
            "question_type": ("sportsQA", "tutorialQA")[place % 2],
            "question_id": f"Q{place}",
        }
        for place in range(3)
    ]
    put(folder / "test_multi_choice_tasks.json", rows)
    for row in rows:
        put(folder / f"video/{row['video']}", clip())


def _nextqa_rows() -> list[dict[str, Any]]:
    kinds = ("CW", "CH", "TN", "TC", "TP", "DC", "DL", "DO")
    return [
        {
            "video": 4010069380 + place // 2,
            "frame_count": 16,
            "width": 64,
            "height": 64,
            "question": "why did the dog run",
            "answer": place % 5,
            "qid": place % 2,
            "type": kind,
            **{f"a{number}": word for number, word in enumerate(WORDS[:5])},
        }
        for place, kind in enumerate(kinds)
    ]


def nextqa_csv(folder: Path) -> None:
    path = folder / "test-data-nextqa/test.csv"
    path.parent.mkdir(parents=True)
    pd.DataFrame(_nextqa_rows()).to_csv(path, index=False)
    for place in range(4):
        put(folder / f"NExTVideo/1164/{4010069380 + place}.mp4", clip())


def nextqa_parquet(folder: Path) -> None:
    parquet(folder / "MC/test-00000-of-00001.parquet", _nextqa_rows())
    zipped(folder / "videos.zip", {f"NExTVideo/{4010069380 + place}.mp4": clip() for place in range(4)})


def _activitynet() -> list[dict[str, Any]]:
    return [
        {
            "question_id": f"v_1QIUV7.{place}_3",
            "video_name": f"1QIUV7.{place}",
            "question": "is the athlete wearing trousers",
            "answer": "yes",
            "type": 3 + place,
        }
        for place in range(3)
    ]


def activitynetqa_json(folder: Path) -> None:
    rows = _activitynet()
    put(folder / "test_q.json", [{key: row[key] for key in ("question", "question_id", "video_name")} for row in rows])
    put(folder / "test_a.json", [{key: row[key] for key in ("answer", "type", "question_id")} for row in rows])
    for row, suffix in zip(rows, (".mp4", ".webm", ".mkv"), strict=True):
        put(folder / f"all_test/v_{row['video_name']}{suffix}", clip(suffix))


def activitynetqa_hub(folder: Path) -> None:
    rows = _activitynet()
    parquet(folder / "data/test-00000-of-00001.parquet", [{**row, "type": str(row["type"])} for row in rows])
    zipped(folder / "videos_chunked_01.zip", {f"all_test/v_{row['video_name']}.mp4": clip() for row in rows})


def videochatgpt_json(folder: Path) -> None:
    one = [{"video_name": f"v_p1{place}", "Q": "What happens?", "A": "A man runs."} for place in range(2)]
    pairs = [{"video_name": f"v_p1{place}", "Q1": "What runs?", "Q2": "Who runs?", "A": "A man."} for place in range(2)]
    put(folder / "generic_qa.json", one)
    put(folder / "temporal_qa.json", one[:1])
    put(folder / "consistency_qa.json", pairs)
    zipped(folder / "Test_Videos.zip", {f"Test_Videos/v_p1{place}.mp4": clip() for place in range(2)})


def videochatgpt_hub(folder: Path) -> None:
    one = [{"video_name": f"v_p1{place}", "question": "What happens?", "answer": "A man runs."} for place in range(2)]
    for name, rows in (("Generic", one), ("Temporal", one[:1])):
        extra = {"question_1": "None", "question_2": "None"}
        parquet(folder / name / "test-00000-of-00001.parquet", [{**row, **extra} for row in rows])
    # Two pairs on one video: by the video's name alone they would be mixed up. The second rows come first.
    pairs = [
        {
            "video_name": "v_p10",
            "question": "None",
            "question_1": "None",
            "question_2": "Who runs?",
            "answer": "A man.",
        },
        {
            "video_name": "v_p10",
            "question": "None",
            "question_1": "None",
            "question_2": "Who sits?",
            "answer": "A dog.",
        },
        {
            "video_name": "v_p10",
            "question": "None",
            "question_1": "What runs?",
            "question_2": "None",
            "answer": "A man.",
        },
        {
            "video_name": "v_p10",
            "question": "None",
            "question_1": "What sits?",
            "question_2": "None",
            "answer": "A dog.",
        },
    ]
    parquet(folder / "Consistency/test-00000-of-00001.parquet", pairs)
    zipped(folder / "videos.zip", {f"Test_Videos/v_p1{place}.mp4": clip() for place in range(2)})


def egoschema_original(folder: Path) -> None:
    rows = [
        {"q_uid": f"uid{place}", "question": "Why?", **{f"option {n}": w for n, w in enumerate(WORDS[:5])}}
        for place in range(3)
    ]
    put(folder / "questions.json", rows)
    put(folder / "subset_answers.json", {"uid0": 0, "uid1": 4})
    for place in range(3):
        put(folder / f"videos/uid{place}.mp4", clip())


def egoschema_hub(folder: Path) -> None:
    rows = [
        {
            "question_idx": str(place),
            "question": "Why?",
            "video_idx": f"uid{place}",
            "option": [f"{letter}. {word}" for letter, word in zip("ABCDE", WORDS, strict=False)],
            "answer": str(4 * place),
        }
        for place in range(2)
    ]
    parquet(folder / "Subset/test-00000-of-00001.parquet", rows)
    zipped(folder / "videos_chunked_01.zip", {f"videos/uid{place}.mp4": clip() for place in range(2)})


def _longvideobench(place: int) -> dict[str, Any]:
    return {
        "id": f"vid{place}_0",
        "video_id": f"vid{place}",
        "video_path": f"vid{place}.mp4",
        "question": "When?",
        "correct_choice": place,
        "topic_category": "KH-Knowledge-History",
        "question_category": ("S2E", "T3O")[place % 2],
        "duration_group": (15, 3600)[place % 2],
        "duration": 2.0,
        "subtitle_path": f"vid{place}_en.json",
    }


def longvideobench_json(folder: Path) -> None:
    put(folder / "lvb_val.json", [{**_longvideobench(place), "candidates": list(WORDS[:4])} for place in range(3)])
    parts = io.BytesIO()
    with tarfile.open(fileobj=parts, mode="w") as archive:
        for place in range(3):
            info = tarfile.TarInfo(f"videos/vid{place}.mp4")
            info.size = len(clip())
            archive.addfile(info, io.BytesIO(clip()))
    content = parts.getvalue()
    half = len(content) // 2
    put(folder / "videos.tar.part.aa", content[:half])
    put(folder / "videos.tar.part.ab", content[half:])


def longvideobench_hub(folder: Path) -> None:
    options = {"option0": "red", "option1": "green", "option2": "blue", "option3": "N/A", "option4": "N/A"}
    parquet(folder / "validation-00000-of-00001.parquet", [{**_longvideobench(place), **options} for place in range(3)])
    for place in range(3):
        put(folder / f"videos/vid{place}.mp4", clip())


def _lvbench_question() -> str:
    return "What is it?\n" + "\n".join(f"({letter}) {word}" for letter, word in zip("ABCD", WORDS, strict=False))


def lvbench_original(folder: Path) -> None:
    lines = [
        {
            "key": f"Cm73ma{place}",
            "qa": [
                {
                    "uid": f"{place}{number}",
                    "question": _lvbench_question(),
                    "answer": "ABCD"[number],
                    "question_type": ["entity recognition", "reasoning"][: 1 + number],
                }
                for number in range(2)
            ],
        }
        for place in range(2)
    ]
    put(folder / "video_info.meta.jsonl", "".join(json.dumps(line) + "\n" for line in lines))
    for place in range(2):
        put(folder / f"videos/Cm73ma{place}.mp4", clip())


def lvbench_hub(folder: Path) -> None:
    rows = [
        {
            "uid": str(place),
            "question": _lvbench_question(),
            "answer": "B",
            "video_path": f"vid{place}.mp4",
            "question_type": ["summarization"],
        }
        for place in range(2)
    ]
    parquet(folder / "data/train-00000-of-00001.parquet", rows)
    zipped(folder / "video_chunks.zip", {f"all_videos/vid{place}.mp4": clip() for place in range(2)})


class Layout(NamedTuple):
    """An official layout, and how many samples of each set it holds."""

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
