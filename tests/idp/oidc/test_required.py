"""What policies require of a session: walked exhaustively."""

from __future__ import annotations

from itertools import chain, combinations, product

from idp.assurance import has_second
from idp.oidc.requirements import Need, SignedIn, demand, needs_factor, unmet
from idp.policy import LOGIN_METHODS, Method, Policy, SecondFactor, remembers
from tests.idp.oidc.values import a_client, a_request, a_session
from tests.support.world import NOW

CLIENTS = [a_client(), *(a_client(second_factor=demanded) for demanded in SecondFactor)]
POLICIES = [
    Policy(second_factor=demanded, second_factor_after=frozenset(after), remember_days=days)
    for demanded, after, days in product(
        SecondFactor, [[Method.PASSWORD], list(LOGIN_METHODS)], [0, 30]
    )
]
METHODS = [("pwd",), ("email",), ("passkey",), ("pwd", "email"), ("pwd", "otp"), ("pwd", "pwd")]
SESSIONS = [
    a_session(methods=methods, is_waived=is_waived, role=role, policy=rules)
    for methods, is_waived, role, rules in product(
        METHODS, [False, True], ["member", "admin"], POLICIES
    )
]
ACTIONS = {
    "verify_address": Need.VERIFY_ADDRESS,
    "change_password": Need.CHANGE_PASSWORD,
    "save_recovery_code": Need.SAVE_RECOVERY_CODE,
}


def is_asked(session: SignedIn, demanded: SecondFactor) -> bool:
    """What the rule says in words, written down a second time."""
    if demanded is SecondFactor.OFF or has_second(session.methods):
        return False
    if demanded is SecondFactor.ALWAYS:
        return True
    return not (session.is_waived and remembers(session.policy, session.role))


def test_a_second_factor_is_missing_exactly_where_a_policy_asks_for_it() -> None:
    for session, client in product(SESSIONS, CLIENTS):
        rules = session.policy
        own = rules.second_factor if session.methods[0] in rules.second_factor_after else "off"
        order = list(SecondFactor)
        strictest = max(
            order.index(SecondFactor(own)), order.index(client.second_factor or order[0])
        )
        expected = is_asked(session, order[strictest])
        assert needs_factor(session, client) == expected, (session, client.second_factor)
        needs = unmet(a_request(), session, client, now=NOW)
        assert (Need.FACTOR in needs) == expected


# TN-06, SE-14
def test_a_waiver_is_void_where_it_is_not_allowed() -> None:
    asks = Policy(second_factor=SecondFactor.NEW_BROWSER)
    for role, days, is_void in [("member", 30, False), ("member", 0, True), ("admin", 30, True)]:
        rules = Policy(second_factor=SecondFactor.NEW_BROWSER, remember_days=days)
        session = a_session(is_waived=True, role=role, policy=rules)
        assert needs_factor(session, a_client()) == is_void, (role, days)
    assert demand(asks, "pwd", a_client(second_factor="always")) is SecondFactor.ALWAYS
    assert demand(asks, "pwd", a_client(second_factor="off")) is SecondFactor.NEW_BROWSER


def test_what_is_required_of_somebody_is_missing_in_its_order() -> None:
    subsets = chain.from_iterable(combinations(ACTIONS, n) for n in range(len(ACTIONS) + 1))
    for actions, owes_terms, verified, wants_proof in product(
        subsets, [False, True], [False, True], [False, True]
    ):
        session = a_session(
            required_actions=tuple(reversed(actions)),
            owes_terms=owes_terms,
            has_verified_address=verified,
            policy=Policy(verify_address=wants_proof),
        )
        expected = [
            need
            for action, need in ACTIONS.items()
            if action in actions or (need is Need.VERIFY_ADDRESS and wants_proof and not verified)
        ]
        expected += [Need.TERMS] if owes_terms else []
        assert list(unmet(a_request(), session, a_client(), now=NOW)) == expected
