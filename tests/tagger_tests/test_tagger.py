import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from paintsundo_pack.paintsundo_models import errors
from paintsundo_pack.paintsundo_models.pictures import wd14

TAGS = [
    wd14.Tag("general", 9),
    wd14.Tag("long_hair", 0),
    wd14.Tag("hatsune_(cosplay)", 0),
    wd14.Tag("^_^", 0),
    wd14.Tag(":d", 0),
    wd14.Tag("\\m/", 0),
    wd14.Tag("saber_(fate)", 4),
]


def text(probabilities, threshold=0.35, character_threshold=0.85, exclude=""):
    return wd14.tags_to_text(TAGS, np.float32(probabilities), threshold, character_threshold, exclude)


@pytest.mark.parametrize("case", [0, 1, 2])
def test_preprocess_golden_picture_is_bit_equal(reference, case):
    tensors = reference["tensors"]
    picture = torch.from_numpy(tensors[f"image_hwc_u8_{case}"]).float() / 255
    expected = tensors[f"model_input_{case}"]
    ours = wd14.preprocess(picture, expected.shape[1])
    assert ours.dtype == np.float32
    assert np.array_equal(ours, expected)


@pytest.mark.parametrize("case", [0, 1, 2])
def test_tags_to_text_golden_probabilities_give_the_golden_text(reference, case):
    tags = [wd14.Tag(row[1], int(row[2])) for row in reference["csv_rows"][1:]]
    wanted = reference["cases"][case]
    ours = wd14.tags_to_text(
        tags,
        reference["tensors"][f"probs_{case}"],
        wanted["threshold"],
        wanted["character_threshold"],
        wanted["exclude"],
    )
    assert ours == wanted["text"]


@pytest.mark.parametrize("case", [0, 1, 2])
def test_tagger_golden_picture_through_onnxruntime_gives_the_golden_probabilities(
    reference, tagger_path, case
):
    opened = wd14.load_tagger(tagger_path)
    picture = torch.from_numpy(reference["tensors"][f"image_hwc_u8_{case}"]).float() / 255
    assert np.array_equal(opened.probabilities(picture), reference["tensors"][f"probs_{case}"])


@pytest.mark.parametrize("size", [(1, 900), (900, 1), (1, 1), (64, 64), (3, 4)])
def test_preprocess_any_shape_fills_the_longer_side_on_white(size):
    result = wd14.preprocess(torch.zeros(*size, 3), 64)
    assert result.shape == (1, 64, 64, 3)
    black = (result[0] == 0).all(axis=-1)
    assert (black.any(axis=0).sum(), black.any(axis=1).sum()) == tuple(
        max(1, int(side * (64 / max(size)))) for side in reversed(size)
    )
    assert (result[0][~black] == 255).all()


def test_preprocess_swaps_red_and_blue():
    red = torch.zeros(4, 4, 3)
    red[..., 0] = 1
    assert wd14.preprocess(red, 8)[0, 0, 0].tolist() == [0, 0, 255]


def test_preprocess_lays_alpha_on_white_and_spreads_grey():
    assert (wd14.preprocess(torch.zeros(4, 4, 4), 8) == 255).all()
    assert (wd14.preprocess(torch.full((4, 4, 1), 0.2), 8) == 51).all()


def test_tags_probability_equal_to_the_threshold_is_not_over_it():
    below, above = np.nextafter(np.float32(0.35), [0, 1], dtype=np.float32)
    assert text([1, below, 0.35, above, 0, 0, 0.85]) == "^ ^"
    assert text([1, 0, 0, 0, 0, 0, np.nextafter(np.float32(0.85), np.float32(1))]) == r"saber \(fate\)"


def test_tags_characters_come_first_and_ratings_never():
    assert text(np.ones(7)) == r"saber \(fate\), long hair, hatsune \(cosplay\), ^ ^, :d, \m/"


def test_tags_threshold_one_writes_nothing():
    assert text(np.ones(7), 1.0, 1.0) == ""


@pytest.mark.parametrize(
    ("exclude", "gone"),
    [
        ("long_hair", "long hair"),
        (" Long Hair ,", "long hair"),
        ("nothing\nLONG_hair", "long hair"),
        ("hatsune_(cosplay)", r"hatsune \(cosplay\)"),
        (r"hatsune \(cosplay\)", r"hatsune \(cosplay\)"),
        ("SABER (fate)", r"saber \(fate\)"),
        ("^_^", "^ ^"),
        (":D", ":d"),
        (r"\m/", r"\m/"),
    ],
)
def test_tags_exclude_takes_away_exactly_the_named_tag(exclude, gone):
    everything = text(np.ones(7)).split(", ")
    assert text(np.ones(7), exclude=exclude).split(", ") == [tag for tag in everything if tag != gone]


@pytest.mark.parametrize("exclude", ["hair", "long", "", ",,", "long-hair"])
def test_tags_exclude_part_of_a_name_takes_nothing_away(exclude):
    assert text(np.ones(7), exclude=exclude) == text(np.ones(7))


def test_read_tags_with_byte_order_mark_and_quotes(tmp_path):
    path = tmp_path / "tags.csv"
    path.write_bytes('\ufefftag_id,name,category,count\r\n1,"a, b",0,5\r\n2,é,4,5\r\n'.encode())
    assert wd14.read_tags(path) == [wd14.Tag("a, b", 0), wd14.Tag("é", 4)]


@pytest.mark.parametrize(
    "content",
    [
        b"id,title\n1,solo\n",
        b"name,category\nsolo\n",
        b"name,category\nsolo,general\n",
        b"name,category\n\xff\xfe\x00,0\n",
        b"name,category\n",
        b"",
        b"<html>not found</html>",
    ],
)
def test_read_tags_garbled_list_raises(tmp_path, content):
    path = tmp_path / "tags.csv"
    path.write_bytes(content)
    with pytest.raises(errors.UnsupportedCheckpointError, match=r"tags\.csv.*lllyasviel/misc"):
        wd14.read_tags(path)


def test_load_tagger_without_tag_list_names_it_and_its_folder(tagger_path):
    tagger_path.with_suffix(".csv").unlink()
    with pytest.raises(errors.CheckpointNotFoundError) as caught:
        wd14.load_tagger(tagger_path)
    assert "golden-tagger.csv" in str(caught.value)
    assert str(tagger_path.parent) in str(caught.value)


def test_load_tagger_truncated_file_raises(tagger_path):
    tagger_path.write_bytes(tagger_path.read_bytes()[:5000])
    with pytest.raises(errors.CorruptCheckpointError, match="cannot be opened as an ONNX model"):
        wd14.load_tagger(tagger_path)


def test_load_tagger_web_page_instead_of_model_raises(tagger_path):
    tagger_path.write_bytes(b"<!doctype html><title>Not found</title>")
    with pytest.raises(errors.CorruptCheckpointError, match="golden-tagger.onnx"):
        wd14.load_tagger(tagger_path)


@pytest.mark.parametrize("shape", [[1, 3, 448, 448], [1, 448, 448, 4], ["n", "s", "s", 3], [1, 448]])
def test_load_tagger_other_onnx_model_raises(tagger_path, shape):
    graph = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["y"])],
        "other",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)],
    )
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), tagger_path
    )
    with pytest.raises(errors.UnsupportedCheckpointError, match="is not a WD14 tagger"):
        wd14.load_tagger(tagger_path)


def test_tagger_with_the_list_of_another_model_raises(tagger_path):
    csv_path = tagger_path.with_suffix(".csv")
    csv_path.write_text(csv_path.read_text(encoding="utf-8") + "99,one_more,0,0\n", encoding="utf-8")
    with pytest.raises(errors.CheckpointMismatchError, match=r"\(1, 19\).*lists 20 tags"):
        wd14.load_tagger(tagger_path).probabilities(torch.zeros(8, 8, 3))


def tagger_with(path, side, constants):
    """Write a tagger of three tags that reads pictures of this side, and in which a constant gives the size of a tensor."""
    nodes = [
        helper.make_node(
            "Constant", [], ["shape"], value=numpy_helper.from_array(np.array(constants, np.int64))
        ),
        helper.make_node("ConstantOfShape", ["shape"], ["large"]),
        helper.make_node("ReduceSum", ["large"], ["sum"], keepdims=0),
        helper.make_node("ReduceMean", ["input"], ["mean"], axes=[1, 2], keepdims=0),
        helper.make_node("Add", ["mean", "sum"], ["predictions"]),
    ]
    graph = helper.make_graph(
        nodes,
        "tagger",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, side, side, 3])],
        [helper.make_tensor_value_info("predictions", TensorProto.FLOAT, [1, 3])],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)
    path.with_suffix(".csv").write_text("name,category\na,0\nb,0\nc,0\n", encoding="utf-8")
    return path


@pytest.mark.parametrize("constants", [[40_000, 40_000], [2**20, 2**20], [2**31, 2**31], [6, 200_000_000]])
def test_constants_of_a_tagger_ask_for_no_memory(tmp_path, constants):
    good = wd14.load_tagger(tagger_with(tmp_path / "good.onnx", 8, [40, 40]))
    picture = torch.rand(8, 8, 3)
    expected = good.probabilities(picture)
    path = tagger_with(tmp_path / "large.onnx", 8, constants)
    with pytest.raises(
        errors.CorruptCheckpointError, match=r"large.onnx.* (asks for more than 4.3 GB|cannot be opened)"
    ):
        wd14.load_tagger(path).probabilities(picture)
    assert (good.probabilities(picture) == expected).all()


@pytest.mark.parametrize("side", [4097, 10**6, 2**31])
def test_input_of_a_tagger_has_a_limit(tmp_path, side):
    with pytest.raises(
        errors.UnsupportedCheckpointError, match="pixels a side, and a tagger reads at most 4096"
    ):
        wd14.load_tagger(tagger_with(tmp_path / "large.onnx", side, [4]))
