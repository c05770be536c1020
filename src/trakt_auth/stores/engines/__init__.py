"""How each engine is reached, locked and written: files, SQLite, PostgreSQL, Redis, the keychain.

No record is interpreted here and no flow is known here.
"""
