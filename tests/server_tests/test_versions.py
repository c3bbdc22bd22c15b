"""Several versions through a real server: pictures times seeds, own drawings, and single segments made another way."""

import io
import itertools
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter, ImageOps

from tools.painting import DEMO_NAME
from tools.variants import variants_sheet

SIDE = 64
SINGLE, MULTI = "seeded_single_frame", "seeded_multi_frame"
SAMPLING = {"steps": 1, "cfg": 1.0, "negative_prompt": "", "prompt": ""}
FRAMES = 16


def pixels(server, file):
    return np.asarray(Image.open(io.BytesIO(server.client.view(file)))).astype(int)


def chain(picture, *, keyframe_seed=7, pair_seed=7, pairs=None, steps="999", prefix="versions", **others):
    """The prompt from a picture to a PNG sequence; picture and seeds are values or links."""
    graph = {
        "single": ("PaintsUndoSingleFrameLoader", {"checkpoint": SINGLE, "weight_dtype": "default"}),
        "multi": ("PaintsUndoMultiFrameLoader", {"checkpoint": MULTI, "weight_dtype": "default"}),
        "keyframes": (
            "PaintsUndoPredictKeyframes",
            {
                **{"model": ["single", 0], "clip": ["single", 1], "vae": ["single", 2], "image": picture},
                **{"operation_steps": steps, "width": SIDE, "height": SIDE, "seed": keyframe_seed},
                **{"sampler_name": "euler", "scheduler": "normal", **SAMPLING},
            },
        ),
        "arranged": (
            "PaintsUndoArrangeKeyframes",
            {
                "finished": picture,
                "keyframes": ["keyframes", 0],
                "include_finished": True,
                "include_canvas": False,
            },
        ),
        "pairs": (
            "PaintsUndoKeyframePairs",
            {"keyframes": ["arranged", 0], "seed": pair_seed, **(pairs or {})},
        ),
        "segments": (
            "PaintsUndoInterpolate",
            {
                **{
                    "model": ["multi", 0],
                    "clip": ["multi", 1],
                    "vae": ["multi", 2],
                    "clip_vision": ["multi", 3],
                },
                **{"start_image": ["pairs", 0], "end_image": ["pairs", 1], "seed": ["pairs", 2], "fs": 3},
                **{"sampler_name": "euler", "scheduler": "normal", "resolution": "size of the pictures"},
                **SAMPLING,
            },
        ),
        "video": (
            "PaintsUndoAssembleVideo",
            {
                **{"frames": ["segments", 0], "keyframes": ["arranged", 0], "filename_prefix": prefix},
                **{"fps": 4.0, "order": "undo", "trim": "keep all", "hold_first": 0.0, "hold_last": 0.0},
                **{"format": "png sequence", "quality": 75, "exact_ends": True},
            },
        ),
        **others,
    }
    return {key: {"class_type": kind, "inputs": inputs} for key, (kind, inputs) in graph.items()}


def videos(server, prompt):
    """The frames of each video that a prompt makes, by the name of its folder."""
    shown = server.client.run(prompt)["video"]["images"]
    by_folder = itertools.groupby(shown, key=lambda file: file["subfolder"])
    return {folder: np.stack([pixels(server, file) for file in files]) for folder, files in by_folder}


def plain(colour):
    return ("EmptyImage", {"width": SIDE, "height": SIDE, "batch_size": 1, "color": colour})


@pytest.fixture(scope="module")
def six(server):
    """Frames of the videos of two pictures and three seeds, by name."""
    return videos(
        server,
        chain(
            ["variants", 1],
            keyframe_seed=["variants", 0],
            pair_seed=["variants", 0],
            prefix="six/painting",
            red=plain(0xC02020),
            blue=plain(0x2020C0),
            both=("ImageBatch", {"image1": ["red", 0], "image2": ["blue", 0]}),
            list=("RebatchImages", {"images": ["both", 0], "batch_size": 1}),
            variants=("PaintsUndoVariants", {"seed": 7, "count": 3, "image": ["list", 0]}),
        ),
    )


def test_two_pictures_and_three_seeds_make_six_videos_with_their_own_frames_and_names(six):
    assert list(six) == [f"six/painting_{number:05}_" for number in range(1, 7)]
    assert [len(frames) for frames in six.values()] == [FRAMES] * 6
    ends = [tuple(frames[0, 0, 0]) for frames in six.values()]
    assert ends == [(0xC0, 0x20, 0x20)] * 3 + [(0x20, 0x20, 0xC0)] * 3
    for one, other in itertools.combinations(six.values(), 2):
        assert np.abs(one[1:-1] - other[1:-1]).mean() > 0.5, "two videos show the same"


def test_variant_is_what_its_seed_makes_alone(server, six):
    (alone,) = videos(server, chain(["blue", 0], keyframe_seed=8, pair_seed=8, blue=plain(0x2020C0))).values()
    assert np.abs(alone - six["six/painting_00005_"]).max() <= 1


def test_other_seed_of_one_segment_changes_that_segment_alone(server):
    def with_seeds(seeds):
        prompt = chain(["red", 0], steps="400, 999", pairs={"seeds": seeds}, red=plain(0xC02020))
        (frames,) = videos(server, prompt).values()
        return frames.reshape(2, FRAMES, SIDE, SIDE, 3)

    before, after = with_seeds(""), with_seeds("-, 99")
    assert [np.abs(a - b).max() > 1 for a, b in zip(before, after, strict=True)] == [False, True]


def test_seeds_of_the_pairs_alone_make_several_videos_between_the_same_keyframes(server):
    prompt = chain(
        ["red", 0],
        pair_seed=["variants", 0],
        red=plain(0xC02020),
        variants=("PaintsUndoVariants", {"seed": 1, "count": 2}),
    )
    one, other = videos(server, prompt).values()
    assert len(one) == len(other) == FRAMES
    assert np.array_equal(one[0], other[0])
    assert np.array_equal(one[-1], other[-1])
    assert np.abs(one[1:-1] - other[1:-1]).mean() > 0.5
    prompt["video"]["inputs"]["keyframes"] = ["pairs", 5]
    again = videos(server, prompt).values()
    assert [np.array_equal(a, b) for a, b in zip(again, (one, other), strict=True)] == [True, True]


def test_own_drawing_takes_its_place_among_the_keyframes(server):
    drawing = np.full((SIDE * 2, SIDE * 3, 3), 255, np.uint8)
    drawing[20:24] = 0
    data = io.BytesIO()
    Image.fromarray(drawing).save(data, "PNG")
    name = server.client.upload_image(data.getvalue(), "own_drawing.png")
    prompt = chain(
        ["red", 0],
        steps="400, 999",
        red=plain(0xC02020),
        load=("LoadImage", {"image": name}),
        merged=(
            "PaintsUndoMergeKeyframes",
            {
                **{"keyframes": ["keyframes", 0], "operation_steps": ["keyframes", 1]},
                **{"own_keyframes": ["load", 0], "own_operation_steps": "800"},
            },
        ),
        look=("PreviewImage", {"images": ["pairs", 5]}),
        merged_steps=("PreviewAny", {"source": ["merged", 1]}),
    )
    prompt["arranged"]["inputs"]["keyframes"] = ["merged", 0]
    del prompt["video"], prompt["segments"], prompt["multi"]
    outputs = server.client.run(prompt)
    assert outputs["merged_steps"]["text"] == ["400, 800, 999"]
    seen = [pixels(server, file) for file in outputs["look"]["images"]]
    assert len(seen) == 4
    assert np.array_equal(seen[2][40], np.full((SIDE, 3), 255)), "the drawing is between 400 and 999"
    assert seen[2][10:12].max() == 0


def test_sheet_of_all_variants_comes_from_the_keyframes_alone(server, tmp_path):
    prompt = chain(
        ["red", 0],
        keyframe_seed=["variants", 0],
        pair_seed=["variants", 0],
        steps="400, 999",
        red=plain(0xC02020),
        variants=("PaintsUndoVariants", {"seed": 7, "count": 2}),
    )
    started = []

    def follow(kind, data):
        if kind == "executing":
            started.append(data["node"])

    sheet = variants_sheet(server.client, prompt, [7, 8], tmp_path / "sheet.png", follow)
    assert "keyframes" in started
    assert not {"multi", "segments", "video"} & set(started)
    with Image.open(sheet) as image:
        assert image.width > 2 * SIDE
        assert image.height > 2 * SIDE


def test_video_passes_through_an_own_drawing(server):
    """With the demo, because seeded weights paint noise: the frame at the drawing's place is the drawing."""
    with Image.open(Path(__file__).resolve().parents[2] / "docs" / "pictures" / "house.png") as file:
        house = file.convert("RGB").resize((128, 192))
    edges = ImageOps.autocontrast(ImageOps.invert(house.convert("L").filter(ImageFilter.FIND_EDGES)))
    # Without its outermost pixels, in which the filter finds no edges.
    drawing = edges.point(lambda grey: 255 if grey > 200 else grey).crop((2, 2, 126, 190)).resize((128, 192))
    names = {}
    for name, picture in (("house", house), ("lines", drawing)):
        data = io.BytesIO()
        picture.save(data, "PNG")
        names[name] = server.client.upload_image(data.getvalue(), f"{name}_128.png")
    prompt = chain(
        ["load_house", 0],
        steps="400, 990",
        prefix="own/painting",
        load_house=("LoadImage", {"image": names["house"]}),
        load_lines=("LoadImage", {"image": names["lines"]}),
        merged=(
            "PaintsUndoMergeKeyframes",
            {
                **{"keyframes": ["keyframes", 0], "operation_steps": ["keyframes", 1]},
                **{"own_keyframes": ["load_lines", 0], "own_operation_steps": "800"},
            },
        ),
    )
    for loader in ("single", "multi"):
        prompt[loader]["inputs"]["checkpoint"] = DEMO_NAME
    prompt["keyframes"]["inputs"].update(width=0, height=0, steps=6)
    prompt["segments"]["inputs"].update(steps=6, resolution="nearest trained size")
    prompt["pairs"]["inputs"]["keyframes"] = prompt["video"]["inputs"]["keyframes"] = ["merged", 0]
    prompt["video"]["inputs"]["trim"] = "shared ends once"
    del prompt["arranged"]
    (frames,) = videos(server, prompt).values()
    assert len(frames) == 2 * FRAMES - 1
    wanted = np.asarray(drawing.convert("RGB")).astype(int)
    away = [float(np.abs(frame - wanted).mean()) for frame in frames]
    assert away[FRAMES - 1] == min(away)
    assert away[FRAMES - 1] < 5, "levels of 255 on average: what the video VAE costs"
    assert min(away[0], away[-1]) > 4 * away[FRAMES - 1], "before and after it the picture is another one"
