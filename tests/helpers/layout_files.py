"""Small files for copies of official layouts: videos, pictures, tables and archives."""

import io
import json
import zipfile
from functools import cache
from pathlib import Path
from typing import Any

import av
import numpy as np
import pandas as pd
from PIL import Image

WORDS = ("red", "green", "blue", "white", "black", "grey")
SRT = """1
00:00:00,000 --> 00:00:01,000
<font color="white" size=".72c">hello there</font>

2
00:00:01,000 --> 00:00:02,500
goodbye

3
00:01:00,000 --> 00:01:01,000
much later
"""


@cache
def clip(suffix: str = ".mp4", seconds: int = 2) -> bytes:
    """Return a video of noise with 8 frames per second."""
    file = io.BytesIO()
    rng = np.random.default_rng(0)
    formats = {".mp4": "mp4", ".mkv": "matroska", ".webm": "matroska", ".avi": "avi"}
    with av.open(file, "w", format=formats[suffix]) as container:
        stream = container.add_stream("mpeg4", rate=8)
        stream.width = stream.height = 64
        for _ in range(8 * seconds):
            frame = av.VideoFrame.from_ndarray(rng.integers(0, 255, (64, 64, 3), np.uint8))
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return file.getvalue()


@cache
def picture(shade: int = 0) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (48, 32), (shade, 100, 200)).save(file, "JPEG")
    return file.getvalue()


def put(path: Path, content: bytes | str | Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def parquet(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(rows).to_parquet(path)
    return path


def zipped(path: Path, files: dict[str, bytes | str]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def put_clips(folder: Path, *names: str) -> None:
    for name in names:
        put(folder / name, clip(Path(name).suffix))


def lettered(form: str) -> list[str]:
    """Return four options by a form such as `({}) {}`."""
    return [form.format(letter, word) for letter, word in zip("ABCD", WORDS, strict=False)]


QUESTION_WITH_OPTIONS = "\n".join(["What is it?", *lettered("({}) {}")])
