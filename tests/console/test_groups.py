"""The ready-made groups: what they may do, and that the migration and the table of permissions agree."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission

from console.permissions import GROUPS, PERMISSIONS


def granted(name: str) -> set[str]:
    own = Group.objects.get(name=name).permissions.filter(content_type__app_label="console")
    return set(own.values_list("codename", flat=True))


@pytest.mark.parametrize("name", list(GROUPS))
def test_a_ready_made_group_holds_what_the_table_says(db: None, name: str) -> None:
    assert granted(name) == GROUPS[name]


def test_django_knows_every_permission_of_the_table_under_its_words(db: None) -> None:
    known = Permission.objects.filter(content_type__app_label="console")
    assert dict(known.values_list("codename", "name")) == dict(PERMISSIONS)


def test_only_administrators_may_change_rows(db: None) -> None:
    writing = Permission.objects.exclude(codename__startswith="view_").exclude(content_type__app_label="console")
    holders = {name for name in GROUPS if Group.objects.get(name=name).permissions.filter(pk__in=writing).exists()}
    assert holders == {"Administrators"}


def test_a_reader_acts_on_nothing(db: None, django_user_model: Any) -> None:
    reader = django_user_model.objects.create_user("reader", is_staff=True)
    reader.groups.add(Group.objects.get(name="Support (read)"))
    assert not {"check_now", "disconnect", "send_link"} & {
        name.removeprefix("console.") for name in reader.get_all_permissions()
    }
