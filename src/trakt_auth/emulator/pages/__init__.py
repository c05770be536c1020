"""The pages that a user sees in a browser: sign in, authorize, activate.

With their templates and their sessions; no endpoint for programs lives here.
"""
