"""What a request may demand of the person: a new proof, a level, an account, a certain user."""

from __future__ import annotations

import json

import pytest

from idp import assurance
from tests.idp.oidc.values import register_anew
from tests.support.kit import ADAM, ALICE, BELLA, C1, PASSWORD, Browser, RelyingParty

ESSENTIAL_MFA = json.dumps(
    {"id_token": {"acr": {"essential": True, "values": [assurance.MULTIPLE]}}}
)


# AZ-07
@pytest.mark.parametrize("demand", [{"prompt": "login"}, {"max_age": "0"}, {"max_age": "1"}])
def test_a_demanded_proof_cannot_be_got_round(
    application: RelyingParty, signed_in: Browser, demand: dict[str, str]
) -> None:
    installation = application.installation
    installation.pass_time(seconds=2)
    started = int(installation.clock.now().timestamp())
    page = signed_in.authorize(application.request(**demand))
    assert page.step == "password"
    interaction = page.path.split("/")[2]
    for path in (
        f"/authorize/resume/{interaction}",
        f"/authorize/resume/{interaction}?prompt=none&max_age=9999",
        f"/login/{interaction}",
        f"/login/{interaction}/consent",
        page.path,
    ):
        again = signed_in.follow(signed_in.get(path))
        assert again.is_page and again.step == "password", path
    installation.pass_time(seconds=3)
    assert signed_in.submit(page, password="wrong").step == "password"
    answer = signed_in.sign_in(page, ALICE)
    claims = application.verify(application.redeem(answer.code).get_json()["id_token"])
    assert claims["auth_time"] == started + 3


# AZ-07
def test_the_answer_to_a_demand_is_not_spent_on_the_next_one(
    application: RelyingParty, signed_in: Browser
) -> None:
    first = signed_in.authorize(application.request(prompt="login"))
    application.installation.pass_time(seconds=1)
    second = signed_in.authorize(application.request(prompt="login"))
    application.installation.pass_time(seconds=1)
    assert signed_in.sign_in(second, ALICE).code
    application.installation.pass_time(seconds=1)
    third = signed_in.authorize(application.request(prompt="login"))
    assert third.step == "password"
    assert signed_in.follow(signed_in.get(first.path)).step == "password"


def test_max_age_tells_the_same_auth_time_as_long_as_nobody_signs_in_anew(
    application: RelyingParty, signed_in: Browser
) -> None:
    seen = set()
    for _ in range(2):
        application.installation.pass_time(seconds=100)
        tokens = application.redeem(
            signed_in.authorize(application.request(max_age="1000")).code
        ).get_json()
        seen.add(application.verify(tokens["id_token"])["auth_time"])
    assert len(seen) == 1


# AZ-08
@pytest.mark.parametrize(
    "demand", [{"claims": ESSENTIAL_MFA}, {"acr_values": assurance.MULTIPLE}], ids=str
)
def test_a_level_that_was_not_reached_is_asked_for_and_never_a_lower_acr(
    application: RelyingParty, browser: Browser, demand: dict[str, str]
) -> None:
    outcome = browser.signed_in(ALICE, application.request(**demand))
    assert (outcome.step, outcome.answer) == ("enrol", {})


# AZ-08
@pytest.mark.parametrize(
    "demand", [{"claims": ESSENTIAL_MFA}, {"acr_values": assurance.MULTIPLE}], ids=str
)
def test_a_level_that_nothing_allowed_can_reach_is_an_error(
    application: RelyingParty, browser: Browser, demand: dict[str, str]
) -> None:
    application.installation.change_policy("A", factors=["email"])
    outcome = browser.signed_in(ALICE, application.request(**demand))
    assert outcome.error == "unmet_authentication_requirements"
    assert "code" not in outcome.answer


def test_select_account_lists_the_accounts_of_this_browser_alone(
    application: RelyingParty, signed_in: Browser
) -> None:
    other = application.installation.browser()
    application.code(other, ADAM)
    page = signed_in.authorize(application.request(prompt="select_account"))
    assert page.step == "account"
    assert ALICE.email in page.response.text and ADAM.email not in page.response.text
    theirs = application.installation.sql("SELECT id FROM sessions ORDER BY created_at, id")
    sids = {row["id"] for row in theirs}
    own = next(sid for sid in sids if sid in page.response.text)
    [foreign] = sids - {own}
    assert signed_in.submit(page, account=foreign).step == "account"
    assert signed_in.submit(page, account=own).code


def test_select_account_where_nobody_is_signed_in_asks_who_it_is(
    application: RelyingParty, browser: Browser
) -> None:
    page = browser.authorize(application.request(prompt="select_account"))
    assert page.step == "identify"
    assert browser.sign_in(page, ALICE).code


@pytest.mark.parametrize("prompt", ["login select_account", "login consent", "consent"])
def test_every_combination_of_prompts_can_be_answered(
    application: RelyingParty, signed_in: Browser, prompt: str
) -> None:
    application.installation.pass_time(seconds=1)
    outcome = signed_in.authorize(application.request(prompt=prompt))
    asked = []
    while outcome.is_page:
        asked.append(outcome.step)
        fields = {"password": PASSWORD} if outcome.step == "password" else {}
        if outcome.step == "account":
            [session] = application.installation.sql("SELECT id FROM sessions")
            fields = {"account": session["id"]}
        if outcome.step == "consent":
            fields = {"decision": "allow"}
        outcome = signed_in.submit(outcome, **fields)
    pages = {"login": "password", "select_account": "account", "consent": "consent"}
    assert set(asked) == {pages[one] for one in prompt.split()}
    assert outcome.code


# CONFORMANCE: id_token_hint
def test_a_hint_of_the_same_user_succeeds_silently_even_when_it_has_expired(
    application: RelyingParty, browser: Browser
) -> None:
    hint = application.tokens(browser, ALICE)["id_token"]
    application.installation.pass_time(minutes=30)
    outcome = browser.authorize(application.request(prompt="none", id_token_hint=hint))
    assert outcome.code


# CONFORMANCE: id_token_hint
def test_a_hint_of_somebody_else_is_no_reason_to_answer_with_this_one(
    application: RelyingParty, signed_in: Browser
) -> None:
    theirs = application.tokens(application.installation.browser(), BELLA)["id_token"]
    silent = signed_in.authorize(application.request(prompt="none", id_token_hint=theirs))
    assert silent.error == "login_required"
    page = signed_in.authorize(application.request(id_token_hint=theirs))
    assert page.step == "identify"
    assert signed_in.sign_in(page, ALICE).error == "login_required"


# CONFORMANCE: display-*, ui-locales, claims-locales, acr-values, login-hint, unknown parameters
@pytest.mark.parametrize(
    "wish",
    [
        *({"display": value} for value in ("page", "popup", "touch", "wap", "hologram")),
        *({"ui_locales": value} for value in ("se", "ja", "fr-CA fr en", "x-klingon", "ja-JP;q=1")),
        {"claims_locales": "se"},
        {"acr_values": "urn:mace:incommon:iap:silver 1 2"},
        {"login_hint": "nobody@elsewhere.example"},
        {"claims": '{"userinfo":{"name":{"essential":true},"picture":null}}'},
        {"claims": '{"id_token":{"acr":{"values":["urn:x"]}},"unknown":[1]}'},
        {"scope": "openid unknown offline_access"},
        {"extra": "foobar", "resource": "https://api.example"},
    ],
    ids=str,
)
def test_no_wish_makes_a_request_fail(
    application: RelyingParty, signed_in: Browser, wish: dict[str, str]
) -> None:
    assert signed_in.authorize(application.request(**wish)).code
    fresh = application.installation.browser()
    assert fresh.signed_in(ALICE, application.request(**wish)).code


# CONFORMANCE: registration-*-uri
def test_the_pages_say_for_which_application_and_link_its_terms(browser: Browser) -> None:
    installation = browser.installation
    links = {"policy_uri": "https://c1.example.test/p", "tos_uri": "https://c1.example.test/t"}
    named = {"client_name": "Shop <b>&co"}
    register_anew(RelyingParty(installation, C1), **links, **named)
    page = browser.authorize(RelyingParty(installation, C1).request())
    assert "Shop &lt;b&gt;&amp;co" in page.response.text
    for link in links.values():
        assert f'href="{link}"' in page.response.text
