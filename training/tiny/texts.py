"""What quicksviewer-tiny reads: conversations in the words of the sample benchmark, as lines of the sample format."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np

from qsv_eval.demo.grammar import KINDS, Draft, drafts, vocabulary
from qsv_eval.demo.questions import LETTERS, pose
from qsv_eval.demo.scene import COLOURS, DIRECTIONS, SHAPES, ClipSpec

__all__ = ["binding_sample", "choice", "clip_turns", "scene_line", "scene_list", "story_sample"]

Turns = list[dict[str, str]]

KIND_WEIGHTS: Final[Mapping[str, float]] = {"first": 1, "after": 2, "count": 1.5, "attribute": 1, "direction": 1.5}
"""How often each kind is asked; the hard ones more."""

LIST_REQUEST: Final = "What scenes are there ?"


def choice(text: str, options: Sequence[str]) -> str:
    """Return a question in the benchmark's layout."""
    lettered = (f"{letter}. {option}" for letter, option in zip(LETTERS, options, strict=True))
    return "\n".join([text, *lettered, "Answer:"])


def binding_sample(rng: np.random.Generator, turns: int = 8) -> dict[str, Any]:
    """Return questions that say their answer: nothing is learned from them but to find a word's letter.

    The words are drawn anew for every turn; were they a permutation, elimination would do.
    """
    words = [word for word in vocabulary() if word.isalpha()]
    said: Turns = []
    for _ in range(turns):
        options = [str(word) for word in rng.choice(words, len(LETTERS), replace=False)]
        answer = int(rng.integers(len(LETTERS)))
        said += _turn(choice(f"Which is {options[answer]} ?", options), LETTERS[answer])
    return {"conversations": said}


def story_sample(spec: ClipSpec, rng: np.random.Generator, questions: int = 5) -> dict[str, Any]:
    """Return questions on a clip that is told instead of shown."""
    said = clip_turns(spec, rng, questions, list_share=0)
    said[0]["value"] = f"{scene_list(spec)}\n{said[0]['value']}"
    return {"conversations": said}


def scene_line(shape: str, colour: str, background: str, direction: str) -> str:
    """Return a scene in words."""
    return f"{colour} {shape} on {background} moves {direction}"


def scene_list(spec: ClipSpec) -> str:
    """Return a clip's scenes in words."""
    return " , ".join(scene_line(one.shape, one.colour, one.background, one.direction) for one in spec.scenes)


def clip_turns(
    spec: ClipSpec, rng: np.random.Generator, questions: int, list_share: float = 0.3, word_share: float = 0.3
) -> Turns:
    """Return questions and answers on a clip.

    Args:
        spec: the clip.
        rng: chooses.
        questions: how many.
        list_share: chance of a turn that lists all scenes, in front.
        word_share: share of questions without options, answered by the word.
    """
    said: Turns = []
    if rng.random() < list_share:
        said += _turn(LIST_REQUEST, scene_list(spec))
    for draft in _choose(spec, rng, questions):
        if rng.random() < word_share:
            said += _turn(draft.text, draft.answer)
            continue
        question = pose(spec, draft, "", str(rng.choice(LETTERS)), rng)
        said += _turn(choice(question.text, question.options), question.answer)
    return said


def _choose(spec: ClipSpec, rng: np.random.Generator, number: int) -> Iterator[Draft]:
    weights = np.array([KIND_WEIGHTS[kind] for kind in KINDS])
    for kind in rng.choice(KINDS, number, p=weights / weights.sum()):
        candidates = drafts(spec, str(kind))
        if candidates:
            yield candidates[int(rng.integers(len(candidates)))]


def picture_turns(shape: str, colour: str, background: str, rng: np.random.Generator) -> Turns:
    """Return questions and answers on a single frame."""
    asked = {"colour": (colour, COLOURS), "shape": (shape, SHAPES), "background": (background, COLOURS)}
    said = _turn("What is shown ?", f"{colour} {shape} on {background}")
    for name in rng.permutation(list(asked)):
        answer, values = asked[name]
        wrong = rng.permutation([value for value in values if value != answer])[: len(LETTERS) - 1]
        options = [str(word) for word in wrong]
        place = int(rng.integers(len(LETTERS)))
        options.insert(place, answer)
        text = f"Which {name} is seen ?"
        said += _turn(text, answer) if rng.random() < 0.3 else _turn(choice(text, options), LETTERS[place])
    return said


def corpus() -> Iterator[str]:
    """Yield texts that hold every word there is, for the tokenizer."""
    yield from vocabulary()
    yield LIST_REQUEST
    yield "What is shown ?"
    yield "Which is seen ?"
    yield choice("Answer: on moves ,", LETTERS)
    yield scene_line(SHAPES[0], COLOURS[0], COLOURS[1], DIRECTIONS[0])


def _turn(asked: str, answer: str) -> Turns:
    return [{"from": "human", "value": asked}, {"from": "gpt", "value": answer}]
