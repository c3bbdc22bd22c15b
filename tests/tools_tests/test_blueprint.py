"""The blueprint is what the paced workflow makes of it, and every link of it has two ends."""

import json

from tools import make_blueprint


def test_blueprint_is_made_from_the_workflow_as_it_is_now():
    workflow = json.loads(make_blueprint.SOURCE.read_text(encoding="utf-8"))
    assert make_blueprint.TARGET.read_bytes().decode("ascii") == make_blueprint.text(workflow), (
        "run python tools/make_blueprint.py"
    )


def test_every_link_of_the_blueprint_has_two_ends():
    (subgraph,) = json.loads(make_blueprint.TARGET.read_text(encoding="ascii"))["definitions"]["subgraphs"]
    nodes = {node["id"]: node for node in subgraph["nodes"]}
    links = {link["id"]: link for link in subgraph["links"]}
    assert len(links) == len(subgraph["links"])
    for link in links.values():
        if link["origin_id"] == make_blueprint.INPUT_NODE:
            assert link["id"] in subgraph["inputs"][link["origin_slot"]]["linkIds"]
        else:
            assert link["id"] in nodes[link["origin_id"]]["outputs"][link["origin_slot"]]["links"]
        if link["target_id"] == make_blueprint.OUTPUT_NODE:
            assert link["id"] in subgraph["outputs"][link["target_slot"]]["linkIds"]
        else:
            assert nodes[link["target_id"]]["inputs"][link["target_slot"]]["link"] == link["id"]
    said = {slot["link"] for node in nodes.values() for slot in node["inputs"]} - {None}
    assert said <= links.keys()
