"""The key that signs ID tokens: RS256 (RFC 7518 section 3.3), a new one in every process.

The only file of the emulator that imports cryptography, which is in the `encryption` extra; without
it the emulator does not offer OpenID Connect. What a token says is decided elsewhere.
"""

from __future__ import annotations

import base64
import json
from functools import cache
from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

__all__ = ["can_sign", "public_keys", "sign"]

_KEY_ID = "emulator"
_BITS = 2048


@cache
def can_sign() -> bool:
    """Whether cryptography is installed."""
    return find_spec("cryptography") is not None


def sign(claims: Mapping[str, object]) -> str:
    """Return the claims as a signed JSON Web Token (RFC 7519)."""
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
    from cryptography.hazmat.primitives.hashes import SHA256

    header = {"alg": "RS256", "typ": "JWT", "kid": _KEY_ID}
    signed = f"{_encoded(_json(header))}.{_encoded(_json(claims))}"
    return f"{signed}.{_encoded(_key().sign(signed.encode(), PKCS1v15(), SHA256()))}"


def public_keys() -> dict[str, object]:
    """Return the JSON Web Key Set (RFC 7517) with which clients verify signatures."""
    numbers = _key().public_key().public_numbers()
    return {
        "keys": [
            {
                "kty": "RSA",
                "use": "sig",
                "alg": "RS256",
                "kid": _KEY_ID,
                "n": _encoded(numbers.n.to_bytes(_BITS // 8)),
                "e": _encoded(numbers.e.to_bytes(3)),
            }
        ]
    }


@cache
def _key() -> RSAPrivateKey:
    from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key

    return generate_private_key(public_exponent=65537, key_size=_BITS)


def _json(content: Mapping[str, object]) -> bytes:
    return json.dumps(content, separators=(",", ":")).encode()


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
