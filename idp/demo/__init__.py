"""The demo: a provider with an example organisation and a relying application, for a first look.

Owns what exists in the demo alone: example accounts, the application, the page of mails.
Nothing here is imported by an installation.
"""
