"""Facts of the two released models that no tensor shape tells. Source: Paints-UNDO, July 2024 (gradio_app.py, diffusers_vdm)."""

OPERATION_STEP_MAX = 999
"""Operation steps run from 0 (the finished picture) to this (the first stroke on the white canvas)."""

FRAMES_PER_SEGMENT = 16
"""Frames that the multi-frame model makes between two pictures, both ends included."""

SEED_MAX = 2**64 - 1
"""ComfyUI's own: largest seed of a sampler."""

DEFAULT_OPERATION_STEPS = "400, 600, 800, 900, 950, 999"
DEFAULT_KEYFRAME_NEGATIVE = "lowres, bad anatomy, bad hands, cropped, worst quality"
DEFAULT_KEYFRAME_SEED = 12345
DEFAULT_KEYFRAME_STEPS = 50
DEFAULT_KEYFRAME_CFG = 3.0
DEFAULT_KEYFRAME_SIZE = (512, 640)  # width, height; the area that other aspect ratios keep
GRID = 64
"""Sides of keyframes and segments are multiples of this many pixels: three halvings of a latent that is an eighth of the picture."""
KEYFRAME_MAX_SIDE = 2048  # ours; 16 times the area of the training

DEFAULT_SEGMENT_PROMPT = "1girl, masterpiece, best quality"
DEFAULT_SEGMENT_SEED = 123
DEFAULT_SEGMENT_STEPS = 50
DEFAULT_SEGMENT_CFG = 7.5
DEFAULT_GUIDANCE_RESCALE = 0.7
DEFAULT_FS = 3
DEFAULT_FPS = 4.0

SEGMENT_SIZES = ((320, 512), (384, 448), (448, 384), (512, 320))
"""Trained sizes of the multi-frame model as (height, width), in the order in which a tie goes to the later."""

TRAINED_SIZES_KEY = "trained_sizes"
"""Entry of a VAE's config.json: [[height, width], ...] that a model of other sizes than the released ones was trained on."""

DEMO_NAME = "PaintsUndo demo (built in)"
"""Name of the demo checkpoints in both loaders."""

NONE_FOUND = "(none found)"
"""Only entry of a list of files that is empty, so that a graph which is opened before the download still loads."""
