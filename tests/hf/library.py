"""The test mixins of transformers, importable as `transformers_tests` (tox.ini fetches and unpacks them).

The source distribution holds only the top folder of transformers' tests. Modules of other folders that the mixins
import are replaced here: by empty classes where they hold tests, by local files where they fetch images and videos. The
mixins for generation, export, pipelines, FSDP and tensor parallelism are in those folders or need them, and do not run.
"""

import sys
import tempfile
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import av
import numpy as np
from PIL import Image

_FRAMES, _FPS = 11, 30
"""Length and frame rate of the video that transformers' tests of frame sampling expect."""


def prepare_imports(folder: Path) -> None:
    """Make the package importable from `folder`, with replacements for the modules that it lacks."""
    sys.path.insert(0, str(folder))
    nothing = {"ExportTesterMixin": type("ExportTesterMixin", (), {})}
    _replace(folder, "transformers_tests.exporters.test_export", nothing)
    nothing = {"GenerationTesterMixin": type("GenerationTesterMixin", (), {})}
    _replace(folder, "transformers_tests.generation.test_utils", nothing)
    _replace(folder, "transformers_tests.utils.test_configuration_utils", {"config_common_kwargs": {}})
    _replace(folder, "fetch_hub_objects_for_ci", {"url_to_local_path": local_file})


def _replace(folder: Path, name: str, contents: dict[str, Any]) -> None:
    if not folder.joinpath(*name.split(".")).with_suffix(".py").is_file():
        module = ModuleType(name)
        vars(module).update(contents)
        sys.modules[name] = module


@cache
def local_file(url: str) -> str:
    """Return the path of an image or a video that stands in for the one at this address; sounds do not exist."""
    path = Path(tempfile.mkdtemp(prefix="transformers-tests-"), url.rsplit("/", 1)[-1])
    if path.suffix in (".png", ".jpg"):
        _picture(0).save(path)
    elif path.suffix == ".mp4":
        _write_video(path)
    return str(path)


def _picture(seed: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (240, 320, 3), np.uint8))


def _write_video(path: Path) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=_FPS)
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        for number in range(_FRAMES):
            container.mux(stream.encode(av.VideoFrame.from_image(_picture(number))))
        container.mux(stream.encode(None))
