"""Failures in the engine: each costs its own request, and a later run tries it again."""

import pytest

from qsv_eval.model_adapters.engine.failure import reason_for
from qsv_eval.model_adapters.engine.journal import read_logs
from qsv_eval.model_adapters.engine.records import AnswerStatus, ExitReason

ANSWERED, FAILED = AnswerStatus.ANSWERED, AnswerStatus.FAILED


def statuses(answers):
    return [answer.status for answer in answers]


@pytest.mark.parametrize("readers", [0, 1])
@pytest.mark.parametrize("batch_size", [1, 4])
def test_failures_cost_one_sample_each(make_engine, make_request, clips, tmp_path, batch_size, readers):
    broken, gone = tmp_path / "broken.mp4", tmp_path / "gone.mp4"
    broken.write_bytes(b"no film at all" * 100)
    task = f"failing-{batch_size}-{readers}"
    paths = (clips[0], broken, None, gone)
    requests = [make_request(i, path, task=task) for i, path in enumerate(paths)]
    engine = make_engine(batch_size=batch_size, readers=readers)
    answers = engine.answer(requests)
    assert statuses(answers) == [ANSWERED, FAILED] * 2
    assert "undecodable" in reason_for(task, "q-1")
    assert "missing" in reason_for(task, "q-3")
    assert reason_for(task, "q-0") == ""


def test_a_segment_outside_the_clip_costs_only_its_request(make_engine, make_request, clips):
    answers = make_engine().answer([make_request(0, clips[0]), make_request(1, clips[0], start_s=1e4)])
    assert statuses(answers) == [ANSWERED, FAILED]
    assert "outside" in answers[1].reason


def test_a_file_that_may_not_be_opened_costs_one_sample(make_engine, make_request, clips, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr("qsv_eval.model_adapters.engine.probe_files.content_id", refuse)
    answers = make_engine().answer([make_request(0, clips[0]), make_request(1)])
    assert statuses(answers) == [FAILED, ANSWERED]
    assert "Permission denied" in answers[0].reason


def test_a_failed_request_is_asked_again(make_engine, make_request, clips, tmp_path):
    late = tmp_path / "late.mp4"
    assert make_engine().answer([make_request(0, late)])[0].status is FAILED
    late.write_bytes(clips[0].read_bytes())
    assert make_engine().answer([make_request(0, late)])[0].status is ANSWERED


def test_a_request_that_its_task_could_not_build(make_engine, make_request):
    [answer] = make_engine().answer([make_request(0, fault="video path a.mp4 does not exist")])
    assert (answer.status, answer.reason) == (FAILED, "video path a.mp4 does not exist")


@pytest.mark.parametrize(
    ("raised", "how"), [(KeyboardInterrupt, ExitReason.STOPPED), (RuntimeError("a bug"), ExitReason.FAILED)]
)
def test_how_a_run_ended_is_written_down(make_engine, make_request, clips, monkeypatch, raised, how):
    def end_it(*_):
        raise raised

    monkeypatch.setattr("qsv_eval.model_adapters.engine.worker._make_record", end_it)
    engine = make_engine()
    with pytest.raises((KeyboardInterrupt, RuntimeError)):
        engine.answer([make_request(0, clips[0])])
    [log] = read_logs(engine.journal.folder)
    assert log.end.how is how


def test_a_video_that_a_reader_hangs_on_costs_its_requests(make_engine, make_request, clips, monkeypatch, tmp_path):
    """The worker is replaced by one that sleeps when it meets a certain file."""
    slow = tmp_path / "slow.mp4"
    slow.write_bytes(clips[0].read_bytes())
    code = (
        "import time, qsv_eval.model_adapters.frames.subprocess_worker as worker\n"
        "plain = worker.run_read_job\n"
        "worker.run_read_job = lambda job, *more: time.sleep(60) if 'slow' in job.path else plain(job, *more)\n"
        "worker.main()\n"
    )
    (tmp_path / "sleepy_worker.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr("qsv_eval.model_adapters.frames.subprocess_reader._WORKER", "sleepy_worker")
    # Other content, or both files would be one and the same.
    slow.write_bytes(slow.read_bytes() + b"\0" * 8)
    answers = make_engine(readers=1, read_limit_s=3.0).answer([make_request(0, slow), make_request(1, clips[1])])
    assert statuses(answers) == [FAILED, ANSWERED]
    assert "its reader hung (no frames within 3 s)" in answers[0].reason
