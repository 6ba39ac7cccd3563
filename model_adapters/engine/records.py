"""From what was said to a line of the journal."""

import logging
from collections.abc import Mapping
from typing import Any

from qsv_eval.model_adapters.engine import oom, run_context
from qsv_eval.model_adapters.engine.inference import Generated
from qsv_eval.model_adapters.engine.journal import AnswerStatus, Record, VideoUse
from qsv_eval.model_adapters.engine.request import Request
from qsv_eval.model_adapters.errors import QsvError
from qsv_eval.model_adapters.quicksviewer import Reply

__all__ = ["failed_record", "record_of"]

_log = logging.getLogger(__name__)


def failed_record(question: Request, key: str, error: Exception, **measured: Any) -> Record:
    """Record that a question has no answer, and say so in the log."""
    reason = str(error) if isinstance(error, QsvError) else f"{type(error).__name__}: {error}"
    _log.warning("%s, sample %s: %s", question.task, question.sample_id, reason)
    return Record(**_whose(question, key), fate=AnswerStatus.FAILED, reason=reason, **measured)


def record_of(said: Generated, key: str, seconds: Mapping[str, float], read_s: float) -> Record:
    """Record what came of a question, with what it took."""
    measured: dict[str, Any] = {
        "seconds": {name: round(value, 4) for name, value in seconds.items() if value >= 5e-5},
        "read_s": round(read_s, 4),
        "peak_bytes": oom.peak_bytes(),
        "environment": run_context.environment_line(),
    }
    question = said.question
    if said.error is not None or said.reply is None:
        return failed_record(question, key, said.error or AssertionError("neither a reply nor an error"), **measured)
    scored: dict[str, Any] = {} if said.score is None else {"loss": said.score.loss, "is_greedy": said.score.is_greedy}
    return Record(
        **_whose(question, key),
        fate=AnswerStatus.ANSWERED,
        text=question.generation.cut(said.reply.text),
        rounds=list(said.rounds),
        degraded=said.degraded,
        videos=_videos(said.reply),
        prompt_tokens=said.reply.prompt_tokens,
        visual_tokens=said.reply.visual_tokens,
        new_tokens=len(said.reply.token_ids),
        **scored,
        **measured,
    )


def _whose(question: Request, key: str) -> dict[str, Any]:
    names = ("task", "doc_id", "split", "repeat", "sample_id")
    return {"key": key} | {name: getattr(question, name) for name in names}


def _videos(reply: Reply) -> list[VideoUse]:
    return [
        VideoUse(timestamps_s=[round(time, 4) for time in times or []], cubes=list(cubes), lost_frames=lost)
        for times, cubes, lost in zip(reply.frames, reply.cubes, reply.lost_frames, strict=True)
    ]
