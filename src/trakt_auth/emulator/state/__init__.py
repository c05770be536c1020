"""What the emulator stores: applications, accounts, sessions, codes, grants and tokens.

Data and its rules only: no request, no response and no page lives here.
"""
