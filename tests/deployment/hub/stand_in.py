"""A model hub on this machine: as much of the protocol as huggingface_hub uses to create, commit, list and download."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

WRITER = "hf_writer"  # the token that may write, and see what is private


@dataclass
class Repository:
    """Commits of one repository, oldest first, each file name -> content; the last one is "main"."""

    private: bool = False
    gated: bool = False
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)

    def commit(self, files: dict[str, bytes]) -> str:
        number = hashlib.sha1(f"{len(self.commits)}".encode()).hexdigest()
        self.commits[number] = files
        return number

    @property
    def head(self) -> str:
        return list(self.commits)[-1]

    @property
    def files(self) -> dict[str, bytes]:
        return self.commits[self.head]

    def sha(self, revision: str) -> str | None:
        return self.head if revision == "main" else revision if revision in self.commits else None


class HubStandIn:
    """Serves until closed.

    Attributes:
        repositories: name -> what it holds.
        downloads: (repository, file) of every download.
    """

    def __init__(self) -> None:
        self.repositories: dict[str, Repository] = {}
        self.downloads: list[tuple[str, str]] = []
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_port}"

    def __enter__(self) -> HubStandIn:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def _handler(hub) -> type[BaseHTTPRequestHandler]:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                parts = urlsplit(self.path).path.strip("/").split("/")
                if parts == ["api", "validate-yaml"]:
                    refused = [] if "license: other-than-listed" not in body.decode() else [{"message": "license: no"}]
                    self.answer(400 if refused else 200, {"errors": refused, "warnings": []})
                elif not self.may_write:
                    self.fail(401 if self.headers.get("Authorization") is None else 403)
                elif parts == ["api", "repos", "create"]:
                    asked = json.loads(body)
                    name = f"{asked['organization']}/{asked['name']}"
                    known = name in hub.repositories
                    if not known:
                        hub.repositories[name] = Repository(private=asked.get("visibility") == "private")
                        hub.repositories[name].commit({".gitattributes": b""})
                    self.answer(409 if known else 200, {"url": f"{hub.url}/{name}"})
                elif parts[4] == "preupload":
                    files = [each["path"] for each in json.loads(body)["files"]]
                    modes = [{"path": name, "uploadMode": "regular", "shouldIgnore": False} for name in files]
                    self.answer(200, {"files": modes})
                elif parts[4] == "commit":
                    repository = hub.repositories["/".join(parts[2:4])]
                    files = dict(repository.files)
                    for line in map(json.loads, body.splitlines()):
                        if line["key"] == "file":
                            files[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
                        elif line["key"] == "deletedFile":
                            del files[line["value"]["path"]]
                    number = repository.commit(files)
                    url = f"{hub.url}/{'/'.join(parts[2:4])}/commit/{number}"
                    self.answer(200, {"success": True, "commitOid": number, "commitUrl": url})

            def do_GET(self) -> None:
                parts = [unquote(part) for part in urlsplit(self.path).path.strip("/").split("/")]
                in_api = parts[:2] == ["api", "models"]
                name = "/".join(parts[2:4] if in_api else parts[:2])
                rest = parts[4:] if in_api else parts[2:]
                repository = hub.repositories.get(name)
                if repository is None or (repository.private and not self.may_write):
                    return self.fail(401, "RepoNotFound")
                sha = repository.sha(rest[1] if rest else "main")
                if sha is None:
                    return self.fail(404, "RevisionNotFound")
                files = repository.commits[sha]
                if in_api and rest[:1] == ["tree"]:
                    listed = [{"type": "file", "path": path, "size": len(content), "oid": _etag(content)}
                              for path, content in files.items()]  # fmt: skip
                    return self.answer(200, listed)
                if in_api:
                    siblings = [{"rfilename": path} for path in files]
                    return self.answer(
                        200, {"id": name, "sha": sha, "private": repository.private, "siblings": siblings}
                    )
                if repository.gated:
                    return self.fail(403, "GatedRepo")
                content = files["/".join(rest[2:])]
                if self.command == "GET":
                    hub.downloads.append((name, "/".join(rest[2:])))
                self.send(200, content, {"ETag": f'"{_etag(content)}"', "X-Repo-Commit": sha})

            do_HEAD = do_GET

            @property
            def may_write(self) -> bool:
                return self.headers.get("Authorization") == f"Bearer {WRITER}"

            def fail(self, status: int, code: str = "") -> None:
                self.send(status, b"{}", {"X-Error-Code": code} if code else {})

            def answer(self, status: int, content: object) -> None:
                self.send(status, json.dumps(content).encode(), {"Content-Type": "application/json"})

            def send(self, status: int, content: bytes, headers: dict[str, str]) -> None:
                self.send_response(status)
                for name, value in {"Content-Length": str(len(content)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                pass

        return Handler


def _etag(content: bytes) -> str:
    return hashlib.sha1(content).hexdigest()
