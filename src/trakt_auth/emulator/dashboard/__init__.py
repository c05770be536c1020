"""The dashboard: a page, and calls for programs, to watch and control the emulator.

With its templates and static files. No rule of OAuth or of Trakt lives here.
"""
