"""What quicksviewer-tiny reads: conversations in the words of the sample benchmark, as lines of the sample format."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np

from qsv_eval.demo.grammar import KINDS, Draft, drafts, vocabulary
from qsv_eval.demo.questions import LETTERS, pose
from qsv_eval.demo.scene import COLOURS, SHAPES, ClipSpec, Scene

__all__ = [
    "binding_sample",
    "choice",
    "chosen",
    "clip_turns",
    "reasoned",
    "retold_sample",
    "scene_line",
    "scene_list",
    "story_sample",
]

Turns = list[dict[str, str]]

KIND_WEIGHTS: Final[Mapping[str, float]] = {"first": 1, "after": 2, "count": 1, "attribute": 2, "direction": 2}
"""How often each kind is asked; the hard ones more."""

_WORDS: Final = tuple(np.random.default_rng(0).permutation([word for word in vocabulary() if word.isalpha()]))

LETTER_SHARE: Final = 0.7
"""How many of the questions on clips have options."""

LIST_SHARE: Final = 0.5
"""Of how many conversations on clips a list of the scenes is a part."""

LIST_REQUEST: Final = "What scenes are there ?"
RETELL_REQUEST: Final = "Which scenes are there ?"


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


def retold_sample(spec: ClipSpec, rng: np.random.Generator) -> dict[str, Any]:
    """Return a clip that is told, and told again with its scenes in another order.

    What belongs to a scene can only be found by what else belongs to it: nearly every word of the reply teaches that,
    where of an answer it is one.
    """
    order = rng.permutation(len(spec.scenes))
    again = " , ".join(scene_line(spec.scenes[position]) for position in order)
    return {"conversations": _turn(f"{scene_list(spec)}\n{RETELL_REQUEST}", again)}


def scene_line(scene: Scene) -> str:
    """Return a scene in words."""
    return f"{scene.colour} {scene.shape} on {scene.background} moves {scene.direction}"


def scene_list(spec: ClipSpec) -> str:
    """Return a clip's scenes in words."""
    return " , ".join(map(scene_line, spec.scenes))


def reasoned(spec: ClipSpec, draft: Draft, answer: str) -> str:
    """Return an answer after what it follows from: the scene that the question names, and then the one it asks for.

    Step by step each word follows from those just said. An answer alone takes finding a scene and reading from it at
    once, which the small model has not learned in a hundred thousand texts.
    """
    if draft.kind == "count":
        return answer
    named = [position for position in draft.scenes if position != draft.target]
    told = " , ".join(scene_line(spec.scenes[position]) for position in (*named, draft.target))
    return f"{told} : {answer}"


def clip_turns(spec: ClipSpec, rng: np.random.Generator, questions: int) -> Turns:
    """Return questions and answers on a clip, half of them after or before a list of its scenes."""
    listed = _turn(LIST_REQUEST, scene_list(spec)) if rng.random() < LIST_SHARE else []
    asked: Turns = []
    for draft in _choose(spec, rng, questions):
        if rng.random() < LETTER_SHARE:
            question = pose(spec, draft, "", str(rng.choice(LETTERS)), rng)
            answer = chosen(question.answer_word, question.answer)
            asked += _turn(choice(question.text, question.options), reasoned(spec, draft, answer))
        else:
            asked += _turn(draft.text, reasoned(spec, draft, draft.answer))
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
    yield RETELL_REQUEST
    yield "user"
    yield "assistant"
    yield "What is shown ?"
    yield "Which is seen ?"
    yield choice("Answer: on moves , :", [f"({letter})" for letter in LETTERS])
    yield "on moves"


def _turn(asked: str, answer: str) -> Turns:
    # With its space a word of the answer is the same token as in the question.
    return [{"from": "human", "value": asked}, {"from": "gpt", "value": f" {answer}"}]
