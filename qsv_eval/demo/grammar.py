"""The questions that a clip allows: a small fixed grammar, each with its one right word and its wrong ones.

    Which {asked} comes first | last ?                                            first
    Which {asked} comes just after | before {thing} ?                            after
    How many scenes are there ?                                                   count
    Which {asked} is seen with {thing} ?                                          attribute
    Which way does the {value} shape | the {value} | the shape on the {value} background move ?     direction

`asked` is colour, shape or background; `thing` names one scene by another of these: "the red shape", "the circle",
"the blue background". Wrong words are, as far as they go, those of the clip's other scenes, so that knowing what the
clip holds is not enough: when it holds it, and with what, decides.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from qsv_eval.demo.scene import COLOURS, DIRECTIONS, SHAPES, ClipSpec, Scene

__all__ = ["ATTRIBUTES", "KINDS", "NUMBERS", "QuestionDraft", "question_drafts", "vocabulary"]

KINDS: Final = ("first", "after", "count", "attribute", "direction")
ATTRIBUTES: Final = {"colour": COLOURS, "shape": SHAPES, "background": COLOURS}
NUMBERS: Final = {2: "two", 3: "three", 4: "four", 5: "five", 6: "six"}
"""The numbers of scenes that a clip can have."""

_N_OPTIONS: Final = 4
_THINGS: Final = {"colour": "the {} shape", "shape": "the {}", "background": "the {} background"}
_MOVERS: Final = {"colour": "the {} shape", "shape": "the {}", "background": "the shape on the {} background"}
_ENDS: Final = {"first": 0, "last": -1}
_STEPS: Final = {"after": 1, "before": -1}


@dataclass(frozen=True)
class QuestionDraft:
    """A question without options and letter."""

    kind: str
    template: str
    """The kind's variant, without the words drawn: `after:colour:shape` is "which shape comes after the red shape"."""
    text: str
    answer: str
    near: tuple[str, ...]
    """Wrong words to take first: values that the clip's other scenes have."""
    far: tuple[str, ...]
    """Wrong words to fill up with: values that do not occur in the clip."""
    scenes: tuple[int, ...]
    """Indices of the scenes that must be seen to answer."""
    target: int
    """The scene that holds the answer (for `count`, where all do, the first)."""


def question_drafts(spec: ClipSpec, kind: str) -> list[QuestionDraft]:
    """Return every question of a kind that the clip answers without doubt."""
    makers = {
        "first": _first,
        "after": _after,
        "count": _count,
        "attribute": _attribute,
        "direction": _direction,
    }
    if kind not in makers:
        raise ValueError(f"unknown kind {kind!r}: expected one of {KINDS}")
    return list(makers[kind](spec))


def vocabulary() -> tuple[str, ...]:
    """Return every word that a question or an option can hold, lower-case and sorted, the question mark included."""
    phrases = [
        "which comes first last just after before is seen with way does move how many scenes are there ?",
        *(phrase.replace("{}", "") for phrase in (*_THINGS.values(), *_MOVERS.values())),
        *(" ".join((attribute, *values)) for attribute, values in ATTRIBUTES.items()),
        *DIRECTIONS,
        *NUMBERS.values(),
    ]
    return tuple(sorted(set(" ".join(phrases).split())))


def _first(spec: ClipSpec) -> Iterator[QuestionDraft]:
    for asked in ATTRIBUTES:
        for end, position in _ENDS.items():
            target = position % len(spec.scenes)
            text = f"Which {asked} comes {end} ?"
            yield from _draft(spec, "first", f"{end}:{asked}", text, asked, target, (target,))


def _after(spec: ClipSpec) -> Iterator[QuestionDraft]:
    for given, position in _names(spec):
        thing = _THINGS[given].format(getattr(spec.scenes[position], given))
        for word, step in _STEPS.items():
            target = position + step
            if not 0 <= target < len(spec.scenes):
                continue
            for asked in ATTRIBUTES:
                # "Which shape comes after the red shape" has no good answer when the shape stays the same.
                if getattr(spec.scenes[target], asked) == getattr(spec.scenes[position], asked):
                    continue
                text = f"Which {asked} comes just {word} {thing} ?"
                scenes = (min(position, target), max(position, target))
                yield from _draft(spec, "after", f"{word}:{given}:{asked}", text, asked, target, scenes)


def _count(spec: ClipSpec) -> Iterator[QuestionDraft]:
    n_scenes = len(spec.scenes)
    everything = tuple(range(n_scenes))
    for lowest in range(min(NUMBERS), max(NUMBERS) - _N_OPTIONS + 2):
        window = range(lowest, lowest + _N_OPTIONS)
        if n_scenes in window:
            wrong = tuple(NUMBERS[number] for number in window if number != n_scenes)
            text = "How many scenes are there ?"
            yield QuestionDraft("count", f"count:{lowest}", text, NUMBERS[n_scenes], wrong, (), everything, 0)


def _attribute(spec: ClipSpec) -> Iterator[QuestionDraft]:
    for given, position in _names(spec):
        thing = _THINGS[given].format(getattr(spec.scenes[position], given))
        for asked in ATTRIBUTES:
            if asked != given:
                text = f"Which {asked} is seen with {thing} ?"
                yield from _draft(spec, "attribute", f"with:{given}:{asked}", text, asked, position, (position,))


def _direction(spec: ClipSpec) -> Iterator[QuestionDraft]:
    for given, position in _names(spec):
        scene = spec.scenes[position]
        # One sampled frame shows no motion.
        if scene.n_sampled >= 2:
            mover = _MOVERS[given].format(getattr(scene, given))
            wrong = tuple(word for word in DIRECTIONS if word != scene.direction)
            text = f"Which way does {mover} move ?"
            yield QuestionDraft("direction", f"way:{given}", text, scene.direction, wrong, (), (position,), position)


def _names(spec: ClipSpec) -> Iterator[tuple[str, int]]:
    """Yield each (attribute, scene index) whose value no other scene of the clip shares, so that it names the scene."""
    for attribute in ATTRIBUTES:
        values = [getattr(scene, attribute) for scene in spec.scenes]
        for position, value in enumerate(values):
            if values.count(value) == 1:
                yield attribute, position


def _draft(
    spec: ClipSpec, kind: str, template: str, text: str, asked: str, target: int, scenes: tuple[int, ...]
) -> Iterator[QuestionDraft]:
    """Yield the question whose answer is the target scene's `asked`, unless its text holds the answer."""

    def value(scene: Scene) -> str:
        return str(getattr(scene, asked))

    answer = value(spec.scenes[target])
    # A word of the question is never right (a shape is never drawn on its own colour): as an option it would only
    # help those who cannot see.
    said = set(text.split())
    if answer in said:
        return
    shown = {value(scene) for scene in spec.scenes}
    wrong = [word for word in ATTRIBUTES[asked] if word != answer and word not in said]
    near = tuple(word for word in wrong if word in shown)
    far = tuple(word for word in wrong if word not in shown)
    yield QuestionDraft(kind, template, text, answer, near, far, scenes, target)
