"""OpenID Connect for generic clients: metadata, ID tokens, keys and the userinfo endpoint."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers
from cryptography.hazmat.primitives.hashes import SHA256

import trakt_auth.emulator.endpoints.openid as openid
from support.emulator_client import ORIGIN, EmulatorClient, body

OPENID = "/.well-known/openid-configuration"
RFC_8414 = "/.well-known/oauth-authorization-server"


def decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def verified(client: EmulatorClient, token: str) -> dict[str, Any]:
    """Check the signature with the published key; return the claims."""
    (key,) = body(client.send("GET", "/oauth/jwks"))["keys"]
    numbers = {name: int.from_bytes(decoded(key[name])) for name in ("n", "e")}
    signed, _, signature = token.rpartition(".")
    header, claims = (json.loads(decoded(part)) for part in signed.split("."))
    assert (header["alg"], header["kid"]) == ("RS256", key["kid"])
    public = RSAPublicNumbers(**numbers).public_key()
    public.verify(decoded(signature), signed.encode(), PKCS1v15(), SHA256())
    return claims


@pytest.mark.parametrize("path", [OPENID, RFC_8414])
def test_the_metadata_is_true(client: EmulatorClient, path: str) -> None:
    content = body(client.send("GET", path))
    assert content["issuer"] == ORIGIN
    for kind in ("token", "revocation"):
        assert content[f"{kind}_endpoint_auth_methods_supported"] == ["none", "client_secret_post"]
    assert content["code_challenge_methods_supported"] == ["S256"]
    assert content["scopes_supported"] == ["public", *openid._SCOPES[1:]]
    for name in ("userinfo_endpoint", "jwks_uri"):
        answer = client.send("GET", content[name].removeprefix(ORIGIN))
        assert answer.status == (401 if name == "userinfo_endpoint" else 200)


def test_an_id_token_is_issued_when_openid_is_asked_for(client: EmulatorClient) -> None:
    code = client.code("Séan", scope="openid profile email odd", nonce="n-1")
    token = body(client.exchange(code))
    assert token["scope"] == "public openid profile email"
    claims = verified(client, token["id_token"])
    now = client.emulator.clock.now()
    assert (claims["iss"], claims["aud"], claims["nonce"]) == (ORIGIN, "emulator", "n-1")
    assert (claims["iat"], claims["exp"]) == (now, now + 3600)
    assert (claims["name"], claims["preferred_username"]) == ("Séan", "s-an")
    answer = client.api(token, "/oauth/userinfo")
    assert body(answer)["sub"] == claims["sub"]
    assert body(answer)["email"] == "s-an@emulator.invalid"
    assert body(client.api(token))["user"]["ids"]["uuid"] == claims["sub"]


def test_a_refresh_keeps_the_scope(client: EmulatorClient) -> None:
    old = body(client.exchange(client.code(scope="openid", nonce="n-1")))
    new = body(client.refresh(old))
    assert new["scope"] == "public openid"
    claims = verified(client, new["id_token"])
    assert claims["sub"] == verified(client, old["id_token"])["sub"]
    assert "nonce" not in claims
    assert "name" not in claims


def test_without_openid_there_is_no_id_token(client: EmulatorClient) -> None:
    token = body(client.exchange(client.code()))
    assert (token["scope"], "id_token" in token) == ("public", False)
    answer = client.api(token, "/oauth/userinfo")
    assert (answer.status, body(answer)["error"]) == (403, "insufficient_scope")
    assert client.send("GET", "/oauth/userinfo").status == 401


def test_without_cryptography_nothing_is_promised(
    client: EmulatorClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openid, "can_sign", lambda: False)
    content = body(client.send("GET", OPENID))
    assert content["scopes_supported"] == ["public"]
    assert "jwks_uri" not in content
    token = body(client.exchange(client.code(scope="openid")))
    assert (token["scope"], "id_token" in token) == ("public", False)
    assert body(client.send("GET", "/oauth/jwks")) == {"keys": []}
