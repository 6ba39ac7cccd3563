"""Published numbers: sourced, or refused."""

import pytest

from qsv_eval.leaderboard.peers import PEERS_COLUMNS, read_peers
from qsv_eval.leaderboard.records import PUBLISHED
from qsv_eval.model_adapters.errors import SetupError
from qsv_eval.tasks.registry import all_tasks


def test_every_number_of_ours_has_a_source_and_a_task():
    peers = read_peers()
    assert len(peers) > 50
    assert set(peers["kind"]) == {PUBLISHED}
    assert set(peers["task"]) <= set(all_tasks())
    assert peers["source"].ne("").all()
    assert not peers.duplicated(["model", "setting", "task", "field", "group"]).any()
    graded = peers["task"] == "qsv_videochatgpt"
    assert peers[~graded]["value"].between(20, 100).all()
    assert peers[graded]["value"].between(0, 5).all()
    for task in peers["task"].unique():
        assert set(peers[peers["task"] == task]["field"]) <= {"", *all_tasks()[task].fields}


def test_the_setting_of_a_published_number_is_its_row(tmp_path):
    file = tmp_path / "peers.csv"
    file.write_text(f"{','.join(PEERS_COLUMNS)}\nM,qsv_mlvu,,,70.1,64,,dev,M-Avg,,a paper,\n")
    [row] = read_peers(file).to_dict("records")
    assert row["setting"] == "frames=64, split=dev, average=M-Avg"


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("M,qsv_mlvu,,,70.1,,,,,,,", "peers.csv:2: has no source"),
        ("M,qsv_mlvu,,,about 70,,,,,,paper,", "peers.csv:2: 'about 70' is no number"),
        ("M,qsv_mlvu", "peers.csv:2: None is no number"),
    ],
)
def test_what_is_wrong_is_said(tmp_path, line, says):
    file = tmp_path / "peers.csv"
    file.write_text(f"{','.join(PEERS_COLUMNS)}\n{line}\n")
    with pytest.raises(SetupError, match=says):
        read_peers(file)


def test_a_file_without_the_columns(tmp_path):
    (tmp_path / "peers.csv").write_text("model,value\n")
    with pytest.raises(SetupError, match="has no column task"):
        read_peers(tmp_path / "peers.csv")
    with pytest.raises(SetupError, match="cannot be read"):
        read_peers(tmp_path / "none.csv")
