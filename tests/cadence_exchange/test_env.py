"""Reading one variable: what is taken, what is refused and how the refusal reads."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import trustme

from cadence_exchange import env
from cadence_exchange.env import Problem

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def problems() -> Iterator[list[Problem]]:
    """What was refused during the test; what the start of the tests found comes back afterwards."""
    before = env.PROBLEMS[:]
    env.PROBLEMS.clear()
    yield env.PROBLEMS
    env.PROBLEMS[:] = before


@pytest.mark.parametrize(
    ("text", "taken"),
    [("True", True), ("False", False), ("", True), ("  False ", False), (None, True)],
)
def test_a_boolean_is_true_or_false_and_an_empty_one_is_the_default(
    monkeypatch: pytest.MonkeyPatch, problems: list[Problem], text: str | None, taken: bool
) -> None:
    if text is not None:
        monkeypatch.setenv("X", text)
    assert env.env_bool("X", True) is taken
    assert problems == []


@pytest.mark.parametrize("text", ["true", "1", "yes", "TRUE", "on", "0", "no", "f"])
def test_any_other_boolean_is_refused_and_counts_as_the_default(
    monkeypatch: pytest.MonkeyPatch, problems: list[Problem], text: str
) -> None:
    monkeypatch.setenv("X", text)
    assert env.env_bool("X", False) is False
    assert problems == [Problem("X", repr(text), "True or False")]


@pytest.mark.parametrize(("text", "taken"), [("1", 1), ("10", 10), ("7", 7)])
def test_a_number_within_its_bounds_is_taken(
    monkeypatch: pytest.MonkeyPatch, problems: list[Problem], text: str, taken: int
) -> None:
    monkeypatch.setenv("X", text)
    assert env.env_int("X", 5, least=1, most=10) == taken
    assert problems == []


@pytest.mark.parametrize("text", ["0", "11", "-1", "1.5", "ten", "1e1", "0x5"])
def test_a_number_out_of_bounds_or_of_another_form_is_refused_with_the_bounds(
    monkeypatch: pytest.MonkeyPatch, problems: list[Problem], text: str
) -> None:
    monkeypatch.setenv("X", text)
    assert env.env_int("X", 5, least=1, most=10) == 5
    assert problems == [Problem("X", repr(text), "a whole number from 1 to 10")]


@pytest.mark.parametrize("text", ["a", "B", "ab", "A B"])
def test_a_choice_must_be_spelled_exactly(monkeypatch: pytest.MonkeyPatch, problems: list[Problem], text: str) -> None:
    monkeypatch.setenv("X", text)
    assert env.env_choice("X", "A", ("A", "Bee")) == "A"
    assert problems == [Problem("X", repr(text), "one of A, Bee")]


@pytest.mark.parametrize(
    ("text", "taken"),
    [
        ("https://host.example", "https://host.example"),
        ("https://host.example/", "https://host.example"),
        ("http://localhost:8000", "http://localhost:8000"),
        ("http://[::1]:8000", "http://[::1]:8000"),
    ],
)
def test_an_origin_is_taken_without_its_last_slash(
    monkeypatch: pytest.MonkeyPatch, problems: list[Problem], text: str, taken: str
) -> None:
    monkeypatch.setenv("X", text)
    assert env.env_url("X") == taken
    assert problems == []


@pytest.mark.parametrize(
    "text",
    [
        "host.example",
        "//host.example",
        "ftp://host.example",
        "https://",
        "https://host.example/path",
        "https://host.example?query",
        "https://host.example#part",
        "https://user@host.example",
        "https://:password@host.example",
        "https://host.example:port",
        "https://host.example:99999",
        "https://[::1",
    ],
)
def test_what_is_no_origin_is_refused(monkeypatch: pytest.MonkeyPatch, problems: list[Problem], text: str) -> None:
    monkeypatch.setenv("X", text)
    assert env.env_url("X", "http://default.example") == "http://default.example"
    assert [problem.variable for problem in problems] == ["X"]


def test_a_path_is_taken_only_where_it_makes_sense(monkeypatch: pytest.MonkeyPatch, problems: list[Problem]) -> None:
    monkeypatch.setenv("X", "https://graph.example/v1.0/")
    assert env.env_url("X", path=True) == "https://graph.example/v1.0"
    assert problems == []
    env.env_url("X")
    assert len(problems) == 1


# --- secrets --------------------------------------------------------------------------------------------------------


def test_a_secret_may_come_from_a_file_without_its_line_end(
    monkeypatch: pytest.MonkeyPatch, problems: list[Problem], tmp_path: Path
) -> None:
    (tmp_path / "secret").write_text("from the file\n")
    monkeypatch.setenv("X_FILE", str(tmp_path / "secret"))
    assert env.env_secret("X") == "from the file"
    monkeypatch.setenv("X", "from the variable")
    assert env.env_secret("X") == "from the variable"
    assert problems == []


def test_a_secret_that_is_not_set_is_empty(problems: list[Problem]) -> None:
    assert env.env_secret("X") == ""
    assert problems == []


@pytest.mark.parametrize("what", ["missing", "a folder", "not text"])
def test_a_secret_file_that_cannot_be_read_is_named_by_its_variable_and_path(
    monkeypatch: pytest.MonkeyPatch, problems: list[Problem], tmp_path: Path, what: str
) -> None:
    path = tmp_path if what == "a folder" else tmp_path / "secret"
    if what == "not text":
        path.write_bytes(b"\xff\xfe\x00")
    monkeypatch.setenv("X_FILE", str(path))
    assert env.env_secret("X") == ""
    (problem,) = problems
    assert problem.variable == "X_FILE"
    assert str(path) in problem.read


@pytest.mark.parametrize("by_file", [False, True])
def test_a_bad_secret_is_never_shown(
    monkeypatch: pytest.MonkeyPatch, problems: list[Problem], tmp_path: Path, by_file: bool
) -> None:
    (tmp_path / "secret").write_text("hunter2")
    monkeypatch.setenv("X_FILE" if by_file else "X", str(tmp_path / "secret") if by_file else "hunter2")
    assert env.env_parsed("X", "5", int, allowed="a number", secret=True) == 5
    (problem,) = problems
    assert (problem.variable, problem.allowed) == ("X", "a number")
    assert "hunter2" not in repr(problem)


# --- PEM files ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pems(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A CA, a certificate with its key, each alone, a key of another certificate, and what is none of it."""
    folder = tmp_path_factory.mktemp("pem")
    authority = trustme.CA()
    ours, other = authority.issue_cert("ours.example"), authority.issue_cert("other.example")
    key, certificate = ours.private_key_pem.bytes(), ours.cert_chain_pems[0].bytes()
    contents = {
        "ca": authority.cert_pem.bytes(),
        "both": key + certificate,
        "both, certificate first": certificate + key,
        "key": key,
        "certificate": certificate,
        "of two": other.private_key_pem.bytes() + certificate,
        "empty": b"",
        "text": b"no PEM",
    }
    made = {name: folder / f"{number}.pem" for number, name in enumerate(contents)}
    for name, path in made.items():
        path.write_bytes(contents[name])
    return {**made, "missing": folder / "missing.pem", "folder": folder}


CASES = [
    (env.trusted_certificates, "ca", True),
    (env.trusted_certificates, "certificate", True),
    (env.trusted_certificates, "key", False),
    (env.trusted_certificates, "empty", False),
    (env.trusted_certificates, "text", False),
    (env.trusted_certificates, "missing", False),
    (env.trusted_certificates, "folder", False),
    (env.client_certificate, "both", True),
    (env.client_certificate, "both, certificate first", True),
    (env.client_certificate, "of two", False),
    (env.client_certificate, "key", False),
    (env.client_certificate, "certificate", False),
    (env.client_certificate, "empty", False),
    (env.client_certificate, "text", False),
    (env.client_certificate, "missing", False),
    (env.client_certificate, "folder", False),
]


@pytest.mark.parametrize(("load", "name", "good"), CASES, ids=[f"{load.__name__}-{name}" for load, name, _ in CASES])
def test_a_pem_file_must_hold_what_it_is_for(
    monkeypatch: pytest.MonkeyPatch,
    problems: list[Problem],
    pems: dict[str, Path],
    load: Callable[[str], object],
    name: str,
    good: bool,
) -> None:
    monkeypatch.setenv("X", str(pems[name]))
    assert env.env_pem("X", load, allowed="a good PEM") == (str(pems[name]) if good else "")
    assert problems == ([] if good else [Problem("X", repr(str(pems[name])), "a good PEM")])


def test_no_pem_file_is_fine(problems: list[Problem]) -> None:
    assert env.env_pem("X", env.trusted_certificates, allowed="a good PEM") == ""
    assert problems == []


# --- kept secrets ---------------------------------------------------------------------------------------------------


def test_a_kept_secret_is_made_once_and_readable_by_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "var" / "secret"
    made = iter(["first", "second"])
    assert env.kept_secret(path, lambda: next(made)) == "first"
    assert env.kept_secret(path, lambda: next(made)) == "first"
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(path.parent.iterdir()) == [path]


def test_threads_that_start_at_once_agree_on_one_secret(tmp_path: Path) -> None:
    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(lambda n: env.kept_secret(tmp_path / "secret", lambda: f"of {n}"), range(64)))
    assert len(set(found)) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["secret"]


KEEP_IN_A_PROCESS = """
import sys, pathlib, uuid
from cadence_exchange.env import kept_secret
sys.stdin.readline()
print(kept_secret(pathlib.Path(sys.argv[1]), lambda: str(uuid.uuid4())))
"""


def test_processes_that_start_at_once_agree_on_one_secret(tmp_path: Path) -> None:
    command = [sys.executable, "-c", KEEP_IN_A_PROCESS, str(tmp_path / "secret")]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    running = [subprocess.Popen(command, cwd=ROOT, **pipes) for _ in range(4)]
    found = {process.communicate("go\n", timeout=60)[0].strip() for process in running}
    assert found == {(tmp_path / "secret").read_text()}
