"""Quicksviewer as a transformers model. Importing this package registers it with transformers' Auto classes.

```python
from qsv_eval.model_adapters.quicksviewer import load_pretrained

qv = load_pretrained("path/or/hub-id", device="cuda", dtype="bfloat16")
reply = qv.chat([{"role": "user", "content": [
    {"type": "video", "video": "clip.mp4"},
    {"type": "text", "text": "What happens first?"},
]}])
print(reply.text, reply.cubes)
```
"""

from transformers import (
    AutoConfig,
    AutoImageProcessor,
    AutoModel,
    AutoModelForImageTextToText,
    AutoProcessor,
    AutoVideoProcessor,
)

from qsv_eval.model_adapters.quicksviewer.chat import Cube, Quicksviewer, Reply
from qsv_eval.model_adapters.quicksviewer.checkpoint import register_released_names
from qsv_eval.model_adapters.quicksviewer.configuration import (
    QuicksviewerConfig,
    ReleasedLlamaConfig,
    ReleasedQwenConfig,
)
from qsv_eval.model_adapters.quicksviewer.device import resolve_device
from qsv_eval.model_adapters.quicksviewer.dialogue import Dialogue
from qsv_eval.model_adapters.quicksviewer.image_processing import QuicksviewerImageProcessor, QuicksviewerVideoProcessor
from qsv_eval.model_adapters.quicksviewer.loading import load_pretrained
from qsv_eval.model_adapters.quicksviewer.messages import VideoInput
from qsv_eval.model_adapters.quicksviewer.modeling import QuicksviewerForConditionalGeneration, QuicksviewerModel
from qsv_eval.model_adapters.quicksviewer.processing import QuicksviewerProcessor

__all__ = [
    "Cube",
    "Dialogue",
    "Quicksviewer",
    "QuicksviewerConfig",
    "QuicksviewerForConditionalGeneration",
    "QuicksviewerImageProcessor",
    "QuicksviewerModel",
    "QuicksviewerProcessor",
    "QuicksviewerVideoProcessor",
    "Reply",
    "VideoInput",
    "load_pretrained",
    "resolve_device",
]

for _config in (QuicksviewerConfig, ReleasedQwenConfig, ReleasedLlamaConfig):
    AutoConfig.register(_config.model_type, _config, exist_ok=True)
AutoModel.register(QuicksviewerConfig, QuicksviewerModel, exist_ok=True)
AutoModelForImageTextToText.register(QuicksviewerConfig, QuicksviewerForConditionalGeneration, exist_ok=True)
AutoImageProcessor.register(
    QuicksviewerConfig, image_processor_classes={"pil": QuicksviewerImageProcessor}, exist_ok=True
)
AutoVideoProcessor.register(QuicksviewerConfig, QuicksviewerVideoProcessor, exist_ok=True)
AutoProcessor.register(QuicksviewerConfig, QuicksviewerProcessor, exist_ok=True)
register_released_names()
