"""Parallel redemptions: of any number one succeeds."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

from tests.support.kit import ALICE, C1, VERIFIER, Installation, RelyingParty

PARALLEL = 8


def at_once(work: Callable[[], Any]) -> list[Any]:
    """The results of `work` in PARALLEL threads that start together."""
    barrier, results = threading.Barrier(PARALLEL), []

    def run() -> None:
        barrier.wait()
        results.append(work())

    threads = [threading.Thread(target=run) for _ in range(PARALLEL)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def redeem(application: RelyingParty, code: str) -> int:
    """As a caller of its own, since test clients are not shared between threads."""
    headers, _ = application.credentials()
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": C1.redirect_uri,
        "code_verifier": VERIFIER,
    }
    backend = application.installation.browser()
    return backend.post("/token", form, headers=headers).status_code


# TK-02
def test_of_parallel_redemptions_one_succeeds(installation: Installation) -> None:
    application, browser = RelyingParty(installation, C1), installation.browser()
    application.code(browser, ALICE)
    for _ in range(5):
        code = browser.authorize(application.request()).code
        statuses = at_once(partial(redeem, application, code))
        assert Counter(statuses) == {200: 1, 400: PARALLEL - 1}


# TK-02: whoever redeems a code twice at once must not keep what the first one got.
def test_a_replay_in_parallel_ends_the_handle(installation: Installation) -> None:
    application, browser = RelyingParty(installation, C1), installation.browser()
    code = application.code(browser, ALICE)
    handle = application.redeem(code).get_json()["access_token"]
    assert set(at_once(lambda: redeem(application, code))) == {400}
    assert application.userinfo(handle).status_code == 401


# TK-15
def test_a_redemption_that_races_the_end_of_its_session_is_whole_or_refused(
    installation: Installation,
) -> None:
    application, browser = RelyingParty(installation, C1), installation.browser()
    code = application.code(browser, ALICE)
    sub = installation.sub(ALICE)
    ends = threading.Event()

    def race() -> int:
        if not ends.is_set():
            ends.set()
            installation.sql("UPDATE sessions SET ended_at = 1 WHERE user_id = :sub", sub=sub)
        return redeem(application, code)

    statuses = at_once(race)
    assert Counter(statuses)[200] <= 1
    assert set(statuses) <= {200, 400}
    assert (
        redeem(application, browser.authorize(application.request()).answer.get("code", "-")) == 400
    )
