"""The command that makes the workflows' pictures, and the pictures that it made."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tools import make_thumbnails
from tools.workflow import TEMPLATES, template

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.usefixtures("chromium")
def test_graph_of_the_readme_is_what_the_page_shows(server):
    picture = server.client.upload_image(make_thumbnails.PICTURE.read_bytes(), "house.png")
    file = ROOT / template(make_thumbnails.GRAPH_OF)
    drawn = make_thumbnails.draw_graph(server, file, picture)
    with Image.open(make_thumbnails.GRAPH) as shipped:
        assert shipped.size == drawn.size
        again, shown = (
            np.asarray(image.convert("L").resize((400, 238))).ravel() for image in (drawn, shipped)
        )
    assert np.corrcoef(again, shown)[0, 1] > 0.85, "it shows another graph: run tools/make_thumbnails.py demo"


@pytest.mark.parametrize("name", TEMPLATES)
def test_each_workflow_has_a_small_picture_beside_it(name):
    file = (ROOT / template(name)).with_suffix(".jpg")
    assert file.stat().st_size < 60_000
    with Image.open(file) as picture:
        assert picture.width == make_thumbnails.WIDTH_PX


def test_pictures_are_laid_out_in_rows_in_their_order():
    shades = [Image.new("RGB", (64, 96), 3 * (40 * number,)) for number in range(6)]
    sheet = np.asarray(make_thumbnails.compose(shades))[..., 0].astype(int)
    centres = [
        sheet[height, width]
        for height in (sheet.shape[0] // 4, 3 * sheet.shape[0] // 4)
        for width in (80, 240, 400)
    ]
    assert centres == [40 * number for number in range(6)]
    assert make_thumbnails.compose(shades[:2]).height > sheet.shape[0] / 2, "two are larger"


def test_what_needs_a_checkpoint_of_sd_1_5_is_left_out():
    prompt = {
        "1": {"class_type": "CheckpointLoaderSimple", "inputs": {}},
        "2": {"class_type": "KSampler", "inputs": {"model": ["1", 0], "latent_image": ["4", 0]}},
        "3": {"class_type": "VAEDecode", "inputs": {"samples": ["2", 0]}},
        "4": {"class_type": "PreviewImage", "inputs": {"images": ["5", 0]}},
    }
    assert make_thumbnails.without(prompt, "CheckpointLoaderSimple").keys() == {"4"}


def test_unknown_name_is_refused(capsys):
    with pytest.raises(SystemExit):
        make_thumbnails.main(["defualt"])
    assert "no workflow defualt" in capsys.readouterr().err
