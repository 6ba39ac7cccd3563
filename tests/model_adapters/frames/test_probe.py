import av
import pytest

from qsv_eval.model_adapters.errors import MediaError, MediaFault
from qsv_eval.model_adapters.frames import probe as probe_module
from qsv_eval.model_adapters.frames import probe_video


def test_an_mp4s_header_says_it_all(plain_video, monkeypatch):
    monkeypatch.setattr(probe_module, "scan_video", None)  # would fail if it were needed
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
