"""Rubrics of the judged benchmarks, as data.

The dimensions follow the published protocols: yes or no and 0-5 for short open answers (ActivityNet-QA), five
dimensions on 0-5 (Video-ChatGPT), two dimensions on 1-5 for each generation task (MLVU). The wording is this package's
own, so a score compares only with scores of the same judge and version.
"""

from types import MappingProxyType
from typing import Final, NamedTuple

from qsv_eval.model_adapters.errors import SetupError

__all__ = ["RUBRICS", "Dimension", "Rubric", "rubric_named"]


class Dimension(NamedTuple):
    """A score that the judge gives, a whole number from `low` to `high`, the best being `high`."""

    name: str
    low: int
    high: int


class Rubric(NamedTuple):
    """One way to judge."""

    name: str
    version: int
    """Rises with every change by which a judge may speak differently; part of the key of a kept verdict."""
    fields: tuple[str, ...]
    """Names of a case's texts, in the order in which the judge reads them."""
    dimensions: tuple[Dimension, ...]
    says_correct: bool
    """Whether the judge also says yes or no."""
    gives_reason: bool
    """Whether it first gives a reason, which makes scores on several points steadier."""
    criteria: str
    """Criteria that the judge is told to apply."""

    @property
    def lowest(self) -> int:
        """Sum of the scores of the worst reply."""
        return sum(dimension.low for dimension in self.dimensions)

    @property
    def highest(self) -> int:
        """Sum of the scores of the best reply."""
        return sum(dimension.high for dimension in self.dimensions)

    @property
    def max_tokens(self) -> int:
        """Tokens after which a reply is cut off; several times what a well-formed one needs."""
        return 512 if self.gives_reason else 128

    @property
    def usual_tokens(self) -> int:
        """Tokens of a well-formed reply, for estimates."""
        return 80 if self.gives_reason else 16


_ONE_REPLY: Final = ("question", "truth", "reply")
_TWO_REPLIES: Final = ("question_1", "question_2", "truth", "reply_1", "reply_2")
_SCORE: Final = (Dimension("score", 0, 5),)

_OPEN_QA: Final = Rubric(
    "open_qa",
    1,
    _ONE_REPLY,
    _SCORE,
    says_correct=True,
    gives_reason=False,
    criteria="""\
Decide whether the predicted answer means the same as the correct answer to the question.
- Compare meaning, not wording: synonyms, paraphrases and other ways to write a number are a match.
- Extra words do no harm unless they contradict the correct answer or leave open which of several answers is meant.
- "pred" is "yes" if the predicted answer is correct and "no" if it is not.
- "score" says how well it matches: 5 is a full match, 0 is none.""",
)


def _video_chatgpt(name: str, criteria: str, fields: tuple[str, ...] = _ONE_REPLY) -> Rubric:
    return Rubric(f"vcg_{name}", 1, fields, _SCORE, says_correct=False, gives_reason=False, criteria=criteria)


_VIDEO_CHATGPT: Final = (
    _video_chatgpt(
        "correctness",
        """\
Judge only whether the predicted answer is factually right about the video, as the correct answer tells it.
- It must not misstate or invent anything; a fact that contradicts the correct answer weighs heavily.
- Synonyms and paraphrases are as good as the same words.
- "score": 5 if all of it agrees with the correct answer, 0 if none of it does.""",
    ),
    _video_chatgpt(
        "detail",
        """\
Judge only how detailed the predicted answer is, measured by the correct answer.
- Completeness: it covers all the main points of the correct answer.
- Specificity: it names particular things of this video instead of staying general.
- Synonyms and paraphrases are as good as the same words.
- "score": 5 if it is complete and specific, 0 if it gives none of the detail.""",
    ),
    _video_chatgpt(
        "context",
        """\
Judge only whether the predicted answer has understood the context of the video, as the correct answer shows it.
- It fits the main theme and the overall situation, and does not stray to something else.
- Synonyms and paraphrases are as good as the same words.
- "score": 5 if it captures the context in full, 0 if it misses it.""",
    ),
    _video_chatgpt(
        "temporal",
        """\
Judge only whether the predicted answer has the order of events right, as the correct answer gives it.
- Events come in the same sequence, with nothing moved before or after what it belongs to.
- A paraphrase is as good as the same words only where it keeps that order.
- "score": 5 if the order is right throughout, 0 if it is wrong or missing.""",
    ),
    _video_chatgpt(
        "consistency",
        """\
Two questions ask about the same content in different ways, and one correct answer fits both.
Judge only whether the two predicted answers are consistent.
- Each agrees with the correct answer, and the two agree with each other.
- Synonyms and paraphrases are as good as the same words.
- "score": 5 if both are right and alike, 0 if they contradict each other or are both wrong.""",
        _TWO_REPLIES,
    ),
)

_MLVU: Final = (
    Rubric(
        "mlvu_subscene",
        1,
        ("question", "truth", "scoring_points", "reply"),
        (Dimension("accuracy", 1, 5), Dimension("relevance", 1, 5)),
        says_correct=False,
        gives_reason=True,
        criteria="""\
The question asks for one scene of a long video. The scoring points list what a right answer contains.
- "accuracy": how many of the scoring points the predicted answer states correctly. 5 if all of them, 3 if about half, \
1 if none or if it contradicts them.
- "relevance": how far it speaks of the scene in question. 5 if of nothing else, 1 if of something else altogether.""",
    ),
    Rubric(
        "mlvu_summary",
        1,
        _ONE_REPLY,
        (Dimension("completeness", 1, 5), Dimension("reliability", 1, 5)),
        says_correct=False,
        gives_reason=True,
        criteria="""\
The question asks for a summary of a long video. The correct answer is a reference summary.
- "completeness": how much of the reference the predicted answer covers, its main events and people above all. \
5 if all of the main content, 1 if next to none.
- "reliability": how far what it says is borne out by the reference. 5 if nothing is wrong or made up, 1 if most is.""",
    ),
)

RUBRICS: Final = MappingProxyType({protocol.name: protocol for protocol in (_OPEN_QA, *_VIDEO_CHATGPT, *_MLVU)})
"""By name."""


def rubric_named(name: str) -> Rubric:
    """Return a protocol; SetupError says which there are."""
    if name not in RUBRICS:
        raise SetupError(f"judge: there is no protocol {name!r}; known are {', '.join(RUBRICS)}")
    return RUBRICS[name]
