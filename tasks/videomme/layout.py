"""Video-MME: 900 videos from 11 seconds to an hour, three questions on each, subtitles for most."""

from typing import Final

from qsv_eval.data.benchmark import Benchmark, Sources
from qsv_eval.data.sample import Sample, Video
from qsv_eval.data.tables import read_rows

__all__ = ["GROUPS", "VIDEOMME"]

GROUPS: Final = ("duration", "domain", "sub_category", "task_type")
_COLUMNS: Final = ("question_id", "videoID", *GROUPS, "question", "options", "answer")


def _hub(sources: Sources) -> list[Sample] | None:
    """Read the authors' parquet file; the media as their archives unpack: `data/ID.mp4`, `subtitle/ID.srt`."""
    files = sources.files("videomme/*.parquet", "test-*.parquet", "*/test-*.parquet")
    if not files:
        return None
    media = sources.media
    samples = []
    for row in read_rows(files, _COLUMNS):
        name = row["videoID"]
        subtitles = media.find(f"subtitle/{name}.srt")
        samples.append(
            Sample(
                id=row["question_id"],
                video=Video(
                    path=str(media.expect(f"data/{name}.mp4")), subtitles=str(subtitles) if subtitles else None
                ),
                question=row["question"],
                options=tuple(row["options"]),
                answer=row["answer"],
                cluster=name,
                groups={field: row[field] for field in GROUPS},
            )
        )
    return samples


VIDEOMME: Final = Benchmark(
    name="videomme",
    sets={"test": _hub},
    repos=("lmms-lab/Video-MME", "lmms-eval/Video-MME"),
    annotations=("videomme/*.parquet",),
    hf_home="videomme",
    needs="videomme/*.parquet, data/*.mp4 and subtitle/*.srt",
)
