#!/usr/bin/env python3
"""The cache as Hugging Face's Python library documents it, written down here on its own, both ways round:
what `ruvllm pull` leaves is what that library would read, without a warning from its scan of the cache; and
caches laid out in every way that library has are listed, run, verified and removed by ours, which leaves
nothing that its scan would warn of.

Needs nothing but the standard library; the hub is a server on loopback in this file.
Usage: check_hub_cache.py SOURCE BUILD
"""
import hashlib
import http.server
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import threading
import urllib.parse

SOURCE, BUILD = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
COMMIT, OLD_COMMIT = "1" * 39 + "a", "2" * 39 + "b"
MODEL = (SOURCE / "models/tiny.gguf").read_bytes()
QUANT = "tiny-Q8_0.gguf"
NOBODY = 65534


def sha256(content):
    return hashlib.sha256(content).hexdigest()


def git_sha1(content):
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


# --- the library's rules -----------------------------------------------------------------------------------


def scan(root):
    """What a scan of the cache warns of, and the sizes of what it finds by repository and commit."""
    warnings, found = [], {}
    for repo in sorted(root.iterdir()):
        if repo.name in (".locks", "CACHEDIR.TAG", ".DS_Store") or is_shared_store(repo):
            continue
        try:
            found[repo.name] = scan_repository(repo)
        except ValueError as error:
            warnings.append(str(error))
    return warnings, found


def is_shared_store(folder):
    marker = folder / ".huggingface-shared-blobs"
    return folder.name == "blobs" and marker.is_file() and marker.read_text() == "1\n"


def scan_repository(repo):
    kind, separator, _ = repo.name.partition("--")
    if not repo.is_dir() or not separator or kind not in ("models", "datasets", "spaces"):
        raise ValueError(f"{repo}: no repository")
    if not (repo / "snapshots").is_dir():
        raise ValueError(f"{repo}: no snapshots")
    meant = {path.read_text() for path in (repo / "refs").glob("**/*") if not path.is_dir()}
    commits = {}
    for snapshot in (repo / "snapshots").iterdir():
        if snapshot.is_file():
            raise ValueError(f"{snapshot}: a file among the snapshots")
        files = [path for path in snapshot.glob("**/*") if not path.is_dir()]
        for path in files:
            if not path.resolve().exists():
                raise ValueError(f"{path}: leads nowhere")
        commits[snapshot.name] = {str(path.relative_to(snapshot)): path.stat().st_size for path in files}
    if meant - set(commits):
        raise ValueError(f"{repo}: refs to commits that are not there: {meant - set(commits)}")
    return commits


def look_up(root, repo, name, revision="main"):
    """The library's look-up of a cached file: a path, "absent" where the hub said that there is none, or None."""
    folder = root / ("models--" + repo.replace("/", "--"))
    if (folder / "refs" / revision).is_file():
        revision = (folder / "refs" / revision).read_text()
    if (folder / ".no_exist" / revision / name).is_file():
        return "absent"
    path = folder / "snapshots" / revision / name
    return path if path.is_file() else None


# --- a hub -------------------------------------------------------------------------------------------------


class Hub(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    files = {  # name: (content, whether it is large)
        QUANT: (MODEL, True),
        "sub/folder/other-F16.gguf": (MODEL[:-1], True),
        "config.json": (b'{"model_type": "llama"}\n', False),
    }

    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        path = urllib.parse.unquote(urllib.parse.urlparse(self.path).path)
        if path.startswith("/api/models/org/model/revision/"):
            return self.reply(json.dumps({"id": "org/model", "sha": COMMIT}).encode())
        if path.startswith(f"/api/models/org/model/tree/{COMMIT}"):
            return self.reply(json.dumps([self.entry(name) for name in self.files]).encode())
        content, large = self.files.get(path.removeprefix(f"/org/model/resolve/{COMMIT}/"), (None, False))
        if content is None:
            return self.reply(b"", 404, {"X-Error-Code": "EntryNotFound"})
        digest = sha256(content) if large else git_sha1(content)
        headers = {"X-Repo-Commit": COMMIT, "ETag": f'"{digest}"', "Accept-Ranges": "bytes"}
        if large:
            headers |= {"X-Linked-Etag": f'"{digest}"', "X-Linked-Size": str(len(content))}
        wanted = self.headers.get("Range")
        if not wanted:
            return self.reply(content, 200, headers)
        first, last = (int(number) for number in wanted.removeprefix("bytes=").split("-"))
        headers["Content-Range"] = f"bytes {first}-{last}/{len(content)}"
        return self.reply(content[first : last + 1], 206, headers)

    def entry(self, name):
        content, large = self.files[name]
        entry = {"type": "file", "path": name, "size": len(content), "oid": git_sha1(content)}
        if large:
            entry["lfs"] = {"oid": sha256(content), "size": len(content), "pointerSize": 134}
        return entry

    def reply(self, body, status=200, headers=None):
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


# --- ours --------------------------------------------------------------------------------------------------


class Suite:
    """The programs, with a cache of their own."""

    def __init__(self, folder, endpoint="http://127.0.0.1:9"):
        self.root = folder / "hub"
        self.user = None
        self.environment = {
            "HOME": str(folder), "HF_HUB_CACHE": str(self.root), "HF_ENDPOINT": endpoint, "PATH": os.environ["PATH"],
        }

    def run(self, *words, exit_code=0):
        command = [str(BUILD / "bin" / f"ruvllm-{words[0]}"), *words[1:]]
        result = subprocess.run(
            command, env=self.environment, user=self.user, capture_output=True, text=True, timeout=120)
        said = result.stdout + result.stderr
        assert exit_code == 0 or result.stderr.splitlines()[-1].startswith(f"ruvllm {words[0]}: error: "), said
        assert result.returncode == exit_code, f"{' '.join(words)}: exit {result.returncode}\n{said}"
        return result.stdout

    def json(self, *words):
        return json.loads(self.run(*words, "--json"))

    def check_scan(self, expected):
        warnings, found = scan(self.root)
        assert not warnings, warnings
        assert found == expected, f"{found} instead of {expected}"


def check_pulled(suite):
    """A pulled repository is the library's own, to the last link."""
    suite.run("pull", "org/model:Q8_0")
    suite.run("pull", "org/model/sub/folder/other-F16.gguf")
    suite.run("pull", "org/model/config.json")
    suite.run("pull", "org/model/tokenizer.json", exit_code=3)
    suite.check_scan({"models--org--model": {COMMIT: {name: len(content) for name, (content, _) in Hub.files.items()}}})
    repo = suite.root / "models--org--model"
    assert (repo / "refs/main").read_bytes() == COMMIT.encode()
    for name, (content, large) in Hub.files.items():
        path = look_up(suite.root, "org/model", name)
        assert path.read_bytes() == content
        digest = sha256(content) if large else git_sha1(content)
        above = "../" * (len(pathlib.PurePath(name).parts) + 1)
        assert os.readlink(path) == f"{above}blobs/{digest}", os.readlink(path)
        assert (repo / "blobs" / digest).is_file() and not (repo / "blobs" / digest).is_symlink()
    assert look_up(suite.root, "org/model", "tokenizer.json") == "absent"
    assert len(list((repo / "blobs").iterdir())) == len(Hub.files), list((repo / "blobs").iterdir())
    assert (suite.root / "CACHEDIR.TAG").read_text().startswith("Signature: 8a477f597d28d172789f06886806bc55")
    locks = {path.name for path in (suite.root / ".locks/models--org--model").iterdir()}
    assert locks == {path.name + ".lock" for path in (repo / "blobs").iterdir()}, locks


class Library:
    """Lays a repository out as the library does. `links` says how: relative, absolute (the blobs lie on another
    volume), copies (links can't be made), or shared (blobs are links into a store of the whole cache)."""

    def __init__(self, root, links, repo="org/model"):
        self.root, self.links = root, links
        self.repo = root / ("models--" + repo.replace("/", "--"))
        for folder in ("blobs", "refs", "snapshots"):
            (self.repo / folder).mkdir(parents=True)
        (root / ".locks" / self.repo.name).mkdir(parents=True)
        (root / "CACHEDIR.TAG").write_text("Signature: 8a477f597d28d172789f06886806bc55\n# ...\n")

    def ref(self, name, commit):
        path = self.repo / "refs" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(commit)

    def file(self, commit, name, content):
        digest = sha256(content)
        blob, place = self.repo / "blobs" / digest, self.repo / "snapshots" / commit / name
        (self.root / ".locks" / self.repo.name / f"{digest}.lock").touch()
        place.parent.mkdir(parents=True, exist_ok=True)
        if self.links == "copies":
            place.write_bytes(content)
            return
        if self.links == "shared":
            self.share(blob, content)
        else:
            blob.write_bytes(content)
        place.symlink_to(blob if self.links == "absolute" else os.path.relpath(blob, place.parent))

    def share(self, blob, content):
        hash_ = sha256(b"as Xet hashes it" + content)
        store = self.root / "blobs"
        (store / hash_[:2]).mkdir(parents=True, exist_ok=True)
        (store / ".huggingface-shared-blobs").write_text("1\n")
        stored = store / hash_[:2] / hash_
        if not stored.exists():
            stored.write_bytes(content)
            stored.chmod(0o444)
        with open(f"{stored}.refs", "a", encoding="utf-8") as manifest:
            manifest.write(f"{blob.relative_to(self.root)}\n")
        pathlib.Path(f"{stored}.lock").touch()
        if not blob.is_symlink():
            blob.symlink_to(os.path.relpath(stored, blob.parent))

    def absent(self, commit, name):
        path = self.repo / ".no_exist" / commit / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()

    def tree(self, commit):
        (self.repo / "trees").mkdir(exist_ok=True)
        (self.repo / "trees" / f"{commit}.json").write_text('{"format_version": 1, "files": {}}')


def check_found(suite, links):
    """What the library laid out is listed and runs offline; and what is removed leaves no broken cache."""
    library = Library(suite.root, links)
    library.ref("main", COMMIT)
    library.ref("refs/pr/1", OLD_COMMIT)
    library.file(COMMIT, QUANT, MODEL)
    library.file(COMMIT, "sub/folder/other-F16.gguf", MODEL[:-1])
    library.file(OLD_COMMIT, QUANT, MODEL)
    library.absent(COMMIT, "adapter_config.json")
    library.tree(COMMIT)
    orphan = library.repo / "blobs" / f"{sha256(b'x')}.0123abcd.incomplete"
    orphan.write_bytes(b"x" * 1000)
    other = Library(suite.root, links, "org/other") if links == "shared" else None
    if other:
        other.ref("main", COMMIT)
        other.file(COMMIT, QUANT, MODEL)

    n_bytes = len(MODEL) * (2 if links == "copies" else 1) + len(MODEL) - 1
    listed = suite.json("list")
    references = {model["reference"] for model in listed["models"]}
    expected = {"org/model:Q8_0", "org/model:F16", "org/model@refs/pr/1:Q8_0"} | ({"org/other:Q8_0"} if other else set())
    assert references == expected, references
    assert all(model["bytes"] >= len(MODEL) - 1 for model in listed["models"])
    assert links == "copies" or listed["bytes"] == n_bytes, listed["bytes"]
    for reference in ("org/model:Q8_0", "org/model@refs/pr/1:Q8_0"):
        answer = suite.json("chat", reference, "--offline", "-p", "Hello", "-n", "3", "--temp", "0")
        assert answer["usage"]["completion_tokens"] > 0, answer
    suite.run("pull", "org/model:Q8_0", "--offline")

    shared = len(MODEL) if links == "shared" else 0
    commit_files = {QUANT: len(MODEL), "sub/folder/other-F16.gguf": len(MODEL) - 1}
    others = {"models--org--other": {COMMIT: {QUANT: len(MODEL)}}} if other else {}
    removal(suite, "org/model@refs/pr/1", len(MODEL) if links == "copies" else 0)
    suite.check_scan({"models--org--model": {COMMIT: commit_files}} | others)
    removal(suite, "org/model:Q8_0", len(MODEL) - shared)
    del commit_files[QUANT]
    suite.check_scan({"models--org--model": {COMMIT: commit_files}} | others)
    removal(suite, "org/model:F16", len(MODEL) - 1)
    suite.check_scan({"models--org--model": {}} | others)  # the unfinished file stays
    assert orphan.exists()
    removal(suite, "org/model", 1000)
    suite.check_scan(others)
    if other:
        removal(suite, "org/other:Q8_0", len(MODEL))
        suite.check_scan({})
        left = [path.name for path in (suite.root / "blobs").glob("**/*") if path.is_file()]
        assert all(name.endswith(".lock") or name == ".huggingface-shared-blobs" for name in left), left


def check_read_only(suite):
    """A cache that may not be written to is read; anything else is a plain failure that changes nothing."""
    suite.run("pull", "org/model:Q8_0")
    before = scan(suite.root)
    for path in [suite.root.parent, suite.root, *suite.root.glob("**/*")]:
        if path.is_dir() and not path.is_symlink():
            path.chmod(0o555)
    if os.geteuid() == 0:
        suite.user = NOBODY
    try:
        suite.run("list")
        suite.run("pull", "org/model:Q8_0")
        suite.run("pull", "org/model:Q8_0", "--offline", "--verify")
        for words in (("pull", "org/model:F16"), ("rm", "org/model:Q8_0"), ("rm", "org/model")):
            suite.run(*words, exit_code=1)
    except PermissionError:
        print("skipped for a read-only cache: nobody may not run the programs here")
    suite.user = None
    assert scan(suite.root) == before
    for path in [suite.root.parent, suite.root, *suite.root.glob("**/*")]:
        if path.is_dir() and not path.is_symlink():
            path.chmod(0o755)


def removal(suite, reference, n_bytes):
    planned = suite.json("rm", reference, "--dry-run")["bytes_freed"]
    freed = suite.json("rm", reference)["bytes_freed"]
    assert (planned, freed) == (n_bytes, n_bytes), f"rm {reference}: {planned} planned, {freed} freed, not {n_bytes}"


def check_completed(suite):
    """A cache that the library began is gone on with, and what it has is not fetched again."""
    library = Library(suite.root, "shared")
    library.ref("main", COMMIT)
    library.file(COMMIT, QUANT, MODEL)
    planned = suite.json("pull", "org/model/sub/folder/other-F16.gguf", "--dry-run")
    assert planned["bytes_to_fetch"] == len(MODEL) - 1, planned
    fetched = suite.json("pull", "org/model:Q8_0", "--verify")
    assert fetched["bytes_fetched"] == 0, fetched
    suite.run("pull", "org/model/sub/folder/other-F16.gguf")
    suite.check_scan(
        {"models--org--model": {COMMIT: {QUANT: len(MODEL), "sub/folder/other-F16.gguf": len(MODEL) - 1}}})


def main():
    if not (BUILD / "bin/ruvllm-pull").exists():
        print("skipped: the programs are not built")
        return 77
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    endpoint = f"http://127.0.0.1:{server.server_port}"
    checks = [("pulled", check_pulled, endpoint), ("completed", check_completed, endpoint),
              ("read-only", check_read_only, endpoint)]
    for links in ("relative", "absolute", "copies", "shared"):
        checks.append((links, lambda suite, links=links: check_found(suite, links), "http://127.0.0.1:9"))
    for name, check, address in checks:
        folder = pathlib.Path(tempfile.mkdtemp(prefix="ruvllm-cache-"))
        try:
            check(Suite(folder, address))
            print(f"{name}: as it should be")
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
