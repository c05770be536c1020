"""Faults: how the emulator misbehaves on command, and the responses that Cloudflare makes.

What an endpoint does without a fault does not live here.
"""
