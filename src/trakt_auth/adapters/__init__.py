"""Bearer authentication for HTTP libraries: thin, one file each.

Layer 5. Each adapter asks the client for a token and, after a 401, once for another.
Users import these files; an adapter imports its library and nothing of layers 2 to 4.
"""
