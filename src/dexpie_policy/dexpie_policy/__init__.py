"""Asynchronous policy inference node."""
