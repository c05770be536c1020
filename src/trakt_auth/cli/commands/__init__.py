"""One file for each command of `trakt-auth`.

What is shared by several commands lives in `cli.settings`, `cli.terminal` or `cli.token_files`.
"""
