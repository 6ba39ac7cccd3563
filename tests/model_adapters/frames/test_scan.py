from fractions import Fraction

import pytest

from qsv_eval.model_adapters.frames.scan import Access, Scan, demux, scan_video


def test_scan_of_a_plain_file(plain_video):
    scan = scan_video(plain_video)
    assert (scan.access, scan.fps, scan.frame_count, scan.duration_s) == (Access.SEEK, 30.0, 120, 4.0)
    assert len(scan.pts) == 120
    assert [scan.seconds(pts) for pts in scan.keyframe_pts] == pytest.approx([0, 40 / 30, 80 / 30])


@pytest.mark.parametrize(
    ("name", "codec", "access"),
    [
        ("scan.mkv", "libx264", Access.SEEK),
        ("scan.webm", "libvpx-vp9", Access.SEEK),
        ("scan.ts", "libx264", Access.STREAM),
        ("scan.flv", "libx264", Access.STREAM),
        ("scan.avi", "mpeg4", Access.COUNT),
        ("scan.mpg", "mpeg2video", Access.COUNT),
        ("scan.h264", "libx264", Access.COUNT),
    ],
)
def test_every_container_lists_the_same_frames(make_video, name, codec, access):
    scan = scan_video(make_video(name, codec=codec, count=60, options={"bf": "2"} if codec != "libvpx-vp9" else {}))
    assert scan.access is access
    assert (scan.fps, scan.frame_count, len(scan.pts)) == (30.0, 60, 60)
    assert scan.duration_s == pytest.approx(2.0, abs=0.002)
    assert [scan.seconds(pts) for pts in scan.pts] == pytest.approx([k / 30 for k in range(60)], abs=0.001)


def listing(pts: list[int]) -> Scan:
    return Scan(0, Access.SEEK, 10.0, Fraction(1, 100), pts, [pts[0]], 1.0, 10)


def test_nearest_goes_by_time():
    scan = listing([500, 510, 590, 600])
    assert scan.nearest(0.0) == 500
    assert scan.nearest(0.14) == 510
    assert scan.nearest(0.51) == 590
    assert scan.nearest(0.5) == 510  # halfway: the one that is already on screen


def test_nothing_is_nearest_past_the_end():
    scan = listing([500, 510, 520])
    assert scan.nearest(0.25) == 520
    assert scan.nearest(0.26) is None


class LateStream:
    """A container whose fourth packet belongs to a stream that was not there when demuxing began."""

    def __init__(self):
        self.packets = iter([1, 2, 3, IndexError(), 5, 6])

    def demux(self, stream):
        for packet in self.packets:
            if isinstance(packet, IndexError):
                raise packet
            yield packet


def test_demuxing_goes_on_after_a_stream_that_appears_late():
    assert list(demux(LateStream(), "the stream asked for")) == [1, 2, 3, 5, 6]
