"""What a login has to sign over HTTP: good once, for a minute, and not lost because others ask as well."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from caisey_server.challenges import LIFETIME_MS, Challenges

NOW = 1_795_500_000_000


def test_one_is_good_once() -> None:
    challenges = Challenges()
    nonce, other = challenges.issue(NOW), challenges.issue(NOW)
    assert nonce != other
    assert challenges.redeem(nonce, NOW + 1)
    assert not challenges.redeem(nonce, NOW + 2)
    assert challenges.redeem(other, NOW + 2)


def test_it_is_good_for_a_minute() -> None:
    challenges = Challenges()
    assert challenges.redeem(challenges.issue(NOW), NOW + LIFETIME_MS)
    late = challenges.issue(NOW)
    assert not challenges.redeem(late, NOW + LIFETIME_MS + 1)


def test_whoever_asks_without_end_takes_nobody_elses_away() -> None:
    challenges = Challenges()
    mine = challenges.issue(NOW)
    for _ in range(20_000):
        challenges.issue(NOW + 1)
    assert challenges.redeem(mine, NOW + 2)
    assert not challenges.redeem(mine, NOW + 2)


def test_what_was_used_is_forgotten_when_it_has_ended() -> None:
    challenges = Challenges()
    for at in range(0, 10 * LIFETIME_MS, 1000):
        assert challenges.redeem(challenges.issue(NOW + at), NOW + at)
    assert len(challenges._used) <= LIFETIME_MS // 1000 + 1


@pytest.mark.parametrize("change", [lambda nonce: "", lambda nonce: "0" * 64, lambda nonce: nonce[:-1] + "é"])
def test_what_was_not_given_out_is_none(change: Callable[[str], str]) -> None:
    nonce = Challenges().issue(NOW)
    challenges = Challenges()
    assert not challenges.redeem(nonce, NOW), "of another process"
    assert not challenges.redeem(change(challenges.issue(NOW)), NOW)


def test_its_time_cannot_be_changed() -> None:
    challenges = Challenges()
    nonce = challenges.issue(NOW)
    longer = f"{NOW + 10 * LIFETIME_MS:012x}{nonce[12:]}"
    assert not challenges.redeem(longer, NOW)
