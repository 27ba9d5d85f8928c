"""The pack as a page and as a file."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.utils import timezone

from console.evidence import pdf
from console.evidence.pack import evidence_of
from console.pages import account_of, page, show


@page("make_evidence")
def evidence(request: HttpRequest, slug: str) -> HttpResponse:
    """The pack as a page, which also prints well."""
    account = account_of(slug)
    pack = evidence_of(account, timezone.now())
    return show(request, "evidence.html", f"Evidence pack for {account.name}", pack=pack, account=account)


@page("make_evidence")
def evidence_file(request: HttpRequest, slug: str) -> HttpResponse:
    """The same as a PDF to send."""
    pack = evidence_of(account_of(slug), timezone.now())
    name = f"cadence-exchange-{slug}-{pack.made_at:%Y-%m-%d}.pdf"
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "private, no-store"}
    return HttpResponse(pdf.written(pack), content_type="application/pdf", headers=headers)


urlpatterns = [
    path("accounts/<slug:slug>/evidence/", evidence, name="evidence"),
    path("accounts/<slug:slug>/evidence.pdf", evidence_file, name="evidence-file"),
]
