"""Refuses a MODEL into which a merging node has mixed weights of a model of another kind."""

import comfy.model_patcher

INPUT_LAYER = "diffusion_model.input_blocks.0.0.weight"
"""The one weight of the single-frame model that an SD 1.5 model has in another shape: 4 input channels in place of 8."""


def check_merged_weights(patcher: comfy.model_patcher.ModelPatcher | None) -> None:
    """Check that weights which a merging node mixes in have the shapes of this model's.

    ComfyUI leaves out weights of another shape, scales the model's own all the same, and samples with what comes out. A
    difference that is added (strength_model 1) may lack the input layer, because nothing is scaled then.

    Args:
        patcher: the MODEL that is sampled; None is accepted.

    Raises:
        ValueError: shapes differ.
    """
    merged = [
        (key, entry)
        for key, entries in (patcher.patches.items() if patcher else ())
        for entry in entries
        if isinstance(entry[1], list)  # weights of another MODEL; LoRAs are tuples or adapters
    ]
    if not patcher or not merged:
        return
    own = patcher.model.state_dict()
    for key, (strength, weights, strength_model, *_) in merged:
        there, here = tuple(weights[0][0].shape), tuple(own[key].shape)
        is_used = strength != 0 or strength_model != 1
        if there == here or not is_used or (key == INPUT_LAYER and strength_model == 1):
            continue
        raise ValueError(
            f"A merging node has mixed a model of another kind into this one: {key.removeprefix('diffusion_model.')} is "
            f"{list(there)} there and {list(here)} here, and the result would be noise. Merge only checkpoints of the same "
            "model. Of an SD 1.5 model use a LoRA, or the difference to its base: ModelMergeSubtract, then ModelMergeAdd."
        )
