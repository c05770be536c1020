"""One file for each command of `trakt-auth`.

What several commands share lives in `cli.settings`, `cli.terminal` or `cli.token_files`.
"""
