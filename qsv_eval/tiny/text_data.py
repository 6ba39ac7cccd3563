"""Training texts of quicksviewer-tiny: conversations in the words of the sample benchmark."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np

from qsv_eval.demo.grammar import KINDS, NUMBERS, QuestionDraft, question_drafts, vocabulary
from qsv_eval.demo.questions import LETTERS, pose
from qsv_eval.demo.scene import ClipSpec, Scene

__all__ = [
    "binding_sample",
    "choice",
    "chosen",
    "clip_turns",
    "frame_line",
    "glimpse_turns",
    "list_turns",
    "motion_turns",
    "reasoned",
    "retold_sample",
    "scene_list",
    "scene_words",
    "story_sample",
    "told",
    "view_turns",
]

Turns = list[dict[str, str]]

KIND_WEIGHTS: Final[Mapping[str, float]] = {"first": 1, "after": 2, "count": 1, "attribute": 2, "direction": 2}
"""Relative frequency of each kind of question; hard ones come more often."""

_WORDS: Final = tuple(np.random.default_rng(0).permutation([word for word in vocabulary() if word.isalpha()]))

LETTER_SHARE: Final = 0.7
"""Share of questions on clips that have options."""

HARD_SHARE: Final = 0.6
"""Share of questions on a glimpse that ask for its shape or its motion."""

SHOWN_REQUEST: Final = "What is shown ?"
VIEW_REQUEST: Final = "What is seen ?"
LIST_REQUEST: Final = "What scenes are there ?"
RETELL_REQUEST: Final = "Which scenes are there ?"

_ORDER: Final = ("one", *NUMBERS.values())
"""Names of a clip's scenes."""


def choice(text: str, options: Sequence[str]) -> str:
    """Return a question in the benchmark's layout."""
    lettered = (f"{letter}. {option}" for letter, option in zip(LETTERS, options, strict=False))
    return "\n".join([text, *lettered, "Answer:"])


def chosen(word: str, letter: str) -> str:
    """Return an answer to a question with options: the word and then its letter.

    In this order the letter is one step from what was just said; a letter alone would take the answer and its place
    among the options at once, which the small model learns much later.
    """
    return f"{word} ({letter})"


def binding_sample(rng: np.random.Generator, turns: int = 4, words: int | None = None) -> dict[str, Any]:
    """Return questions that say their answer: nothing is learned from them but to find a word's letter.

    The words are drawn anew for every turn; were they a permutation, elimination would do. Two options are found out
    sooner than four, and few words sooner than all: from four of all alone, the letters are not found in a thousand
    steps.

    Args:
        rng: chooses.
        turns: questions.
        words: take only so many of the words, always the same.
    """
    known = _WORDS[:words]
    said: Turns = []
    for _ in range(turns):
        options = [str(word) for word in rng.choice(known, int(rng.integers(2, len(LETTERS) + 1)), replace=False)]
        answer = int(rng.integers(len(options)))
        said += _turn(choice(f"Which is {options[answer]} ?", options), chosen(options[answer], LETTERS[answer]))
    return {"conversations": said}


def story_sample(spec: ClipSpec, rng: np.random.Generator, questions: int = 8) -> dict[str, Any]:
    """Return questions on a clip that is told instead of shown."""
    said = clip_turns(spec, rng, questions)
    said[0]["value"] = f"{told(spec)}\n{said[0]['value']}"
    return {"conversations": said}


def retold_sample(spec: ClipSpec, rng: np.random.Generator) -> dict[str, Any]:
    """Return a clip that is told, and told again with its scenes in another order and each from another word on.

    What belongs to a scene can only be found by what else belongs to it: nearly every word of the reply teaches that,
    where of an answer it is a few.
    """
    again = []
    for number in rng.permutation(len(spec.scenes)):
        first = str(rng.choice(["number", "colour", "shape", "background"]))
        again.append(scene_words(spec.scenes[number], int(number), first))
    return {"conversations": _turn(f"{told(spec)}\n{RETELL_REQUEST}", " , ".join(again))}


def scene_words(scene: Scene, number: int, first: str = "number") -> str:
    """Return a scene in words, the one called `first` in front and the others in their order around a ring.

    Colours are those of shapes and of backgrounds: what stands before one tells which.
    """
    words = {
        "number": _ORDER[number],
        "colour": f"a {scene.colour}",
        "shape": scene.shape,
        "background": f"on {scene.background}",
        "direction": scene.direction,
    }
    names = list(words)
    start = names.index(first)
    return " ".join(words[name] for name in (*names[start:], *names[:start]))


def scene_list(scenes: Sequence[Scene]) -> str:
    """Return scenes in words, in order."""
    return " , ".join(scene_words(scene, number) for number, scene in enumerate(scenes))


def told(spec: ClipSpec) -> str:
    """Return a clip in words, each scene twice: from any of its words on, the others follow."""
    scenes = enumerate(spec.scenes)
    return " , ".join(f"{line} {line}" for line in (scene_words(scene, number) for number, scene in scenes))


def frame_line(scene: Scene) -> str:
    """Return in words what a single frame shows of a scene."""
    return f"a {scene.colour} {scene.shape} on {scene.background}"


def reasoned(spec: ClipSpec, draft: QuestionDraft, answer: str) -> str:
    """Return an answer after what it follows from: the scene that the question names, and then the one it asks for.

    The named scene is told from its name on, and a scene before or after it is told by its number. So each word follows
    from the one just said; an answer at once would take finding a scene and reading from it in one step, or reading
    what was told before its name, which the small model has not learned in a hundred thousand texts.
    """
    asked = len(spec.scenes) - 1 if draft.kind == "count" else draft.target
    if draft.kind in ("first", "count"):
        return f"{scene_words(spec.scenes[asked], asked)} : {answer}"
    _, first, *_ = draft.template.split(":")
    named = next((one for one in draft.scenes if one != asked), asked)
    lines = [scene_words(spec.scenes[named], named, first)]
    if named != asked:
        lines.append(scene_words(spec.scenes[asked], asked))
    return f"{' , '.join(lines)} : {answer}"


def clip_turns(spec: ClipSpec, rng: np.random.Generator, questions: int) -> Turns:
    """Return questions and answers on a clip."""
    said: Turns = []
    for draft in _choose(spec, rng, questions):
        if rng.random() < LETTER_SHARE:
            question = pose(spec, draft, "", str(rng.choice(LETTERS)), rng)
            answer = chosen(question.answer_word, question.answer)
            said += _turn(choice(question.text, question.options), reasoned(spec, draft, answer))
        else:
            said += _turn(draft.text, reasoned(spec, draft, draft.answer))
    return said


def list_turns(scenes: Sequence[Scene]) -> Turns:
    """Return the request for all scenes of a clip, and its answer."""
    return _turn(LIST_REQUEST, scene_list(scenes))


def view_turns(scenes: Sequence[Scene]) -> Turns:
    """Return the request for what single frames of the scenes show, and its answer."""
    return _turn(VIEW_REQUEST, " , ".join(map(frame_line, scenes)))


def _choose(spec: ClipSpec, rng: np.random.Generator, number: int) -> Iterator[QuestionDraft]:
    candidates = {kind: found for kind in KINDS if (found := question_drafts(spec, kind))}
    weights = np.array([KIND_WEIGHTS[kind] for kind in candidates])
    for kind in rng.choice(list(candidates), number, p=weights / weights.sum()):
        yield candidates[kind][int(rng.integers(len(candidates[kind])))]


def glimpse_turns(scene: Scene, rng: np.random.Generator, *, moving: bool) -> Turns:
    """Return one short question on a few frames of a scene, or on one: most often on what is hard to see.

    Short, so that many frames go into a step: it is frames that the vision tower learns from.
    """
    if rng.random() < HARD_SHARE:
        return motion_turns(scene) if moving else _turn("Which shape is seen ?", scene.shape)
    return _turn(SHOWN_REQUEST, scene_words(scene, 0) if moving else frame_line(scene))


def motion_turns(scene: Scene) -> Turns:
    """Return the question which way a scene's shape moves, and its answer."""
    return _turn("Which way does the shape move ?", scene.direction)


def corpus() -> Iterator[str]:
    """Yield texts that hold every word there is, for the tokenizer."""
    yield from vocabulary()
    yield "user"
    yield "assistant"
    yield SHOWN_REQUEST
    yield LIST_REQUEST
    yield RETELL_REQUEST
    yield " ".join(_ORDER)
    yield "Which is seen ?"
    yield choice("Answer: a on , :", [f"({letter})" for letter in LETTERS])
    yield "a on"


def _turn(asked: str, answer: str) -> Turns:
    # With its space a word of the answer is the same token as in the question.
    return [{"from": "human", "value": asked}, {"from": "gpt", "value": f" {answer}"}]
