"""What quicksviewer-tiny reads: conversations in the words of the sample benchmark, as lines of the sample format."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np

from qsv_eval.demo.grammar import KINDS, Draft, drafts, vocabulary
from qsv_eval.demo.questions import LETTERS, pose
from qsv_eval.demo.scene import COLOURS, SHAPES, ClipSpec, Scene

__all__ = ["binding_sample", "choice", "chosen", "clip_turns", "scene_line", "scene_list", "story_sample"]

Turns = list[dict[str, str]]

KIND_WEIGHTS: Final[Mapping[str, float]] = {"first": 1, "after": 2, "count": 1, "attribute": 2, "direction": 2}
"""How often each kind is asked; the hard ones more."""

_WORDS: Final = tuple(np.random.default_rng(0).permutation([word for word in vocabulary() if word.isalpha()]))

FORM_SHARES: Final[Mapping[str, float]] = {"letter": 0.5, "word": 0.2, "scene": 0.3}
"""How questions on clips are asked: with options, without, or for all of a scene."""

LIST_SHARE: Final = 0.5

SCENE_KINDS: Final = ("first", "after", "attribute")

_SUBJECT: Final = re.compile(r"^Which \w+")

LIST_REQUEST: Final = "What scenes are there ?"


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
    said[0]["value"] = f"{scene_list(spec)}\n{said[0]['value']}"
    return {"conversations": said}


def scene_line(scene: Scene) -> str:
    """Return a scene in words."""
    return f"{scene.colour} {scene.shape} on {scene.background} moves {scene.direction}"


def scene_list(spec: ClipSpec) -> str:
    """Return a clip's scenes in words."""
    return " , ".join(map(scene_line, spec.scenes))


def clip_turns(spec: ClipSpec, rng: np.random.Generator, questions: int) -> Turns:
    """Return questions and answers on a clip, half of them after or before a list of its scenes.

    Answers in words and in whole scenes are beside those by letter: they say more, and are learned long before.
    """
    listed = _turn(LIST_REQUEST, scene_list(spec)) if rng.random() < LIST_SHARE else []
    asked: Turns = []
    for draft in _choose(spec, rng, questions):
        form = str(rng.choice(list(FORM_SHARES), p=list(FORM_SHARES.values())))
        if form == "scene" and draft.kind in SCENE_KINDS:
            asked += _turn(_SUBJECT.sub("What", draft.text), scene_line(spec.scenes[draft.target]))
        elif form == "letter":
            question = pose(spec, draft, "", str(rng.choice(LETTERS)), rng)
            asked += _turn(choice(question.text, question.options), chosen(question.answer_word, question.answer))
        else:
            asked += _turn(draft.text, draft.answer)
    return [*listed, *asked] if rng.random() < 0.5 else [*asked, *listed]


def _choose(spec: ClipSpec, rng: np.random.Generator, number: int) -> Iterator[Draft]:
    candidates = {kind: found for kind in KINDS if (found := drafts(spec, kind))}
    weights = np.array([KIND_WEIGHTS[kind] for kind in candidates])
    for kind in rng.choice(list(candidates), number, p=weights / weights.sum()):
        yield candidates[kind][int(rng.integers(len(candidates[kind])))]


def picture_turns(scene: Scene, rng: np.random.Generator) -> Turns:
    """Return questions and answers on a single frame."""
    asked = {"colour": COLOURS, "shape": SHAPES, "background": COLOURS}
    said = _turn("What is shown ?", f"{scene.colour} {scene.shape} on {scene.background}")
    for name in rng.permutation(list(asked)):
        answer = str(getattr(scene, name))
        wrong = rng.permutation([value for value in asked[name] if value != answer])[: len(LETTERS) - 1]
        options = [str(word) for word in wrong]
        place = int(rng.integers(len(LETTERS)))
        options.insert(place, answer)
        text = f"Which {name} is seen ?"
        with_options = _turn(choice(text, options), chosen(answer, LETTERS[place]))
        said += with_options if rng.random() < 0.5 else _turn(text, answer)
    return said


def corpus() -> Iterator[str]:
    """Yield texts that hold every word there is, for the tokenizer."""
    yield from vocabulary()
    yield LIST_REQUEST
    yield "user"
    yield "assistant"
    yield "What is shown ?"
    yield "Which is seen ?"
    yield choice("Answer: on moves ,", [f"({letter})" for letter in LETTERS])
    yield "on moves"


def _turn(asked: str, answer: str) -> Turns:
    # With its space a word of the answer is the same token as in the question.
    return [{"from": "human", "value": asked}, {"from": "gpt", "value": f" {answer}"}]
