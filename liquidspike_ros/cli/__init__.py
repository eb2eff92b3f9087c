"""``liquidspike``: record, train, evaluate and show a policy; one module a command."""

from __future__ import annotations

from .program import main

__all__ = ['main']
