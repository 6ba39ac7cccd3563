"""Check of an installed package: run in another folder, the demo and lmms-eval answer every question.

Run `python tests/helpers/plain_install.py` in the environment of `pip install .`; nothing else needs to be installed.
"""

import json
import os
import subprocess
import sys
import tempfile
from importlib import metadata
from pathlib import Path

SHOWN = ("qsv-eval", "torch", "transformers", "lmms-eval", "filelock", "av", "numpy", "pillow", "huggingface-hub")


def main() -> None:
    """Run both commands and check every sample that they wrote."""
    print("Resolved:", *(f"{name}=={metadata.version(name)}" for name in SHOWN))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        call(folder, "qsv-eval", "demo", "--limit", "8", "--output", "demo", "--device", "cpu")
        check_answered(folder / "demo", 8)
        tasks = call(folder, "qsv-eval", "tasks", "--path").stdout.strip()
        package = Path(call(folder, sys.executable, "-c", "import qsv_eval; print(qsv_eval.__file__)").stdout.strip())
        checkpoint = package.parent / "demo" / "quicksviewer-tiny"
        arguments = f"pretrained={checkpoint},device=cpu,journal=journal"
        call(
            *(folder, "lmms-eval", "--model", "quicksviewer", "--model_args", arguments, "--include_path", tasks),
            *("--tasks", "qsv_demo", "--limit", "4", "--batch_size", "1", "--output_path", "lmms", "--log_samples"),
        )
        check_answered(folder / "lmms", 4)


def call(folder: Path, program: str, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a program of this environment in `folder`; print its output and exit if it fails."""
    path = str(Path(sys.executable).parent) + os.pathsep + os.environ["PATH"]
    environment = os.environ | {"PATH": path, "HF_HUB_OFFLINE": "1", "XDG_CACHE_HOME": str(folder / "cache")}
    command = [program, *words]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    print(f"{Path(program).name} {' '.join(words)[:60]}: exit code {done.returncode}", flush=True)
    if done.returncode:
        sys.exit(f"{done.stdout}\n{done.stderr}")
    return done


def check_answered(output: Path, questions: int) -> None:
    """Exit if a reply of a run is missing, empty or the reserved reply for failures."""
    from qsv_eval.model_adapters.engine.failure import ERROR_REPLY

    samples = [
        json.loads(line)
        for path in output.rglob("*_samples_qsv_demo*.jsonl")
        for line in path.read_text("utf-8").splitlines()
    ]
    replies = [sample["filtered_resps"] for sample in samples]
    failed = [reply for reply in replies if not reply or ERROR_REPLY in reply]
    if len(replies) != questions or failed:
        sys.exit(f"{output.name}: expected {questions} replies without failures, got {replies}")
    print(f"{output.name}: {questions} of {questions} questions answered", flush=True)


if __name__ == "__main__":
    main()
