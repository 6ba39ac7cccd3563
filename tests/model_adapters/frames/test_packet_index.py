from fractions import Fraction

import av
import pytest

from qsv_eval.model_adapters.errors import MediaError, MediaFault
from qsv_eval.model_adapters.frames import packet_index as packet_index_module
from qsv_eval.model_adapters.frames import probe_video
from qsv_eval.model_adapters.frames.packet_index import PacketIndex, SeekMode, demux, index_packets


def test_scan_of_a_plain_file(plain_video):
    index = index_packets(plain_video)
    assert (index.seek_mode, index.fps, index.frame_count, index.duration_s) == (SeekMode.SEEK, 30.0, 120, 4.0)
    assert len(index.pts) == 120
    assert [index.seconds(pts) for pts in index.keyframe_pts] == pytest.approx([0, 40 / 30, 80 / 30])


@pytest.mark.parametrize(
    ("name", "codec", "seek_mode"),
    [
        ("index.mkv", "libx264", SeekMode.SEEK),
        ("index.webm", "libvpx-vp9", SeekMode.SEEK),
        ("index.ts", "libx264", SeekMode.STREAM),
        ("index.flv", "libx264", SeekMode.STREAM),
        ("index.avi", "mpeg4", SeekMode.COUNT),
        ("index.mpg", "mpeg2video", SeekMode.COUNT),
        ("index.h264", "libx264", SeekMode.COUNT),
    ],
)
def test_every_container_lists_the_same_frames(make_video, name, codec, seek_mode):
    index = index_packets(make_video(name, codec=codec, count=60, options={"bf": "2"} if codec != "libvpx-vp9" else {}))
    assert index.seek_mode is seek_mode
    assert (index.fps, index.frame_count, len(index.pts)) == (30.0, 60, 60)
    assert index.duration_s == pytest.approx(2.0, abs=0.002)
    assert [index.seconds(pts) for pts in index.pts] == pytest.approx([k / 30 for k in range(60)], abs=0.001)


def listing(pts: list[int]) -> PacketIndex:
    return PacketIndex(0, SeekMode.SEEK, 10.0, Fraction(1, 100), pts, [pts[0]], 1.0, 10)


def test_nearest_goes_by_time():
    index = listing([500, 510, 590, 600])
    assert index.nearest_pts(0.0) == 500
    assert index.nearest_pts(0.14) == 510
    assert index.nearest_pts(0.51) == 590
    assert index.nearest_pts(0.5) == 510  # halfway: the one that is already on screen


def test_nothing_is_nearest_past_the_end():
    index = listing([500, 510, 520])
    assert index.nearest_pts(0.25) == 520
    assert index.nearest_pts(0.26) is None


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


def test_an_mp4s_header_says_it_all(plain_video, monkeypatch):
    monkeypatch.setattr(packet_index_module, "index_packets", None)  # would fail if it were needed
    assert probe_video(plain_video) == (4.0, 30.0, 120, 160, 96)


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("probe.mkv", "libx264"),
        ("probe.webm", "libvpx-vp9"),
        ("probe.ts", "libx264"),
        ("probe.flv", "libx264"),
        ("probe.avi", "mpeg4"),
        ("probe.mpg", "mpeg2video"),
        ("probe.h264", "libx264"),
        ("probe.gif", "gif"),
    ],
)
def test_every_container_has_a_length_and_a_size(make_video, name, codec):
    rate, pix_fmt = (10, "rgb8") if codec == "gif" else (30, "yuv420p")
    facts = probe_video(make_video(name, codec=codec, count=3 * rate, rate=rate, pix_fmt=pix_fmt))
    assert facts.fps == pytest.approx(rate)
    assert facts.duration_s == pytest.approx(3.0, abs=0.2)
    assert facts.frame_count == pytest.approx(3 * rate, abs=4)
    assert (facts.width, facts.height) == (160, 96)


def test_a_still_picture_is_one_frame(tmp_path):
    with av.open(tmp_path / "still.png", "w") as container:
        stream = container.add_stream("png", rate=25)
        stream.width, stream.height, stream.pix_fmt = 60, 40, "rgb24"
        container.mux(stream.encode(av.VideoFrame(60, 40, "rgb24")))
        container.mux(stream.encode())
    assert probe_video(tmp_path / "still.png").frame_count == 1


def test_a_cut_file_still_states_its_length(make_video, tmp_path):
    whole = make_video("probe_cut.mp4", container_options={"movflags": "faststart"})
    path = tmp_path / "cut.mp4"
    path.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    assert probe_video(path).duration_s == pytest.approx(4.0, abs=0.01)


def test_what_cannot_be_opened_is_a_media_error(tmp_path):
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "garbage.mp4").write_bytes(b"no video at all" * 1000)
    for name, fault in [
        ("nowhere.mp4", MediaFault.MISSING),
        ("empty.mp4", MediaFault.EMPTY),
        ("garbage.mp4", MediaFault.UNDECODABLE),
    ]:
        with pytest.raises(MediaError) as caught:
            probe_video(tmp_path / name)
        assert caught.value.fault is fault
