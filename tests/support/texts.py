"""Strategies for text: any Unicode, and text with lone surrogates, which no encoding can carry."""

from hypothesis import strategies as st

CHARACTERS = st.characters(exclude_categories=["Cs"])
TEXTS = st.text(CHARACTERS)
# Not `st.text`: it would choose from one alphabet of a million characters, and hardly ever a
# surrogate. High surrogates only, since JSON makes one character of a high and a low one.
ANY_TEXTS = st.lists(CHARACTERS | st.sampled_from("\ud800\udbff")).map("".join)
