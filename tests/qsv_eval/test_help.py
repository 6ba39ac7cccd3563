"""Help of every command: each option says what it does, in what unit, and what happens without it."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
import typer

from qsv_eval.cli import app

RIDDLES = ("what", "which", "how", "where", "who", "as", "its", "that", "likewise", "also")
UNITS = r"number|limit|in GB|in seconds|per second|tokens|GPUs|auto for one per GPU"


def commands(group: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, f"{path}{name} ")
        else:
            yield f"{path}{name}", command


COMMANDS = dict(commands(typer.main.get_command(app)))


def test_every_command_is_walked():
    assert len(COMMANDS) >= 14


@pytest.mark.parametrize("name", COMMANDS)
def test_help_says_what_an_option_does(name):
    command = COMMANDS[name]
    assert command.help
    for parameter in command.params:
        text = parameter.help or ""
        if parameter.name == "help":
            continue
        where = f"{name} {parameter.name}: {text!r}"
        assert text, where
        assert text.split()[0].strip(":,.").lower() not in RIDDLES, where
        if isinstance(parameter.default, int | float) and not isinstance(parameter.default, bool):
            assert re.search(UNITS, text, re.IGNORECASE), where
        if parameter.default is None and not parameter.required:
            said = re.search("if not given|several times|instead of|only differences|as key=value", text)
            assert said, f"{where} does not say what happens without it"
