"""A tagger on disk: a real ONNX model that knows the three golden pictures, and its tag list."""

import csv
import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import load_file

GOLDEN = Path(__file__).parents[1] / "data" / "golden"


def load_reference():
    """Tensors, csv rows and cases of the reference's tagger."""
    described = json.loads((GOLDEN / "wd14_tagger.json").read_text(encoding="utf-8"))
    return {"tensors": load_file(GOLDEN / "wd14_tagger.safetensors"), **described}


@pytest.fixture(scope="session")
def reference():
    """See load_reference."""
    return load_reference()


def write_model(path, inputs, probabilities):
    """Write a tagger: for an input (1, size, size, 3) it gives the probabilities of the nearest known input."""
    size = inputs.shape[1]
    known = inputs.reshape(len(inputs), -1) / 255
    # The nearest k has the smallest |x - k|^2, which is the largest x.k - |k|^2 / 2.
    constants = {
        "scale": np.float32(1 / 255),
        "known": known.T.copy(),
        "offset": -0.5 * (known**2).sum(axis=1),
        "table": probabilities,
    }
    nodes = [
        helper.make_node("Flatten", ["input_1:0"], ["flat"], axis=1),
        helper.make_node("Mul", ["flat", "scale"], ["scaled"]),
        helper.make_node("Gemm", ["scaled", "known", "offset"], ["nearness"]),
        helper.make_node("ArgMax", ["nearness"], ["nearest"], axis=1, keepdims=0),
        helper.make_node("Gather", ["table", "nearest"], ["predictions"], axis=0),
    ]
    shape = ["batch", size, size, inputs.shape[3]]
    graph = helper.make_graph(
        nodes,
        "tagger",
        [helper.make_tensor_value_info("input_1:0", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("predictions", TensorProto.FLOAT, ["batch", probabilities.shape[1]])],
        [numpy_helper.from_array(np.asarray(value, np.float32), name) for name, value in constants.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)


def write_csv(path, rows):
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)


def write_golden_tagger(folder):
    """Write the ONNX file and its tag list; return the path of the first."""
    reference = load_reference()
    tensors, cases = reference["tensors"], range(len(reference["cases"]))
    path = folder / "golden-tagger.onnx"
    write_model(
        path,
        np.concatenate([tensors[f"model_input_{i}"] for i in cases]),
        np.stack([tensors[f"probs_{i}"] for i in cases]),
    )
    write_csv(path.with_suffix(".csv"), reference["csv_rows"])
    return path


@pytest.fixture
def tagger_path(tmp_path):
    """Path of an ONNX file; its tag list lies beside it, and nothing else."""
    folder = tmp_path / "tagger"
    folder.mkdir()
    return write_golden_tagger(folder)
