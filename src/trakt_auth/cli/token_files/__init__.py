"""The token files of other programs: their formats, read and written.

No command and no store lives here.
"""
