"""Questions as posed: four different words, the answer under its letter, training questions reproducible."""

from collections import Counter

import numpy as np
import pytest

from qsv_eval.demo.grammar import KINDS, question_drafts
from qsv_eval.demo.questions import LETTERS, clip_questions, pose
from qsv_eval.demo.scene import make_clip

CLIP = make_clip("train", 2)


@pytest.mark.parametrize("letter", LETTERS)
@pytest.mark.parametrize("kind", KINDS)
def test_the_answer_stands_under_its_letter(kind, letter):
    for draft in question_drafts(CLIP, kind):
        question = pose(CLIP, draft, "q", letter, np.random.default_rng(0))
        assert question.answer == letter
        assert question.answer_word == question.options[LETTERS.index(letter)] == draft.answer
        assert len(set(question.options)) == 4
        assert set(question.options) <= {draft.answer, *draft.near, *draft.far}


def test_wrong_words_come_from_the_clip_as_far_as_they_go():
    for draft in question_drafts(CLIP, "first"):
        question = pose(CLIP, draft, "q", "A", np.random.default_rng(0))
        assert len(set(question.options[1:]) & set(draft.near)) == min(3, len(draft.near))


def test_brief_says_whether_a_scene_of_one_or_two_frames_matters():
    for index in range(30):
        clip = make_clip("train", index)
        for question in clip_questions(clip, per_kind=50):
            shortest = min(clip.scenes[position].n_sampled for position in question.scenes)
            assert question.brief == (shortest <= 2)


def test_training_questions_are_the_same_at_every_call_and_different_from_each_other():
    questions = clip_questions(CLIP, per_kind=4)
    assert questions == clip_questions(CLIP, per_kind=4)
    assert len({question.question_id for question in questions}) == len(questions)
    assert len({(question.text, frozenset(question.options)) for question in questions}) == len(questions)


def test_training_letters_are_balanced():
    questions = [q for index in range(300) for q in clip_questions(make_clip("train", index), per_kind=3)]
    letters = Counter(question.answer for question in questions)
    assert all(0.23 <= letters[letter] / len(questions) <= 0.27 for letter in LETTERS)
