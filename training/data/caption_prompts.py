"""Wordings of "describe this", for samples that have a caption and no question."""

__all__ = ["describe_image", "describe_video"]

_OPENINGS = (
    "Describe {}.",
    "Describe {} in detail.",
    "What does {} show?",
    "What can be seen in {}?",
    "Tell me what {} shows.",
    "Give a description of {}.",
    "Write a caption for {}.",
    "Summarise what {} shows.",
    "Put {} into words.",
    "Explain what is visible in {}.",
)


def describe_image(number: int) -> str:
    """Return one of the wordings for an image, the same for the same number."""
    nouns = ("this image", "this picture", "this photo")
    return _OPENINGS[number % len(_OPENINGS)].format(nouns[number // len(_OPENINGS) % len(nouns)])


def describe_video(number: int) -> str:
    """Return one of the wordings for a video."""
    nouns = ("this video", "this clip")
    return _OPENINGS[number % len(_OPENINGS)].format(nouns[number // len(_OPENINGS) % len(nouns)])
