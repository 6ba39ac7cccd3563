"""Questions with four one-word options, posed from a clip's drafts (see `grammar.py`)."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from qsv_eval.demo.grammar import KINDS, QuestionDraft, question_drafts
from qsv_eval.demo.scene import ClipSpec, clip_rng

__all__ = ["LETTERS", "DemoQuestion", "clip_questions", "pose"]

LETTERS: Final = ("A", "B", "C", "D")


@dataclass(frozen=True)
class DemoQuestion:
    """One multiple-choice question on one clip."""

    question_id: str
    clip_id: str
    kind: str
    template: str
    """The kind's variant, as in `grammar.Draft`."""
    duration: str
    """Class of the clip: short, medium or long."""
    text: str
    options: tuple[str, ...]
    """Four different words, for A, B, C and D."""
    answer: str
    """Letter of the right option."""
    scenes: tuple[int, ...]
    """Indices of the scenes that must be seen to answer."""
    brief: bool
    """Whether one of these scenes has only one or two sampled frames."""

    @property
    def answer_word(self) -> str:
        """The right option."""
        return self.options[LETTERS.index(self.answer)]


def pose(spec: ClipSpec, draft: QuestionDraft, question_id: str, letter: str, rng: np.random.Generator) -> DemoQuestion:
    """Make a question of a draft, its answer under the given letter and three wrong words under the others."""
    wrong = [*_shuffled(draft.near, rng), *_shuffled(draft.far, rng)][: len(LETTERS) - 1]
    options = _shuffled(tuple(wrong), rng)
    options.insert(LETTERS.index(letter), draft.answer)
    return DemoQuestion(
        question_id=question_id,
        clip_id=spec.clip_id,
        kind=draft.kind,
        template=draft.template,
        duration=spec.duration,
        text=draft.text,
        options=tuple(options),
        answer=letter,
        scenes=draft.scenes,
        brief=any(spec.scenes[position].is_brief for position in draft.scenes),
    )


def clip_questions(spec: ClipSpec, per_kind: int = 1) -> list[DemoQuestion]:
    """Return up to `per_kind` random questions of every kind, the same ones at every call; meant for training."""
    rng = clip_rng(spec.split, spec.index, purpose=1)
    chosen: list[DemoQuestion] = []
    for kind in KINDS:
        candidates = question_drafts(spec, kind)
        for position in rng.permutation(len(candidates))[:per_kind]:
            question_id = f"{spec.clip_id}-{len(chosen)}"
            chosen.append(pose(spec, candidates[position], question_id, str(rng.choice(LETTERS)), rng))
    return chosen


def _shuffled(words: tuple[str, ...], rng: np.random.Generator) -> list[str]:
    return [words[position] for position in rng.permutation(len(words))]
