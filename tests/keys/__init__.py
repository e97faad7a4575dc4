"""Signing and sealing."""
