"""One user's session with a served page over plain HTTP, as the page's own script speaks to Gradio."""

from __future__ import annotations

import json
import re
from base64 import b64decode
from html import unescape
from pathlib import Path
from typing import Any
from uuid import uuid4

import requests

SECONDS = 60  # for an answer


class Refused(AssertionError):
    """The server did not do what it was asked."""


class Session:
    """A user without a browser.

    Args:
        url: of the page.
        auth: user and password, where the page asks for them.

    Attributes:
        hash: by which Gradio knows the session.
        values: of the components, by their elem_id; what a user sets is sent with every event.
    """

    def __init__(self, url: str, auth: tuple[str, str] | None = None) -> None:
        self._url = url
        self.hash = uuid4().hex
        self._http = requests.Session()
        if auth:
            form = dict(zip(("username", "password"), auth, strict=True))
            self._http.post(f"{url}login", data=form, timeout=SECONDS).raise_for_status()
        config = self._http.get(f"{url}config", timeout=SECONDS).json()
        self._components = {one["id"]: one for one in config["components"]}
        self._ids = {one["props"]["elem_id"]: one["id"] for one in config["components"] if one["props"].get("elem_id")}
        self._events = {
            (target, name): number
            for number, one in enumerate(config["dependencies"])
            for target, name in one["targets"]
        }
        self._dependencies = config["dependencies"]
        self.values = {name: self._components[number]["props"].get("value") for name, number in self._ids.items()}

    def give(self, path: Path) -> None:
        """Upload a photo, as dropping it does."""
        answer = self.upload(path)
        answer.raise_for_status()
        stored = {"path": answer.json()[0], "orig_name": path.name, "meta": {"_type": "gradio.FileData"}}
        self.values["upload"] = stored
        self.send("upload", "upload")

    def upload(self, path: Path, field: str = "files") -> requests.Response:
        """The answer to a file that is sent, and not looked at; `field` is its name in the form."""
        with path.open("rb") as file:
            return self._http.post(f"{self._url}gradio_api/upload", files={field: (path.name, file)}, timeout=SECONDS)

    def claim(self, path: str, component: str = "upload") -> None:
        """Say that a file was uploaded, which was not."""
        self.values[component] = {"path": path, "meta": {"_type": "gradio.FileData"}}
        self.send("upload", "upload")

    def send(self, name: str, event: str) -> dict[str, Any]:
        """What changes when an event of a component happens: new values, or updates, by elem_id."""
        self.join(name, event).raise_for_status()
        dependency = self._dependency(name, event)
        names = {one: elem_id for elem_id, one in self._ids.items()}
        answers = self._http.get(
            f"{self._url}gradio_api/queue/data", params={"session_hash": self.hash}, stream=True, timeout=SECONDS
        )
        for line in answers.iter_lines():
            message = json.loads(line[6:]) if line.startswith(b"data: ") else {}
            if message.get("msg") == "process_completed":
                if not message["success"]:
                    raise Refused(message)
                changed = dict(zip(dependency["outputs"], message["output"]["data"], strict=True))
                break
        by_name = {names.get(one, self._components[one]["type"]): value for one, value in changed.items()}
        for elem_id, value in by_name.items():
            if isinstance(value, dict) and value.get("__type__") == "update":
                if "value" in value:
                    self.values[elem_id] = value["value"]
            else:
                self.values[elem_id] = value
        return by_name

    def join(self, name: str, event: str) -> requests.Response:
        """The answer to an event that is sent, whose own answer is not fetched."""
        dependency = self._dependency(name, event)
        names = {one: elem_id for elem_id, one in self._ids.items()}
        data = [self.values.get(names.get(one, "")) for one in dependency["inputs"]]
        question = {"data": data, "fn_index": dependency["id"], "session_hash": self.hash, "event_data": None}
        return self._http.post(f"{self._url}gradio_api/queue/join", json=question, timeout=SECONDS)

    def _dependency(self, name: str, event: str) -> Any:
        return self._dependencies[self._events[self._ids[name], event]]

    def record(self) -> dict[str, Any]:
        """What the button for JSON saves."""
        return json.loads(content_of(self.send("save_record", "click")["json"]))

    @property
    def status(self) -> str:
        """The sentence in the line of status."""
        return unescape(re.sub(r"<[^>]+>", "", self.values["status"] or ""))


def content_of(file: dict[str, str]) -> bytes:
    """The bytes of a file that the page hands to its user."""
    return b64decode(file["content"].partition(",")[2])
