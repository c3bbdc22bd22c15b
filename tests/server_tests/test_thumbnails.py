"""The command that makes the workflows' pictures: the real page's graph, and moments of a real video above it."""

import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from paintsundo_pack.paintsundo_models.video.files import encode_video
from PIL import Image

from tools import make_thumbnails

ROOT = Path(__file__).resolve().parents[2]
WORKFLOW = ROOT / "example_workflows" / "paintsundo_default.json"


def test_graph_is_what_the_page_shows(server, chromium):
    picture = server.client.upload_image(make_thumbnails.PICTURE.read_bytes(), "house.png")
    (graph,) = make_thumbnails.draw_graphs(server, chromium, [WORKFLOW], picture)
    _, _, width, height = make_thumbnails.bounds(json.loads(WORKFLOW.read_text(encoding="utf-8")))
    assert graph.width / graph.height == pytest.approx(width / height, rel=0.01)
    with Image.open(WORKFLOW.with_suffix(".jpg")) as shipped:
        below = shipped.height - round(graph.height * shipped.width / graph.width)
        assert 100 < below < 250, "the shipped picture: a row of moments above such a graph"
        shown = shipped.crop((0, below, shipped.width, shipped.height)).convert("L")
    again = graph.resize(shown.size, Image.Resampling.LANCZOS).convert("L")
    alike = np.corrcoef(np.asarray(again).ravel(), np.asarray(shown).ravel())[0, 1]
    assert alike > 0.85, "the shipped picture shows another graph: run tools/make_thumbnails.py"


def test_moments_are_in_playing_order_above_the_graph(tmp_path):
    shades = torch.linspace(1, 0, 22)[:, None, None, None].expand(-1, 96, 64, 3)
    encode_video(shades, tmp_path / "video.mp4", Fraction(4), "mp4 (h264)")
    picture = np.asarray(
        make_thumbnails.compose(tmp_path / "video.mp4", Image.new("RGB", (1920, 1000), "red"))
    )
    assert picture.shape[1] == make_thumbnails.WIDTH_PX
    assert (picture[-500:] == (255, 0, 0)).all()
    centres = picture[60, 60 :: make_thumbnails.WIDTH_PX // make_thumbnails.MOMENTS, 0].astype(int)
    assert len(centres) == make_thumbnails.MOMENTS
    assert (np.diff(centres) < -20).all()
    assert centres[0] > 240
    assert centres[-1] < 15


def test_unknown_name_is_refused(capsys):
    with pytest.raises(SystemExit):
        make_thumbnails.main(["paintsundo_defualt"])
    assert "no workflow paintsundo_defualt" in capsys.readouterr().err
