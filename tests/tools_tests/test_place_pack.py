"""The pack in a ComfyUI's custom_nodes."""

from pathlib import Path

import pytest

from tools.server import place_pack


@pytest.fixture
def pack(tmp_path):
    folder = tmp_path / "pack"
    (folder / "nodes").mkdir(parents=True)
    (folder / "nodes" / "video.py").touch()
    (folder / ".git").mkdir()
    (folder / "output").mkdir()
    return folder


@pytest.fixture
def target(tmp_path):
    return tmp_path / "custom_nodes" / "my pack"


@pytest.fixture
def without_links(monkeypatch):
    """Refuse links, as Windows does without developer mode."""

    def refuse(*_, **__):
        raise OSError("A required privilege is not held by the client")

    monkeypatch.setattr(Path, "symlink_to", refuse)


def can_link(folder):
    try:
        (folder / "link").symlink_to(folder, target_is_directory=True)
    except OSError:
        return False
    return True


def test_the_pack_is_linked_and_a_link_to_another_one_replaced(pack, target, tmp_path):
    if not can_link(tmp_path):
        pytest.skip("this system allows no links")
    other = tmp_path / "other"
    other.mkdir()
    for folder in (other, pack, pack):
        place_pack(folder, target)
        assert target.is_symlink()
        assert target.resolve() == folder.resolve()
    assert other.is_dir()


@pytest.mark.usefixtures("without_links")
def test_where_no_links_are_allowed_a_copy_without_what_no_node_needs_is_made(pack, target):
    place_pack(pack, target)
    assert [path.relative_to(target).as_posix() for path in target.rglob("*")] == ["nodes", "nodes/video.py"]


@pytest.mark.usefixtures("without_links")
def test_an_older_copy_is_replaced_as_a_whole(pack, target):
    place_pack(pack, target)
    (pack / "nodes" / "video.py").rename(pack / "nodes" / "film.py")
    place_pack(pack, target)
    assert [path.name for path in (target / "nodes").iterdir()] == ["film.py"]
