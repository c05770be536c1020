"""Bearer authentication (RFC 6750 §2.1) for requests.

A thin adapter for a program's own requests sessions: it asks the client for tokens and decides
nothing about them.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from trakt_auth.client.bearer import HEADER, Bearer, Origin, TokenSource, missing, origin, require

try:
    import requests
    from requests.auth import AuthBase
except ImportError as _error:
    raise missing("requests", _error) from None

__all__ = ["BearerAuth"]


class BearerAuth(AuthBase):
    """Puts a valid access token on every request to the API host, and on no other.

    After a 401 the token is refreshed and the request sent once more, unless its body can be
    read only once: then the 401 is returned, and the next request has the new token.
    For `session.auth` or `auth=`; it keeps no state, so threads may share it.

    Raises: UsageError for an AsyncClient.
    Raises (from the request): whatever `client.token` raises; UsageError for another host.
    """

    def __init__(self, client: TokenSource, *, account: str = "default") -> None:
        require(client, awaits=False)
        self._client = client
        self._account = account
        api = requests.Request("GET", client.endpoints.api).prepare()
        self._bearer = Bearer(_origin(api))

    def __call__(self, r: requests.PreparedRequest) -> requests.PreparedRequest:
        """Sign a request, and look at its answer."""
        self._bearer.admit(_origin(r))
        r.headers[HEADER] = self._bearer.header(self._client.token(account=self._account))
        request: Any = r  # the method has types in some releases only
        request.register_hook("response", self._answered)
        return r

    def _answered(
        self,
        response: requests.Response,
        **settings: Any,  # noqa: ANN401 - the timeout, proxies and so on of the request
    ) -> requests.Response:
        request: Any = response.request  # whose types say that a body is always bytes or text
        rejected = self._bearer.rejected(response.status_code, request.headers.get(HEADER))
        if rejected is None:
            return response
        try:
            token = self._client.refresh_rejected(rejected, account=self._account)
            replayable = isinstance(request.body, str | bytes | None)
            if token.access_token == rejected or not replayable:
                return response
            response.content  # noqa: B018 - read to the end, the connection serves again
        except BaseException:
            response.close()
            raise
        response.close()
        # The same request and no copy: the session goes on with it if a redirect follows.
        request.headers[HEADER] = self._bearer.header(token)
        # Below the session, whose hooks would look at this answer too.
        again: requests.Response = response.connection.send(request, **settings)
        again.history.append(response)
        again.request = request
        return again


def _origin(request: requests.PreparedRequest) -> Origin:
    url = urlsplit(request.url or "")  # the way requests finds out where to connect to
    return origin(str(url.scheme), url.hostname, url.port)
