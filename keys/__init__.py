"""Signing and sealing: "is it ours?"

Owns: the signing keys of this issuer, their life (announced, signing, verifying, gone), the
published key set, signing our tokens and verifying them when they come back; the master key and
everything sealed or derived with it.
Does not own: what a token says and for whom (`idp`), the keys of clients and of upstreams, password
hashing, TLS. It knows nothing of the rest of the product, of Flask, or of the wall clock.

Read `signing_key` (the rules) first, then `keyring` (the process's view of them).
"""
