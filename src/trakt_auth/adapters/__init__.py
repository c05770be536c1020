"""Bearer authentication for HTTP libraries: thin, one file each.

Each adapter asks the client for a token and, after a 401, once for another. No rule about tokens
lives here: what all adapters decide is in `client.bearer`.
"""
