"""Tries a small model out on clips drawn here, that neither its training nor the sample benchmark has."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from qsv_eval.demo.draw import sampled_frames, sampled_instants_s
from qsv_eval.demo.questions import DemoQuestion, clip_questions
from qsv_eval.demo.scene import ClipSpec, make_clip
from qsv_eval.model_adapters.quicksviewer import Quicksviewer, Reply
from qsv_eval.model_adapters.quicksviewer.gate import choose_starts, equal_starts, plain_differences
from qsv_eval.model_adapters.quicksviewer.generation import generate
from qsv_eval.model_adapters.quicksviewer.messages import VideoInput
from qsv_eval.model_adapters.quicksviewer.perception import FrameSummaries
from qsv_eval.scoring.extract import extract_letter
from qsv_eval.tiny.text_data import choice

__all__ = ["CUT_RULES", "Trial", "TrialAnswer", "accuracy", "evaluate_clips", "starts_of"]

CUT_RULES: Final = ("learned", "equal", "difference")
"""The model's own cubes, and as many that are equally long, or begin where neighbouring frames differ most."""


REPLY_TOKENS: Final = 32
"""Two scenes, a word and its letter take 24."""


class TrialAnswer(NamedTuple):
    """A question and what came of it."""

    clip: str
    question: str
    kind: str
    duration: str
    brief: bool
    right: bool


class Trial(NamedTuple):
    """Results of all questions."""

    answers: list[TrialAnswer]
    true_cuts: int
    found_cuts: Mapping[str, int]
    """True cuts at which a cube starts, by the rule that cuts; empty when nothing was shown."""

    def metrics(self) -> dict[str, float]:
        """Return accuracies, over all and by kind, and the recall of true cuts by each rule."""
        figures = {"accuracy": accuracy(self.answers)}
        for kind in sorted({one.kind for one in self.answers}):
            figures[f"{kind}_accuracy"] = accuracy([one for one in self.answers if one.kind == kind])
        return figures | {f"{rule}_cut_recall": found / self.true_cuts for rule, found in self.found_cuts.items()}


def accuracy(answers: Sequence[TrialAnswer]) -> float:
    """Return the share of right answers."""
    return sum(one.right for one in answers) / len(answers)


def evaluate_clips(
    model: Quicksviewer,
    clips: int = 30,
    *,
    per_kind: int = 1,
    blind: bool = False,
    progress: Callable[[range], Iterator[int]] = iter,
) -> Trial:
    """Ask a model about clips of the `val` split.

    Args:
        model: the model.
        clips: how many.
        per_kind: questions of each kind on a clip, where it has so many.
        blind: show nothing, to see what the words alone give away.
        progress: wraps the loop over clips, such as a `tqdm`.
    """
    answers: list[TrialAnswer] = []
    true, found = 0, dict.fromkeys(() if blind else CUT_RULES, 0)
    for index in progress(range(clips)):
        spec = make_clip("val", index)
        questions = clip_questions(spec, per_kind)
        video = VideoInput(sampled_frames(spec), sampled_instants_s(spec), float(spec.duration_s))
        summaries = None if blind else model.summarise_frames(video.frames_THWC)
        for question, reply in zip(questions, _replies(model, video, summaries, questions), strict=True):
            right = extract_letter(reply.text).answer == question.answer
            answers.append(_answered(spec, question, right=right))
        if summaries is not None:
            true += len(spec.cuts)
            for rule, starts in starts_of(model, summaries).items():
                found[rule] += len(starts & set(spec.cuts))
    return Trial(answers, true, found)


def _answered(spec: ClipSpec, question: DemoQuestion, *, right: bool) -> TrialAnswer:
    return TrialAnswer(spec.clip_id, question.question_id, question.kind, spec.duration, question.brief, right)


def _replies(
    model: Quicksviewer, video: VideoInput, summaries: FrameSummaries | None, questions: Sequence[DemoQuestion]
) -> list[Reply]:
    """Answer all questions on a clip that was looked at once."""
    shown: list[dict[str, Any]] = [] if summaries is None else [{"type": "video", "video": video.without_pixels()}]
    asked = [
        [{"role": "user", "content": [*shown, {"type": "text", "text": choice(question.text, question.options)}]}]
        for question in questions
    ]
    visual = model.visual_tokens(None, [] if summaries is None else [summaries])
    prompts = [model.prompt(one, visual) for one in asked]
    ids = generate(model.model, prompts, model.generation(REPLY_TOKENS))
    return [model.reply(*parts) for parts in zip(asked, prompts, ids, strict=True)]


def starts_of(model: Quicksviewer, summaries: FrameSummaries) -> dict[str, set[int]]:
    """Return the frames at which each of `CUT_RULES` starts a cube."""
    means_Td = summaries.means_Td
    ((*cubes,),) = model.visual_tokens(None, [summaries]).bounds()
    cuts = len(cubes) - 1
    by_difference, _ = choose_starts(plain_differences(means_Td), cuts)
    starts = {"equal": equal_starts(len(means_Td), cuts), "difference": by_difference}
    found = {rule: set(np.flatnonzero(starts_T.cpu().numpy()).tolist()) for rule, starts_T in starts.items()}
    return {"learned": {start for start, _ in cubes}} | found
