"""Our models under the host's own nodes: samplers, LoRA, cancelling; through a real server."""

import re
import time

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from tools.comfy_client import ExecutionError

SIZE = 64


@pytest.fixture(scope="module")
def start_and_end(server):
    import io

    names = []
    for name, colour in (("start.png", (220, 60, 40)), ("end.png", (240, 240, 240))):
        data = io.BytesIO()
        Image.new("RGB", (SIZE, SIZE), colour).save(data, "PNG")
        names.append(server.client.upload_image(data.getvalue(), name))
    return names


def keyframe_graph(picture, sampler, lora=None, steps=2):
    """KSampler on the single-frame model, to Save Image."""
    graph = {
        "load": (
            "PaintsUndoSingleFrameLoader",
            {"checkpoint": "seeded_single_frame", "weight_dtype": "fp32"},
        ),
        "image": ("LoadImage", {"image": picture}),
        "positive": ("CLIPTextEncode", {"clip": ["load", 1], "text": "1girl, \\(solo\\)"}),
        "negative": ("CLIPTextEncode", {"clip": ["load", 1], "text": ""}),
        "conditioning": (
            "PaintsUndoKeyframeConditioning",
            {
                "positive": ["positive", 0],
                "negative": ["negative", 0],
                "vae": ["load", 2],
                "image": ["image", 0],
                "operation_steps": "400, 900",
                "width": SIZE,
                "height": SIZE,
            },
        ),
        "sample": (
            "KSampler",
            {
                "model": ["load", 0],
                "positive": ["conditioning", 0],
                "negative": ["conditioning", 1],
                "latent_image": ["conditioning", 2],
                "seed": 1,
                "steps": steps,
                "cfg": 3.0,
                "sampler_name": sampler,
                "scheduler": "karras",
                "denoise": 1.0,
            },
        ),
        "decode": ("VAEDecode", {"samples": ["sample", 0], "vae": ["load", 2]}),
        "save": ("SaveImage", {"images": ["decode", 0], "filename_prefix": "native"}),
    }
    if lora:
        settings = {"lora_name": lora, "strength_model": 1.0, "strength_clip": 1.0}
        graph["lora"] = ("LoraLoader", {"model": ["load", 0], "clip": ["load", 1], **settings})
        graph["sample"][1]["model"] = ["lora", 0]
    return as_prompt(graph)


def segment_graph(pictures, sampler, steps=2):
    """KSampler on the multi-frame model, to Save Image."""
    graph = {
        "load": ("PaintsUndoMultiFrameLoader", {"checkpoint": "seeded_multi_frame", "weight_dtype": "fp32"}),
        "start": ("LoadImage", {"image": pictures[0]}),
        "end": ("LoadImage", {"image": pictures[1]}),
        "positive": ("CLIPTextEncode", {"clip": ["load", 1], "text": "1girl, masterpiece, best quality"}),
        "negative": ("CLIPTextEncode", {"clip": ["load", 1], "text": ""}),
        "conditioning": (
            "PaintsUndoInterpolationConditioning",
            {
                "positive": ["positive", 0],
                "negative": ["negative", 0],
                "clip_vision": ["load", 3],
                "vae": ["load", 2],
                "start_image": ["start", 0],
                "end_image": ["end", 0],
                "fs": 3,
                "resolution": "size of the pictures",
            },
        ),
        "sample": (
            "KSampler",
            {
                "model": ["load", 0],
                "positive": ["conditioning", 0],
                "negative": ["conditioning", 1],
                "latent_image": ["conditioning", 2],
                "seed": 1,
                "steps": steps,
                "cfg": 7.5,
                "sampler_name": sampler,
                "scheduler": "simple",
                "denoise": 1.0,
            },
        ),
        "decode": ("VAEDecode", {"samples": ["sample", 0], "vae": ["conditioning", 3]}),
        "save": ("SaveImage", {"images": ["decode", 0], "filename_prefix": "native"}),
    }
    return as_prompt(graph)


def as_prompt(graph):
    return {key: {"class_type": kind, "inputs": inputs} for key, (kind, inputs) in graph.items()}


def saved_pictures(server, outputs):
    files = [server.client.view(file) for file in outputs["save"]["images"]]
    import io

    return np.stack([np.asarray(Image.open(io.BytesIO(data))) for data in files]).astype(int)


@pytest.mark.parametrize("sampler", ["euler", "dpmpp_2m", "euler_ancestral"])
def test_ksampler_runs_on_both_models(server, start_and_end, sampler):
    keyframes = saved_pictures(server, server.client.run(keyframe_graph(start_and_end[0], sampler)))
    frames = saved_pictures(server, server.client.run(segment_graph(start_and_end, sampler)))
    assert keyframes.shape == (2, SIZE, SIZE, 3)
    assert frames.shape == (16, SIZE, SIZE, 3)
    for pictures in (keyframes, frames):
        assert pictures.std() > 1, "a picture, and no flat failure"


@pytest.mark.parametrize("make", [keyframe_graph, segment_graph], ids=["keyframes", "segment"])
@pytest.mark.parametrize("node", ["EasyCache", "LazyCache"])
def test_caching_nodes_of_the_host_leave_steps_out(server, start_and_end, node, make):
    pictures = start_and_end[0] if make is keyframe_graph else start_and_end
    steps = 6
    plain = make(pictures, "euler", steps=steps)
    cached = make(pictures, "euler", steps=steps)
    settings = {"reuse_threshold": 3.0, "start_percent": 0.1, "end_percent": 1.0, "verbose": False}
    cached["cache"] = {"class_type": node, "inputs": {"model": ["load", 0], **settings}}
    cached["sample"]["inputs"]["model"] = ["cache", 0]
    before = len(server.log.read_text(encoding="utf-8"))
    results = [saved_pictures(server, server.client.run(graph)) for graph in (plain, cached)]
    log = server.log.read_text(encoding="utf-8")[before:]
    left_out = re.findall(rf"{node} - skipped (\d+)/{steps} steps", log)
    assert left_out, "the node tells at the end of a sampling"
    assert 0 < int(left_out[0]) < steps
    assert results[0].shape == results[1].shape
    assert not np.array_equal(*results), "steps left out must show"


def patched_segment_graph(pictures, node, **settings):
    graph = segment_graph(pictures, "euler")
    graph["patch"] = {"class_type": node, "inputs": {"model": ["load", 0], **settings}}
    graph["sample"]["inputs"]["model"] = ["patch", 0]
    return graph


@pytest.mark.parametrize(
    ("node", "settings"),
    [
        ("ModelSamplingDiscrete", {"sampling": "v_prediction", "zsnr": True}),
        ("ModelSamplingContinuousV", {"sampling": "v_prediction", "sigma_max": 500.0, "sigma_min": 0.03}),
        ("ModelSamplingSD3", {"shift": 3.0}),
    ],
)
def test_another_process_for_the_multi_frame_model_is_refused_with_the_reason(
    server, start_and_end, node, settings
):
    with pytest.raises(ExecutionError, match="Remove that node; every sampler and scheduler works") as error:
        server.client.run(patched_segment_graph(start_and_end, node, **settings))
    assert error.value.node_id == "sample"


def test_renorm_cfg_of_the_host_holds_the_guidance_of_a_segment(server, start_and_end):
    plain = saved_pictures(server, server.client.run(segment_graph(start_and_end, "euler")))
    graph = patched_segment_graph(start_and_end, "RenormCFG", cfg_trunc=100.0, renorm_cfg=1.0)
    held = saved_pictures(server, server.client.run(graph))
    assert held.shape == plain.shape
    assert not np.array_equal(held, plain)


def test_lora_of_the_hosts_loader_changes_the_keyframes(server, start_and_end, base_directory):
    """A LoRA for SD 1.5 in the usual (kohya) names, here at the seeded model's width."""
    folder = base_directory / "models" / "loras"
    folder.mkdir(parents=True, exist_ok=True)
    generator = torch.Generator().manual_seed(3)
    tensors = {}
    for block, width in (("down_blocks_0_attentions_0", 32), ("up_blocks_3_attentions_2", 32)):
        name = f"lora_unet_{block}_transformer_blocks_0_attn1_to_v"
        tensors[f"{name}.lora_up.weight"] = torch.randn(width, 4, generator=generator)
        tensors[f"{name}.lora_down.weight"] = torch.randn(4, width, generator=generator)
        tensors[f"{name}.alpha"] = torch.tensor(4.0)
    save_file(tensors, folder / "seeded.safetensors")
    plain = saved_pictures(server, server.client.run(keyframe_graph(start_and_end[0], "euler")))
    patched = saved_pictures(
        server, server.client.run(keyframe_graph(start_and_end[0], "euler", "seeded.safetensors"))
    )
    assert np.abs(plain - patched).max() > 3
    log = server.log.read_text(encoding="utf-8")
    assert "NOT LOADED" not in log, "every tensor of the LoRA must find its weight"


def test_cancel_in_mid_sampling_leaves_the_server_able_to_run(server, start_and_end):
    long_run = segment_graph(start_and_end, "euler", steps=900)
    with server.client.events() as events:
        prompt_id = server.client.queue(long_run, client_id=events.client_id)
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            kind, data = events.next(timeout=60)
            if kind == "progress" and data.get("node") == "sample" and data["value"] >= 2:
                break
        server.client.interrupt()
        while time.monotonic() < deadline:
            kind, data = events.next(timeout=60)
            if kind == "execution_interrupted":
                break
        assert kind == "execution_interrupted"
        assert data["prompt_id"] == prompt_id
    frames = saved_pictures(server, server.client.run(segment_graph(start_and_end, "dpmpp_2m", steps=3)))
    assert frames.shape == (16, SIZE, SIZE, 3)


def test_free_unloads_everything_and_the_next_prompt_still_runs(server, start_and_end):
    graph = keyframe_graph(start_and_end[0], "heun")
    before = saved_pictures(server, server.client.run(graph))
    server.client.post("/free", b'{"unload_models": true, "free_memory": true}')
    time.sleep(1)
    cached = []
    result = server.client.run(graph, on_event=lambda kind, data: cached.extend(cached_nodes(kind, data)))
    assert not cached, "everything has to be made anew"
    assert np.array_equal(before, saved_pictures(server, result))


def cached_nodes(kind, data):
    """Ids of the nodes that the server says it did not run, of one of its events."""
    return data["nodes"] if kind == "execution_cached" else []
