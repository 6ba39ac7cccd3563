"""Tests of transformers that do not apply to Quicksviewer, each with its reason: no other place leaves out any.

A name is a pattern of `fnmatch` for `Class::test`. The first pattern that matches gives the reason.
"""

from fnmatch import fnmatchcase

NOT_APPLICABLE = {
    "*::test_generation_tester_mixin_inheritance": "the source distribution does not hold the mixin for generation",
    "*::test_get_text_features_*": "nothing is tested: text has no encoder of its own, so no get_text_features",
    "*::test_get_audio_features_*": "nothing is tested: there is no audio",
    "*::test_get_image_features_*": "nothing is tested: there is no get_image_features",
    "*::test_get_video_features_*": "nothing is tested: there is no get_video_features",
    "*::test_causal_lm_loss_honors_shift_labels": "shift_labels is refused by name: no row is cut before it is merged",
    "*::test_new_models_require_torchvision_backend": "images are resized by Pillow, whose bytes are the reference's",
    "*::test_call_sample_frames": "sets the attribute do_sample_frames; sampling is an option of a call here",
}


def reason_for(name: str) -> str | None:
    """Return why the test `Class::test` does not apply, or None if it does."""
    return next((reason for pattern, reason in NOT_APPLICABLE.items() if fnmatchcase(name, pattern)), None)
