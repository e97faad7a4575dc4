"""Identities from elsewhere: answers "who is this over there?" with plain values.

Owns: connectors to other identity providers and directories.
Does not own: who that is here (`federation.linking` decides from connection and immutable
subject, never from an e-mail address), and no pages (`flows`).
No connector is part of this release; the layer stands so that nothing else has to move.
"""
