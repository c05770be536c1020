"""`trakt-auth doctor`: one file for each kind of check, and `run`, which prints the results.

Checks change nothing, in the store or at Trakt.
"""
