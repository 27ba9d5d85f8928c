"""Django's admin and form classes as the type checker knows them: with the model as a parameter.

At run time Django's own take none, so there the parameter is dropped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from django.contrib.admin import ModelAdmin
    from django.forms import ModelForm
else:
    from django import forms
    from django.contrib import admin

    class ModelAdmin(admin.ModelAdmin):
        def __class_getitem__(cls, model: Any) -> Any:
            return cls

    class ModelForm(forms.ModelForm):
        def __class_getitem__(cls, model: Any) -> Any:
            return cls


__all__ = ["ModelAdmin", "ModelForm"]
