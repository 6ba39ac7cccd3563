"""What lies beside a results file, also where a run has several."""

from run_files import rows_of, write_run
from seen_runs import TASK, demo_rows, record_of, write_journal

from qsv_eval.leaderboard.load import load
from qsv_eval.leaderboard.origins import origins_of
from qsv_eval.model_adapters.engine.usage import Use, summarise_use
from qsv_eval.score import score_run

OTHER = "qsv_mvbench"


def two_sittings(folder):
    """Write a run that was resumed with another task, and score all of it later."""
    rows = demo_rows(["right", "other"])
    used = {TASK: summarise_use([Use.of(record_of(row, 8)) for row in rows])}
    keys = {"configs": {TASK: {"cluster_key": "clip", "score_key": "points"}}}
    write_run(folder / "model", {TASK: rows}, usage=used, **keys)
    used = {OTHER: summarise_use([Use.of(record_of(row, 16)) for row in rows])}
    write_run(folder / "model", {OTHER: rows_of(OTHER, ["C", "A"])}, stamp="20261102_000000", usage=used)
    write_journal(folder, map(record_of, rows))
    return score_run(folder).results_file


def test_a_later_scoring_has_the_usage_and_the_keys_of_every_sitting(tmp_path):
    file = two_sittings(tmp_path / "run")
    origin = origins_of([tmp_path / "run"])[f"run/{file.name}"]
    assert (origin.usage(TASK).frames, origin.usage(OTHER).frames) == (8, 16)
    assert (origin.samples(TASK).cluster_key, origin.samples(TASK).score_key) == ("clip", "points")
    assert origin.journal == tmp_path / "run" / "journal"
    assert origin.usage("qsv_nothing") is None


def test_a_protocol_is_completed_by_the_sitting_that_had_the_task(tmp_path):
    """Of another model, what moved the answers is in the results file alone."""
    for stamp, task, tokens in (("20261101_000000", OTHER, 16), ("20261102_000000", "qsv_videomme", 32)):
        config = {"model": "llava", "model_args": f"pretrained=org/llava,frames={tokens}"}
        rows = {task: rows_of(task, ["C", "A"])}
        write_run(tmp_path / "llava", rows, model="org/llava", answers=None, config=config, stamp=stamp)
    score_run(tmp_path)
    board = load([tmp_path])
    headlines = board.scores[board.scores["field"] == ""]
    places = zip(headlines["task"], headlines["protocol"], strict=True)
    frames = [(task, board.protocols[digest]["answers"]["frames"]) for task, digest in places]
    assert sorted(frames) == [(OTHER, "16")] * 2 + [("qsv_videomme", "32")] * 2
