"""The provider: protocol, accounts, storage, command line.

Owns: what is missing before a relying application may be answered, and what may be issued
(`oidc`); who people, organisations and clients are (`accounts`, `oidc.clients`); sessions,
interactions, throttling, audit, outbox; settings and the command `sekisho`.
Does not own: keys (package `keys`), identities from elsewhere (`federation`), pages and their
order (`flows`). Where it needs a page's address it is handed a function, never an import.
"""
