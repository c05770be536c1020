"""How the emulator misbehaves on command, and how Trakt's edge refuses requests.

No endpoint lives here.
"""
