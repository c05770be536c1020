"""What a line of the log means, in a sentence, and where that is written down.

Words only: nothing is decided here, and no request is looked at again.
Only `room_view.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trakt_auth.emulator.http.request_log import Entry

__all__ = ["FAULTS", "Explanation", "explain"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """A sentence, and its source: a section of an RFC, or what is known of Trakt."""

    sentence: str
    source: str = ""


FAULTS = {
    "answer_lost": "The request takes effect, and the answer never arrives.",
    "reset": "The connection is cut before anything happens.",
    "slow": "The answer comes late.",
    "status": "An error of the servers in front of Trakt: 429, 5xx or 52x.",
    "cloudflare_403": "The edge refuses a missing or default User-Agent.",
    "forbidden": "403: a bad key, an application not approved, or one that is blocked.",
    "account_locked": "423: the account is locked or deactivated.",
    "unauthorized": "The API answers 401 although the token is good.",
    "html_200": "Status 200 with a web page in place of the token.",
    "json_200_without_token": "Status 200 with JSON in which there is no token.",
    "truncated_json": "The answer ends in the middle; the request took effect.",
    "legacy_errors": "Refusals as the server before July 2026 worded them.",
    "shorter_lifetime": "Tokens that live for less long.",
    "skewed_clock": "The times in the answer are off.",
    "device_error": "400 with an OAuth error where a poll is pending.",
    "refuse": "An OAuth error from the token endpoint, whatever was asked.",
    "replay_family": "A spent refresh token ends every token of its login.",
    "replay_grace": "A spent refresh token gets the same answer once more.",
}
"""What each fault does."""

_NO_SUCH_THING = "The emulator has nothing at this address."
_WRONG_METHOD = "This address takes another method."
_CSRF = "A form from another site or an old page, so nothing was done."
_AUTHORIZE = "/oauth/authorize"

_SAID: dict[tuple[str, str], tuple[str, str]] = {
    # the device flow
    ("/oauth/device/code", "started"): (
        "Gave out a device code, and the user code that a person types in.",
        "RFC 8628 §3.2",
    ),
    ("/oauth/device/token", "pending"): (
        "Nobody has decided yet: wait for one interval, then ask again.",
        "RFC 8628 §3.5, at Trakt 400",
    ),
    ("/oauth/device/token", "slow_down"): (
        "Polled before the interval was over: slow down.",
        "RFC 8628 §3.5, at Trakt 429",
    ),
    ("/oauth/device/token", "granted"): (
        "The code was approved: here are the tokens, once.",
        "RFC 8628 §3.5",
    ),
    ("/oauth/device/token", "unknown"): (
        "No such device code, or another application's: start again.",
        "at Trakt 404",
    ),
    ("/oauth/device/token", "used"): (
        "The tokens for this code were handed out before: a code works once.",
        "at Trakt 409",
    ),
    ("/oauth/device/token", "denied"): (
        "The person said no: stop polling.",
        "RFC 8628 §3.5, at Trakt 418",
    ),
    ("/oauth/device/token", "expired"): (
        "The device code ran out before the tokens were collected: start again.",
        "RFC 8628 §3.5, at Trakt 410",
    ),
    # tokens
    ("/oauth/token", "granted"): (
        "Exchanged the authorization code for tokens; the code is spent.",
        "RFC 6749 §4.1.4",
    ),
    ("/oauth/token", "refreshed"): (
        "Refreshed: the refresh token is spent, and its successor is in the answer.",
        "RFC 6749 §6",
    ),
    ("/oauth/token", "replayed"): (
        "A spent refresh token came again and got the same answer once more.",
        "RFC 9700 §4.14.2; unknown at Trakt",
    ),
    ("/oauth/token", "replay_refused"): (
        "A spent refresh token came again: somebody lost its successor, or shares it.",
        "RFC 9700 §4.14.2",
    ),
    ("/oauth/revoke", "revoked"): ("Ended the login, as asked.", "RFC 7009 §2.1"),
    ("/oauth/revoke", "nothing_to_revoke"): (
        "No such token of this application; the answer is 200 all the same.",
        "RFC 7009 §2.2",
    ),
    ("/oauth/revoke", "form_ignored"): (
        "Answered 200 and ended nothing: a revocation is sent as JSON.",
        "seen at Trakt",
    ),
    # what a person sees
    (_AUTHORIZE, "sign_in"): ("Asked the person to sign in first.", "RFC 6749 §3.1"),
    (_AUTHORIZE, "page"): ("Asked the person to allow or deny.", "RFC 6749 §4.1.1"),
    (_AUTHORIZE, "already_approved"): (
        "Allowed before, so the person went straight back with a code.",
        "RFC 6749 §4.1.2",
    ),
    (_AUTHORIZE, "allowed"): (
        "The person allowed it and went back with an authorization code.",
        "RFC 6749 §4.1.2",
    ),
    (_AUTHORIZE, "denied"): (
        "The person denied it and went back with access_denied.",
        "RFC 6749 §4.1.2.1",
    ),
    (_AUTHORIZE, "bad_request"): (
        "Who asks, or where to go back to, is wrong: an error page and no redirect.",
        "RFC 6749 §4.1.2.1",
    ),
    (_AUTHORIZE, "unsupported_response_type"): (
        "Only response_type=code is served; the application was told so.",
        "RFC 6749 §4.1.2.1",
    ),
    (_AUTHORIZE, "invalid_request"): (
        "The request is malformed; the application was told so.",
        "RFC 6749 §4.1.2.1",
    ),
    (_AUTHORIZE + "/native", "code_shown"): ("Showed the code to copy.", "out-of-band redirect"),
    (_AUTHORIZE + "/native", "unknown"): ("That code is unknown, used or expired.", ""),
    (_AUTHORIZE + "/denied", "page"): ("Showed that access was denied.", ""),
    ("/activate", "sign_in"): ("Asked the person to sign in first.", "RFC 8628 §3.3"),
    ("/activate", "page"): ("Asked for the code on the device.", "RFC 8628 §3.3"),
    ("/activate", "code_entered"): ("The code is known: asked to confirm it.", "RFC 8628 §5.4"),
    ("/activate", "unknown"): ("No device shows the code that was typed.", "RFC 8628 §3.3"),
    ("/activate", "expired"): ("The code that was typed has expired.", "RFC 8628 §3.3"),
    ("/activate", "used"): ("The code that was typed is settled already.", "RFC 8628 §3.3"),
    ("/activate", "allowed"): ("The person allowed the device.", "RFC 8628 §3.3"),
    ("/activate", "denied"): ("The person denied the device.", "RFC 8628 §3.3"),
    ("/activate/{code}", "page"): ("Filled in the code from the address.", "RFC 8628 §3.3.1"),
    ("/activate/{code}", "sign_in"): ("Asked the person to sign in first.", "RFC 8628 §3.3"),
    ("/activate/{code}/confirm", "page"): ("Asked to allow or deny the device.", "RFC 8628 §5.4"),
    ("/activate/{code}/confirm", "sign_in"): ("Asked to sign in first.", "RFC 8628 §3.3"),
    ("/activate/{code}/confirm", "unknown"): ("No device shows this code.", "RFC 8628 §3.3"),
    ("/activate/{code}/confirm", "expired"): ("This code has expired.", "RFC 8628 §3.3"),
    ("/activate/{code}/confirm", "used"): ("This code is settled already.", "RFC 8628 §3.3"),
    ("/activate/success", "page"): ("Showed that the device is connected.", ""),
    ("/activate/denied", "page"): ("Showed that access was denied.", ""),
    # the data API
    ("api", "ok"): ("The access token is good.", "RFC 6750 §2.1"),
    ("api", "invalid_token"): (
        "The access token is missing, has run out, was ended, or is another application's.",
        "RFC 6750 §3.1",
    ),
    ("api", "forbidden"): ("The trakt-api-key is no registered application's.", "Trakt's headers"),
    ("api", "invalid_request"): ("A header that Trakt requires is wrong.", "Trakt's headers"),
    # the control room
    ("/", "page"): ("Opened the control room.", ""),
    ("/", "approve"): ("Approved a device code here", ""),
    ("/", "deny"): ("Denied a device code here", ""),
    ("/", "advance"): ("Moved the clock forward", ""),
    ("/", "arm"): ("Armed a fault", ""),
    ("/", "disarm"): ("Disarmed a fault", ""),
    ("/", "disarm_all"): ("Disarmed all faults.", ""),
    ("/", "disconnect"): ("Disconnected an application, as a person does on Trakt", ""),
    ("/", "end"): ("Ended the tokens of one login", ""),
    ("/", "reset"): ("Forgot everything but the applications and the time.", ""),
    ("control", "ok"): ("Done for a program", ""),
    # anywhere
    ("*", "signed_in"): ("Signed in; any name will do.", ""),
    ("*", "signed_out"): ("Signed out.", ""),
    ("*", "ok"): ("Answered as asked.", ""),
    ("*", "page"): ("Showed a page.", ""),
    ("*", "csrf"): (_CSRF, "RFC 6749 §10.12"),
    ("*", "bad_form"): ("The form could not be read or was left empty.", ""),
    ("*", "bad_request"): ("The input is wrong; the answer says how.", ""),
    ("*", "conflict"): ("Not possible any more; nothing was done.", ""),
    ("*", "unknown"): ("There is no such thing; nothing was done.", ""),
    ("*", "not_local"): ("The control room answers its own machine only.", ""),
    ("*", "not_found"): (_NO_SUCH_THING, ""),
    ("*", "wrong_method"): (_WRONG_METHOD, "RFC 9110 §15.5.6"),
    ("*", "method_not_allowed"): (_WRONG_METHOD, "RFC 9110 §15.5.6"),
    ("*", "invalid_client"): ("The client id or its secret is wrong", "RFC 6749 §5.2"),
    ("*", "invalid_grant"): ("The code or the refresh token is not good", "RFC 6749 §5.2"),
    ("*", "invalid_request"): ("The request is malformed", "RFC 6749 §5.2"),
    ("*", "unsupported_grant_type"): ("This grant type is not served", "RFC 6749 §5.2"),
    ("*", "edge_forbidden"): (
        "The edge refuses a missing or default User-Agent.",
        "seen at Trakt",
    ),
}


def explain(entry: Entry) -> Explanation:
    """Return what happened; a fault that struck explains more than the answer does."""
    if entry.faults:
        struck = " ".join(f"Fault {name}: {FAULTS[name]}" for name in entry.faults)
        return Explanation(sentence=struck, source="armed by you")
    for place in (entry.endpoint, _group(entry.endpoint), "*"):
        said = _SAID.get((place, entry.outcome))
        if said is not None:
            sentence, source = said
            return Explanation(sentence=_completed(sentence, entry), source=source)
    return Explanation(sentence=f"Answered with {entry.outcome}.")


def _group(endpoint: str) -> str:
    if endpoint.startswith(("/users/", "/sync/")):
        return "api"
    return "control" if endpoint.startswith("/emulator/") else ""


def _completed(sentence: str, entry: Entry) -> str:
    """End an open sentence with what it was about, or with the words that the program was told."""
    if sentence.endswith("."):
        return sentence
    more = entry.answered.get("error_description") or entry.notes.get("about")
    return f"{sentence}: {more}." if more else f"{sentence}."
