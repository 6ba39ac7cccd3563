"""NExT-QA with options: 8,564 questions why, how, when and what on clips of some 44 seconds."""

from collections.abc import Mapping
from typing import Any, Final

from qsv_eval.data.benchmark import Benchmark, Sources
from qsv_eval.data.letters import LETTERS
from qsv_eval.data.sample import Sample, Video
from qsv_eval.data.tables import read_rows

__all__ = ["NEXTQA"]

_OPTIONS: Final = tuple(f"a{number}" for number in range(5))
_COLUMNS: Final = ("video", "question", "answer", "qid", "type", *_OPTIONS)
_KINDS: Final[Mapping[str, str]] = {"C": "causal", "T": "temporal", "D": "descriptive"}


def _table(sources: Sources) -> list[Sample] | None:
    """Read the authors' `test.csv`, or the parquet files of the configuration MC; nothing of the validation split."""
    files = sources.files("test.csv", "*/test.csv", "MC/test-*.parquet", "**/MC/test-*.parquet", "MC*/*.parquet")
    if not files:
        return None
    media = sources.media

    def sample(row: Mapping[str, Any]) -> Sample:
        return Sample(
            id=f"{row['video']}-{row['qid']}",
            video=Video(path=str(media.expect(f"NExTVideo/{row['video']}.mp4"))),
            question=row["question"],
            options=tuple(str(row[option]) for option in _OPTIONS),
            answer=LETTERS[int(row["answer"])],
            cluster=str(row["video"]),
            # The first letter is the kind: CW why, CH how; TN next, TP previous, TC meanwhile; DC, DL, DO described.
            groups={"kind": _KINDS.get(str(row["type"])[0], "other"), "type": str(row["type"])},
        )

    return [sample(row) for row in read_rows(files, _COLUMNS)]


NEXTQA: Final = Benchmark(
    name="nextqa",
    sets={"test": _table},
    repos=("lmms-lab/NExTQA", "lmms-eval/NExTQA"),
    annotations=("MC/test-*.parquet",),
    hf_home="nextqa",
    needs="test.csv or MC/test-*.parquet, and NExTVideo/*.mp4",
)
