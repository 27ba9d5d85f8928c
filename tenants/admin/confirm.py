"""Asks before an admin action that cannot be taken back, showing exactly what it will act on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from tenants.admin.typed import ModelAdmin


@dataclass(frozen=True, slots=True)
class Question:
    """The page's words; `action` is the name of the admin action that asks."""

    action: str
    title: str
    consequence: str
    button: str


@dataclass(frozen=True, slots=True)
class Row:
    """One thing to be acted on."""

    pk: int
    label: str


def ask_first(
    model_admin: ModelAdmin[Any], request: HttpRequest, question: Question, rows: Sequence[Row]
) -> HttpResponse | None:
    """The page that asks, or None once the person has confirmed on it."""
    if request.POST.get("confirmed") == "yes":
        return None
    context = {
        **model_admin.admin_site.each_context(request),
        "opts": model_admin.opts,
        "title": question.title,
        "consequence": question.consequence,
        "button": question.button,
        "action": question.action,
        "rows": rows,
    }
    return TemplateResponse(request, "admin/tenants/confirm_action.html", context)
