"""The command line as a user meets it."""

import json
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from qsv_eval.cli import app
from qsv_eval.model_adapters.quicksviewer import load_pretrained

VERBS = ("demo", "run", "status", "ask", "tasks")


def qsv_eval(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    import os

    command = [sys.executable, "-m", "qsv_eval.cli", *words]
    return subprocess.run(
        command, capture_output=True, text=True, env=os.environ | environment, timeout=300, check=False
    )


@pytest.mark.parametrize("verb", VERBS)
def test_help_has_an_example(verb):
    shown = CliRunner().invoke(app, [verb, "--help"]).output
    assert "Example: " in shown


def test_help_and_import_load_nothing_heavy():
    heavy = ("torch", "transformers", "lmms_eval")
    code = f"import sys, qsv_eval.cli; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_tasks():
    listed = CliRunner().invoke(app, ["tasks"]).output
    assert all(name in listed for name in ("qsv_demo", "qsv_videomme", "qsv_videomme_reference"))
    path = CliRunner().invoke(app, ["tasks", "--path"]).output.strip()
    assert path.endswith("tasks")


def test_ask_about_a_video_as_json(tiny, clips):
    words = ["ask", "--pretrained", str(tiny), "--video", str(clips[0]), "--json", "--max-new-tokens", "4", "What?"]
    done = CliRunner().invoke(app, [*words, "--device", "cpu", "--max-frames", "12"])
    reply = json.loads(done.stdout.splitlines()[-1])
    assert set(reply) == {"text", "token_ids", "prompt", "frames", "lost_frames", "cubes"}
    assert len(reply["frames"][0]) == 12
    assert reply["cubes"][0][0]["start_frame"] == 0
    assert reply["cubes"][0][-1]["end_frame"] == 12
    assert "What?" in reply["prompt"]


def test_ask_a_conversation(tiny, tmp_path):
    messages = tmp_path / "messages.json"
    messages.write_text(json.dumps([{"role": "user", "content": "Hello"}]))
    words = ["ask", "--pretrained", str(tiny), "--messages", str(messages), "--max-new-tokens", "2", "--device", "cpu"]
    assert CliRunner().invoke(app, words).exit_code == 0


def test_a_reply_is_heard_while_it_is_generated(tiny, monkeypatch):
    pieces = []
    monkeypatch.setattr("builtins.print", lambda *words, **_: pieces.extend(words))
    words = ["ask", "--pretrained", str(tiny), "--max-new-tokens", "12", "--device", "cpu", "--dtype", "float32", "Hi"]
    assert CliRunner().invoke(app, words).exit_code == 0
    model = load_pretrained(str(tiny), device="cpu", dtype="float32")
    reply = model.chat([{"role": "user", "content": "Hi"}], max_new_tokens=12)
    assert "".join(pieces) == reply.text
    assert len(pieces) > 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["ask", "--pretrained", "x"], "there is no question"),
        (["ask", "--pretrained", "x", "--messages", "{tmp}/none.json"], "cannot be read"),
        (["ask", "--pretrained", "x", "--messages", "{tmp}/bad.json"], "is not JSON"),
        (["ask", "--pretrained", "x", "--messages", "{tmp}/dict.json"], "must hold a list of messages"),
        (["ask", "--pretrained", "x", "--messages", "{tmp}/dict.json", "Hi"], "--messages is the whole conversation"),
        (["ask", "--pretrained", "{tmp}/none", "Hi"], "there is no such folder"),
        (["ask", "--pretrained", "{tmp}", "Hi"], "holds neither config.json nor adapter_config.json"),
        (["ask", "--pretrained", "{tiny}", "--fps", "0.5", "Hi"], "blocks"),
        (["ask", "--pretrained", "{tiny}", "--video", "{tmp}/gone.mp4", "Hi"], "gone.mp4: missing"),
        (["ask", "--pretrained", "{tiny}", "   "], "there is no question"),
        (["ask", "--pretrained", "{tiny}", "--device", "gpu", "Hi"], "device 'gpu' is unknown"),
        (["run", "--tasks", "demo", "--pretrained", "{tiny}", "--fps", "0.5", "--output", "{tmp}/o"], "blocks"),
        (["run", "--tasks", "qsv_nothing", "--pretrained", "x"], "there is no task 'qsv_nothing'"),
    ],
)
def test_what_a_user_can_put_right_is_one_line(words, message, tmp_path, tiny, monkeypatch, capsys):
    from qsv_eval.cli import main

    (tmp_path / "bad.json").write_text("{")
    (tmp_path / "dict.json").write_text("{}")
    filled = [word.format(tmp=tmp_path, tiny=tiny) for word in words]
    monkeypatch.setattr(sys, "argv", ["qsv-eval", *filled])
    with pytest.raises(SystemExit) as stopped:
        main()
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert stopped.value.code == 2
    assert last.startswith("qsv-eval: ")
    assert message in last


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["run", "--tasks", "qsv_nothing", "--pretrained", "x"],
            "there is no task 'qsv_nothing'; did you mean qsv_mantis or qsv_nextqa or qsv_gqa?",
        ),
        (["demo", "--output", "{tmp}"], "{tmp}: is not empty and holds no qsv-eval run; choose another --output"),
    ],
)
def test_two_ranks_that_cannot_begin_say_so_once(words, message, tmp_path):
    (tmp_path / "thesis.tex").write_text("")
    filled = [word.format(tmp=tmp_path) for word in words]
    done = qsv_eval(*filled, "--processes", "2", "--device", "cpu", XDG_CACHE_HOME=str(tmp_path / "cache"))
    assert (done.returncode, done.stderr) == (2, f"qsv-eval: {message.format(tmp=tmp_path)}\n")


def test_status_of_no_run(tmp_path):
    done = qsv_eval("status", str(tmp_path / "none"))
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "there is no such folder" in done.stderr


def test_demo_from_the_command_line(tmp_path):
    done = qsv_eval(
        "demo", "--limit", "4", "--device", "cpu", "--output", str(tmp_path / "out"), XDG_CACHE_HOME=str(tmp_path)
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "qsv_demo" in done.stdout
    assert "4 questions asked in this run" in done.stdout
    assert list((tmp_path / "out").rglob("*_results.json"))


def test_an_incomplete_run_says_so_and_exits_with_3(tiny, tmp_path):
    """All clips of the demo are unreadable: every question fails, none is scored."""
    from qsv_eval.demo import clip_from_id, demo_questions, video_name

    folder = tmp_path / "data" / "demo"
    folder.mkdir(parents=True)
    for question in demo_questions()[:4]:
        (folder / video_name(clip_from_id(question.clip_id))).write_bytes(b"no film" * 999)
    words = ["--limit", "4", "--device", "cpu", "--output", str(tmp_path / "out"), "--pretrained", str(tiny)]
    done = qsv_eval("demo", *words, QSV_DATA=str(tmp_path / "data"))
    assert done.returncode == 3, done.stderr[-3000:]
    assert "INCOMPLETE" in done.stdout
    assert "4 error" in done.stdout


def test_commands_are_listed_as_people_use_them_and_the_version_is_printed():
    shown = CliRunner().invoke(app, ["--help"]).output
    positions = [shown.index(f"\n  {name} ") for name in ("demo", "run", "sweep", "score", "leaderboard", "compare")]
    assert positions == sorted(positions)
    assert "--install-completion" in shown
    assert CliRunner().invoke(app, ["--version"]).output.startswith("qsv-eval 0.")
