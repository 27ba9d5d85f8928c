"""A mail server of the RFC's own dialogue on a port of this machine, which says to each command what it is told to."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage


@dataclass
class SmtpServer:
    """`answers`: by command (`RCPT`, `DATA`, `END` for the final dot, …) a line other than the usual one."""

    port: int = 0
    answers: Mapping[str, str] = field(default_factory=dict)
    received: list[EmailMessage] = field(default_factory=list)
    envelopes: list[tuple[str, str]] = field(default_factory=list)
    connections: int = 0


@contextmanager
def smtp_server(**answers: str) -> Iterator[SmtpServer]:
    """Serves until the end of the block; without STARTTLS."""
    state = SmtpServer(answers=answers)

    class Dialogue(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            state.connections += 1
            sender = recipient = ""
            self._say("CONNECT", "220 ready")
            for line in self.rfile:
                command, _, rest = line.decode().strip().partition(" ")
                command = command.upper()
                if command == "MAIL":
                    sender = rest
                elif command == "RCPT":
                    recipient = rest
                if command == "DATA" and self._say("DATA", "354 go on").startswith("354"):
                    raw = b"".join(iter(self.rfile.readline, b".\r\n"))
                    if self._say("END", "250 taken").startswith("250"):
                        parsed = message_from_bytes(raw, policy=policy.default)
                        assert isinstance(parsed, EmailMessage)
                        state.received.append(parsed)
                        state.envelopes.append((sender, recipient))
                elif command != "DATA":
                    self._say(command, "221 bye" if command == "QUIT" else "250 fine")
                if command == "QUIT":
                    return

        def _say(self, command: str, usual: str) -> str:
            said = state.answers.get(command, usual)
            self.wfile.write(f"{said}\r\n".encode())
            return said

    class Server(socketserver.ThreadingTCPServer):
        allow_reuse_address = True
        daemon_threads = True

    with Server(("127.0.0.1", 0), Dialogue) as server:
        state.port = server.server_address[1]
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        try:
            yield state
        finally:
            server.shutdown()
