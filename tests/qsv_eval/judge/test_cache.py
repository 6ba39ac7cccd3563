"""What is on disk stays readable, whatever happened to the file."""

import json
import threading

import pytest

from qsv_eval.judge.cache import VerdictCache, verdict_key
from qsv_eval.judge.prompts import build_messages
from qsv_eval.judge.rubrics import RUBRICS
from qsv_eval.judge.types import JudgeRequest, Verdict
from qsv_eval.model_adapters.errors import SetupError

CASE = JudgeRequest("1", "open_qa", {"question": "q", "truth": "t", "reply": "r"})
VERDICT = Verdict(judge="j-1", scores={"score": 4.0}, correct=True, raw="{…} \u2028 \n", input_tokens=3)


def write(folder, *keys, model="j"):
    with VerdictCache(folder, model) as cache:
        for key in keys:
            cache.add(key, CASE, VERDICT)


def test_a_verdict_comes_back_as_it_was(tmp_path):
    write(tmp_path, "a")
    assert VerdictCache(tmp_path, "j").get("a") == VERDICT
    assert VerdictCache(tmp_path, "j").get("b") is None
    assert VerdictCache(tmp_path, "k").get("a") is None


def test_it_is_on_disk_before_the_next_one_is_looked_at(tmp_path):
    with VerdictCache(tmp_path, "j") as cache:
        cache.add("a", CASE, VERDICT)
        assert VerdictCache(tmp_path, "j").get("a") == VERDICT


def test_a_torn_line_costs_itself_only(tmp_path):
    write(tmp_path, "a", "b")
    (path,) = tmp_path.rglob("*.jsonl")
    path.write_bytes(path.read_bytes()[:-30])
    write(tmp_path, "c")
    cache = VerdictCache(tmp_path, "j")
    assert [cache.get(key) is not None for key in "abc"] == [True, False, True]


def test_lines_that_say_something_else_are_passed_over(tmp_path):
    write(tmp_path, "a")
    (path,) = tmp_path.rglob("*.jsonl")
    line = json.loads(path.read_text())
    line.update(key="b", verdict={**line["verdict"], "scores": {"score": "high"}})
    with path.open("ab") as file:
        file.write(b"\xff\xfe\n[1]\n" + json.dumps(line).encode() + b"\n")
    cache = VerdictCache(tmp_path, "j")
    assert cache.get("a") == VERDICT
    assert cache.get("b") is None


def test_several_may_write_at_once(tmp_path):
    threads = [threading.Thread(target=write, args=(tmp_path, *(f"{n}-{k}" for k in range(50)))) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    cache = VerdictCache(tmp_path, "j")
    assert all(cache.get(f"{n}-{k}") == VERDICT for n in range(8) for k in range(50))


def test_names_that_differ_only_in_what_no_file_may_hold_are_two_judges(tmp_path):
    write(tmp_path, "a", model="org/judge")
    assert VerdictCache(tmp_path, "org:judge").get("a") is None
    assert VerdictCache(tmp_path, "org/judge").get("a") == VERDICT


def test_the_key_is_all_that_a_verdict_rests_on(monkeypatch):
    def key(model="j", protocol="vcg_detail", **changed):
        case = JudgeRequest("1", protocol, {"question": "q", "truth": "t", "reply": "r", **changed})
        return verdict_key(model, case, build_messages(case))

    keys = {key(), key("k"), key(protocol="vcg_context"), key(question="p"), key(truth="s"), key(reply="")}
    assert len(keys) == 6
    before = key()
    risen = {**RUBRICS, "vcg_detail": RUBRICS["vcg_detail"]._replace(version=99)}
    monkeypatch.setattr("qsv_eval.judge.rubrics.RUBRICS", risen)
    assert key() != before


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SetupError, match=r"file.*: a verdict cannot be kept there"):
        write(tmp_path / "file", "a")


def test_of_two_processes_that_asked_the_same_the_first_is_believed(tmp_path):
    other = VERDICT.model_copy(update={"scores": {"score": 1.0}})
    with VerdictCache(tmp_path, "j") as first, VerdictCache(tmp_path, "j") as second:
        first.add("a", CASE, VERDICT)
        second.add("a", CASE, other)
    assert VerdictCache(tmp_path, "j").get("a") == VERDICT
