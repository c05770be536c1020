"""How the command speaks to a person: plain lines, drawings, QR codes.

No command is decided here.
"""
