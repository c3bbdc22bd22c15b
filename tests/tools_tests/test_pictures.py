"""Every kind of picture file becomes upright 8-bit RGB of a sane size; a video becomes a sheet of its frames."""

import os

import imageio_ffmpeg
import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from paintsundo_models.errors import CorruptCheckpointError
from paintsundo_models.pictures.wd14 import load_tagger
from paintsundo_models.video import mark
from tools.command import CommandError
from tools.pictures import PictureError, contact_sheet, load_picture, read_frames, spread
from tools.what_is import describe, statement_of

ORANGE = (250, 130, 10)


def picture(mode="RGB", size=(40, 30)):
    """Orange on the left half, white on the right."""
    image = Image.new("RGB", size, "white")
    image.paste(ORANGE, (0, 0, size[0] // 2, size[1]))
    return image.convert(mode)


def colors(image):
    """Colours of the middle of the left and of the right half."""
    width, height = image.size
    return [np.array(image.getpixel((x, height // 2)), dtype=int) for x in (width // 4, 3 * width // 4)]


def assert_near(color, expected, tolerance=12):
    assert np.abs(color - np.array(expected)).max() <= tolerance, (color, expected)


@pytest.mark.parametrize(
    ("mode", "suffix"),
    [
        ("RGB", ".png"),
        ("RGB", ".jpg"),
        ("RGB", ".webp"),
        ("RGB", ".bmp"),
        ("RGB", ".tif"),
        ("P", ".gif"),
        ("P", ".png"),
        ("CMYK", ".jpg"),
        ("CMYK", ".tif"),
        ("LAB", ".tif"),
        ("YCbCr", ".jpg"),
        ("RGBA", ".png"),
    ],
)
def test_load_picture_colour_modes_keep_their_colours(tmp_path, mode, suffix):
    path = tmp_path / f"picture{suffix}"
    if mode == "LAB":
        from PIL import ImageCms

        srgb, lab = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
        ImageCms.profileToProfile(picture(), srgb, lab, outputMode="LAB").save(path)
    else:
        picture(mode).save(path)
    loaded = load_picture(path)
    assert (loaded.mode, loaded.size) == ("RGB", (40, 30))
    left, right = colors(loaded)
    assert_near(left, ORANGE, 30)
    assert_near(right, (255, 255, 255))


@pytest.mark.parametrize("mode", ["L", "1", "I;16", "I", "F"])
def test_load_picture_grey_modes_keep_their_brightness(tmp_path, mode):
    path = tmp_path / ("picture.tif" if mode in ("I", "F") else "picture.png")
    values = np.zeros((30, 40))
    values[:, 20:] = 1.0
    if mode == "1":
        Image.fromarray((values * 255).astype(np.uint8)).convert("1").save(path)
    elif mode == "L":
        Image.fromarray((values * 255).astype(np.uint8)).save(path)
    elif mode == "F":
        Image.fromarray(values.astype(np.float32)).save(path)
    else:
        dtype = np.uint16 if mode == "I;16" else np.int32
        Image.fromarray((values * 65535).astype(dtype)).save(path)
    with Image.open(path) as saved:
        assert saved.mode == mode
    left, right = colors(load_picture(path))
    assert_near(left, (0, 0, 0), 0)
    assert_near(right, (255, 255, 255), 0)


def test_load_picture_sixteen_bit_middle_grey_stays_middle_grey(tmp_path):
    Image.fromarray(np.full((4, 4), 32768, dtype=np.uint16)).save(tmp_path / "grey.png")
    assert load_picture(tmp_path / "grey.png").getpixel((0, 0)) == (128, 128, 128)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_load_picture_transparency_becomes_white(tmp_path, mode):
    path = tmp_path / "picture.png"
    if mode == "P":
        few = picture().quantize(2)
        few.save(path, transparency=few.getpixel((0, 0)))
    else:
        image = picture("RGBA")
        image.putalpha(0)
        image.convert(mode).save(path)
    left, right = colors(load_picture(path))
    assert_near(left, (255, 255, 255), 0)
    assert_near(right, (255, 255, 255), 0)


def test_load_picture_half_transparency_is_mixed_with_white(tmp_path):
    image = Image.new("RGBA", (4, 4), (0, 0, 0, 128))
    image.save(tmp_path / "half.png")
    assert_near(np.array(load_picture(tmp_path / "half.png").getpixel((0, 0))), (127, 127, 127), 1)


@pytest.mark.parametrize(("orientation", "size"), [(3, (40, 30)), (6, (30, 40)), (8, (30, 40))])
def test_load_picture_exif_rotation_is_carried_out(tmp_path, orientation, size):
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture().save(tmp_path / "rotated.jpg", exif=exif)
    loaded = load_picture(tmp_path / "rotated.jpg")
    assert loaded.size == size
    corners = {3: (35, 15), 6: (15, 5), 8: (15, 35)}  # a point in the orange half after each rotation
    assert_near(np.array(loaded.getpixel(corners[orientation])), ORANGE, 30)


@pytest.mark.parametrize(
    ("size", "suffix", "expected"),
    [((8000, 2000), ".jpg", (2048, 512)), ((2000, 8000), ".png", (512, 2048)), ((3, 5), ".png", (3, 5))],
)
def test_load_picture_large_ones_are_scaled_down_and_small_ones_left(tmp_path, size, suffix, expected):
    path = tmp_path / f"picture{suffix}"
    picture(size=size).save(path)
    assert load_picture(path).size == expected


def test_load_picture_animation_gives_its_first_frame(tmp_path):
    picture().save(tmp_path / "a.gif", save_all=True, append_images=[Image.new("RGB", (40, 30), "black")])
    assert_near(colors(load_picture(tmp_path / "a.gif"))[1], (255, 255, 255))


@pytest.mark.parametrize("content", [b"", b"words, not a picture", None])
def test_load_picture_of_what_is_none_says_so(tmp_path, content):
    path = tmp_path / "broken.png"
    if content is None:
        picture(size=(200, 200)).save(path)
        path.write_bytes(path.read_bytes()[:45])
    else:
        path.write_bytes(content)
    with pytest.raises(PictureError, match=r"broken\.png"):
        load_picture(path)


def test_load_picture_missing_file_says_so(tmp_path):
    with pytest.raises(PictureError, match="no file"):
        load_picture(tmp_path / "nothing.png")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no such pipes")
def test_pipes_and_folders_are_refused_and_not_waited_for(tmp_path):
    pipe = tmp_path / "pipe.onnx"
    os.mkfifo(pipe)
    pipe.with_suffix(".csv").write_text("name,category\na,0\n", encoding="utf-8")
    with pytest.raises(PictureError, match="device"):
        load_picture(pipe)
    with pytest.raises(CommandError, match="device"):
        describe(pipe)
    with pytest.raises(CorruptCheckpointError, match="is no file"):
        load_tagger(pipe)
    with pytest.raises(PictureError, match="is a folder"):
        load_picture(tmp_path)


@pytest.mark.parametrize(
    ("total", "count", "expected"),
    [(5, 12, [0, 1, 2, 3, 4]), (12, 12, list(range(12))), (107, 4, [0, 35, 71, 106])],
)
def test_spread_has_first_and_last(total, count, expected):
    assert spread(total, count) == expected


def frames(count):
    """Grey frames that get darker, the first one white."""
    return [Image.new("RGB", (64, 48), (255 - 8 * index,) * 3) for index in range(count)]


@pytest.fixture(params=["video", "gif", "sequence"])
def played(request, tmp_path):
    """Files of moving pictures: 30 frames at 10 frames a second."""
    if request.param == "video":
        path = tmp_path / "a.mp4"
        options = {"codec": "libx264rgb", "pix_fmt_out": "rgb24", "output_params": ["-crf", "0"]}
        writer = imageio_ffmpeg.write_frames(str(path), (64, 48), fps=10, **options)
        writer.send(None)
        for frame in frames(30):
            writer.send(frame.tobytes())
        writer.close()
        return [path]
    if request.param == "gif":
        first, *rest = frames(30)
        first.save(tmp_path / "a.gif", save_all=True, append_images=rest, duration=100)
        return [tmp_path / "a.gif"]
    files = [tmp_path / f"{index:03}.png" for index in range(30)]
    for file, frame in zip(files, frames(30), strict=True):
        frame.save(file)
    return files


def test_contact_sheet_shows_first_and_last_frames_in_order(played, tmp_path):
    sheet = Image.open(contact_sheet(played, tmp_path / "sheet.png"))
    tiles = [
        sheet.getpixel((12 + 76 * (index % 4) + 32, 12 + 78 * (index // 4) + 24))[0] for index in range(12)
    ]
    assert sheet.size == (4 * 76 + 12, 3 * 78 + 12)
    assert tiles == sorted(tiles, reverse=True)
    assert len(set(tiles)) == 12
    assert abs(tiles[0] - 255) <= 2
    assert abs(tiles[-1] - (255 - 8 * 29)) <= 2


@pytest.mark.parametrize("statement", [mark.WITH_PICTURE, mark.BY_MODELS, None])
def test_contact_sheet_says_what_the_video_says(tmp_path, statement):
    texts = PngInfo()
    if statement is not None:
        mark.add_png_texts(texts, statement)
    Image.new("RGB", (64, 48)).save(tmp_path / "frame.png", pnginfo=texts)
    sheet = contact_sheet([tmp_path / "frame.png"], tmp_path / "sheet.png")
    assert statement_of(sheet) == statement


def test_read_frames_of_a_video_have_their_times(played):
    times = [time for time, _ in read_frames(played)]
    expected = [float(number) for number in range(1, 31)] if len(played) > 1 else [n / 10 for n in range(30)]
    assert times == pytest.approx(expected, abs=0.011)
