"""A pair that the store cannot take: put aside, offered again, never in the way of a newer one."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from support.simulation import CONTEXT, KEY, START, Script, answer, granted, token
from trakt_auth.errors import (
    LoginRequired,
    StoreConflict,
    StoreCorrupt,
    StoreUnavailable,
    TokenNotSaved,
)
from trakt_auth.flows import refresh as renewal
from trakt_auth.flows import saving as keeping
from trakt_auth.flows.events import TokenObtained, TokenRefreshed, TokenUnsaved
from trakt_auth.flows.steps import (
    Hold,
    Load,
    Notify,
    PutAside,
    Recall,
    Save,
    Send,
    Sleep,
    Uninterruptible,
)
from trakt_auth.stores.record import NOTHING, Attempt, Outcome, Record, Stored, fingerprint

OLD = token(1, age=timedelta(days=8))
NEW = token(2)
DOWN = StoreUnavailable("away")
REFRESHED = Record(token=NEW, spent=fingerprint("r1"))
SIGNED_IN = Record(token=NEW)


def kept(record, version=5):
    return Stored(payload=record.to_payload(), version=version)


def read():
    return Script(keeping.read(KEY))


def puts(script):
    return [step for step in script.seen if isinstance(step, PutAside)]


def events(script):
    return [step.event for step in script.seen if isinstance(step, Notify)]


def test_nothing_aside_is_one_load():
    record = read().run((Load, kept(Record(token=NEW))))
    assert (record.token, record.version) == (NEW, 5)
    with pytest.raises(LoginRequired, match="nobody has signed in"):
        read().run((Load, None))


@pytest.mark.parametrize(
    ("waiting", "event"), [(REFRESHED, TokenRefreshed), (SIGNED_IN, TokenObtained)]
)
def test_what_is_aside_is_saved_first(waiting, event):
    script = read()
    record = script.run(
        *((Recall, kept(waiting, 9)), (Load, kept(Record(token=OLD))), (Save, 6)),
        *((Notify, None), (PutAside, None)),
    )
    assert (record.token, record.version) == (NEW, 6)
    (save,) = [step for step in script.seen if isinstance(step, Save)]
    assert save.replacing == 5
    assert save.expires_at == NEW.expires_at
    assert Record.from_stored(kept(record)).spent is None
    assert '"spent"' not in save.payload
    assert events(script) == [event(account="default", token=NEW)]
    assert (puts(script)[0].payload, puts(script)[0].replacing) == (None, 9)


def test_a_sign_in_that_was_never_saved_needs_no_record():
    script = read()
    record = script.run(
        *((Recall, kept(SIGNED_IN)), (Load, None), (Save, 6), (Notify, None), (PutAside, None))
    )
    assert record.token == NEW
    assert [step.replacing for step in script.seen if isinstance(step, Save)] == [NOTHING]


@pytest.mark.parametrize("latest", [token(3), replace(NEW, access_token="a9")])
def test_a_newer_record_stays(latest):
    """Somebody signed in since, or the pair was saved after all."""
    script = read()
    record = script.run(
        (Recall, kept(REFRESHED, 9)), (Load, kept(Record(token=latest))), (PutAside, None)
    )
    assert record.token == latest
    assert events(script) == []
    older = Record(token=replace(NEW, created_at=NEW.created_at - timedelta(1)))
    record = read().run((Recall, kept(older)), (Load, kept(SIGNED_IN)), (PutAside, None))
    assert record.token == NEW


def test_who_signed_out_stays_signed_out():
    script = read()
    with pytest.raises(LoginRequired):
        script.run((Recall, kept(REFRESHED)), (Load, None), (PutAside, None))
    assert puts(script)[0].payload is None


@pytest.mark.parametrize("step", [Load, Save])
def test_a_store_that_is_still_away_leaves_what_is_in_our_hands(step):
    steps = [(Load, DOWN)] if step is Load else [(Load, kept(Record(token=OLD))), (Save, DOWN)]
    record = read().run((Recall, kept(REFRESHED)), *steps)
    assert record.token == NEW
    assert record.version == keeping.NOWHERE  # which no save can replace


def test_an_unreadable_record_is_replaced():
    script, corrupt = read(), Stored(payload="{", version=5)
    script.run(
        *((Recall, kept(REFRESHED)), (Load, corrupt), (Save, 6), (Notify, None)), (PutAside, None)
    )
    assert [step.replacing for step in script.seen if isinstance(step, Save)] == [None]


def test_an_unreadable_thing_aside_is_passed_by():
    record = read().run((Recall, Stored(payload="{", version=1)), (Load, kept(SIGNED_IN)))
    assert record.token == NEW


def test_a_spare_store_that_cannot_be_read_blocks_nothing():
    healthy = kept(Record(token=NEW))
    for trouble in (StoreCorrupt("x"), DOWN):
        assert read().run((Recall, trouble), (Load, healthy)).token == NEW
        assert Script(keeping.look(KEY)).run((Recall, trouble), (Load, healthy)).token == NEW
    with pytest.raises(LoginRequired):
        read().run((Recall, StoreCorrupt("x")), (Load, None))


@pytest.mark.parametrize("outcome", [Outcome.BEGUN, Outcome.UNKNOWN])
def test_nothing_is_spent_while_its_new_pair_may_lie_in_a_spare_that_is_away(outcome):
    lost = OLD.created_at if outcome is Outcome.UNKNOWN else None
    attempt = Attempt(outcome=outcome, started_at=OLD.created_at, lost_at=lost)
    waiting = kept(Record(token=OLD, attempt=attempt))
    for there in (waiting, None):
        with pytest.raises(StoreUnavailable, match="away"):
            read().run((Recall, DOWN), (Load, there))
    assert read().run((Recall, StoreCorrupt("x")), (Load, waiting)).attempt == attempt


def test_a_sign_in_aside_counts_from_when_it_was_put_there():
    """A token that was moved in from elsewhere can be older than what it replaces."""
    moved_in = Record(token=OLD, aside_at=NEW.created_at + timedelta(1))
    script = read()
    saved = ((Save, 6), (Notify, None), (PutAside, None))
    assert script.run((Recall, kept(moved_in)), (Load, kept(SIGNED_IN)), *saved).token == OLD
    assert Record.from_stored(kept(moved_in)) == replace(moved_in, version=5)
    before = Record(token=OLD, aside_at=NEW.created_at - timedelta(1))
    steps = ((Recall, kept(before)), (Load, kept(SIGNED_IN)), (PutAside, None))
    assert read().run(*steps).token == NEW
    refused = Attempt(outcome=Outcome.REFUSED, started_at=NEW.created_at)
    over = kept(Record(token=NEW, attempt=refused))
    assert read().run((Recall, kept(before)), (Load, over), *saved).token == OLD


def test_a_pair_with_the_old_refresh_token_is_saved_all_the_same():
    """Without rotation the refresh token says nothing about which pair is kept."""
    script = Script(renewal.fresh_token(CONTEXT, account="default"))
    one = kept(Record(token=OLD), 1)
    body = json.loads(granted(2).body) | {"refresh_token": "r1"}
    touched = kept(Record(token=OLD), 8)
    result = script.run(
        *((Load, one), (Hold, True), (Load, one), (Load, None), (Save, 2)),
        *((Send, answer(200, body)), (Save, StoreConflict("x")), (Load, touched)),
        *((Save, 9), (Notify, None)),
    )
    assert (result.access_token, result.refresh_token) == ("a2", "r1")
    assert [step for step in script.seen if isinstance(step, Save)][-1].replacing == 8


def test_somebody_else_is_faster_every_time():
    one = [(Load, kept(Record(token=OLD))), (Save, StoreConflict("x"))]
    assert read().run(
        (Recall, kept(REFRESHED)), *one, *one, (Load, kept(SIGNED_IN)), (PutAside, None)
    )
    with pytest.raises(StoreConflict, match="all the time"):
        read().run((Recall, kept(REFRESHED)), *one * keeping.CONFLICTS)


def test_what_cannot_be_let_go_is_found_superseded_the_next_time():
    record = read().run((Recall, kept(REFRESHED)), (Load, kept(SIGNED_IN)), (PutAside, DOWN))
    assert record.token == NEW


def test_looking_saves_in_a_protected_section_only():
    flow = keeping.look(KEY)
    assert isinstance(flow.send(None), Recall)
    step = flow.send(kept(REFRESHED))
    assert isinstance(step, Uninterruptible)
    step.flow.close()
    flow.close()


def test_offering_tells_whether_it_is_done():
    def offer(*steps):
        return Script(keeping.offer(KEY)).run(*steps)

    aside = kept(REFRESHED)
    saved = [(Load, kept(Record(token=OLD))), (Save, 6), (Notify, None), (PutAside, None)]
    assert offer((Recall, aside), *saved, (Recall, None)) is True
    assert offer((Recall, aside), (Load, None), (PutAside, None), (Recall, None)) is True
    assert offer((Recall, aside), (Load, DOWN), (Recall, aside)) is False
    assert offer((Recall, DOWN), (Load, None), (Recall, DOWN)) is False


@pytest.mark.parametrize("fallback", [None, DOWN])
def test_a_refresh_whose_pair_cannot_be_saved(fallback):
    script = Script(renewal.fresh_token(CONTEXT, account="default"))
    failing = [(Save, DOWN), (Sleep, None)] * len(keeping.SAVE_PAUSES) + [(Save, DOWN)]
    one = kept(Record(token=OLD), 1)
    with pytest.raises(TokenNotSaved) as caught:
        script.run(
            *((Load, one), (Hold, True), (Load, one), (Load, None), (Save, 2), (Send, granted(2))),
            *(*failing, (PutAside, fallback), (Notify, None)),
        )
    assert caught.value.token.refresh_token == "r2"
    assert events(script) == [TokenUnsaved(account="default", token=caught.value.token)]
    aside = Record.from_stored(Stored(payload=puts(script)[0].payload, version=1))
    assert (aside.token, aside.spent) == (caught.value.token, fingerprint("r1"))
    assert "r1" not in puts(script)[0].payload
    assert "r2" not in repr(puts(script))


@pytest.mark.parametrize(
    ("waits", "overtaken"),
    [
        (kept(Record(token=token(9), aside_at=START + timedelta(1))), True),
        (kept(Record(token=OLD, aside_at=START - timedelta(1))), False),  # it was only not removed
        (kept(Record(token=token(9), spent=fingerprint("r8"), aside_at=START)), False),
        (Stored(payload="{", version=1), False),
        (DOWN, False),
    ],
)
def test_a_sign_in_that_waits_is_not_overwritten_by_an_older_login(waits, overtaken):
    script = Script(renewal.fresh_token(CONTEXT, account="default"))
    failing = [(Save, DOWN), (Sleep, None)] * len(keeping.SAVE_PAUSES) + [(Save, DOWN)]
    one = kept(Record(token=OLD), 1)
    rest = [] if overtaken else [(PutAside, None), (Notify, None)]
    with pytest.raises(TokenNotSaved):
        script.run(
            *((Recall, None), (Load, one), (Hold, True), (Recall, None), (Load, one), (Load, None)),
            *((Save, 2), (Send, granted(2)), *failing, (Recall, waits), *rest),
        )


def test_a_save_that_seemed_to_fail_and_had_not():
    """The answer of the database was lost: what looks like a conflict is our own pair."""
    script = Script(renewal.fresh_token(CONTEXT, account="default"))
    one = kept(Record(token=OLD), 1)
    result = script.run(
        *((Load, one), (Hold, True), (Load, one), (Load, None), (Save, 2), (Send, granted(2))),
        *((Save, DOWN), (Sleep, None), (Save, StoreConflict("x"))),
        *((Load, kept(Record(token=NEW), 3)), (Notify, None)),
    )
    assert result.refresh_token == "r2"
    assert events(script) == [TokenRefreshed(account="default", token=result)]


def test_the_fingerprint_is_no_secret():
    assert "r1" not in fingerprint("r1")
    assert fingerprint("r1") == fingerprint("r1") != fingerprint("r2")
    assert fingerprint(None) == fingerprint("")
    with pytest.raises(StoreCorrupt):
        Record.from_stored(Stored(payload='{"format": 1, "token": {}, "spent": 1}', version=1))
