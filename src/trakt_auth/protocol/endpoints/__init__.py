"""Trakt's authentication endpoints: one `build_...` and one `parse_...` function for each.

`authorize`, `token` (with revocation) and `device` have a file each; `messages` has what all share.
These files hold Trakt's own spellings: URLs, JSON keys, status codes. They are pure: no clock, no
randomness, no I/O.

All OAuth calls go to the authorization server (`https://auth.trakt.tv`), as JSON, with the
application's credentials in the body: Trakt refuses HTTP Basic. The client secret is optional,
and a public client's requests have none. https://developer.trakt.tv/docs/authentication-oauth
"""
