"""Image, compose file, units and documents say the same, and say it of settings that exist."""

from __future__ import annotations

import ast
import re
import shlex
import tomllib

import pytest

from tests.deploy.reading import (
    COMMON,
    INSTALLED,
    ROOT,
    SECRETS,
    cadence_env,
    command,
    compose,
    directives,
    dockerfile_environment,
    packed,
    seconds,
    services,
    unit,
)

PYTHONS_OWN = {"PATH", "PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED"}
CONSOLE = {
    "migrate": "python manage.py migrate --noinput",
    "web": "gunicorn cadence_exchange.wsgi",
    "worker": "celery -A cadence_exchange worker --loglevel INFO",
    "beat": "celery -A cadence_exchange beat --loglevel INFO",
}


def read_from_environment() -> set[str]:
    """Every variable that the product reads; a secret by its file too."""
    names = set(re.findall(r'environ\.get\("([A-Z_]+)"', (ROOT / "gunicorn.conf.py").read_text(encoding="utf-8")))
    for call in ast.walk(ast.parse((ROOT / "cadence_exchange" / "settings.py").read_text(encoding="utf-8"))):
        match call:
            case ast.Call(ast.Name(id=reader), [ast.Constant(value=str(name)), *_]) if reader.startswith("env_"):
                names.add(name)
                if reader == "env_secret" or any(keyword.arg == "secret" for keyword in call.keywords):
                    names.add(f"{name}_FILE")
    return names


def of_units() -> dict[str, str]:
    """What the units set themselves."""
    pairs = [pair for line in directives(COMMON)["Environment"] for pair in shlex.split(line)]
    return dict(pair.split("=", 1) for pair in pairs)


def secrets_by_variable(environment: dict[str, str], place: str) -> dict[str, str]:
    return {name: value.removeprefix(place) for name, value in environment.items() if value.startswith(place)}


@pytest.mark.parametrize("service", services())
def test_every_variable_of_the_compose_file_is_one_that_the_product_reads(service: str) -> None:
    assert set(services()[service]["environment"]) <= read_from_environment()


def test_every_variable_of_image_units_and_example_is_one_that_the_product_reads() -> None:
    assert {*dockerfile_environment(), *of_units(), *cadence_env()} - PYTHONS_OWN <= read_from_environment()


def test_units_and_image_tell_python_the_same() -> None:
    image = dockerfile_environment()
    assert {name: value for name, value in of_units().items() if name in PYTHONS_OWN} == {
        name: value for name, value in image.items() if name in PYTHONS_OWN - {"PATH"}
    }


@pytest.mark.parametrize("service", services())
def test_compose_file_unit_and_documents_start_the_same_command(service: str) -> None:
    line = CONSOLE[service]
    assert shlex.join(command(service)) == line
    assert unit(service)["ExecStart"] == [INSTALLED + line]
    readme = (ROOT / "README.md").read_text(encoding="utf-8").replace(".venv/bin/", "")
    operations = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    assert line in readme
    assert line.removeprefix("python ") in operations


@pytest.mark.parametrize("service", [name for name in services() if name != "migrate"])
def test_compose_file_and_unit_allow_the_same_time_for_an_end(service: str) -> None:
    (allowed,) = unit(service)["TimeoutStopSec"]
    assert seconds(services()[service]["stop_grace_period"]) == seconds(allowed)


def test_the_web_servers_own_patience_ends_before_it_is_killed() -> None:
    patience = re.search(r"^graceful_timeout = (\d+)", (ROOT / "gunicorn.conf.py").read_text(), re.MULTILINE)
    assert patience
    assert int(patience[1]) < seconds(unit("web")["TimeoutStopSec"][0])


def test_a_unit_does_not_start_again_what_a_bad_setting_stopped() -> None:
    from cadence_exchange.checks import CANNOT_BOOT

    assert directives(COMMON)["RestartPreventExitStatus"] == [str(CANNOT_BOOT)]
    assert directives(COMMON)["KillMode"] == ["mixed"]


@pytest.mark.parametrize("service", services())
def test_a_service_sees_the_secrets_that_it_reads_and_no_other(service: str) -> None:
    said = services()[service]
    assert sorted(secrets_by_variable(said["environment"], SECRETS).values()) == sorted(said["secrets"])


def test_every_secret_is_a_file_by_its_own_name_and_the_units_hand_on_the_same_ones() -> None:
    files = {name: source["file"] for name, source in compose()["secrets"].items()}
    assert files == {name: f"deploy/secrets/{name}" for name in files}
    handed = dict(line.split(":") for line in directives(COMMON)["LoadCredential"])
    assert handed == {name: f"/etc/cadence/secrets/{name}" for name in handed}
    assert set(secrets_by_variable(of_units(), "%d/").values()) == set(handed)
    # Inside the compose file's own network Redis has no password, and PostgreSQL is none of the units' business.
    assert set(handed) - {"redis_url"} == set(files) - {"postgres_password"}


@pytest.mark.parametrize("name", compose()["services"])
def test_every_container_is_read_only_without_rights_and_with_an_end_to_its_log(name: str) -> None:
    said = compose()["services"][name]
    assert said["read_only"] is True
    assert said["cap_drop"] == ["ALL"]
    assert said["security_opt"] == ["no-new-privileges:true"]
    assert said["logging"] == {"driver": "local"}
    assert "healthcheck" in said or name == "web"


def test_web_believes_the_proxy_that_comes_in_by_the_gateway() -> None:
    (network,) = compose()["networks"]["outside"]["ipam"]["config"]
    assert services()["web"]["environment"]["FORWARDED_ALLOW_IPS"] == network["gateway"]


def test_the_image_holds_every_package_of_the_product_and_neither_tests_nor_sandbox() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    layers = next(rule["layers"] for rule in project["tool"]["importlinter"]["contracts"] if rule["type"] == "layers")
    packages = {package.strip() for layer in layers for package in layer.split("|")}
    needed = packages | {"manage.py", "gunicorn.conf.py", "templates", "static", "locale", "requirements.txt"}
    assert packed() == needed
    assert all((ROOT / name).exists() for name in packed())


def test_what_an_installation_keeps_secret_stays_out_of_git_and_image() -> None:
    ignored = (ROOT / ".gitignore").read_text().splitlines()
    assert {"deploy/secrets/", "deploy/cadence.env"} <= set(ignored)
    assert "deploy" not in packed()
