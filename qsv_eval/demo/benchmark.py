"""The built-in sample benchmark `qsv_demo`: 84 clips, one question of every kind on each, always the same.

Clips come in turn short, medium and long, each with its five questions together, so any prefix (`--limit 60`) is
balanced over kinds and durations and reads few clips.
"""

from collections import Counter
from functools import cache
from typing import Final, TypedDict

import numpy as np

from qsv_eval.demo.grammar import KINDS, QuestionDraft, question_drafts
from qsv_eval.demo.questions import LETTERS, DemoQuestion, pose
from qsv_eval.demo.scene import DURATIONS, ClipSpec, clip_rng, make_clip

__all__ = ["N_CLIPS", "DemoRecord", "demo_questions", "demo_records"]

N_CLIPS: Final = 84
"""A whole round of the scene counts in `scene.py`, on which the balance of `count` rests."""

_SPLIT: Final = "demo"


class DemoRecord(TypedDict):
    """A row of the benchmark's table, with the columns of Video-MME."""

    question_id: str
    video_id: str  # argument of scene.clip_from_id, whose clip encode.ensure_video makes a file of
    duration: str  # short, medium or long
    task_type: str  # the kind
    question: str
    options: list[str]  # "A. red" to "D. blue"
    answer: str  # the letter


def demo_questions() -> list[DemoQuestion]:
    """Return the benchmark's 420 questions, clip by clip."""
    return list(_questions())


def demo_records() -> list[DemoRecord]:
    """Return the questions as rows of plain values, for a `datasets` table."""
    return [_record(question) for question in _questions()]


def _record(question: DemoQuestion) -> DemoRecord:
    return DemoRecord(
        question_id=question.question_id,
        video_id=question.clip_id,
        duration=question.duration,
        task_type=question.kind,
        question=question.text,
        options=[f"{letter}. {word}" for letter, word in zip(LETTERS, question.options, strict=True)],
        answer=question.answer,
    )


@cache
def _questions() -> tuple[DemoQuestion, ...]:
    """Choose one draft of each kind for every clip in turn, keeping words, variants and letters even as it goes."""
    used: Counter[tuple[str, ...]] = Counter()
    letters = _letters()
    chosen: list[DemoQuestion] = []
    for index in range(N_CLIPS):
        spec = make_clip(_SPLIT, index)
        rng = clip_rng(_SPLIT, index, purpose=1)
        for kind in KINDS:
            candidates = question_drafts(spec, kind)
            # Chance decides only between equals: 1e-6 is far below any difference of cost.
            costs = [_cost(spec, draft, used) + 1e-6 * rng.random() for draft in candidates]
            draft = candidates[int(np.argmin(costs))]
            used.update([_word_key(draft), _template_key(draft)])
            question_id = f"{spec.clip_id}-{KINDS.index(kind) + 1}"
            chosen.append(pose(spec, draft, question_id, letters[kind, spec.duration][index // len(DURATIONS)], rng))
    return tuple(chosen)


def _letters() -> dict[tuple[str, str], list[str]]:
    """Return the answer letters of each kind and duration: every four clips use all four, in an order of their own."""
    rng = clip_rng(_SPLIT, 0, purpose=2)
    blocks = N_CLIPS // len(DURATIONS) // len(LETTERS)
    return {
        (kind, duration): [str(letter) for _ in range(blocks) for letter in rng.permutation(LETTERS)]
        for kind in KINDS
        for duration in DURATIONS
    }


def _cost(spec: ClipSpec, draft: QuestionDraft, used: Counter[tuple[str, ...]]) -> float:
    """Low for the answers and variants used least, with wrong words from the clip, on a small part of the clip."""
    missing = max(len(LETTERS) - 1 - len(draft.near), 0)
    share = spec.scenes[draft.target].n_sampled / spec.duration_s
    return used[_word_key(draft)] + 0.5 * used[_template_key(draft)] + 2.0 * missing + share


def _word_key(draft: QuestionDraft) -> tuple[str, ...]:
    """Return what must be even for the words to tell nothing: the answer, within its option set if that is fixed."""
    return (draft.kind, draft.answer, *(() if draft.far else draft.near))


def _template_key(draft: QuestionDraft) -> tuple[str, ...]:
    return (draft.kind, draft.template)
