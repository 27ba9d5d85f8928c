"""A secret is shown by nothing but `reveal`."""

from __future__ import annotations

import copy
import pickle
from dataclasses import asdict, dataclass

import pytest

from microsoft.secret import Secret


@pytest.mark.parametrize(
    "show",
    [repr, str, "{}".format, "{:>20}".format, lambda box: f"{box!r}", lambda box: "%s" % box, lambda box: repr([box])],  # noqa: UP031 - all the ways a text can get out
)
def test_a_secret_shows_asterisks(show):
    shown = show(Secret("hunter2"))
    assert "hunter2" not in shown
    assert "***" in shown


def test_a_secret_gives_its_text_only_on_demand():
    assert Secret("hunter2").reveal() == "hunter2"


def test_secrets_compare_by_value_and_never_equal_a_plain_text():
    assert Secret("a") == Secret("a")
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert Secret("ä") == Secret("ä")
    assert len({Secret("a"), Secret("a"), Secret("b")}) == 2


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_secret_cannot_be_pickled(protocol):
    with pytest.raises(TypeError, match="not to be pickled"):
        pickle.dumps(Secret("hunter2"), protocol)


def test_a_secret_stays_one_when_a_dataclass_is_turned_into_a_dict():
    @dataclass(frozen=True)
    class Holder:
        token: Secret

    box = Secret("hunter2")
    assert asdict(Holder(box))["token"] is box
    assert copy.copy(box) is box


def test_an_empty_secret_is_falsy():
    assert not Secret("")
    assert Secret(" ")
