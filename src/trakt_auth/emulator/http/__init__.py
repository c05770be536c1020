"""HTTP requests and responses as the emulator sees them, and the log of both.

No rule of Trakt's lives here.
"""
