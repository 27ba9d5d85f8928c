"""The ready-made groups; whoever changed them since keeps the changes."""

from django.db import migrations

READ = ("view_status", "make_evidence")
ACT = (*READ, "check_now", "refresh_now", "send_link", "propose_switch", "preflight", "see_availability", "make_bundle")
ALL = (*ACT, "renew_key", "approve_switch", "disconnect", "change_policy")
GROUPS = {"Support (read)": READ, "Support (act)": ACT, "Administrators": ALL}
# Rows that all of them may look at.
SEEN = {
    "tenants": ("account", "connection", "auditentry", "healthcheck"),
    "alerts": ("incident", "mail"),
    "webhooks": ("endpoint", "delivery"),
}
ADMINISTERED = {
    "tenants": ("add_account", "change_account", "view_apikey", "add_apikey", "change_apikey"),
    "webhooks": ("add_endpoint", "change_endpoint"),
    "auth": ("view_user", "add_user", "change_user", "view_group"),
}


def make_groups(apps, schema_editor):
    Group, Permission = apps.get_model("auth", "Group"), apps.get_model("auth", "Permission")
    ContentType = apps.get_model("contenttypes", "ContentType")

    def permission(app, codename, model, name=""):
        # Django makes permissions after all migrations; what is there by then it leaves as it is.
        kind, _ = ContentType.objects.get_or_create(app_label=app, model=model)
        made, _ = Permission.objects.get_or_create(
            content_type=kind, codename=codename, defaults={"name": name or f"Can {codename.replace('_', ' ')}"}
        )
        return made

    for name, granted in GROUPS.items():
        group, created = Group.objects.get_or_create(name=name)
        if not created:
            continue
        names = dict(apps.get_model("console", "Console")._meta.permissions)
        group.permissions.add(*(permission("console", codename, "console", names[codename]) for codename in granted))
        for app, models in SEEN.items():
            group.permissions.add(*(permission(app, f"view_{model}", model) for model in models))
        if name == "Administrators":
            for app, codenames in ADMINISTERED.items():
                group.permissions.add(*(permission(app, codename, codename.split("_", 1)[1]) for codename in codenames))


class Migration(migrations.Migration):
    dependencies = [
        ("console", "0001_permissions"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
        ("tenants", "0003_years_of_checks"),
    ]

    operations = [migrations.RunPython(make_groups, migrations.RunPython.noop)]
