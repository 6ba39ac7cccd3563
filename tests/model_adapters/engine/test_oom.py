import gc
import weakref

import numpy as np
import psutil
import pytest
import torch

from qsv_eval.model_adapters.engine import oom


class Tensor:
    """Stands for what only a traceback keeps alive."""


@pytest.fixture
def no_collector():
    gc.disable()
    yield
    gc.enable()


def fail(watched):
    held = Tensor()
    watched.append(weakref.ref(held))
    raise torch.OutOfMemoryError("CUDA out of memory")


def fail_again(watched):
    held = Tensor()
    watched.append(weakref.ref(held))
    try:
        fail(watched)
    except torch.OutOfMemoryError:
        raise RuntimeError("while that was handled")  # noqa: B904 - as it happens in libraries


def fail_because(watched):
    held = Tensor()
    watched.append(weakref.ref(held))
    try:
        fail_again(watched)
    except RuntimeError as error:
        raise ValueError("in other words") from error


@pytest.mark.parametrize("work", [fail, fail_again, fail_because])
@pytest.mark.usefixtures("no_collector")
def test_an_attempt_that_failed_keeps_nothing_alive(work):
    watched = []
    assert isinstance(oom.catch_sample_error(work, watched), Exception)
    assert [ref() for ref in watched] == [None] * len(watched)


def test_an_attempt_gives_the_value():
    assert oom.catch_sample_error(divmod, 7, 2) == (3, 1)


def test_an_unexpected_error_is_logged_with_its_traceback(caplog):
    oom.catch_sample_error(int, "seven")
    oom.catch_sample_error(fail, [])
    assert len(caplog.records) == 1
    assert "invalid literal for int" in caplog.text
    assert "Traceback" in caplog.text


def test_ctrl_c_is_no_failed_attempt():
    def stop():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        oom.catch_sample_error(stop)


def allocate_too_much_in_torch():
    torch.empty(1 << 60, dtype=torch.uint8)


def allocate_too_much_in_numpy():
    np.empty(1 << 60, dtype=np.uint8)


@pytest.mark.parametrize("work", [allocate_too_much_in_torch, allocate_too_much_in_numpy, lambda: bytearray(1 << 60)])
def test_real_want_of_memory_is_recognised(work):
    assert oom.is_out_of_memory(oom.catch_sample_error(work))


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"), True),
        (RuntimeError("CUDA error: out of memory"), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), True),
        (RuntimeError("CUDA error: device-side assert triggered"), False),
        (ValueError("a file named can't allocate memory"), False),
        (None, False),
    ],
)
def test_what_counts_as_want_of_memory(error, expected):
    assert oom.is_out_of_memory(error) is expected


@pytest.mark.parametrize(
    ("frames", "rungs"),
    [(420, [256, 128, 64, 32, 16, 8]), (256, [128, 64, 32, 16, 8]), (20, [16, 8]), (9, [8]), (8, []), (0, [])],
)
def test_the_ladder_leads_down(frames, rungs):
    assert oom.smaller_frame_counts(frames) == rungs


def test_a_peak_is_at_least_what_is_in_use(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    oom.start_peak()
    room = np.ones(64 << 20, dtype=np.uint8)
    in_use = psutil.Process().memory_info().rss
    del room
    oom.free_memory()
    assert oom.peak_bytes() > 0.95 * in_use > 64 << 20  # the system counts pages with some delay
