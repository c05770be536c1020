"""How the command talks to a person: plain lines, drawings, QR codes.

Commands decide what is said; here it is only written or drawn.
"""
