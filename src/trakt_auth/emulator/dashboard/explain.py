"""Explains an entry of the request log in a sentence, with the section that it follows from.

Sentences only: nothing is decided here, and no request is parsed again.
A sentence without a full stop is completed with the details of the entry.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from trakt_auth.emulator.dashboard.fired import describe_fired, outcome_stands

if TYPE_CHECKING:
    from trakt_auth.emulator.http.request_log import Entry

__all__ = ["FAULTS", "Explanation", "explain"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """A sentence, and its source: a section of an RFC, or what is known of Trakt."""

    sentence: str
    source: str = ""


FAULTS = {
    "answer_lost": "The request takes effect, but the connection ends before the response is sent.",
    "reset": "The connection is reset before the request is processed.",
    "slow": "The response is late.",
    "status": "An error of the servers in front of Trakt: 429, 5xx or 52x.",
    "cloudflare_403": "Cloudflare's 403 for a missing or default User-Agent.",
    "forbidden": "403: a wrong key, an application that is not approved, or one that is blocked.",
    "account_locked": "423: the user's account is locked or deactivated.",
    "unauthorized": "The API responds with 401 to a valid token.",
    "html_200": "Status 200 with an HTML page in place of the token.",
    "json_200_without_token": "Status 200 with JSON that contains no token.",
    "truncated_json": "The request takes effect, but the response ends in the middle.",
    "legacy_errors": "The error invalid_grant in the form that Trakt used before July 2026.",
    "shorter_lifetime": "The access tokens that are issued expire sooner.",
    "skewed_clock": "The times in the response are wrong.",
    "device_error": "A poll for a device token gets 400 with an OAuth error.",
    "refuse": "The token endpoint responds with an OAuth error, whatever was requested.",
    "replay_family": "A refresh token that is sent again ends all tokens of its user for that app.",
    "replay_grace": "A refresh token that is sent again gets the same response as before.",
}
"""What each fault does."""

_AUTHORIZE = "/oauth/authorize"
_OWN_PATHS = ("/oauth/", "/activate", "/sign-", "/.well-known/")

_SENTENCES: dict[tuple[str, str], tuple[str, str]] = {
    # the device flow
    ("/oauth/device/code", "started"): (
        "Issued a device code for the program and a user code for the user to enter.",
        "RFC 8628 §3.2",
    ),
    ("/oauth/device/token", "pending"): (
        "The user has not decided yet: the program has to wait for one interval and poll again.",
        "RFC 8628 §3.5; 400 at Trakt",
    ),
    ("/oauth/device/token", "slow_down"): (
        "The program polled before the interval had passed: it has to slow down.",
        "RFC 8628 §3.5; 429 at Trakt",
    ),
    ("/oauth/device/token", "granted"): (
        "The user has approved the code: the response contains the tokens, once.",
        "RFC 8628 §3.5",
    ),
    ("/oauth/device/token", "unknown"): (
        "The device code is unknown or another application's: the program has to start again.",
        "404 at Trakt",
    ),
    ("/oauth/device/token", "used"): (
        "The tokens for this device code were issued before: a code works once.",
        "409 at Trakt",
    ),
    ("/oauth/device/token", "denied"): (
        "The user has denied access: the program has to stop polling.",
        "RFC 8628 §3.5; 418 at Trakt",
    ),
    ("/oauth/device/token", "expired"): (
        "The device code expired before the tokens were collected: the program has to start again.",
        "RFC 8628 §3.5; 410 at Trakt",
    ),
    # tokens
    ("/oauth/token", "granted"): (
        "Exchanged the authorization code for tokens; the code cannot be used again.",
        "RFC 6749 §4.1.4",
    ),
    ("/oauth/token", "refreshed"): (
        "Refreshed: the refresh token cannot be used again; the response contains the next one.",
        "RFC 6749 §6",
    ),
    ("/oauth/token", "replayed"): (
        "A used refresh token was sent again and got the same response as before.",
        "RFC 9700 §4.14.2; not documented by Trakt",
    ),
    ("/oauth/token", "replay_refused"): (
        "A used refresh token was sent again: the next one was lost, or two programs share it.",
        "RFC 9700 §4.14.2",
    ),
    ("/oauth/revoke", "revoked"): ("Revoked the token.", "RFC 7009 §2.1"),
    ("/oauth/revoke", "nothing_to_revoke"): (
        "This application has no such token; the status is 200 all the same.",
        "RFC 7009 §2.2",
    ),
    ("/oauth/revoke", "form_ignored"): (
        "Responded with 200 and revoked nothing: a revocation has to be sent as JSON.",
        "observed at Trakt",
    ),
    # the pages for the user
    (_AUTHORIZE, "sign_in"): ("The user has to sign in first.", "RFC 6749 §3.1"),
    (_AUTHORIZE, "page"): ("Asked the user to allow or deny the application.", "RFC 6749 §4.1.1"),
    (_AUTHORIZE, "already_approved"): (
        "The user allowed this application before: redirected back with a code at once.",
        "RFC 6749 §4.1.2",
    ),
    (_AUTHORIZE, "allowed"): (
        "The user allowed the application: redirected back with an authorization code.",
        "RFC 6749 §4.1.2",
    ),
    (_AUTHORIZE, "denied"): (
        "The user denied the application: redirected back with access_denied.",
        "RFC 6749 §4.1.2.1",
    ),
    (_AUTHORIZE, "bad_request"): (
        "The client id or the redirect URI is wrong: showed an error page, without a redirect.",
        "RFC 6749 §4.1.2.1",
    ),
    (_AUTHORIZE, "unsupported_response_type"): (
        "Only response_type=code is supported: redirected back with an error.",
        "RFC 6749 §4.1.2.1",
    ),
    (_AUTHORIZE, "invalid_request"): (
        "The request is malformed: redirected back with an error.",
        "RFC 6749 §4.1.2.1",
    ),
    (_AUTHORIZE + "/native", "code_shown"): (
        "Showed the authorization code to copy.",
        "out-of-band redirect URI",
    ),
    (_AUTHORIZE + "/native", "unknown"): ("This code is unknown, used or expired.", ""),
    (_AUTHORIZE + "/denied", "page"): ("Showed that the user denied access.", ""),
    ("/activate", "sign_in"): ("The user has to sign in first.", "RFC 8628 §3.3"),
    ("/activate", "page"): ("Asked the user for the code on the device.", "RFC 8628 §3.3"),
    ("/activate", "code_entered"): ("The code is known: asked to confirm it.", "RFC 8628 §5.4"),
    ("/activate", "unknown"): ("The user entered a code that does not exist.", "RFC 8628 §3.3"),
    ("/activate", "expired"): ("The user entered a code that has expired.", "RFC 8628 §3.3"),
    ("/activate", "used"): ("The user entered a code that was used before.", "RFC 8628 §3.3"),
    ("/activate", "allowed"): ("The user allowed the device.", "RFC 8628 §3.3"),
    ("/activate", "denied"): ("The user denied the device.", "RFC 8628 §3.3"),
    ("/activate/{code}", "page"): (
        "Asked the user for the code on the device, with the code of the URL filled in.",
        "RFC 8628 §3.3.1",
    ),
    ("/activate/{code}", "sign_in"): ("The user has to sign in first.", "RFC 8628 §3.3"),
    ("/activate/{code}/confirm", "page"): (
        "Asked the user to allow or deny the device.",
        "RFC 8628 §5.4",
    ),
    ("/activate/{code}/confirm", "sign_in"): ("The user has to sign in first.", "RFC 8628 §3.3"),
    ("/activate/{code}/confirm", "unknown"): ("This code does not exist.", "RFC 8628 §3.3"),
    ("/activate/{code}/confirm", "expired"): ("This code has expired.", "RFC 8628 §3.3"),
    ("/activate/{code}/confirm", "used"): ("This code was used before.", "RFC 8628 §3.3"),
    ("/activate/success", "page"): ("Showed that the device is connected.", ""),
    ("/activate/denied", "page"): ("Showed that the user denied access.", ""),
    # the data API
    ("api", "ok"): ("The access token is valid.", "RFC 6750 §2.1"),
    ("api", "invalid_token"): (
        "The access token is missing, unknown, expired, revoked, or another application's.",
        "RFC 6750 §3.1",
    ),
    ("api", "forbidden"): (
        "The trakt-api-key header is not the client id of a registered application.",
        "Trakt's required headers",
    ),
    ("api", "invalid_request"): (
        "A required header is missing or wrong.",
        "Trakt's required headers",
    ),
    ("api", "registered"): ("Sent the response that is registered for this path.", "your test"),
    ("api", "empty_list"): ("A list of the user's, which is empty here.", "Trakt's pagination"),
    ("api", "not_served"): (
        "The emulator does not serve this path. Register a response for it.",
        "POST /emulator/responses",
    ),
    ("api", "rate_limited"): (
        "Too many calls: the program has to wait for the time in Retry-After.",
        "Trakt's rate limits",
    ),
    # the dashboard, and the control calls
    ("/", "page"): ("Opened the dashboard.", ""),
    ("/", "approve"): ("Approved a device code on the dashboard", ""),
    ("/", "deny"): ("Denied a device code on the dashboard", ""),
    ("/", "advance"): ("Advanced the clock", ""),
    ("/", "arm"): ("Armed a fault", ""),
    ("/", "disarm"): ("Disarmed a fault", ""),
    ("/", "disarm_all"): ("Disarmed all faults.", ""),
    ("/", "disconnect"): ("Disconnected an application, as a user does on Trakt", ""),
    ("/", "end"): ("Ended the tokens of one login", ""),
    ("/", "reset"): ("Deleted everything except the applications and the time.", ""),
    ("control", "ok"): ("A program made a control call", ""),
    # any endpoint
    ("*", "signed_in"): ("The user signed in; any name works.", ""),
    ("*", "signed_out"): ("The user signed out.", ""),
    ("*", "ok"): ("The request succeeded.", ""),
    ("*", "insufficient_scope"): ("The scope openid was not granted", "RFC 6750 §3.1"),
    ("*", "preflight"): ("A browser asked whether a script may send a request.", "CORS"),
    ("*", "page"): ("Showed a page.", ""),
    ("*", "csrf"): (
        "The form came from another site or from an old page, so nothing was changed.",
        "RFC 6749 §10.12",
    ),
    ("*", "bad_form"): ("The form is malformed or incomplete.", ""),
    ("*", "bad_request"): ("The input is wrong; the response says why.", ""),
    ("*", "conflict"): ("This is not possible any more; nothing was changed.", ""),
    ("*", "unknown"): ("There is no such item; nothing was changed.", ""),
    ("*", "not_local"): ("The emulator can be controlled from its own machine only.", ""),
    ("*", "not_found"): ("The emulator has no such path.", ""),
    ("*", "wrong_method"): ("This path does not accept this method.", "RFC 9110 §15.5.6"),
    ("*", "invalid_client"): ("The client id or the client secret is wrong", "RFC 6749 §5.2"),
    ("*", "invalid_grant"): ("The code or the refresh token is not valid", "RFC 6749 §5.2"),
    ("*", "invalid_request"): ("The request is malformed", "RFC 6749 §5.2"),
    ("*", "unsupported_grant_type"): ("This grant type is not supported", "RFC 6749 §5.2"),
    ("*", "edge_forbidden"): (
        "Cloudflare blocks a missing or default User-Agent.",
        "observed at Trakt",
    ),
}


def explain(entry: Entry) -> Explanation:
    """Return what happened; if a fault fired, what it did and the status that was sent."""
    own = _explain_outcome(entry)
    if not entry.faults:
        return own or Explanation(sentence=f"The outcome was {entry.outcome}.")
    fired = describe_fired(entry)
    if own is not None and outcome_stands(entry):
        fired = f"{fired} {own.sentence}"
    return Explanation(sentence=fired, source="armed by you")


def _explain_outcome(entry: Entry) -> Explanation | None:
    """Return what the emulator decided, apart from faults; None for an unknown outcome."""
    for place in (entry.endpoint, _group(entry.endpoint), "*"):
        found = _SENTENCES.get((place, entry.outcome))
        if found is not None:
            sentence, source = found
            return Explanation(sentence=_completed(sentence, entry), source=source)
    return None


def _group(endpoint: str) -> str:
    if endpoint.startswith("/emulator/"):
        return "control"
    own = endpoint in {"/", "/openapi.json"} or endpoint.startswith(_OWN_PATHS)
    return "" if own or not endpoint.startswith("/") else "api"


def _completed(sentence: str, entry: Entry) -> str:
    """End an open sentence with the error description, or with what the request was about."""
    if sentence.endswith("."):
        return sentence
    more = entry.response_fields.get("error_description") or entry.notes.get("about")
    return f"{sentence}: {more}." if more else f"{sentence}."
