"""What happens when a node of the host stands between ours."""

import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from .mixing_chain import SIZES, STEPS, Chain
from .mixing_host import Input
from .mixing_rows import REPLACED, SOURCES, Mixture

CHANGES, RUNS, NO_EFFECT, REFUSED, FAILS, LACKS = (
    "changes",
    "runs",
    "no effect",
    "refused",
    "fails",
    "not tried",
)
"""The words of the tables. CHANGES and NO_EFFECT compare with the chain without the node; RUNS needs no comparison."""

SAME = 1e-4  # difference that counts as none, as a share of the result's standard deviation
ROOT = Path(__file__).resolve().parent.parent


class MissingPartError(LookupError):
    """The chains hold nothing that could be connected to a required input; the text is its type."""


@dataclass(frozen=True)
class Outcome:
    """How one mixture ended."""

    word: str
    note: str = ""  # the message of REFUSED and FAILS, the type that LACKS, the difference of the others


def try_mixture(chain: Chain, mixture: Mixture, plain: Tensor) -> Outcome:
    """Run a chain with a node in it and say what happened.

    Args:
        chain: the chain.
        mixture: the node.
        plain: the chain's latent without the node.
    """
    beside = _resolved(chain, mixture.beside)
    try:
        result = _result(chain, mixture, beside)
    except MissingPartError as error:
        return Outcome(LACKS, str(error))
    except Exception as error:  # noqa: BLE001  whatever a node raises is the finding
        return _refusal_or_failure(error)
    if not result.isfinite().all():
        return Outcome(FAILS, "the result is not finite")
    has_choice = set(mixture.node.outputs) & SOURCES or mixture.node.samples_itself
    if has_choice or "IMAGE" in mixture.node.outputs:
        return Outcome(RUNS)
    expected = chain.sample(beside) if beside else plain
    if result.shape != expected.shape:
        return Outcome(CHANGES, f"shape {tuple(result.shape)}")
    difference = float((result - expected).abs().max() / expected.std())
    return Outcome(CHANGES if difference > SAME else NO_EFFECT, f"{difference:.2g}")


def _refusal_or_failure(error: Exception) -> Outcome:
    frame = traceback.extract_tb(error.__traceback__)[-1]
    is_ours = isinstance(error, ValueError) and Path(frame.filename).is_relative_to(
        ROOT / "paintsundo_models"
    )
    if is_ours:
        return Outcome(REFUSED, str(error))
    return Outcome(
        FAILS, f"{type(error).__name__} in {Path(frame.filename).name}: {str(error).splitlines()[0]}"
    )


def _resolved(chain: Chain, values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value(chain) if callable(value) else value for name, value in values.items()}


def _connected(chain: Chain, item: Input) -> Any:
    """Return what is connected to an input, or None where the chain has nothing of its type."""
    values = chain.values
    if item.type == "CONDITIONING":
        names = ("negative", "empty")
        return values[next((name for name in names if name in item.name), "positive")]
    if item.type == "LATENT" and item.name in ("samples2", "samples_from", "source"):
        return values["other_latent"]
    if item.type == "IMAGE" and item.name == "pixels":
        return values["pixels"]
    return values.get({"LORA_MODEL": "lora"}.get(item.type, item.type.lower()))


def _inputs(chain: Chain, mixture: Mixture, beside: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the node runs with: the mixture's own inputs, the chain's objects, small sizes and few steps."""
    own = _resolved(chain, mixture.inputs)
    width, height = SIZES[chain.name]
    filled: dict[str, Any] = {}
    for item in mixture.node.inputs:
        small = {"width": width, "height": height, "steps": STEPS}.get(item.name)
        if item.name in own:
            filled[item.name] = own[item.name]
        elif item.is_socket:
            value = beside.get(item.type.lower(), _connected(chain, item))
            if value is None and item.is_required:
                raise MissingPartError(item.type)
            if value is not None:
                filled[item.name] = value
        elif item.type == "INT" and small:
            filled[item.name] = small
    return filled


def _result(chain: Chain, mixture: Mixture, beside: Mapping[str, Any]) -> Tensor:
    """Return what the chain makes with the node in it: a latent, or the picture of a node that decodes."""
    node, inputs = mixture.node, _inputs(chain, mixture, beside)
    outputs: dict[str, list] = {}
    for kind, value in zip(node.outputs, node.run(inputs), strict=False):
        outputs.setdefault(kind, []).append(value)
    if node.samples_itself:
        return outputs["LATENT"][0]["samples"]
    if "IMAGE" in outputs and not REPLACED & outputs.keys():
        return outputs["IMAGE"][0]
    changed: dict[str, Any] = dict(beside)
    if "CLIP" in outputs:
        changed |= {**chain.conditioned(outputs["CLIP"][0]), "latent": chain.values["latent"]}
    if "CONDITIONING" in outputs:
        changed |= _conditionings(chain, mixture, inputs, outputs["CONDITIONING"])
    for kind in REPLACED - {"CLIP", "CONDITIONING", "HOOKS"}:
        if kind in outputs:
            changed[kind.lower()] = outputs[kind][0]
    if "HOOKS" in outputs:
        pair = {f"{name}_NEW": chain.values[name] for name in ("positive", "negative")}
        hooked = chain.nodes["PairConditioningSetProperties"].run({**pair, "hooks": outputs["HOOKS"][0]})
        changed |= dict(zip(("positive", "negative"), hooked, strict=True))
    return chain.sample(changed)


def _conditionings(chain: Chain, mixture: Mixture, inputs: Mapping[str, Any], found: list) -> dict[str, Any]:
    """Return both conditionings behind the node; one that has a single output runs for each of them."""
    if len(found) > 1:
        return {"positive": found[0], "negative": found[1]}
    first = next(item for item in mixture.node.inputs if item.type == "CONDITIONING")
    again = mixture.node.run({**inputs, first.name: chain.values["negative"]})
    return {"positive": found[0], "negative": again[mixture.node.outputs.index("CONDITIONING")]}
