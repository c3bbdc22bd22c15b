"""The released files from a stand-in of the hub into a folder, through every trouble on the way."""

import os
import re
import threading

import pytest
from hub_stand_in import (
    TOKEN,
    breaks_after,
    refuses,
    sends_a_wrong_byte,
    sends_all_of_it_always,
    stalls_after,
)
from paintsundo_pack.paintsundo_models.checkpoints.download import (
    Progress,
    Request,
    check,
    download,
    size_text,
)
from paintsundo_pack.paintsundo_models.checkpoints.parts import MULTI_FRAME, SINGLE_FRAME
from paintsundo_pack.paintsundo_models.checkpoints.published import (
    EVERYTHING,
    TAGGER,
    WHAT,
    require_revision,
)
from paintsundo_pack.paintsundo_models.checkpoints.transfer import Patience
from paintsundo_pack.paintsundo_models.errors import DownloadError

SHORT = Patience(timeout_s=0.3, attempts=3, first_wait_s=0.01, longest_wait_s=0.5)
UNET = "unet/diffusion_pytorch_model.safetensors"


@pytest.fixture
def unet(hub):
    return hub.files["lllyasviel/paints_undo_single_frame"][UNET]


@pytest.fixture
def get(hub, tmp_path):
    """Download into tmp_path with little patience; takes what, and more of Request."""

    def run(what=SINGLE_FRAME, report=lambda progress: None, patience=SHORT, **request):
        return download(Request(what, **{"endpoint": hub.url, **request}), tmp_path, report, patience)

    return run


def target(folder):
    return folder / "paints_undo_single_frame" / UNET


def final_names(folder):
    """Files under final names: {name: bytes}."""
    return {
        file.relative_to(folder).as_posix(): file.read_bytes()
        for file in folder.rglob("*")
        if file.is_file() and ".downloads" not in file.parts
    }


def parts_in(folder):
    """Sizes of the unfinished files."""
    return [file.stat().st_size for file in (folder / ".downloads").glob("*.part")]


def test_all_files_that_the_pack_reads_come_in_the_released_layout(hub, get, tmp_path):
    done = get(EVERYTHING)
    wanted = {}
    for kind in ("single", "multi"):
        name = f"paints_undo_{kind}_frame"
        for file, data in hub.files[f"lllyasviel/{name}"].items():
            if not file.startswith(".") and not file.endswith(".bin"):
                wanted[f"{name}/{file}"] = data
    misc = hub.files["lllyasviel/misc"]
    wanted |= {name: data for name, data in misc.items() if name.startswith("wd-v1-4")}
    assert final_names(tmp_path) == wanted
    assert parts_in(tmp_path) == []
    assert len(done.fetched) == len(done.files) == len(wanted)
    assert f"{len(wanted)} files, {size_text(sum(map(len, wanted.values())))}" in done.text()


def test_the_token_goes_to_the_hub_and_to_no_other_host(hub, get):
    get(TAGGER)
    assert {token for server, _, _, token in hub.asked if server == "hub"} == {f"Bearer {TOKEN}"}
    assert {token for server, _, _, token in hub.asked if server == "cdn"} == {None}


def test_what_is_there_and_right_is_not_fetched_again(hub, get):
    get()
    hub.forget()
    done = get()
    assert done.fetched == []
    assert [path for _, path, _, _ in hub.asked if "/resolve/" in path] == []


def test_missing_and_damaged_files_alone_are_fetched(hub, get, unet, tmp_path):
    get()
    target(tmp_path).write_bytes(unet[:-1] + b"?")  # the same size
    config = tmp_path / "paints_undo_single_frame" / "vae" / "config.json"
    config.unlink()
    done = get()
    assert {file.name.split("/", 1)[1] for file in done.fetched} == {UNET, "vae/config.json"}
    assert target(tmp_path).read_bytes() == unet
    assert config.is_file()


def test_a_broken_connection_is_gone_on_with_where_it_broke(hub, get, unet, tmp_path):
    hub.troubles[UNET].extend([breaks_after(100_000), breaks_after(50_000), refuses(503)])
    get()
    assert target(tmp_path).read_bytes() == unet
    assert hub.ranges_of(UNET)[0] is None
    starts = [int(wanted[6:-1]) for wanted in hub.ranges_of(UNET)[1:]]
    assert len(starts) == 3
    assert 0 < starts[0] < starts[1] == starts[2] < len(unet)


def test_a_server_that_knows_no_ranges_sends_all_of_it_again(hub, get, unet, tmp_path):
    hub.troubles[UNET].extend([breaks_after(100_000), sends_all_of_it_always])
    get()
    assert target(tmp_path).read_bytes() == unet


@pytest.mark.parametrize("trouble", [breaks_after(0), stalls_after(0)], ids=["breaks", "stalls"])
def test_after_some_attempts_it_fails_and_the_next_run_goes_on(hub, get, unet, tmp_path, trouble):
    hub.troubles[UNET].extend([breaks_after(100_000), *[trouble] * SHORT.attempts])
    with pytest.raises(DownloadError, match=rf"{UNET} broke off 3 times in a row .*goes on from [\d,]+ of"):
        get()
    assert not target(tmp_path).exists()
    (kept,) = parts_in(tmp_path)
    assert kept > 0
    hub.forget()
    get()
    assert hub.ranges_of(UNET) == [f"bytes={kept}-"]
    assert target(tmp_path).read_bytes() == unet


def test_a_stall_is_cancelled_without_waiting_for_its_end(hub, get, tmp_path):
    hub.troubles[UNET].append(stalls_after(1000))

    def cancel(progress):
        if hub.stalling.is_set():
            raise KeyboardInterrupt

    patient = Patience(timeout_s=300)
    with pytest.raises(KeyboardInterrupt):
        get(report=cancel, patience=patient)
    assert not target(tmp_path).exists()
    assert {thread.name for thread in threading.enumerate() if "run_forever" in thread.name} == set()


def test_a_wrong_byte_leaves_nothing(hub, get, tmp_path):
    hub.troubles[UNET].append(sends_a_wrong_byte)
    with pytest.raises(DownloadError, match=rf"{UNET} came with other content than the hub's list says"):
        get()
    assert not target(tmp_path).exists()
    assert parts_in(tmp_path) == []


def test_a_wrong_byte_of_an_earlier_run_is_fetched_anew(hub, get, unet, tmp_path):
    hub.troubles[UNET].extend([breaks_after(100_000), *[breaks_after(0)] * SHORT.attempts])
    with pytest.raises(DownloadError):
        get()
    (part,) = (tmp_path / ".downloads").glob("*.part")
    part.write_bytes(b"?" + part.read_bytes()[1:])
    get()
    assert target(tmp_path).read_bytes() == unet


def test_a_file_under_a_final_name_stays_until_its_successor_is_whole(hub, get, tmp_path):
    get()
    target(tmp_path).write_bytes(b"another one")
    hub.troubles[UNET].extend([breaks_after(0)] * SHORT.attempts)
    with pytest.raises(DownloadError):
        get()
    assert target(tmp_path).read_bytes() == b"another one"


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (refuses(404), r"There is nothing at http.*error 404.*check HF_ENDPOINT"),
        (refuses(403), r"asks for a token .*error 403.*set HF_TOKEN"),
        (refuses(429, Retry_After="300"), r"no more requests for now .*start again in 300 s"),
        (refuses(410), r"answered with the error 410: try again later"),
        (refuses(302, Location="ftp://127.0.0.1/file"), r"cannot be fetched .*check HF_ENDPOINT"),
    ],
)
def test_an_answer_that_is_no_file_ends_it_at_once(hub, get, tmp_path, answer, message):
    hub.troubles[UNET].append(answer)
    with pytest.raises(DownloadError, match=message):
        get()
    assert len(hub.ranges_of(UNET)) == 1
    assert not target(tmp_path).exists()


def test_a_short_wait_that_the_hub_asks_for_is_waited(hub, get, tmp_path):
    hub.troubles[UNET].append(refuses(429, Retry_After="0"))
    get()
    assert len(hub.ranges_of(UNET)) == 2
    assert target(tmp_path).is_file()


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (429, r"no more requests for now \(error 429\): start again in some minutes"),
        (403, r"set HF_TOKEN, or log in"),
        (500, r"answered with the error 500: try again later"),
    ],
)
def test_a_hub_that_gives_no_list(hub, get, tmp_path, status, message):
    hub.list_error = status
    with pytest.raises(DownloadError, match=message):
        get()
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_revision(get):
    with pytest.raises(DownloadError, match=r"has no revision 'v9': write a branch, tag or commit"):
        get(revision="v9")


@pytest.mark.parametrize(
    "name", ["the newest", "v1..v2", "main~1", "a\nb", "\ud800", "\0", "/main", "main/", "main@{1}"]
)
def test_a_revision_that_git_cannot_have_is_refused_without_asking(name):
    with pytest.raises(
        ValueError, match=r"No branch, tag or commit can have the name .*leave revision empty"
    ):
        require_revision(name)


@pytest.mark.parametrize("name", ["", "main", "v1.0", "refs/pr/1", "0123abc", "支线", "feature/new-vae"])
def test_a_revision_that_git_can_have_is_asked_for(name):
    require_revision(name)


def test_a_revision_without_a_part(hub, get, monkeypatch):
    name = "lllyasviel/paints_undo_single_frame"
    rest = {file: data for file, data in hub.files[name].items() if not file.startswith("vae/")}
    monkeypatch.setitem(hub.files, name, rest)
    with pytest.raises(
        DownloadError, match=r"lists no vae/\*\.safetensors with its size and hash: leave the revision"
    ):
        get()


def test_a_mirror_whose_list_lacks_sizes(hub, get):
    hub.claimed_sizes[UNET] = None
    with pytest.raises(DownloadError, match=r"lists no unet/\*\.safetensors .*try without that mirror"):
        get()


def test_no_hub_at_all(get):
    with pytest.raises(DownloadError, match=r"gave no list of its files .*set HF_ENDPOINT to a mirror"):
        get(endpoint="http://127.0.0.1:9")


def test_room_on_the_disk_is_asked_for_before_anything_comes(hub, get, tmp_path):
    hub.claimed_sizes[UNET] = 10**15
    with pytest.raises(DownloadError, match=r"needs room for 1000\d{3}\.\d\d GB more .*make room"):
        get()
    assert [path for _, path, _, _ in hub.asked if "/resolve/" in path] == []
    assert final_names(tmp_path) == {}


@pytest.mark.skipif(os.name == "nt", reason="a folder there can be written to all the same")
def test_a_folder_that_cannot_be_made(hub, tmp_path):
    (tmp_path / "models").write_text("a file")
    with pytest.raises(
        DownloadError, match=r"models.* cannot be used \(Not a directory\): check its permissions"
    ):
        download(Request(TAGGER, endpoint=hub.url), tmp_path / "models" / "paintsundo", lambda progress: None)


def test_two_at_once_fetch_everything_once(hub, get, unet, tmp_path):
    hub.troubles[UNET].append(stalls_after(100_000))
    patient = Patience(timeout_s=300, first_wait_s=0.01)
    first = threading.Thread(target=get, kwargs={"patience": patient})
    first.start()
    assert hub.stalling.wait(60)

    def let_the_first_go_on(progress):
        if progress.stage.startswith("Waiting"):
            hub.go_on.set()

    done = get(report=let_the_first_go_on)
    first.join()
    assert done.fetched == []
    assert len(hub.ranges_of(UNET)) == 2
    assert target(tmp_path).read_bytes() == unet


def test_check_names_what_is_wrong_and_fetches_nothing(hub, get, unet, tmp_path):
    get()
    folder = tmp_path / "paints_undo_single_frame"
    target(tmp_path).write_bytes(b"?" + unet[1:])
    (folder / "vae" / "config.json").write_text("{}")
    (folder / "text_encoder" / "config.json").unlink()
    hub.forget()
    found = check(Request(SINGLE_FRAME, endpoint=hub.url), tmp_path, lambda progress: None)
    wrong = {file.name.split("/", 1)[1]: problem for file, problem in found if problem}
    size = len(hub.files["lllyasviel/paints_undo_single_frame"]["vae/config.json"])
    assert wrong == {
        UNET: "has the right size and other content",
        "vae/config.json": f"has 2 bytes, not {size}",
        "text_encoder/config.json": "is missing",
    }
    assert len(found) == 7
    assert [path for _, path, _, _ in hub.asked if "/resolve/" in path] == []


def test_progress_says_bytes_of_all_bytes(hub, get):
    hub.troubles[UNET].append(stalls_after(300_000))
    seen = []

    def note(progress):
        if hub.stalling.is_set() and progress.done:
            seen.append(progress.text())
            hub.go_on.set()

    get(report=note, patience=Patience(timeout_s=300, first_wait_s=0.01))
    assert re.match(r"Downloading \d+\.\d [kM]B of 1\.8 MB", seen[0])


def test_progress_text_before_the_size_is_known():
    assert Progress().text() == "Asking the hub ..."


def test_everything_is_one_of_the_choices():
    assert WHAT == (SINGLE_FRAME, MULTI_FRAME, TAGGER, EVERYTHING)
