from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("tenants", "0001_initial"),
    ]

    operations = [
        migrations.AddField(
            model_name="connection",
            name="simulated",
            field=models.BooleanField(db_default=False, default=False, help_text="Made with a simulated Microsoft 365"),
        ),
    ]
