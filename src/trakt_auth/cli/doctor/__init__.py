"""`trakt-auth doctor`: one file for each kind of check, and `run`, which shows the results.

Nothing is repaired here.
"""
