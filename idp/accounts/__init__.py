"""Who people and organisations are, and what they have agreed to.

Owns: users, organisations, passwords, consents, browsers known to a user, claims about a user.
Does not own: the protocol (`idp.oidc`), sessions, pages.
"""
