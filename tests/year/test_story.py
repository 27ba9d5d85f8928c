"""The story itself: what every simulated year relies on."""

from __future__ import annotations

from itertools import chain

from tests.year.story import Trouble, write_story

STORY = write_story(days=365, hourly=20, daily=200, seed=1)


def test_shares_of_a_story_hold_each_customer_and_trouble_once_and_each_outage_every_time() -> None:
    shares = [STORY.share(number, 3) for number in (1, 2, 3)]

    assert sorted(chain.from_iterable(share.tenants for share in shares)) == sorted(STORY.tenants)
    for share in shares:
        assert share.outages == STORY.outages
        assert {own.tenant for own in share.misfortunes} <= set(share.tenants)
    told = sorted((own.begins, own.tenant) for share in shares for own in share.misfortunes)
    assert told == [(own.begins, own.tenant) for own in STORY.misfortunes]


def test_a_whole_year_has_every_trouble_often_and_the_same_for_the_same_seed() -> None:
    assert write_story(days=365, hourly=20, daily=200, seed=1) == STORY
    assert all(sum(own.trouble is kind for own in STORY.misfortunes) >= 5 for kind in Trouble)
