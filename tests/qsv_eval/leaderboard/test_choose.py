"""Of several scores by one protocol, which is shown."""

from qsv_eval.leaderboard.choose import Headline, chosen

PROTOCOLS = {
    "plain": {"task": "t", "scoring": {"judge": None}, "hash": "plain"},
    "judged": {"task": "t", "scoring": {"judge": "gpt"}, "hash": "judged"},
    "other": {"task": "t", "prompt": "p", "scoring": {"judge": None}, "hash": "other"},
}


def headline(file, *, n=10, failed=0, scored=True, date="1", model="m", protocol="plain"):
    return Headline(n - failed, n, scored, date, file, "t", model, protocol)


def files(*headlines):
    return {file for file, _ in chosen(headlines, PROTOCOLS)}


def test_most_questions_before_newest():
    assert files(headline("a", n=10, date="1"), headline("b", n=3, date="9"), headline("c", n=10, date="2")) == {"c"}


def test_a_newer_run_with_failures_does_not_hide_a_whole_one():
    assert files(headline("a", date="1"), headline("b", failed=4, date="2")) == {"a"}
    assert files(headline("a", n=3, date="1"), headline("b", failed=4, date="2")) == {"b"}


def test_models_and_protocols_each_have_one():
    assert files(headline("a"), headline("b", model="n"), headline("c", protocol="other")) == {"a", "b", "c"}


def test_what_waits_for_a_judge_gives_way_to_what_had_one():
    waiting = headline("a", scored=False)
    assert files(waiting) == {"a"}
    assert files(waiting, headline("b", protocol="judged")) == {"b"}
    assert files(waiting, headline("b", protocol="judged", scored=False)) == {"a", "b"}
    assert files(waiting, headline("b", protocol="judged", model="n")) == {"a", "b"}
    assert files(waiting, headline("b", protocol="other")) == {"a", "b"}
