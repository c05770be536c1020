"""Stores around other stores: encrypted payloads, `await`, and a second store for what fails.

No engine is known here.
"""
