"""What went wrong at a PostgreSQL server, in our words: the server's own could hold a secret.

Pure. No connection and no table is known here, and no library.
`stores/postgres_pool.py` uses this file; it imports layer 0.
"""

from __future__ import annotations

from trakt_auth.errors import StoreUnavailable

__all__ = ["WAIT", "failure"]

WAIT = 5.0  # seconds: to connect, for a free connection, and for the server to do a statement
# The server's words can quote statements and the URL, so only these are passed on.
STATES = {
    "25006": "takes no writes (it is a standby, or set to read only)",
    "42501": "does not allow this to the role",
    "42P01": "has lost its tables",
    "3F000": "has no schema for the tables",
    "53300": "has no connection left",
    "54000": "cannot keep a name as long as this",
    "55P03": "did not get a lock in time",
    "57014": f"did not do its work within {WAIT:.0f} seconds",
}
REASONS = {
    "connection refused": "the connection was refused",
    "timeout expired": "it does not answer",
    "no route to host": "there is no route to it",
    "failed to resolve host": "its name is unknown",
    "could not translate host name": "its name is unknown",
    "no such file or directory": "there is no such socket",
    "password": "the password is wrong or missing",
    "pg_hba.conf": "its pg_hba.conf does not let us in",
    "too many": "it has no connection left",
    "remaining connection slots": "it has no connection left",
    "starting up": "it is starting",
    "shutting down": "it is shutting down",
    "recovery": "it is recovering from a crash",
    '" does not exist': "it does not know the role or the database",
    "ssl": "TLS failed",
    "certificate": "TLS failed",
    "closed the connection": "it hung up",
    "pipelinemode": "psycopg's libpq is older than 14",
}
REACH = "Check that the server runs and that the URL is right, then try again."
SERVER = "Check the role's rights, and the server's settings and log; then try again."


def failure(name: str, state: str | None, kind: str, text: str) -> StoreUnavailable:
    """Return our error for a server's SQLSTATE, or for what the library says without one."""
    if state:
        said = STATES.get(state, f"failed with {kind}")
        return StoreUnavailable(f"{name} {said} (SQLSTATE {state})", hint=SERVER)
    text = text.lower()
    reason = next((f": {said}" for word, said in REASONS.items() if word in text), "")
    return StoreUnavailable(f"{name} cannot be reached{reason}", hint=REACH)
