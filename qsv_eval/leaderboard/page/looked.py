"""What an answer rests on and what it cost, as the page says it of a sample."""

from typing import Any, NamedTuple

from qsv_eval.model_adapters.engine.journal import Record, VideoUse

__all__ = ["Looked", "looked_at"]


class Looked(NamedTuple):
    """What the page needs of a journal's line: plain values, which go quickly from one process to another."""

    times_s: tuple[float, ...]
    """Instants of the frames; empty where there are several videos, whose frames are not told apart, or none."""
    use: dict[str, Any]
    """Frames, cubes, tokens and seconds, as the page's script reads them."""


def looked_at(record: Record) -> Looked:
    """Return what an answer rests on."""
    times_s = tuple(record.videos[0].timestamps_s) if len(record.videos) == 1 else ()
    use = {
        "videos": [_video(video) for video in record.videos],
        "tokens": record.visual_tokens,
        "prompt": record.prompt_tokens,
        "seconds": round(sum(record.seconds.values()), 3),
        "degraded": record.degraded,
    }
    return Looked(times_s, use)


def _video(video: VideoUse) -> dict[str, Any]:
    """Return frames and cubes; a cube as its first frame, the number of its frames, and its seconds."""
    cubes = [
        [start, end - start, None if start_s is None else round(start_s, 2), None if end_s is None else round(end_s, 2)]
        for start, end, start_s, end_s in video.cubes
    ]
    return {"frames": len(video.timestamps_s), "cubes": cubes, "lost": video.lost_frames}
