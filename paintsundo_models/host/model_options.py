"""Options of the multi-frame MODEL, guidance and temporal window; each is set on a copy of the MODEL."""

import comfy.model_patcher

from ..multi_frame.guidance import GuidanceInterval, GuidanceRescale
from ..multi_frame.process import ScaledZeroSNRSampling
from ..multi_frame.windows import TemporalWindow

POST_CFG = "sampler_post_cfg_function"
CALC_CONDS = "sampler_calc_cond_batch_function"
"""Keys of ComfyUI's model_options: the first holds a list of functions, the second one function."""


def multi_frame_sampling(model: comfy.model_patcher.ModelPatcher) -> ScaledZeroSNRSampling:
    """Return the process (ModelSampling) of the multi-frame MODEL.

    Raises:
        ValueError: the MODEL's process is not that of the multi-frame model.
    """
    sampling = model.get_model_object("model_sampling") if hasattr(model, "get_model_object") else None
    if not isinstance(sampling, ScaledZeroSNRSampling):
        raise ValueError(
            "This MODEL is not the multi-frame one (or a ModelSampling node replaced its process). "
            "Connect the MODEL of the PaintsUndo Multi-Frame Loader."
        )
    return sampling


def check_multi_frame_model(model: comfy.model_patcher.ModelPatcher) -> None:
    """Check that a MODEL is the multi-frame one.

    Raises:
        ValueError: the MODEL's process is not that of the multi-frame model.
    """
    multi_frame_sampling(model)


def with_temporal_window(
    model: comfy.model_patcher.ModelPatcher, window: str
) -> comfy.model_patcher.ModelPatcher:
    """Return a copy of the MODEL whose spatial self-attentions also read other frames.

    Args:
        model: MODEL of the multi-frame checkpoint.
        window: one of TEMPORAL_WINDOWS.

    Raises:
        ValueError: the MODEL is not the multi-frame one, or there is no such window.
    """
    check_multi_frame_model(model)
    model = model.clone()
    model.set_model_attn1_patch(TemporalWindow(window))
    return model


def check_interval(start: float, end: float) -> None:
    """Check the shares of the sampling at which guidance goes on and off.

    Raises:
        ValueError: start is past end.
    """
    if start > end:
        raise ValueError(
            f"Guidance starts at {start:g} and ends at {end:g}; the start must not be past the end."
        )


def with_guidance(
    model: comfy.model_patcher.ModelPatcher, rescale: float, start: float, end: float
) -> comfy.model_patcher.ModelPatcher:
    """Return a copy of the MODEL in which these options of guidance replace those that it has.

    Args:
        model: MODEL of the multi-frame checkpoint.
        rescale: 0 (plain guidance) to 1.
        start: share of the sampling, 0 to 1, at which guidance goes on.
        end: share of the sampling, 0 to 1, at which guidance goes off.

    Raises:
        ValueError: start is past end, or the MODEL is not the multi-frame one.
    """
    check_interval(start, end)
    model = model.clone()
    sampling = multi_frame_sampling(model)
    options: dict = model.model_options
    others = [f for f in options.get(POST_CFG, []) if not isinstance(f, GuidanceRescale)]
    options[POST_CFG] = others
    if rescale > 0:
        model.set_model_sampler_post_cfg_function(GuidanceRescale(rescale))
    if isinstance(options.get(CALC_CONDS), GuidanceInterval):
        del options[CALC_CONDS]
    if (start, end) != (0.0, 1.0):
        interval = GuidanceInterval(sampling.percent_to_sigma(start), sampling.percent_to_sigma(end))
        model.set_model_sampler_calc_cond_batch_function(interval)
    return model
