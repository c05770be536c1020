"""Saving a pair that exists nowhere else: tried for a while, never in the way of a newer one."""

import json
from datetime import timedelta

import pytest

from support.simulation import CONTEXT, KEY, Script, answer, granted, token
from trakt_auth.errors import LoginRequired, StoreConflict, StoreUnavailable, TokenNotSaved
from trakt_auth.flows import refresh, saving
from trakt_auth.flows.events import TokenRefreshed, TokenUnsaved
from trakt_auth.flows.steps import Hold, Load, Notify, Save, Send, Sleep
from trakt_auth.stores.record import Record, Stored, fingerprint

OLD = token(1, age=timedelta(days=8))
NEW = token(2)
DOWN = StoreUnavailable("away")


def kept(record, version=5):
    return Stored(payload=record.to_payload(), version=version)


def steps(script, kind):
    return [step for step in script.seen if isinstance(step, kind)]


def test_reading():
    record = Script(saving.read(KEY)).run((Load, kept(Record(token=NEW))))
    assert (record.token, record.version) == (NEW, 5)
    with pytest.raises(LoginRequired, match="no login is stored"):
        Script(saving.read(KEY)).run((Load, None))
    script = Script(saving.read(KEY, newest=True))
    script.run((Load, kept(Record(token=NEW))))
    assert steps(script, Load)[0].newest is True


def refreshing():
    """Play a refresh up to its answer; the steps that follow save the new pair."""
    one = kept(Record(token=OLD), 1)
    script = Script(refresh.fresh_token(CONTEXT, account="default"))
    before = (Load, one), (Hold, True), (Load, one), (Load, None), (Save, 2), (Send, granted(2))
    return script, before


def test_a_refresh_reads_the_newest_record_under_the_lock():
    script, before = refreshing()
    script.run(*before, (Save, 3), (Notify, None))
    assert [step.newest for step in steps(script, Load)] == [False, True, False]


def test_only_the_pair_and_not_the_note_is_for_the_fallback_store():
    script, before = refreshing()
    script.run(*before, (Save, 3), (Notify, None))
    note, pair = steps(script, Save)
    assert (note.pair, pair.pair) == (False, True)
    record = Record.from_stored(Stored(payload=pair.payload, version=1))
    assert (record.token.refresh_token, record.spent) == ("r2", fingerprint("r1"))
    assert "r1" not in pair.payload
    assert "r2" not in repr(pair)


def test_a_refresh_whose_pair_cannot_be_saved():
    script, before = refreshing()
    failing = [(Save, DOWN), (Sleep, None)] * len(saving.SAVE_PAUSES) + [(Save, DOWN)]
    with pytest.raises(TokenNotSaved) as caught:
        script.run(*before, *failing, (Notify, None))
    assert caught.value.token.refresh_token == "r2"
    (notify,) = steps(script, Notify)
    assert notify.event == TokenUnsaved(account="default", token=caught.value.token)
    assert notify.version == 2
    assert [step.replacing for step in steps(script, Save)] == [1] + [2] * 7


def test_a_pair_with_the_old_refresh_token_is_saved_all_the_same():
    """Without rotation the refresh token does not tell which pair is stored."""
    script = Script(refresh.fresh_token(CONTEXT, account="default"))
    one = kept(Record(token=OLD), 1)
    body = json.loads(granted(2).body) | {"refresh_token": "r1"}
    touched = kept(Record(token=OLD), 8)
    result = script.run(
        *((Load, one), (Hold, True), (Load, one), (Load, None), (Save, 2)),
        *((Send, answer(200, body)), (Save, StoreConflict("x")), (Load, touched)),
        *((Save, 9), (Notify, None)),
    )
    assert (result.token.access_token, result.token.refresh_token) == ("a2", "r1")
    assert result.version == 9
    assert steps(script, Save)[-1].replacing == 8


def test_a_save_that_seemed_to_fail_and_had_not():
    """The answer of the database was lost: what looks like a conflict is our own pair."""
    script, before = refreshing()
    result = script.run(
        *before,
        *((Save, DOWN), (Sleep, None), (Save, StoreConflict("x"))),
        *((Load, kept(Record(token=NEW), 3)), (Notify, None)),
    )
    assert (result.token.refresh_token, result.version) == ("r2", 3)
    (notify,) = steps(script, Notify)
    assert isinstance(notify.event, TokenRefreshed)
    assert notify.version == 3


def test_a_sign_in_that_came_meanwhile_is_served():
    """It may wait in the fallback store, which says so by a conflict."""
    script, before = refreshing()
    waiting = kept(Record(token=token(9)), -1)
    result = script.run(*before, (Save, StoreConflict("a newer login waits")), (Load, waiting))
    assert result.token == token(9)
    assert steps(script, Notify) == []


def test_a_store_that_goes_away_after_a_conflict_leaves_the_token_in_the_error():
    script, before = refreshing()
    with pytest.raises(TokenNotSaved) as caught:
        script.run(*before, (Save, StoreConflict("x")), (Load, DOWN), (Notify, None))
    assert caught.value.token.refresh_token == "r2"


def test_the_fingerprint_is_no_secret():
    assert "r1" not in fingerprint("r1")
    assert fingerprint("r1") == fingerprint("r1") != fingerprint("r2")
    assert fingerprint(None) == fingerprint("")
