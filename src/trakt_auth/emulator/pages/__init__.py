"""The pages that a person sees: sign in, authorize, activate.

No JSON endpoint lives here.
"""
