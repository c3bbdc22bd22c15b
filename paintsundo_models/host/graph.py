"""What a node can learn of the graph that runs it: what its outputs go to, and the settings of where an input comes from."""

import sys
from collections.abc import Iterable, Mapping

ALL_CONNECTED = "all"
"""Stands for what is connected where it cannot be known, so that every output is made."""


def running_prompts() -> list[Mapping]:
    """Return the graphs that ComfyUI's server is running now, as it got them; empty where there is no server."""
    server = getattr(sys.modules.get("server"), "PromptServer", None)
    queue = getattr(getattr(server, "instance", None), "prompt_queue", None)
    if queue is None:
        return []
    # The other one copies the whole queue, and the oldest hosts have no more than that.
    look = getattr(queue, "get_current_queue_volatile", queue.get_current_queue)
    running, _ = look()
    return [item[2] for item in running]


def connected_outputs(prompts: Iterable[Mapping], node_id: str) -> set[int]:
    """Return the numbers of a node's outputs that another node of the prompts takes."""
    links = (value for prompt in prompts for node in prompt.values() for value in node["inputs"].values())
    return {link[1] for link in links if isinstance(link, list) and len(link) == 2 and link[0] == node_id}


def connections_of_class(class_type: str) -> list[str]:
    """Tell apart, for the host's cache, runs in which other outputs of a class of nodes are connected.

    The host's cache knows a node by its inputs. An output that was not made, because nothing was connected to it, would
    be taken from there when something is; with this in `fingerprint_inputs` the node runs again instead.
    """
    prompts = running_prompts()
    if not prompts:
        return [ALL_CONNECTED]
    ids = {id_ for prompt in prompts for id_, node in prompt.items() if node["class_type"] == class_type}
    return [f"{id_}: {sorted(connected_outputs(prompts, id_))}" for id_ in sorted(ids)]


def is_output_wanted(output: int, node_id: str | None, prompt: Mapping | None) -> bool:
    """Tell whether output number `output` of a node has to be made.

    It has where a node of the prompt takes it, and where that cannot be known: without a server, whose queue
    `connections_of_class` needs, and for nodes that other nodes made while the graph ran.
    """
    if not node_id or not prompt or node_id not in prompt or not running_prompts():
        return True
    return output in connected_outputs([prompt], node_id)


def setting_at_source(
    input_name: str, class_type: str, setting: str, node_id: str | None, prompt: Mapping | None
) -> object | None:
    """Return a setting of the node that an input of a node comes from.

    None where that node is of another class, or the setting is connected and not written in the graph.
    """
    link = ((prompt or {}).get(node_id) or {}).get("inputs", {}).get(input_name)
    source = (prompt or {}).get(link[0]) if isinstance(link, list) and len(link) == 2 else None
    if source is None or source["class_type"] != class_type:
        return None
    value = source["inputs"].get(setting)
    return None if isinstance(value, list) else value
