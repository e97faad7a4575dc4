"""Self-service: what people see and change of their own account.

Every view begins with `entry.enter`: the account pages are asked for like an application
(`idp.oidc.own`), so the same judgement decides whether somebody may see them, and the same pages
ask for what is missing. Owns the pages; what is changed are functions of `idp.accounts`.
"""

from __future__ import annotations

from flask import Blueprint

from flows.account import browsers, factors, security

blueprint = Blueprint("account", __name__, url_prefix="/account")
blueprint.add_url_rule("/security", "security", security.show, methods=["GET"])
blueprint.add_url_rule("/security/browsers", "browsers", browsers.forget, methods=["POST"])
blueprint.add_url_rule("/security/factors", "add_factor", factors.add, methods=["POST"])
blueprint.add_url_rule(
    "/security/factors/<kind>/<factor_id>", "factor", factors.show, methods=["GET"]
)
blueprint.add_url_rule(
    "/security/factors/<kind>/<factor_id>", "change_factor", factors.change, methods=["POST"]
)
