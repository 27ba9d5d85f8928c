"""Writes what the documents say of reasons from the table.

`python -m microsoft.reasons_document > docs/reasons.md` is the page of all;
`python -m microsoft.reasons_document docs/operations.md` brings the runbook in that page up to date.
"""

from __future__ import annotations

import sys
from itertools import groupby
from pathlib import Path

from microsoft.reasons import REASONS, Kind, Reason

_KINDS = {
    Kind.TRANSIENT: ("Passes by itself", "We retry with back-off. The connection stays."),
    Kind.NEEDS_CONSENT: ("Needs a new sign-in", "Somebody at the customer opens the consent link and signs in."),
    Kind.NEEDS_CUSTOMER_ADMIN: (
        "Needs the customer’s administrator",
        "A policy, a licence or an account at the customer has to be changed first.",
    ),
    Kind.OUR_FAULT: (
        "Our own fault",
        "Our registration, settings or code. No connection is ever taken away for it; one ERROR line is logged.",
    ),
    Kind.UNKNOWN: ("Not known, or nobody’s fault", "Neither is the customer blamed nor is it blindly retried."),
}
BEGIN = "<!-- reasons: made by `make docs` -->"
END = "<!-- end of reasons -->"
_HEAD = """# Reasons

Every failure code that pages, API, admin and logs can show: what it means and who acts. Made from
`microsoft/reasons*.py` by `make docs`; a test fails when it is out of date, so change the table, not this page.

Codes without a row keep their name and get generic words. Meanings of AADSTS codes:
<https://learn.microsoft.com/entra/identity-platform/reference-error-codes>; of Graph codes:
<https://learn.microsoft.com/graph/errors>.
"""


def document() -> str:
    """The whole page; rows with the same words stand together."""
    parts = [_HEAD]
    for kind, (title, meaning) in _KINDS.items():
        parts.append(f"\n## {title}\n\n`{kind.value}`: {meaning}\n")
        parts += [_entry(rows) for rows in _same_words(kind)]
    return "".join(parts)


def _same_words(kind: Kind) -> list[list[Reason]]:
    def words(row: Reason) -> tuple[str, ...]:
        return row.title, row.cause, row.what_to_do, row.support, row.actor.value

    rows = [row for row in REASONS.values() if row.kind is kind]
    return [list(same) for _, same in groupby(rows, key=words)]


def _entry(rows: list[Reason]) -> str:
    row = rows[0]
    retried = "\nTried once more later before anybody is asked to act.\n" if row.retry_once else ""
    return (
        f"\n### {row.title}\n\n"
        f"{', '.join(f'`{same.code}`' for same in rows)}\n\n"
        f"- Cause: {row.cause}\n"
        f"- Who acts: {row.actor.in_words}\n"
        f"- What to do: {row.what_to_do}\n"
        f"- For support: {row.support}\n{retried}"
    )


def runbook() -> str:
    """An entry for each reason: what happened, who acts, what support does. For those who know the product."""
    parts = [f"{BEGIN}\n"]
    for kind, (title, meaning) in _KINDS.items():
        parts.append(f"\n#### {title}\n{meaning}\n\n| code | what happened | who acts | support |\n|---|---|---|---|\n")
        parts += [_line(rows) for rows in _same_words(kind)]
    return "".join([*parts, f"\n{END}"])


def with_runbook(page: str) -> str:
    """The page with the part between the two marks written anew; raises ValueError when they are not there."""
    before, found, rest = page.partition(BEGIN)
    _, ended, after = rest.partition(END)
    if not (found and ended):
        raise ValueError("the page has no marks for the runbook")
    return f"{before}{runbook()}{after}"


def _line(rows: list[Reason]) -> str:
    row = rows[0]
    codes = " ".join(f"`{same.code}`" for same in rows)
    retried = " Tried once more before anybody is asked." if row.retry_once else ""
    cells = (codes, f"**{row.title}.** {row.cause}{retried}", row.actor.in_words, row.support)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"


if __name__ == "__main__":
    if sys.argv[1:]:
        file = Path(sys.argv[1])
        file.write_text(with_runbook(file.read_text(encoding="utf-8")), encoding="utf-8")
    else:
        sys.stdout.write(document())
