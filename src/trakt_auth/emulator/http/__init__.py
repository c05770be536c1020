"""The emulator's own HTTP request and response values, and the log of both.

No rule of OAuth or of Trakt lives here.
"""
