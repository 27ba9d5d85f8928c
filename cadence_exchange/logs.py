"""Log lines as JSON objects with the request's id; a consent key never reaches a line."""

from __future__ import annotations

import json
import logging
import re
from datetime import UTC, datetime

from tenants.correlation import current_request_id

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {
    "message",
    "asctime",
    "request_id",
    "request",
    "taskName",
}
_CONSENT_KEY = re.compile(r"(/connect/)(?!callback/)[^/?\s\"']+")


def without_consent_key(text: str) -> str:
    """`/connect/<key>/` without the key: it opens a customer's consent page, so a log must not hold it."""
    return _CONSENT_KEY.sub(r"\1…", text)


class ContextFilter(logging.Filter):
    """Adds the id of the request being served."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.request_id = current_request_id()
        return True


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, message, request_id, then what the caller gave as `extra`."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            "request_id": getattr(record, "request_id", ""),
        }
        line.update({key: value for key, value in vars(record).items() if key not in _STANDARD})
        # What Django calls suspicious, such as a Host that is not ours, is an everyday visitor and says all in a line.
        if record.exc_info and not record.name.startswith("django.security."):
            line["traceback"] = self.formatException(record.exc_info)
        return without_consent_key(json.dumps(line, default=str, ensure_ascii=False))
