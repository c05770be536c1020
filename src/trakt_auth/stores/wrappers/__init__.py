"""Stores around other stores: encrypted payloads, `await`, a fallback for what cannot be saved.

No engine is known here.
"""
