"""A stand-in of the Hugging Face hub on this machine: its list of files, its files, and every trouble on the way.

Two servers, as the hub is: one answers questions and sends small files, and sends those who want a large one on to
another address, the CDN. Troubles are put into `Hub.troubles`; each is for one request for the bytes of a file.
"""

import contextlib
import hashlib
import json
import re
import socket
import threading
from collections import defaultdict, deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import torch
from paintsundo_pack.paintsundo_models.checkpoints.parts import PARTS, expected_signature
from safetensors.torch import save

COMMIT = "0123456789abcdef0123456789abcdef01234567"
TOKEN = "hf_of_the_tests"
FILLER = 75_000  # numbers of 8 bytes: more than the client reads at once
LARGE = 2000  # bytes from which a file lies on the CDN


def released_files():
    """The files on the hub, {"owner/name": {name: bytes}}: the released names, with small contents."""
    files = {
        "lllyasviel/misc": {
            "wd-v1-4-moat-tagger-v2.onnx": b"onnx" * 5000,
            "wd-v1-4-moat-tagger-v2.csv": b"tags" * 5000,
            "other.onnx": b"other" * 5000,
        }
    }
    for kind, parts in PARTS.items():
        model = {"README.md": b"terms", ".gitattributes": b"", "unet/model.bin": b"pickled" * 1000}
        for part in parts:
            stem = "diffusion_pytorch_model" if part in ("unet", "vae", "image_projection") else "model"
            tensors = {name: torch.zeros(1) for name in expected_signature(part, kind).tensors}
            tensors["filler"] = torch.arange(FILLER)
            model[f"{part}/{stem}.safetensors"] = save(tensors, {"part": f"{kind} {part}"})
            model[f"{part}/config.json"] = json.dumps({"part": part}).encode()
        files[f"lllyasviel/paints_undo_{kind.replace('-', '_')}"] = model
    return files


class Hub:
    """The stand-in.

    Attributes:
        files: see released_files.
        environment: variables that send a program to it, with little patience.
        troubles: {file name: what happens to the next requests for its bytes}, see the functions below.
        list_error: status that questions for a list are answered with, or None.
        claimed_sizes: {file name: size in the list}, where it is not the true one.
        asked: every request as (server, path, Range, Authorization).
        proxied: the addresses that it was asked for as a proxy.
    """

    def __init__(self):
        self.files = released_files()
        self.troubles = defaultdict(deque)
        self.list_error, self.claimed_sizes, self.asked, self.proxied = None, {}, [], []
        self.stalling = threading.Event()  # set while an answer stalls
        self.go_on = threading.Event()
        self._cdn = _serve(self, "cdn")
        self._hub = _serve(self, "hub")
        self.url = f"http://127.0.0.1:{self._hub.server_port}"
        self.cdn_url = f"http://127.0.0.1:{self._cdn.server_port}"
        self.environment = {
            "HF_ENDPOINT": self.url,
            "HF_TOKEN": TOKEN,
            "HF_HUB_DOWNLOAD_TIMEOUT": "1",
            "NO_PROXY": "127.0.0.1",
        }

    def forget(self):
        """Forget all faults and all requests."""
        self.troubles.clear()
        self.claimed_sizes.clear()
        self.asked.clear()
        self.proxied.clear()
        self.list_error = None
        self.stalling.clear()
        self.go_on.clear()

    def ranges_of(self, name):
        """The Range headers of the requests for a file's bytes."""
        return [wanted for server, path, wanted, _ in self.asked if server == "cdn" and path.endswith(name)]

    def close(self):
        """End both servers."""
        self.go_on.set()
        for server in (self._hub, self._cdn):
            server.shutdown()
            server.server_close()


def _serve(hub, name):
    handler = type("Handler", (_Handler,), {"hub": hub, "server_name": name})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    return server


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        if self.path.startswith("http://"):  # as a proxy it is asked for whole addresses
            asked, self.path = self.path, "/" + self.path.split("/", 3)[3]
            self.server_name = "cdn" if asked.startswith(self.hub.cdn_url) else "hub"
            self.hub.proxied.append(asked)
        self.hub.asked.append(
            (self.server_name, self.path, self.headers["Range"], self.headers["Authorization"])
        )
        with contextlib.suppress(ConnectionError):  # whoever asked has gone
            if listing := re.fullmatch(r"/api/models/([^/]+/[^/?]+)(?:/revision/([^?]+))?\?.*", self.path):
                self._list(*listing.groups())
            elif file := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", self.path):
                self._file(*file.groups())
            else:
                self.answer(404)

    def _list(self, repository, revision):
        files = self.hub.files.get(repository)
        if self.hub.list_error:
            self.answer(self.hub.list_error)
        elif files is None:
            self.answer(401, {"X-Error-Code": "RepoNotFound"})
        elif revision not in (None, "main", COMMIT):
            self.answer(404, {"X-Error-Code": "RevisionNotFound"})
        else:
            siblings = [self._entry(name, data) for name, data in files.items()]
            body = {"id": repository, "modelId": repository, "sha": COMMIT, "siblings": siblings}
            self.answer(200, {"Content-Type": "application/json"}, json.dumps(body).encode())

    def _entry(self, name, data):
        size = self.hub.claimed_sizes.get(name, len(data))
        entry = {"rfilename": name, "size": size, "blobId": git_sha1(data)}
        if len(data) >= LARGE:
            sha256 = hashlib.sha256(data).hexdigest()
            entry["lfs"] = {"sha256": sha256, "size": size, "pointerSize": 130}
        return entry

    def _file(self, repository, revision, name):
        data = self.hub.files.get(repository, {}).get(name)
        if data is None or revision != COMMIT:
            self.answer(404, {"X-Error-Code": "EntryNotFound"})
        elif len(data) >= LARGE and self.server_name == "hub":
            self.answer(302, {"Location": f"{self.hub.cdn_url}{self.path}"})
        elif self.hub.troubles[name]:
            self.hub.troubles[name].popleft()(self, data)
        else:
            self.send_file(data)

    def answer(self, status, headers=(), body=b""):
        """Send a complete answer."""
        self.send_response(status)
        for key, value in dict(headers).items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def send_file(self, data, *, count=None, takes_range=True):
        """Send the file or the requested range; with `count`, stop after that many bytes."""
        wanted = re.fullmatch(r"bytes=(\d+)-", self.headers["Range"] or "") if takes_range else None
        start = int(wanted[1]) if wanted else 0
        self.send_response(206 if wanted else 200)
        if wanted:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        self.send_header("Content-Length", str(len(data) - start))
        self.end_headers()
        self.wfile.write(data[start:] if count is None else data[start : start + count])
        self.wfile.flush()


def git_sha1(data):
    """Git's name of a file."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def breaks_after(count):
    """The connection is cut in the middle of the file."""

    def happen(handler, data):
        handler.send_file(data, count=count)
        handler.close_connection = True
        handler.connection.shutdown(socket.SHUT_RDWR)

    return happen


def stalls_after(count):
    """The answer stops in the middle, and the connection stays open."""

    def happen(handler, data):
        handler.send_file(data, count=count)
        handler.close_connection = True
        handler.hub.stalling.set()
        handler.hub.go_on.wait(60)

    return happen


def sends_a_wrong_byte(handler, data):
    """One byte in the middle is wrong."""
    middle = len(data) // 2
    handler.send_file(data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :])


def sends_all_of_it_always(handler, data):
    """The server ignores the Range header and sends the whole file."""
    handler.send_file(data, takes_range=False)


def refuses(status, **headers):
    """An error in place of the file; headers with _ for -."""

    def happen(handler, data):
        handler.answer(status, {key.replace("_", "-"): value for key, value in headers.items()})

    return happen
