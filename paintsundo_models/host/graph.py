"""Read the running graph: which outputs of a node are connected, and the settings of the node behind an input."""

import sys
from collections.abc import Iterable, Mapping

ALL_CONNECTED = "all"
"""Used if it is unknown which outputs are connected; then every output is computed."""


def running_prompts() -> list[Mapping]:
    """Return the prompts that ComfyUI's server is running now; [] if there is no server."""
    server = getattr(sys.modules.get("server"), "PromptServer", None)
    queue = getattr(getattr(server, "instance", None), "prompt_queue", None)
    if queue is None:
        return []
    # The oldest versions of ComfyUI have only get_current_queue, which copies the whole queue.
    look = getattr(queue, "get_current_queue_volatile", queue.get_current_queue)
    running, _ = look()
    return [item[2] for item in running]


def connected_outputs(prompts: Iterable[Mapping], node_id: str) -> set[int]:
    """Return the indices of a node's outputs that are connected to another node of the prompts."""
    links = (value for prompt in prompts for node in prompt.values() for value in node["inputs"].values())
    return {link[1] for link in links if isinstance(link, list) and len(link) == 2 and link[0] == node_id}


def connections_of_class(class_type: str) -> list[str]:
    """Return for each node of a class which of its outputs are connected, for use in `fingerprint_inputs`.

    ComfyUI's cache identifies a node by its inputs. An output that was not computed, because it was not connected, would
    be taken from the cache after someone connects it. With this value in the fingerprint the node runs again instead.
    """
    prompts = running_prompts()
    if not prompts:
        return [ALL_CONNECTED]
    ids = {id_ for prompt in prompts for id_, node in prompt.items() if node["class_type"] == class_type}
    return [f"{id_}: {sorted(connected_outputs(prompts, id_))}" for id_ in sorted(ids)]


def is_output_wanted(output: int, node_id: str | None, prompt: Mapping | None) -> bool:
    """Return whether the output with index `output` of a node must be computed.

    It must if it is connected, or if that is unknown: without a server, whose queue `connections_of_class` needs, and for
    nodes that other nodes created while the graph was running.
    """
    if not node_id or not prompt or node_id not in prompt or not running_prompts():
        return True
    return output in connected_outputs([prompt], node_id)


def link_of(input_name: str, node_id: str | None, prompt: Mapping | None) -> list | None:
    """Return what is connected to an input, [node id, output]; None if nothing is, or if the graph is unknown."""
    link = ((prompt or {}).get(node_id) or {}).get("inputs", {}).get(input_name)
    return link if isinstance(link, list) and len(link) == 2 else None


def setting_at_source(
    input_name: str,
    class_type: str,
    setting: str,
    node_id: str | None,
    prompt: Mapping | None,
    passing: str | None = None,
) -> object | None:
    """Return a setting of the node that is connected to an input.

    None if that node is of another class, or if the setting is itself connected to a node. A node of the class `passing`
    between is looked through: it passes on what its own input of the same name gets.
    """
    link = link_of(input_name, node_id, prompt)
    source = (prompt or {}).get(link[0]) if link else None
    if link and source and source["class_type"] == passing:
        return setting_at_source(input_name, class_type, setting, link[0], prompt)
    if source is None or source["class_type"] != class_type:
        return None
    value = source["inputs"].get(setting)
    return None if isinstance(value, list) else value


def nodes_behind(input_name: str, class_type: str, node_id: str | None, prompt: Mapping | None) -> list[str]:
    """Return the ids of the nodes of a class whose results reach an input of a node, over any number of others."""
    link = link_of(input_name, node_id, prompt)
    open_, seen = [link[0]] if link else [], set()
    while open_:
        id_ = open_.pop()
        if id_ in seen or prompt is None or id_ not in prompt:
            continue
        seen.add(id_)
        links = (link_of(name, id_, prompt) for name in prompt[id_]["inputs"])
        open_.extend(found[0] for found in links if found)
    return [id_ for id_ in seen if (prompt or {})[id_]["class_type"] == class_type]
