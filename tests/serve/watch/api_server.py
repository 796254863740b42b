"""A Kubernetes API server, as small as its callers need: ConfigMaps with list, watch, bookmarks, 410 and
disconnects; any other path answers with what a test put there, or 404 as for a missing CRD.

Speaks the real protocol over real HTTP: chunked JSON lines, resource versions, field selectors, pages.
"""

import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

Event = dict[str, Any]

PAGE = 2
"""The most that one answer lists: small, so that lists have several pages."""


@dataclass
class Request:
    """One request, as the server saw it."""

    path: str
    watch: bool
    resource_version: str | None
    bookmarks: bool
    field_selector: str | None
    authorization: str | None


@dataclass
class ApiServer:
    """Change it from a test while clients watch. Every change has a version; watches send what is newer."""

    version: int = 10
    forgotten: int = 0
    objects: dict[str, Event] = field(default_factory=dict)
    log: list[tuple[int, Event]] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    failures: list[int] = field(default_factory=list)
    answers: dict[str, Any] = field(default_factory=dict)
    silent: bool = False
    cuts: int = 0
    ends: int = 0
    garbled: int = 0
    closing: bool = False
    changed: threading.Condition = field(default_factory=threading.Condition)

    def __enter__(self) -> "ApiServer":
        api = self

        class Handler(_Handler):
            server_state = api

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        with self.changed:
            self.closing = True
            self.changed.notify_all()
        self._http.shutdown()
        self._http.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    def put(self, name: str, data: dict[str, str]) -> None:
        with self.changed:
            kind = "MODIFIED" if name in self.objects else "ADDED"
            self.version += 1
            self.objects[name] = self._object(name, data)
            self._record({"type": kind, "object": self.objects[name]})

    def delete(self, name: str) -> None:
        with self.changed:
            self.version += 1
            gone = self.objects.pop(name)
            gone["metadata"]["resourceVersion"] = str(self.version)
            self._record({"type": "DELETED", "object": gone})

    def bookmark(self) -> None:
        """Tells every watch how far it is, as servers do about once a minute."""
        with self.changed:
            self.version += 1
            self._record({"type": "BOOKMARK", "object": self._object("", None)})

    def forget(self) -> None:
        """Compaction: whoever asks for an older version gets 410 Gone."""
        with self.changed:
            self.version += 1
            self.forgotten = self.version
            self.log.clear()
            self.changed.notify_all()

    def cut_watches(self) -> None:
        """Drops connections in the middle of a chunk."""
        with self.changed:
            self.cuts += 1
            self.changed.notify_all()

    def end_watches(self) -> None:
        """Ends watches politely, as after their timeout."""
        with self.changed:
            self.ends += 1
            self.changed.notify_all()

    def garble_watches(self) -> None:
        """Sends half a line, then ends."""
        with self.changed:
            self.garbled += 1
            self.changed.notify_all()

    def await_watches(self, count: int, timeout_s: float = 10.0) -> Request:
        """Waits until `count` watches have been opened since the start; returns the last of them."""
        with self.changed:
            opened = self.changed.wait_for(lambda: len(self.watches) >= count, timeout_s)
            assert opened, f"{len(self.watches)} watches after {timeout_s} s, expected {count}"
            return self.watches[count - 1]

    def kubeconfig(self, folder: Path, namespace: str = "studio", token: str = "token") -> Path:
        """A file that leads here."""
        named = {"cluster": {"server": self.url}, "name": "here"}
        context = {"cluster": "here", "user": "here", "namespace": namespace}
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [named],
            "users": [{"name": "here", "user": {"token": token}}],
            "contexts": [{"name": "here", "context": context}],
            "current-context": "here",
        }
        file = folder / "kubeconfig"
        file.write_text(json.dumps(document))
        return file

    @property
    def watches(self) -> list[Request]:
        return [request for request in self.requests if request.watch]

    @property
    def lists(self) -> list[Request]:
        return [request for request in self.requests if not request.watch]

    def _record(self, event: Event) -> None:
        self.log.append((self.version, json.loads(json.dumps(event))))
        self.changed.notify_all()

    def _object(self, name: str, data: dict[str, str] | None) -> Event:
        metadata = {"name": name, "namespace": "studio", "resourceVersion": str(self.version)}
        return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_state: ApiServer

    def do_GET(self) -> None:
        api = self.server_state
        path, query = unquote(urlsplit(self.path).path), parse_qs(urlsplit(self.path).query)
        request = Request(
            path=path,
            watch=query.get("watch", [""])[0].lower() == "true",
            resource_version=query.get("resourceVersion", [None])[0],
            bookmarks=query.get("allowWatchBookmarks", [""])[0].lower() == "true",
            field_selector=query.get("fieldSelector", [None])[0],
            authorization=self.headers.get("Authorization"),
        )
        name = (request.field_selector or "").removeprefix("metadata.name=")
        with api.changed:
            failure = api.failures.pop(0) if api.failures else None
            api.requests.append(request)
            before = (api.cuts, api.ends, api.garbled)
            api.changed.notify_all()
        if api.silent:
            with api.changed:
                api.changed.wait_for(lambda: api.closing)
        elif failure is not None:
            self._answer(failure, {"kind": "Status", "code": failure, "reason": "Failure"})
        elif not path.endswith("/configmaps"):
            self._resource(path, query)
        elif request.watch:
            self._watch(name, int(request.resource_version or 0), before)
        else:
            self._list(name)

    def _list(self, name: str) -> None:
        api = self.server_state
        with api.changed:
            items = [each for key, each in api.objects.items() if key == name]
            metadata = {"resourceVersion": str(api.version)}
        self._answer(200, {"apiVersion": "v1", "kind": "ConfigMapList", "metadata": metadata, "items": items})

    def _resource(self, path: str, query: dict[str, list[str]]) -> None:
        """What a test put under the path: an object, or a list of them that is handed out page by page."""
        answer = self.server_state.answers.get(path)
        if answer is None:
            message = "the server could not find the requested resource"
            self._answer(404, {"kind": "Status", "code": 404, "reason": "NotFound", "message": message})
        elif isinstance(answer, list):
            start = int(query.get("continue", ["0"])[0])
            end = start + min(int(query.get("limit", ["500"])[0]), PAGE)
            more = str(end) if end < len(answer) else ""
            self._answer(200, {"kind": "List", "metadata": {"continue": more}, "items": answer[start:end]})
        else:
            self._answer(200, answer)

    def _watch(self, name: str, since: int, before: tuple[int, int, int]) -> None:
        api = self.server_state
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        cuts, ends, garbled = before
        while True:
            with api.changed:
                while not (
                    api.closing
                    or (api.cuts, api.ends, api.garbled) != before
                    or since < api.forgotten
                    or any(version > since for version, _ in api.log)
                ):
                    api.changed.wait()
                cut, end, half = api.cuts > cuts, api.ends > ends, api.garbled > garbled
                gone = since < api.forgotten
                new = [(version, event) for version, event in api.log if version > since]
            for version, event in new:
                since = version
                if event["type"] == "BOOKMARK" or event["object"]["metadata"]["name"] == name:
                    self._chunk(json.dumps(event) + "\n")
            if gone:
                status = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"}
                self._chunk(json.dumps({"type": "ERROR", "object": status}) + "\n")
            if half:
                self._chunk('{"type": "MODIFIED", "obj')
            if cut:
                self.wfile.write(b"ff\r\n{")
                self.wfile.flush()
            if end or half or gone:
                self._chunk("")
            if cut or end or half or gone or api.closing:
                self.close_connection = True
                return

    def _chunk(self, text: str) -> None:
        data = text.encode()
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        self.wfile.flush()

    def _answer(self, status: int, body: Any) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        return None
