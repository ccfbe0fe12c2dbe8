"""The control channel of an emulator: faults are injected while it runs, by JSON lines on a Unix socket.

A request is {"command": NAME, ...arguments}; the answer is {"ok": true, ...} or {"ok": false, "error": TEXT}.
Every emulator knows `help`, which lists its commands.
"""

from __future__ import annotations

import argparse
import json
import socket
import socketserver
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

TIMEOUT_S = 5.0
Handler = Callable[..., Mapping[str, Any] | None]


class ControlServer:
    """Serves the commands on a Unix socket, each connection on a thread of its own; a context manager.

    A handler takes the request's arguments as keywords and returns what the answer holds beside `ok`.
    """

    def __init__(self, path: Path, commands: Mapping[str, Handler]) -> None:
        self._path = path
        self._commands = {**commands, "help": lambda: {"commands": sorted([*commands, "help"])}}
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        server = self

        class Connection(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                for line in self.rfile:
                    self.wfile.write(json.dumps(server._answer(line)).encode() + b"\n")

        try:
            self._server = socketserver.ThreadingUnixStreamServer(str(path), Connection)
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(path)) from error
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def _answer(self, line: bytes) -> dict[str, Any]:
        try:
            request = json.loads(line)
            name = request.pop("command")
            handler = self._commands[name]
        except (ValueError, AttributeError, TypeError):
            return {"ok": False, "error": "a request is one JSON object a line with the key 'command'"}
        except KeyError as error:
            return {"ok": False, "error": f"no command {error}; ask for help"}
        try:
            return {"ok": True, **(handler(**request) or {})}
        except (TypeError, ValueError) as error:
            return {"ok": False, "error": f"{name}: {error}"}

    def close(self) -> None:
        """Stop serving and remove the socket."""
        self._server.shutdown()
        self._server.server_close()
        self._path.unlink(missing_ok=True)

    def __enter__(self) -> ControlServer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class ControlError(RuntimeError):
    """An emulator refused a request; the message is its own."""


def request(path: Path, command: str, **arguments: Any) -> dict[str, Any]:
    """Send one request and return the answer; ControlError where it is refused, OSError without emulator."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(TIMEOUT_S)
        connection.connect(str(path))
        connection.sendall(json.dumps({"command": command, **arguments}).encode() + b"\n")
        with connection.makefile("rb") as lines:
            answer: dict[str, Any] = json.loads(lines.readline())
    if not answer.pop("ok"):
        raise ControlError(answer["error"])
    return answer


def _argument(text: str) -> tuple[str, Any]:
    key, separator, value = text.partition("=")
    if not separator:
        raise argparse.ArgumentTypeError(f"{text!r} is not KEY=VALUE")
    try:
        return key, json.loads(value)
    except ValueError:
        return key, value


def main() -> int:
    """Entry point: `emulator_control SOCKET COMMAND [KEY=VALUE ...]`, the answer as JSON."""
    parser = argparse.ArgumentParser(description="Inject a fault into a running emulator.")
    parser.add_argument("socket", type=Path, help="control socket of the emulator")
    parser.add_argument("command", help="command; 'help' lists them")
    parser.add_argument("arguments", nargs="*", type=_argument, metavar="KEY=VALUE", help="JSON or text")
    options = parser.parse_args()
    try:
        answer = request(options.socket, options.command, **dict(options.arguments))
    except (OSError, ControlError) as error:
        print(f"emulator_control: {options.socket}: {error}", file=sys.stderr)
        return 1
    print(json.dumps(answer))
    return 0


if __name__ == "__main__":
    sys.exit(main())
