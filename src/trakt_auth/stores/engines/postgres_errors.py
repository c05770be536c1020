"""What failed at a PostgreSQL server, in words of ours: the server's own could hold a secret.

Text only. No connection, no table and no library is known here.
"""

from __future__ import annotations

from trakt_auth.errors import StoreUnavailable

__all__ = ["WAIT", "failure"]

WAIT = 5.0  # seconds: to connect, for a free connection, and for the server to run a statement
# The server's messages may quote statements and the URL, so none is passed on. On the right, what
# follows "The PostgreSQL database ...".
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
# Words in the library's message, and what follows "cannot be reached: ".
REASONS = {
    "connection refused": "the connection was refused",
    "timeout expired": "it does not answer",
    "no route to host": "there is no route to it",
    "failed to resolve host": "its name is unknown",
    "could not translate host name": "its name is unknown",
    "no such file or directory": "there is no such socket",
    "password": "the password is wrong or missing",
    "pg_hba.conf": "its pg_hba.conf does not allow this connection",
    "too many": "it has no connection left",
    "remaining connection slots": "it has no connection left",
    "starting up": "it is starting",
    "shutting down": "it is shutting down",
    "recovery": "it is recovering from a crash",
    '" does not exist': "it does not know the role or the database",
    "ssl": "TLS failed",
    "certificate": "TLS failed",
    "closed the connection": "it closed the connection",
    "pipelinemode": "psycopg's libpq is older than 14",
}
REACH = "Check that the server runs and that the URL is right, then try again."
SERVER = "Check the role's rights, and the server's settings and log; then try again."


def failure(name: str, state: str | None, kind: str, text: str) -> StoreUnavailable:
    """Return the error for a server's SQLSTATE, or for a message of the library without one.

    `name` is the server, `kind` the class of the exception, `text` its message.
    """
    if state:
        problem = STATES.get(state, f"failed with {kind}")
        return StoreUnavailable(f"{name} {problem} (SQLSTATE {state})", hint=SERVER)
    text = text.lower()
    reason = next((f": {said}" for word, said in REASONS.items() if word in text), "")
    return StoreUnavailable(f"{name} cannot be reached{reason}", hint=REACH)
