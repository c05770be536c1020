"""How each engine is reached and locked: files, SQLite, PostgreSQL, Redis, the system's keychain.

No record is interpreted here and no flow is known here.
"""
