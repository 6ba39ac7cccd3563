"""Published numbers have a source, or are refused."""

import pytest

from qsv_eval.leaderboard.published import PEERS_COLUMNS, read_peers
from qsv_eval.leaderboard.records import OFFICIAL, PUBLISHED
from qsv_eval.leaderboard.tables import headline_table
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
        ("M,qsv_mlvu,,,about 70,,,,,,paper,", "peers.csv:2: 'about 70' is not a finite number"),
        ("\nM,qsv_mlvu,,,nan,,,,,,paper,", "peers.csv:3: 'nan' is not a finite number"),
        ("M,qsv_mlvu,,,-inf,,,,,,paper,", "peers.csv:2: '-inf' is not a finite number"),
        (
            "M,qsv_mlvu,,,70,64,,,,,paper,\nM,qsv_mlvu,,,71,64,,,,,another,",
            r"peers.csv:3: is for the same cell as .*peers.csv:2 \(M, frames=64, qsv_mlvu\)",
        ),
        ("M,qsv_mvlu,,,70,,,,,,paper,", "peers.csv:2: there is no task 'qsv_mvlu'; did you mean qsv_mlvu"),
        ("M,vidoemme,,,70,,,,,,paper,", "peers.csv:2: there is no task 'vidoemme'; did you mean videomme"),
        ("M,qsv_mlvu", "peers.csv:2: None is not a finite number"),
    ],
)
def test_what_is_wrong_is_said(tmp_path, line, says):
    file = tmp_path / "peers.csv"
    file.write_text(f"{','.join(PEERS_COLUMNS)}\n{line}\n")
    with pytest.raises(SetupError, match=says):
        read_peers(file)


def test_subtitles_are_of_the_setting_unless_the_task_says_it(tmp_path):
    file = tmp_path / "peers.csv"
    tasks = [(task, subtitles) for task in ("qsv_longvideobench", "qsv_videomme") for subtitles in ("yes", "no")]
    tasks += [("qsv_videomme_sub", "yes"), ("qsv_mlvu", "")]
    lines = [f"M,{task},,,70,,{subtitles},,,,paper," for task, subtitles in tasks]
    file.write_text("\n".join([",".join(PEERS_COLUMNS), *lines]))
    settings = ["subtitles=yes", "subtitles=no", "subtitles=yes", "", "", ""]
    assert list(read_peers(file)["setting"]) == settings
    table = headline_table(read_peers(file).assign(kind=OFFICIAL), "x")
    assert sum(cell is not None for _, cells in table.rows for cell in cells) == len(lines)


def test_a_measured_task_is_known_whoever_it_is_of(tmp_path):
    file = tmp_path / "peers.csv"
    file.write_text(f"{','.join(PEERS_COLUMNS)}\nM,my_task,,,70,,,,,,paper,\n")
    assert list(read_peers(file, {"my_task"})["task"]) == ["my_task"]


def test_a_file_without_the_columns(tmp_path):
    (tmp_path / "peers.csv").write_text("model,value\n")
    with pytest.raises(SetupError, match="has no column task"):
        read_peers(tmp_path / "peers.csv")
    with pytest.raises(SetupError, match="cannot be read"):
        read_peers(tmp_path / "none.csv")
