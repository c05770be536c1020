"""The token and revocation endpoints (RFC 6749, RFC 7009), and the token response.

Parses requests and builds responses; the rules of grants and tokens are in `state/`.
"""

from __future__ import annotations

import base64
import hashlib
import re
from typing import TYPE_CHECKING

from trakt_auth.emulator.endpoints.client_auth import authenticate
from trakt_auth.emulator.endpoints.openid import id_token
from trakt_auth.emulator.faults.kinds import ReplayFamily, ReplayGrace
from trakt_auth.emulator.hashing import fingerprint, same_secret
from trakt_auth.emulator.http.response import (
    ErrorResponse,
    Response,
    json_response,
    oauth_error,
    text_response,
    with_legacy_challenge,
)
from trakt_auth.emulator.state.model import is_redirect_uri

if TYPE_CHECKING:
    from trakt_auth.emulator.http.request import Request
    from trakt_auth.emulator.state.model import (
        Application,
        AuthorizationCode,
        Grant,
        RefreshToken,
        TokenPair,
    )
    from trakt_auth.emulator.state.state import EmulatorState

__all__ = ["issue", "revoke", "token", "token_body", "token_response"]

_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")  # RFC 7636 section 4.1
_LEGACY_DESCRIPTION = (
    "The provided authorization grant is invalid, expired, revoked, does not match the redirection "
    "URI used in the authorization request, or was issued to another client."
)


def token(state: EmulatorState, request: Request) -> Response:
    """Answer `POST /oauth/token` (RFC 6749 sections 4.1.3 and 6)."""
    fields = request.fields()
    grant_type = _required(fields, "grant_type")
    if grant_type not in {"authorization_code", "refresh_token"}:
        raise ErrorResponse(
            oauth_error("unsupported_grant_type", f"{grant_type[:60]!a} is not served")
        )
    request.notes["grant_type"] = grant_type
    application = authenticate(state, request, fields)
    if grant_type == "refresh_token":
        return _refresh(state, request, application, fields)
    return _exchange(state, request, application, fields)


def revoke(state: EmulatorState, request: Request) -> Response:
    """Answer `POST /oauth/revoke`: 200 for any token, known or not (RFC 7009 section 2.2)."""
    fields = request.fields()
    application = authenticate(state, request, fields)
    text = _required(fields, "token")
    request.notes["token"] = fingerprint(text)
    if state.options.legacy and request.media_type != "application/json":
        # Before July 2026 Trakt responded to a form like this and left the token valid.
        return _revocation(outcome="form_ignored")
    grant = state.grants.find(text)
    if grant is None or grant.client_id != application.client_id:
        return _revocation(outcome="nothing_to_revoke")
    request.notes["account"] = grant.account.username
    if state.options.revoke_whole_grant:
        state.grants.end(grant)
    else:
        state.grants.end_token(text)
    return _revocation(outcome="revoked")


def _revocation(*, outcome: str) -> Response:
    """Return 200 without content; with a content type, since some clients else expect JSON."""
    return text_response("", status=200, outcome=outcome)


def issue(state: EmulatorState, request: Request, grant: Grant) -> TokenPair:
    """Issue a pair of tokens, with the lifetime that the options or an armed fault say."""
    return state.grants.issue(grant, now=request.now, lifetime=_lifetime(state, request))


def token_response(
    request: Request, grant: Grant, tokens: TokenPair, *, outcome: str, nonce: str | None = None
) -> Response:
    """Return the token response (RFC 6749 section 5.1), with an ID token if `openid` is granted."""
    request.notes["issued"] = fingerprint(tokens.refresh_token)
    skew = request.effects.skew
    content = token_body(tokens, now=request.now, skew=skew, scope=grant.scope)
    if "openid" in grant.scope.split():
        content["id_token"] = id_token(request, grant, nonce=nonce)
    return json_response(content, outcome=outcome)


def token_body(
    tokens: TokenPair, *, now: float, skew: float = 0.0, scope: str = "public"
) -> dict[str, str | int]:
    """Return the fields of a token response; `skew`, in seconds, is added to `created_at`."""
    return {
        "access_token": tokens.access_token,
        "token_type": "bearer",
        "expires_in": max(0, int(tokens.created_at + tokens.lifetime - now)),
        "refresh_token": tokens.refresh_token,
        "scope": scope,
        "created_at": int(tokens.created_at + skew),
    }


def _exchange(
    state: EmulatorState, request: Request, application: Application, fields: dict[str, str]
) -> Response:
    text = _required(fields, "code")
    request.notes["code"] = fingerprint(text)
    code = state.codes.authorization(text)
    if code is None or code.client_id != application.client_id:
        raise ErrorResponse(_invalid_grant(state, request, "invalid authorization code"))
    request.notes["account"] = code.account.username
    if code.grant is not None:
        # RFC 6749 section 4.1.2: a code that is used twice may have been stolen.
        state.grants.end(code.grant)
        raise ErrorResponse(_invalid_grant(state, request, "authorization code was used before"))
    if not _same_uri(state, fields.get("redirect_uri", ""), code.redirect_uri):
        raise ErrorResponse(oauth_error("invalid_request", "redirect_uri mismatch"))
    _check_verifier(state, request, code, fields.get("code_verifier"))
    grant = code.grant = state.grants.open(
        code.account, application.client_id, now=request.now, scope=code.scope
    )
    tokens = issue(state, request, grant)
    return token_response(request, grant, tokens, outcome="granted", nonce=code.nonce)


def _same_uri(state: EmulatorState, given: str, asked: str) -> bool:
    """Compare exactly; before July 2026 Trakt ignored case."""
    return given == asked or (state.options.legacy and given.lower() == asked.lower())


def _check_verifier(
    state: EmulatorState, request: Request, code: AuthorizationCode, verifier: str | None
) -> None:
    if verifier is None and code.challenge is None:
        return
    if code.challenge is None:
        raise ErrorResponse(
            oauth_error("invalid_request", "code_verifier without a code_challenge")
        )
    if verifier is None:
        raise ErrorResponse(oauth_error("invalid_request", "code_verifier is required"))
    if _VERIFIER.fullmatch(verifier) is None:
        raise ErrorResponse(oauth_error("invalid_request", "code_verifier is malformed"))
    hashed = hashlib.sha256(verifier.encode()).digest()
    if not same_secret(base64.urlsafe_b64encode(hashed).rstrip(b"=").decode(), code.challenge):
        raise ErrorResponse(_invalid_grant(state, request, "code_verifier does not match"))


def _refresh(
    state: EmulatorState, request: Request, application: Application, fields: dict[str, str]
) -> Response:
    text = _required(fields, "refresh_token")
    request.notes["refresh_token"] = fingerprint(text)
    _check_redirect_uri(state, application, fields.get("redirect_uri"))
    token = state.grants.record_arrival(text)
    if token is None or token.grant.client_id != application.client_id:
        raise ErrorResponse(_invalid_grant(state, request, "session not found"))  # Trakt's words
    request.notes["account"] = token.grant.account.username
    if token.spent_at is not None:
        return _replay(state, request, token, text, spent_at=token.spent_at)
    if not token.grant.alive:
        raise ErrorResponse(_invalid_grant(state, request, "session not found"))
    tokens = state.grants.rotate(token, text, now=request.now, lifetime=_lifetime(state, request))
    return token_response(request, token.grant, tokens, outcome="refreshed")


def _check_redirect_uri(
    state: EmulatorState, application: Application, redirect_uri: str | None
) -> None:
    """Check the `redirect_uri` of a refresh: since July 2026 its form only, so users report."""
    if redirect_uri is None:
        return
    if state.options.legacy:
        if not application.redirects_to(redirect_uri, exactly=False):
            raise ErrorResponse(oauth_error("invalid_request", "redirect_uri mismatch"))
    elif not is_redirect_uri(redirect_uri):
        raise ErrorResponse(oauth_error("invalid_request", "redirect_uri is malformed"))


def _replay(
    state: EmulatorState, request: Request, token: RefreshToken, text: str, *, spent_at: float
) -> Response:
    """Answer a refresh with a token that was spent; what Trakt does then is not documented."""
    options = state.options
    policy = state.faults.replay_policy(request)
    if policy is None and options.replay == "family":
        policy = ReplayFamily(harmless_within=options.replay_harmless_within)
    elif policy is None and options.replay == "grace":
        policy = ReplayGrace(within=options.replay_grace)
    age = request.now - spent_at
    if isinstance(policy, ReplayGrace) and age <= policy.within:
        tokens = state.grants.repeat_response(token, text)
        if tokens is not None:
            return token_response(request, token.grant, tokens, outcome="replayed")
    if isinstance(policy, ReplayFamily) and not 0 < policy.harmless_within >= age:
        state.grants.end_all(token.grant.account, token.grant.client_id)
    response = _invalid_grant(state, request, "session not found")
    response.outcome = "replay_refused"
    return response


def _invalid_grant(state: EmulatorState, request: Request, description: str) -> Response:
    """Return `invalid_grant` in Trakt's words of today or, in the legacy profile, of before."""
    status = request.effects.legacy_status or (401 if state.options.legacy else None)
    if status is None:
        return oauth_error("invalid_grant", description)
    response = oauth_error("invalid_grant", _LEGACY_DESCRIPTION, status=status)
    if status == 401:  # noqa: PLR2004 - Unauthorized
        return with_legacy_challenge(response, _LEGACY_DESCRIPTION)
    return response


def _lifetime(state: EmulatorState, request: Request) -> int:
    return request.effects.lifetime or state.options.access_token_lifetime


def _required(fields: dict[str, str], name: str) -> str:
    value = fields.get(name)
    if value is None:
        raise ErrorResponse(oauth_error("invalid_request", f"missing {name}"))
    return value
