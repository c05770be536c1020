"""What the emulator remembers: accounts, codes, tokens.

No request and no response lives here.
"""
