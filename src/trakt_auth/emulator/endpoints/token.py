"""The token and revocation endpoints.

Reads requests and writes answers; the rules of tokens are in `grants.py`.
Only `routes.py` for the token answer.
"""

from __future__ import annotations

import base64
import hashlib
import re
from typing import TYPE_CHECKING

from trakt_auth.emulator.endpoints.client_auth import authenticate
from trakt_auth.emulator.expiring_dict import fingerprint, same
from trakt_auth.emulator.faults.kinds import ReplayFamily, ReplayGrace
from trakt_auth.emulator.http.response import Answer, Refused, empty, json_answer, oauth_error

if TYPE_CHECKING:
    from trakt_auth.emulator.http.request import Request
    from trakt_auth.emulator.state.model import (
        Application,
        AuthorizationCode,
        Grant,
        RefreshToken,
        Tokens,
    )
    from trakt_auth.emulator.state.state import Site

__all__ = ["issue", "revoke", "token", "token_answer", "token_body"]

_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")  # RFC 7636 section 4.1
_DOORKEEPER = (
    "The provided authorization grant is invalid, expired, revoked, does not match the redirection "
    "URI used in the authorization request, or was issued to another client."
)


def token(site: Site, request: Request) -> Answer:
    """Answer `POST /oauth/token` (RFC 6749 sections 4.1.3 and 6)."""
    fields = request.fields()
    grant_type = _required(fields, "grant_type")
    if grant_type not in {"authorization_code", "refresh_token"}:
        raise Refused(oauth_error("unsupported_grant_type", f"{grant_type[:60]!a} is not served"))
    request.notes["grant_type"] = grant_type
    application = authenticate(site, request, fields)
    if grant_type == "refresh_token":
        return _refresh(site, request, application, fields)
    return _exchange(site, request, application, fields)


def revoke(site: Site, request: Request) -> Answer:
    """Answer `POST /oauth/revoke`: 200 for any token, known or not (RFC 7009 section 2.2)."""
    fields = request.fields()
    application = authenticate(site, request, fields)
    text = _required(fields, "token")
    request.notes["token"] = fingerprint(text)
    if site.options.legacy and request.media_type != "application/json":
        # Facts section 5: a form got this answer, and the token went on working.
        return empty(200, "form_ignored")
    grant = site.grants.find(text)
    if grant is None or grant.client_id != application.client_id:
        return empty(200, "nothing_to_revoke")
    request.notes["account"] = grant.account.username
    if site.options.revoke_whole_grant:
        site.grants.end(grant)
    else:
        site.grants.end_token(text)
    return empty(200, "revoked")


def issue(site: Site, request: Request, grant: Grant) -> Tokens:
    """Issue a pair of tokens with the lifetime that holds for this request."""
    return site.grants.issue(grant, now=request.now, lifetime=_lifetime(site, request))


def token_answer(request: Request, tokens: Tokens, *, outcome: str) -> Answer:
    """Return the token response (RFC 6749 section 5.1; facts section 2)."""
    request.notes["issued"] = fingerprint(tokens.refresh_token)
    return json_answer(token_body(tokens, now=request.now, skew=request.plan.skew), outcome=outcome)


def token_body(tokens: Tokens, *, now: float, skew: float = 0.0) -> dict[str, str | int]:
    """Return the fields of a token response; `skew` is by how many seconds the clock is off."""
    return {
        "access_token": tokens.access_token,
        "token_type": "bearer",
        "expires_in": max(0, int(tokens.created_at + tokens.lifetime - now)),
        "refresh_token": tokens.refresh_token,
        "scope": "public",
        "created_at": int(tokens.created_at + skew),
    }


def _exchange(
    site: Site, request: Request, application: Application, fields: dict[str, str]
) -> Answer:
    text = _required(fields, "code")
    request.notes["code"] = fingerprint(text)
    code = site.codes.authorization(text)
    if code is None or code.client_id != application.client_id:
        raise Refused(_invalid_grant(site, request, "invalid authorization code"))
    request.notes["account"] = code.account.username
    if code.grant is not None:
        # RFC 6749 section 4.1.2: a code that comes twice may have been stolen.
        site.grants.end(code.grant)
        raise Refused(_invalid_grant(site, request, "authorization code was used before"))
    if not _same_uri(site, fields.get("redirect_uri", ""), code.redirect_uri):
        raise Refused(oauth_error("invalid_request", "redirect_uri mismatch"))  # facts section 2
    _check_verifier(site, request, code, fields.get("code_verifier"))
    code.grant = site.grants.open(code.account, application.client_id, now=request.now)
    return token_answer(request, issue(site, request, code.grant), outcome="granted")


def _same_uri(site: Site, given: str, asked: str) -> bool:
    """Compare letter by letter; before July 2026 case did not count (facts section 4)."""
    return given == asked or (site.options.legacy and given.lower() == asked.lower())


def _check_verifier(
    site: Site, request: Request, code: AuthorizationCode, verifier: str | None
) -> None:
    if verifier is None and code.challenge is None:
        return
    if code.challenge is None:
        raise Refused(oauth_error("invalid_request", "code_verifier without a code_challenge"))
    if verifier is None:
        raise Refused(oauth_error("invalid_request", "code_verifier is required"))
    if _VERIFIER.fullmatch(verifier) is None:
        raise Refused(oauth_error("invalid_request", "code_verifier is malformed"))
    hashed = hashlib.sha256(verifier.encode()).digest()
    if not same(base64.urlsafe_b64encode(hashed).rstrip(b"=").decode(), code.challenge):
        raise Refused(_invalid_grant(site, request, "code_verifier does not match"))


def _refresh(
    site: Site, request: Request, application: Application, fields: dict[str, str]
) -> Answer:
    text = _required(fields, "refresh_token")
    request.notes["refresh_token"] = fingerprint(text)
    redirect_uri = fields.get("redirect_uri")
    exactly = not site.options.legacy
    if redirect_uri is not None and not application.redirects_to(redirect_uri, exactly=exactly):
        raise Refused(oauth_error("invalid_request", "redirect_uri mismatch"))
    token = site.grants.present(text)
    if token is None or token.grant.client_id != application.client_id:
        raise Refused(_invalid_grant(site, request, "session not found"))  # facts section 2
    request.notes["account"] = token.grant.account.username
    if token.spent_at is not None:
        return _replay(site, request, token, text, spent_at=token.spent_at)
    if not token.grant.alive:
        raise Refused(_invalid_grant(site, request, "session not found"))
    tokens = site.grants.rotate(token, text, now=request.now, lifetime=_lifetime(site, request))
    return token_answer(request, tokens, outcome="refreshed")


def _replay(
    site: Site, request: Request, token: RefreshToken, text: str, *, spent_at: float
) -> Answer:
    """Meet a refresh token that was spent; what Trakt does is unknown (facts section 2)."""
    options = site.options
    policy = site.faults.replay(request)
    if policy is None and options.replay == "family":
        policy = ReplayFamily(harmless_within=options.replay_harmless_within)
    elif policy is None and options.replay == "grace":
        policy = ReplayGrace(within=options.replay_grace)
    age = request.now - spent_at
    if isinstance(policy, ReplayGrace) and age <= policy.within:
        tokens = site.grants.answer_again(token, text)
        if tokens is not None:
            return token_answer(request, tokens, outcome="replayed")
    if isinstance(policy, ReplayFamily) and not 0 < policy.harmless_within >= age:
        site.grants.end_family(token.grant.account, token.grant.client_id)
    answer = _invalid_grant(site, request, "session not found")
    answer.outcome = "replay_refused"
    return answer


def _invalid_grant(site: Site, request: Request, description: str) -> Answer:
    """Return `invalid_grant` as today's server words it, or Doorkeeper's way (facts section 2)."""
    status = request.plan.legacy_status or (401 if site.options.legacy else None)
    if status is None:
        return oauth_error("invalid_grant", description)
    answer = oauth_error("invalid_grant", _DOORKEEPER, status=status)
    if status == 401:  # noqa: PLR2004 - Unauthorized
        answer.headers["www-authenticate"] = (
            f'Bearer realm="Doorkeeper", error="invalid_grant", error_description="{_DOORKEEPER}"'
        )
    return answer


def _lifetime(site: Site, request: Request) -> int:
    return request.plan.lifetime or site.options.access_token_lifetime


def _required(fields: dict[str, str], name: str) -> str:
    value = fields.get(name)
    if value is None:
        raise Refused(oauth_error("invalid_request", f"missing {name}"))
    return value
