"""Every question has exactly one right option, by a solver that knows only the sampled frames and the text."""

import re
from itertools import groupby

import pytest

from qsv_eval.demo.benchmark import demo_questions
from qsv_eval.demo.grammar import KINDS, NUMBERS, question_drafts, vocabulary
from qsv_eval.demo.questions import clip_questions
from qsv_eval.demo.scene import clip_from_id, make_clip

FIELDS = ("colour", "shape", "background", "direction")
CLIPS = [make_clip("train", index) for index in range(84)]


def watch(clip):
    """What a viewer of the sampled frames sees: one dict for every run of equal frames."""
    seen = [clip.scene_at(second + 0.5) for second in range(clip.duration_s)]
    frames = [tuple(getattr(scene, field) for field in FIELDS) for scene in seen]
    return [dict(zip(FIELDS, look, strict=True)) for look, _ in groupby(frames)]


def matching(story, thing):
    """Positions of the scenes that a phrase such as "the red shape" may mean."""
    for pattern, field in (
        (r"the (?:shape on the )?(\w+) background", "background"),
        (r"the (\w+) shape", "colour"),
        (r"the (\w+)", "shape"),
    ):
        if found := re.fullmatch(pattern, thing):
            return [i for i, scene in enumerate(story) if scene[field] == found[1]]
    raise AssertionError(thing)


def solve(story, text):
    """All right answers to a question."""
    if text == "How many scenes are there ?":
        return {NUMBERS[len(story)]}
    if found := re.fullmatch(r"Which (\w+) comes (first|last) \?", text):
        return {story[0 if found[2] == "first" else -1][found[1]]}
    if found := re.fullmatch(r"Which (\w+) comes just (after|before) (.+) \?", text):
        step = 1 if found[2] == "after" else -1
        places = [i + step for i in matching(story, found[3])]
        return {story[i][found[1]] for i in places if 0 <= i < len(story)}
    if found := re.fullmatch(r"Which (\w+) is seen with (.+) \?", text):
        return {story[i][found[1]] for i in matching(story, found[2])}
    if found := re.fullmatch(r"Which way does (.+) move \?", text):
        return {story[i]["direction"] for i in matching(story, found[1])}
    raise AssertionError(text)


def test_every_question_of_the_benchmark_has_just_its_answer():
    for question in demo_questions():
        right = solve(watch(clip_from_id(question.clip_id)), question.text)
        assert right == {question.answer_word}, question


@pytest.mark.parametrize("kind", KINDS)
def test_every_draft_has_just_its_answer_and_wrong_words_enough(kind):
    for clip in CLIPS:
        story = watch(clip)
        for draft in question_drafts(clip, kind):
            assert solve(story, draft.text) == {draft.answer}, draft
            wrong = draft.near + draft.far
            assert len(set(wrong)) == len(wrong) >= 3
            assert draft.answer not in wrong


def test_near_words_are_in_the_clip_and_far_words_are_not():
    for clip in CLIPS:
        for kind in ("first", "after", "attribute"):
            for draft in question_drafts(clip, kind):
                asked = draft.text.split()[1]
                shown = {scene[asked] for scene in watch(clip)}
                assert shown >= {draft.answer, *draft.near}
                assert not shown & set(draft.far)


def test_a_thing_named_occurs_once():
    for clip in CLIPS:
        for kind in ("after", "attribute", "direction"):
            for draft in question_drafts(clip, kind):
                thing = re.search(r"(?:after|before|with|does) (the .+?)(?: move)? \?", draft.text)[1]
                assert len(matching(watch(clip), thing)) == 1


def test_no_option_word_stands_in_its_question():
    for clip in CLIPS:
        for kind in ("first", "after", "attribute"):
            for draft in question_drafts(clip, kind):
                assert not {draft.answer, *draft.near, *draft.far} & set(draft.text.split())


def test_direction_is_asked_only_where_two_sampled_frames_show_it():
    assert all(clip.scenes[d.target].n_sampled >= 2 for clip in CLIPS for d in question_drafts(clip, "direction"))


def test_every_kind_can_be_asked_of_every_clip():
    assert all(question_drafts(clip, kind) for clip in CLIPS for kind in KINDS)


def test_the_vocabulary_is_small_and_is_what_is_used():
    questions = [question for clip in CLIPS for question in clip_questions(clip, per_kind=20)]
    used = {word for q in questions for word in (*q.text.lower().split(), *q.options)}
    assert used == set(vocabulary())
    assert len(vocabulary()) <= 85


def test_an_unknown_kind_is_refused():
    with pytest.raises(ValueError, match="unknown kind 'why'"):
        question_drafts(CLIPS[0], "why")
