"""Pixels of a generated clip: `frame_at(spec, t_s)` is a pure function, so any instant can be drawn without the rest.

Legend: T sampled frames, H = W = `spec.size_px`, C = 3 (RGB).
"""

from collections.abc import Iterator
from typing import Final

import numpy as np
import numpy.typing as npt

from qsv_eval.demo.scene import ClipSpec, Scene

__all__ = ["RGB", "frame_at", "sampled_frames", "sampled_instants_s", "video_frames"]

RGB: Final = {
    "red": (225, 30, 30),
    "green": (20, 140, 40),
    "blue": (35, 60, 230),
    "yellow": (250, 220, 30),
    "purple": (165, 40, 190),
    "cyan": (50, 210, 220),
    "white": (245, 245, 245),
    "black": (12, 12, 12),
}
"""Near the corners of the RGB cube: any two stay apart after chroma subsampling and at 48 px."""

_STEPS: Final = {"up": (0, -1), "down": (0, 1), "left": (-1, 0), "right": (1, 0)}


def frame_at(spec: ClipSpec, t_s: float) -> npt.NDArray[np.uint8]:
    """Draw one instant; returns uint8 `(H, W, C)`."""
    scene = spec.scene_at(t_s)
    step_x, step_y = _STEPS[scene.direction]
    travel = scene.speed * (t_s - scene.first_sampled - 0.5)
    dx_W = _offsets(spec.size_px, scene.x + step_x * travel, scene.radius)
    dy_H = _offsets(spec.size_px, scene.y + step_y * travel, scene.radius)
    mask_HW = _inside(scene, dx_W[None, :], dy_H[:, None])
    colours = np.array([RGB[scene.background], RGB[scene.colour]], np.uint8)
    return colours[mask_HW.astype(np.intp)]


def sampled_instants_s(spec: ClipSpec) -> list[float]:
    """Return the instants in seconds that the evaluation samples at 1 fps: the middle of every second."""
    return [second + 0.5 for second in range(spec.duration_s)]


def sampled_frames(spec: ClipSpec) -> npt.NDArray[np.uint8]:
    """Draw the frames that the evaluation would read from the encoded clip; returns uint8 `(T, H, W, C)`."""
    return np.stack([frame_at(spec, t_s) for t_s in sampled_instants_s(spec)])


def video_frames(spec: ClipSpec) -> Iterator[npt.NDArray[np.uint8]]:
    """Draw every frame of the clip at its own frame rate, each uint8 `(H, W, C)`."""
    for number in range(spec.duration_s * spec.fps):
        yield frame_at(spec, number / spec.fps)


def _offsets(size_px: int, centre: float, radius: float) -> npt.NDArray[np.float64]:
    """Distance of every pixel from the shape's centre along one axis, in radii, the short way around the edge."""
    position = (np.arange(size_px) + 0.5) / size_px
    return ((position - centre + 0.5) % 1.0 - 0.5) / radius


def _inside(scene: Scene, dx: npt.NDArray[np.float64], dy: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """Whether each pixel lies in the shape; `dx` and `dy` broadcast to `(H, W)`, y pointing down."""
    match scene.shape:
        case "circle":
            return dx**2 + dy**2 <= 1
        case "square":
            return np.maximum(abs(dx), abs(dy)) <= 1
        case "triangle":
            return (abs(dx) <= (dy + 0.95) / 1.75) & (dy <= 0.8)
        case "cross":
            return (np.minimum(abs(dx), abs(dy)) <= 0.38) & (np.maximum(abs(dx), abs(dy)) <= 1)
        case "ring":
            return abs(dx**2 + dy**2 - 0.625) <= 0.375
    raise ValueError(f"unknown shape {scene.shape!r}")
