"""Writers of results and samples files as runs leave them, with scores and summaries by the real code."""

import json
import random
from pathlib import Path

from qsv_eval.data.sample import Sample
from qsv_eval.protocol import Protocol
from qsv_eval.scoring.sample_result import new_sample_result
from qsv_eval.scoring.scorers import score_sample
from qsv_eval.scoring.summary import CompactDict
from qsv_eval.tasks.registry import task_named

OPTIONS = ("A. red", "B. green", "C. blue", "D. white")
ANSWERS = {
    "checkpoint": "abc",
    "model_code": "123",
    "dtype": "bfloat16",
    "frame_rule": {"fps": 1.0, "max_frames": 420, "name": "reference"},
}
GROUPS = {
    "qsv_videomme": {
        "duration": ("short", "medium", "long"),
        "domain": ("Knowledge", "Sports"),
        "sub_category": ("Law",),
        "task_type": ("OCR", "Counting"),
    },
    "qsv_mvbench": {"subtask": ("action_antonym", "scene_transition", "state_change")},
}


def replies(count: int, right: float, seed: int = 0) -> list[str]:
    """Return letters, about a fraction `right` of which is C, the answer to every question here."""
    rng = random.Random(seed)
    return ["C" if rng.random() < right else "A" for _ in range(count)]


def rows_of(task: str, texts, *, per_video: int = 3, question: str = "Which?", groups=None):
    """Return scored rows, one for each reply."""
    scorer = task_named(task).scorer
    fields = GROUPS.get(task, {}) if groups is None else groups
    rows = []
    for index, reply in enumerate(texts):
        of_sample = {name: values[index % len(values)] for name, values in fields.items()}
        cluster = f"v{index // per_video}"
        content = {"question": question, "options": OPTIONS, "answer": "C", "cluster": cluster, "groups": of_sample}
        sample = Sample(id=f"{index:05}", **content)
        rows.append(score_sample(new_sample_result(task, sample, reply, "cut"), scorer))
    return rows


def write_run(
    folder: Path,
    tasks,
    *,
    model: str | None = "org/tiny",
    stamp: str = "20261101_000000",
    answers=ANSWERS,
    scoring=None,
    config=None,
    **more,
) -> Path:
    """Write a run's files; `tasks` has the rows of each task. Return the results file."""
    results, protocols = {}, {}
    folder.mkdir(parents=True, exist_ok=True)
    for task, rows in tasks.items():
        summary = task_named(task).summarise(rows)
        record = {**summary["protocol"], "answers": answers}
        protocol = Protocol.from_dict(record | {"scoring": {**record["scoring"], **(scoring or {})}})
        summary["protocol"] = CompactDict(protocol.as_dict(), "")
        results[task] = {"alias": task, "accuracy,none": summary["value"], "outcome,none": summary}
        protocols[task] = protocol.as_dict()
        lines = [json.dumps({"doc_id": index, "outcome": row}) for index, row in enumerate(rows)]
        (folder / f"{stamp}_samples_{task}.jsonl").write_text("".join(f"{line}\n" for line in lines))
    content = {"results": results, "protocols": protocols, "date": stamp}
    if model is not None:
        config = config or {"model": "quicksviewer", "model_args": f"pretrained={model}"}
        content |= {"config": config, "model_name": model}
    return write_results(folder, content | more, stamp)


def write_results(folder: Path, content, stamp: str = "20261101_000000") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{stamp}_results.json"
    file.write_text(json.dumps(content))
    return file


def write_foreign(folder: Path, task: str = "videomme", scores=(1.0, 0.0, 1.0), *, stamp="20261101_000000", **more):
    """Write the files of one of lmms-eval's own tasks and another model; return the results file."""
    content = {
        "results": {
            task: {
                "alias": task,
                "score_stderr,none": "N/A",
                "score,none": 100 * sum(scores) / len(scores),
                "score_stderr_clustered,none": 0.1,
            }
        },
        "configs": {
            task: {"cluster_key": "videoID", "score_key": "score", "generation_kwargs": {"max_new_tokens": 16}}
        },
        "versions": {task: 0.0},
        "higher_is_better": {task: {"score": True}},
        "n-samples": {task: {"original": 9, "effective": len(scores)}},
        "config": {"model": "qwen2_5_vl", "model_args": "pretrained=Qwen/Qwen2.5-VL-7B-Instruct,max_num_frames=64"},
        "model_name": "Qwen/Qwen2.5-VL-7B-Instruct",
        "lmms_eval_version": "0.7.3",
        "date": stamp,
    }
    lines = [
        {
            "doc_id": index,
            "target": "C",
            "filtered_resps": "C" if score else "A",
            "doc_hash": "x",
            "score": {"question_id": f"q{index}", "videoID": f"v{index // 2}", "answer": "C", "score": score},
            "input": "Which?",
        }
        for index, score in enumerate(scores)
    ]
    file = write_results(folder, content | more, stamp)
    (folder / f"{stamp}_samples_{task}.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    return file
