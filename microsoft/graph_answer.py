"""Pure: what one answer to getSchedule means for its call: done, failed for good, or worth another try."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from microsoft.answer_size import most_bytes
from microsoft.http import Answer, retry_after_seconds
from microsoft.schedule_report import CallOutcome, MailboxFailure, failure, plain
from microsoft.wire import MalformedBody, decode_error, decode_schedules

_TRANSIENT = frozenset({408, 500, 502, 503, 504, 509})
_ABOUT_TIMES = frozenset({"ErrorInvalidMergedFreeBusyInterval", "ErrorInvalidTimeInterval", "ErrorTimeIntervalTooBig"})
_CLAIMS = re.compile(r'claims="([^"]+)"')


class Next(StrEnum):
    """What to do with the call."""

    DONE = "done"
    RETRY = "retry"  # back off, then the same again
    RETRY_ONCE = "retry_once"  # intermittent by experience: one more try
    NEW_TOKEN = "new_token"  # noqa: S105 - a word, no token
    SPLIT = "split"  # too many mailboxes in one call
    SEARCH = "search"  # refused as a whole, perhaps for the sake of one mailbox


@dataclass(frozen=True, slots=True)
class Verdict:
    """`outcome` is what stands if nothing better comes. `wait`: seconds Microsoft asked for, or None.

    `details`: the answer is larger than times and statuses can be.
    """

    next: Next
    outcome: CallOutcome
    code: str = ""
    wait: float | None = None
    claims: str | None = None
    details: bool = False

    @property
    def answered(self) -> bool:
        """Mailboxes have answers."""
        return not isinstance(self.outcome, MailboxFailure)

    @property
    def suspicious(self) -> bool:
        """One of the mailboxes may be why all of the call failed; throttling is about the reader."""
        failed = isinstance(self.outcome, MailboxFailure) and self.outcome.code != "throttled"
        return failed and self.next in (Next.RETRY, Next.SEARCH)


def judge_answer(answer: Answer, *, wall_clock: Callable[[], float]) -> Verdict:
    """https://learn.microsoft.com/graph/errors; retrying is safe because getSchedule only reads."""
    if answer.status == 200:
        return _judge_ok(answer)
    error = decode_error(answer.body)
    code = plain(error.code) if error else f"HTTP{answer.status}"
    wait = retry_after_seconds(answer.headers.get("Retry-After"), wall_clock=wall_clock)
    if answer.status == 429:
        return Verdict(Next.RETRY, failure("throttled", raw=code), code, wait)
    if answer.status in _TRANSIENT:
        return Verdict(Next.RETRY, failure("unavailable", raw=code), code, wait)
    if answer.status == 401:
        claims = claims_challenge(answer.headers.get("WWW-Authenticate", ""))
        return Verdict(Next.NEW_TOKEN, failure("unavailable", raw=code), code, claims=claims)
    if code == "ResourceNotFound":
        return Verdict(Next.RETRY_ONCE, failure("unavailable", raw=code), code)
    if code == "ErrorMailboxDataArrayTooBig":
        return Verdict(Next.SPLIT, failure("other", raw=code), code)
    next_ = Next.SEARCH if answer.status == 400 and code not in _ABOUT_TIMES else Next.DONE
    return Verdict(next_, _refused(answer.status, code), code)


def broken(code: str) -> Verdict:
    """No usable answer at all: as good as a 503."""
    return Verdict(Next.RETRY, failure("timeout" if code == "timeout" else "unavailable"), code)


def claims_challenge(header: str) -> str | None:
    """The JSON to send as `claims` with the next token request, out of a WWW-Authenticate header.

    https://learn.microsoft.com/entra/identity-platform/claims-challenge
    """
    match = _CLAIMS.search(header)
    if not match:
        return None
    try:
        return base64.b64decode(match.group(1) + "==", validate=False).decode()
    except (binascii.Error, UnicodeDecodeError):
        return None


def _judge_ok(answer: Answer) -> Verdict:
    try:
        entries = decode_schedules(answer.body)
    except MalformedBody:
        return Verdict(Next.RETRY, failure("unavailable"), "MalformedBody")
    return Verdict(Next.DONE, entries, details=len(answer.body) > most_bytes(entries))


def _refused(status: int, code: str) -> MailboxFailure:
    """The whole call refused for good: the reader's rights or mailbox (403, 404), or our own mistake."""
    return failure("no_access" if status in (403, 404) else "other", raw=code)
