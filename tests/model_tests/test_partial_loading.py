"""The host's partial loading (what --lowvram and small cards do) gives what full loading gives, LoRA included."""

import comfy.sd
import comfy.utils
import pytest
import torch
from paintsundo_pack.paintsundo_models import loading

CPU = torch.device("cpu")


def lora_for(network, names, rank=4):
    """A LoRA in the host's generic names for these layers."""
    generator = torch.Generator().manual_seed(11)
    tensors = {}
    for name in names:
        weight = comfy.utils.get_attr(network, f"{name}.weight")
        out_features, in_features = weight.shape[0], weight[0].numel()
        tensors[f"diffusion_model.{name}.lora_B.weight"] = (
            torch.randn(out_features, rank, generator=generator) * 0.1
        )
        tensors[f"diffusion_model.{name}.lora_A.weight"] = (
            torch.randn(rank, in_features, generator=generator) * 0.1
        )
    return tensors


def forward_single(patcher, generator):
    x = torch.randn(2, 8, 8, 8, generator=generator)
    context = torch.randn(2, 77, 32, generator=generator)
    y = patcher.model.encode_adm(operation_step=[400, 900])
    return patcher.model.diffusion_model(x, torch.tensor([500.0, 500.0]), context=context, y=y)


def forward_multi(patcher, generator):
    network = patcher.model.diffusion_model
    x = torch.randn(1, 8, 16, 8, 8, generator=generator)
    context = torch.randn(1, 77, 48, generator=generator)
    tokens = torch.randn(1, 2, 20, 40, generator=generator)
    image_context = network.project_images(tokens)
    return network(
        x,
        torch.tensor([500.0]),
        context=context,
        image_context=image_context,
        fs=torch.tensor([3]),
        transformer_options={},
    )


CASES = {
    "single_frame": (
        loading.load_single_frame,
        forward_single,
        [
            "input_blocks.1.1.transformer_blocks.0.attn1.to_q",
            "middle_block.1.transformer_blocks.0.attn2.to_v",
        ],
    ),
    "multi_frame": (
        loading.load_multi_frame,
        forward_multi,
        [
            "input_blocks.1.1.transformer_blocks.0.attn2.to_k_ip",
            "output_blocks.5.2.transformer_blocks.0.attn1.to_q",
        ],
    ),
}


@pytest.mark.parametrize("kind", CASES)
@torch.inference_mode()
def test_partial_loading_equals_full_loading(seeded_checkpoints, kind):
    load, forward, layers = CASES[kind]
    plain = load(seeded_checkpoints[kind], "fp32")[0]
    without_lora = forward(plain, torch.Generator().manual_seed(1))
    patcher, _ = comfy.sd.load_lora_for_models(
        plain, None, lora_for(plain.model.diffusion_model, layers), 1.0, 0.0
    )
    assert len(patcher.patches) == len(layers)

    patcher.patch_model(device_to=CPU)
    full = forward(patcher, torch.Generator().manual_seed(1))
    patcher.unpatch_model(CPU)
    patcher.patch_model(device_to=CPU, lowvram_model_memory=1)
    casting = sum(getattr(module, "comfy_cast_weights", False) for module in patcher.model.modules())
    partial = forward(patcher, torch.Generator().manual_seed(1))
    patcher.unpatch_model(CPU)

    assert casting > 100, "the weights must really have been left out"
    assert (full - without_lora).abs().max() > 1e-3, "the LoRA must act"
    assert (full - partial).norm() / full.norm() < 1e-5


@torch.inference_mode()
def test_video_vae_partial_loading_equals_full_loading(seeded_checkpoints):
    vae = loading.load_multi_frame(seeded_checkpoints["multi_frame"], "fp32")[2]
    network = vae.first_stage_model
    generator = torch.Generator().manual_seed(2)
    latent = torch.randn(1, 4, 4, 4, 4, generator=generator)
    references = torch.rand(1, 3, 2, 32, 32, generator=generator) * 2 - 1
    full = network.decode(latent, references=references)
    vae.patcher.patch_model(device_to=CPU, lowvram_model_memory=1)
    partial = network.decode(latent, references=references)
    vae.patcher.unpatch_model(CPU)
    assert (full - partial).norm() / full.norm() < 1e-5
