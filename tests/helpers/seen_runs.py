"""Writers of runs of the built-in benchmark with a journal, as `qsv-eval run` leaves them, without a model."""

from pathlib import Path

from run_files import ANSWERS, write_run

from qsv_eval.model_adapters.engine.failure import ERROR_REPLY
from qsv_eval.model_adapters.engine.journal import Journal
from qsv_eval.model_adapters.engine.metrics import AnswerCost, summarise_costs
from qsv_eval.model_adapters.engine.records import AnswerStatus, Assignment, ExitReason, Record, VideoUse
from qsv_eval.scoring.sample_result import new_sample_result
from qsv_eval.scoring.scorers import score_sample
from qsv_eval.tasks.registry import task_named

TASK = "qsv_demo"
SECONDS = {"wait": 0.1, "vit": 0.4, "cubing": 0.1, "prefill": 0.2, "generation": 0.3, "other": 0.05}


def demo_rows(texts):
    """Return scored rows, one for each reply; "right" stands for the sample's answer, "other" for another letter."""
    task = task_named(TASK)
    rows = []
    for sample, reply in zip(task.samples(), texts, strict=False):
        other = "B" if sample.answer == "A" else "A"
        reply = {"right": sample.answer, "other": other}.get(reply, reply)
        rows.append(
            score_sample(new_sample_result(TASK, sample, reply, "cut" if reply == ERROR_REPLY else ""), task.scorer)
        )
    return rows


def record_of(row, frames: int = 8, **more) -> Record:
    """Return the record of an answer on so many frames, one per second, in cubes of four."""
    starts = range(0, frames, 4)
    cubes = [(start, min(start + 4, frames), float(start), float(min(start + 4, frames))) for start in starts]
    use = VideoUse(timestamps_s=[0.5 + second for second in range(frames)], cubes=cubes)
    fixed = {
        "key": f"{row['id']}-{frames}",
        "task": row["task"],
        "doc_id": 0,
        "split": "test",
        "repeat": 0,
        "sample_id": row["id"],
        "fate": AnswerStatus.ANSWERED,
        "text": row["reply"][:20],
        "videos": [use],
        "visual_tokens": 64 * len(cubes),
        "prompt_tokens": 64 * len(cubes) + 50,
        "seconds": {name: value * frames / 8 for name, value in SECONDS.items()},
        "read_s": 0.25,
    }
    return Record(**fixed | more)


def write_journal(folder: Path, records) -> Path:
    """Write `run.json` and the journal of a run, by the journal's own code; return the journal."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "run.json").write_text("{}")
    journal = Journal(folder / "journal")
    journal.begin(Assignment(run="1", rank=0, world_size=1))
    for record in records:
        journal.append(record)
    journal.end(ExitReason.DONE)
    return folder / "journal"


def write_seen_run(folder: Path, texts, frames: int = 8, *, model: str = "org/tiny", usage: bool = True) -> Path:
    """Write a run of the built-in benchmark; return its output folder."""
    rows = demo_rows(texts)
    rule = {"fps": 1.0, "max_frames": frames, "name": "reference"}
    records = [record_of(row, frames) for row in rows if row["reply"] != ERROR_REPLY]
    stated = {"usage": {TASK: summarise_costs([AnswerCost.of(record) for record in records])}} if usage else {}
    write_run(folder / "model", {TASK: rows}, model=model, answers={**ANSWERS, "frame_rule": rule}, **stated)
    write_journal(folder, records)
    return folder
