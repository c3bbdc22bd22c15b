"""Numbers and names that several modules share: facts of the released models that no tensor shape tells, and defaults.

Source of the facts and of most defaults: Paints-UNDO, July 2024 (gradio_app.py, diffusers_vdm). Standard library only.
"""

OPERATION_STEP_MAX = 999
"""Largest operation step, the first stroke on the white canvas; the smallest, 0, is the finished picture."""

FRAMES_PER_SEGMENT = 16
"""Frames that the multi-frame model makes between two pictures, both ends included."""

SEED_MAX = 2**64 - 1
"""Largest seed of ComfyUI's samplers."""

DEFAULT_OPERATION_STEPS = "400, 600, 800, 900, 950, 999"
DEFAULT_KEYFRAME_NEGATIVE = "lowres, bad anatomy, bad hands, cropped, worst quality"
DEFAULT_KEYFRAME_SEED = 12345
DEFAULT_KEYFRAME_STEPS = 50
DEFAULT_KEYFRAME_CFG = 3.0
DEFAULT_KEYFRAME_SIZE = (512, 640)  # width, height; other aspect ratios have about the same area
GRID = 64
"""Sides of keyframes and segments are multiples of this many pixels: three halvings of a latent that is an eighth of the picture."""
KEYFRAME_MAX_SIDE = (
    2048  # also of a segment that keeps its pictures' size; our choice: up to 13 times the default area
)

MAX_SAMPLING_STEPS = 1000
"""Of all widgets."""

DEFAULT_SEGMENT_PROMPT = "1girl, masterpiece, best quality"
DEFAULT_SEGMENT_SEED = 123
DEFAULT_SEGMENT_STEPS = 50
DEFAULT_SEGMENT_CFG = 7.5
DEFAULT_GUIDANCE_RESCALE = 0.7
DEFAULT_FS = 3
DEFAULT_FPS = 4.0

WEIGHT_TYPES = {
    "fp32": "float32",
    "fp16": "float16",
    "bf16": "bfloat16",
    "fp8_e4m3fn": "float8_e4m3fn",
    "fp8_e5m2": "float8_e5m2",
}
"""Types of weights that people choose from -> names of torch's types; without torch, for the help of commands."""

SEGMENT_SIZES = ((320, 512), (384, 448), (448, 384), (512, 320))
"""Trained sizes of the multi-frame model as (height, width); on a tie the later one is chosen."""

TRAINED_SIZES_KEY = "trained_sizes"
PREVIEW_FACTORS_KEY, PREVIEW_BIAS_KEY = "latent_rgb_factors", "latent_rgb_factors_bias"
"""Entry in a VAE's config.json: [[height, width], ...], the sizes of a model that was trained on other sizes."""

DEMO_NAME = "PaintsUndo demo (built in)"
"""Name of the demo checkpoints in both loaders."""

UNUSABLE = " (cannot be used)"
"""End of an entry of a combo that is there, but unreadable or incomplete. Its reason is said when it is chosen."""

NONE_FOUND = "(none found)"
"""The only entry of a combo without files. It lets a workflow load that is opened before the models are downloaded."""
