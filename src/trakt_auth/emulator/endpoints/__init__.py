"""The endpoints that programs call: OAuth, the data API, metadata and the OpenAPI document.

One file for each kind of endpoint; no HTML page lives here.
"""
