"""The emulator's answers to OAuth and API requests, one file for each kind of endpoint.

No page for a person lives here.
"""
