"""Transcripts of staying signed in: what each answer does to the token, the journal, the caller."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from support.simulation import CONTEXT, KEY, START, Script, answer, granted, token
from trakt_auth.errors import (
    Blocked,
    InvalidClient,
    LockTimeout,
    LoginRequired,
    RateLimited,
    StoreConflict,
    StoreCorrupt,
    StoreUnavailable,
    TokenNotSaved,
    TransportError,
    Unavailable,
    UnexpectedResponse,
)
from trakt_auth.flows import refresh
from trakt_auth.flows.events import LoginNeeded
from trakt_auth.flows.steps import (
    Hold,
    Load,
    Moment,
    Notify,
    Now,
    Save,
    Send,
    Uninterruptible,
)
from trakt_auth.stores.record import (
    CONFLICTS,
    Attempt,
    Outcome,
    Record,
    Stored,
    pause_from,
    pause_to,
)

FRESH = token()
STALE = token(age=timedelta(days=5))
EXPIRED = token(age=timedelta(days=8))
HTML = {"content-type": "text/html"}

# Everything that says nothing about the grant: the answer, the error for somebody who has nothing
# else, and whether the refresh token may have been spent.
NOT_ABOUT_THE_GRANT = {
    "edge 403": (answer(403, b"<html>", **HTML), Blocked, False),
    "plain 403": (answer(403, b"Forbidden", **{"content-type": "text/plain"}), Blocked, False),
    "locked 423": (answer(423, None, **{"x-account-locked": "true"}), Blocked, False),
    "429 bare": (answer(429), RateLimited, False),
    "429 text": (answer(429, b"error code: 1015"), RateLimited, False),
    "500": (answer(500), Unavailable, True),
    "502 html": (answer(502, b"<html>", **HTML), Unavailable, True),
    "503": (answer(503), Unavailable, True),
    "504": (answer(504), Unavailable, True),
    "520": (answer(520), Unavailable, True),
    "521": (answer(521), Unavailable, True),
    "522": (answer(522), Unavailable, True),
    "200 html": (answer(200, b"<html>", **HTML), UnexpectedResponse, True),
    "200 without token": (answer(200, {"ok": True}), UnexpectedResponse, True),
    "200 truncated": (answer(200, b'{"access_token": "a'), UnexpectedResponse, True),
    "204": (answer(204), UnexpectedResponse, True),
    "404 html": (answer(404, b"<html>", **HTML), UnexpectedResponse, False),
    "412": (answer(412), UnexpectedResponse, False),
    "empty 400": (answer(400), UnexpectedResponse, False),
    "invalid_client": (answer(401, {"error": "invalid_client"}), InvalidClient, False),
    "dns": (TransportError("no such name", outcome_unknown=False), TransportError, False),
    "tls": (TransportError("bad certificate", outcome_unknown=False), TransportError, False),
    "reset": (TransportError("reset", outcome_unknown=True), TransportError, True),
    "timeout": (TransportError("read timed out", outcome_unknown=True), TransportError, True),
    "lease": (LockTimeout("ends too soon"), LockTimeout, False),
}


def kept(record: Record, version: int = 1) -> Stored:
    return Stored(payload=record.to_payload(), version=version)


def record(of, **attempt) -> Stored:
    return kept(Record(token=of, attempt=Attempt(started_at=START, **attempt) if attempt else None))


def fresh():
    return Script(refresh.fresh_token(CONTEXT, account="default"))


def told():
    return Script(refresh.refresh(CONTEXT, account="default"))


def journal(step: Save) -> Attempt | None:
    return Record.from_stored(Stored(payload=step.payload, version=0)).attempt


def saves(script, key=KEY):
    return [step for step in script.seen if isinstance(step, Save) and step.key == key]


def test_fresh_is_one_look():
    script = fresh()
    assert script.run((Load, record(FRESH))).token == FRESH
    assert not any(isinstance(step, Uninterruptible) for step in script.seen)


def test_nobody_signed_in():
    with pytest.raises(LoginRequired) as caught:
        fresh().run((Load, None))
    assert caught.value.account == "default"


def test_the_order_read_lock_read_note_send_save():
    script = fresh()
    one = record(EXPIRED)
    result = script.run(
        *((Load, one), (Hold, True), (Load, one), (Load, None)),
        *((Save, 2), (Send, granted(2)), (Save, 3), (Notify, None)),
    )
    assert result.token.access_token == "a2"
    assert result.token.expires_at == START + timedelta(days=7)
    note, pair = saves(script)
    assert journal(note).outcome is Outcome.BEGUN
    assert note.replacing == 1
    assert journal(pair) is None
    assert pair.replacing == 2
    hold = next(step for step in script.seen if isinstance(step, Hold))
    assert hold.wait == CONTEXT.lock_wait


def test_a_missing_refresh_token_in_the_answer_keeps_the_old_one():
    one = record(EXPIRED)
    body = {"access_token": "a2", "expires_in": 60}
    result = fresh().run(
        *((Load, one), (Hold, True), (Load, one), (Load, None)),
        *((Save, 2), (Send, answer(200, body)), (Save, 3), (Notify, None)),
    )
    assert result.token.refresh_token == "r1"


class TestStale:
    def test_busy_in_this_process_goes_on_with_the_old_token(self):
        flow = refresh.fresh_token(CONTEXT, account="default")
        assert isinstance(flow.send(None), Load)
        flow.send(record(STALE))
        step = flow.send(Moment(wall=START, monotonic=0))
        assert isinstance(step, Uninterruptible)
        assert step.wait is False
        step.flow.close()
        flow.send(None)
        with pytest.raises(StopIteration) as end:
            flow.send(Moment(wall=START, monotonic=0))
        assert end.value.value.token == STALE

    def test_busy_in_another_process_goes_on_with_the_old_token(self):
        script = fresh()
        one = record(STALE)
        assert script.run((Load, one), (Hold, False), (Load, one)).token == STALE
        assert next(step for step in script.seen if isinstance(step, Hold)).wait == 0

    def test_somebody_else_was_faster(self):
        newer = kept(Record(token=token(2)))
        assert (
            fresh().run((Load, record(STALE)), (Hold, True), (Load, newer)).token.access_token
            == "a2"
        )

    @pytest.mark.parametrize("name", NOT_ABOUT_THE_GRANT)
    def test_goes_on_with_the_old_token(self, name):
        response, _, unknown = NOT_ABOUT_THE_GRANT[name]
        script = fresh()
        one = record(STALE)
        pause = [(Load, None), (Save, 9)] if name.startswith("429") else []
        result = script.run(
            *((Load, one), (Hold, True), (Load, one), (Load, None)),
            *((Save, 2), (Send, response), (Save, 3), *pause),
        )
        assert result.token == STALE
        settled = journal(saves(script)[1])
        assert settled.outcome is (Outcome.UNKNOWN if unknown else Outcome.FAILED)
        assert settled.failures == 1
        assert settled.retry_at is None if name == "lease" else settled.retry_at > START
        assert (settled.lost_at is not None) is unknown

    def test_a_refused_grant_serves_until_the_end_and_says_so(self):
        script = fresh()
        one = record(STALE)
        noted = record(STALE, outcome=Outcome.BEGUN)
        result = script.run(
            *((Load, one), (Hold, True), (Load, one), (Load, None)),
            *((Save, 2), (Send, answer(400, {"error": "invalid_grant"})), (Load, noted)),
            *((Save, 3), (Notify, None)),
        )
        assert result.token == STALE
        assert isinstance(script.seen[-2].event, LoginNeeded)
        assert journal(saves(script)[-1]).outcome is Outcome.REFUSED

    @pytest.mark.parametrize("sent", [True, False])
    def test_a_token_that_ends_meanwhile_is_not_served(self, sent):
        """Trakt takes longer to answer than the token lives, or the store does."""
        late = Moment(wall=STALE.expires_at, monotonic=0)
        one, down = record(STALE), TransportError("refused", outcome_unknown=False)
        steps = [(Load, one), (Hold, StoreUnavailable("away"))]
        if sent:
            steps = [(Load, one), (Hold, True), (Load, one), (Load, None)]
            steps += [(Save, 2), (Send, down), (Save, 3)]
        pause = late.wall + timedelta(seconds=30)
        note = Attempt(outcome=Outcome.FAILED, started_at=late.wall, retry_at=pause)
        failed = kept(Record(token=STALE, attempt=note))
        script = fresh()
        with pytest.raises(Unavailable, match="next try"):
            script.run(*steps, (Now, late), (Load, failed), (Now, late))

    def test_a_refused_grant_is_not_asked_about_again(self):
        assert (
            fresh().run((Load, record(STALE, outcome=Outcome.REFUSED, reason="x"))).token == STALE
        )

    def test_a_store_that_cannot_be_written_goes_on_with_the_old_token(self):
        one = record(STALE)
        script = fresh()
        result = script.run(
            *((Load, one), (Hold, True), (Load, one), (Load, None)),
            *((Save, StoreUnavailable("read-only")), (Load, one)),
        )
        assert result.token == STALE
        assert not any(isinstance(step, Send) for step in script.seen)

    def test_a_pause_is_obeyed(self):
        one = record(STALE)
        pause = Stored(payload=pause_to(START + timedelta(seconds=100)), version=1)
        assert fresh().run((Load, one), (Hold, True), (Load, one), (Load, pause)).token == STALE

    def test_a_crashed_holder_is_found_out_once(self):
        script = fresh()
        one = record(STALE, outcome=Outcome.BEGUN)
        assert script.run((Load, one), (Hold, True), (Load, one), (Save, 2)).token == STALE
        settled = journal(saves(script)[0])
        assert settled.outcome is Outcome.UNKNOWN
        assert settled.lost_at == START
        script = fresh()
        again = kept(Record(token=STALE, attempt=settled), 2)
        assert script.run((Load, again)).token == STALE

    def test_a_crash_that_cannot_be_settled_does_no_harm(self):
        one = record(STALE, outcome=Outcome.BEGUN)
        full = StoreUnavailable("full")
        assert fresh().run((Load, one), (Hold, True), (Load, one), (Save, full)).token == STALE

    def test_an_access_token_that_stays_the_same_is_refreshed_once(self):
        """Whoever asks for another one has got what there is; asking again would never end."""
        one = kept(Record(token=FRESH))
        same = replace(FRESH, refresh_token="r2")
        body = json.loads(granted(2).body) | {"access_token": "a1"}
        result = told().run(
            *((Load, one), (Load, one), (Hold, True), (Load, one), (Load, None)),
            *((Save, 2), (Send, answer(200, body)), (Save, 3), (Notify, None)),
        )
        assert (result.token.access_token, result.token.refresh_token) == ("a1", same.refresh_token)


class TestExpired:
    @pytest.mark.parametrize("name", NOT_ABOUT_THE_GRANT)
    def test_raises_what_happened_and_marks_nothing_dead(self, name):
        response, error, unknown = NOT_ABOUT_THE_GRANT[name]
        script = fresh()
        one = record(EXPIRED)
        pause = [(Load, None), (Save, 9)] if name.startswith("429") else []
        with pytest.raises(error):
            script.run(
                *((Load, one), (Hold, True), (Load, one), (Load, None)),
                *((Save, 2), (Send, response), (Save, 3), *pause),
            )
        assert journal(saves(script)[1]).outcome is (Outcome.UNKNOWN if unknown else Outcome.FAILED)
        assert (
            Record.from_stored(Stored(payload=saves(script)[1].payload, version=3)).token == EXPIRED
        )

    def test_a_refused_grant_ends_it_and_is_remembered(self):
        script = fresh()
        one = record(EXPIRED)
        noted = record(EXPIRED, outcome=Outcome.BEGUN)
        with pytest.raises(LoginRequired) as caught:
            script.run(
                *((Load, one), (Hold, True), (Load, one), (Load, None)),
                *((Save, 2), (Send, answer(401, {"error": "invalid_grant"})), (Load, noted)),
                *((Save, 3), (Notify, None)),
            )
        assert type(caught.value.__cause__).__name__ == "InvalidGrant"
        dead = Stored(payload=saves(script)[-1].payload, version=3)
        with pytest.raises(LoginRequired) as again:
            fresh().run((Load, dead))
        assert again.value.reason == caught.value.reason

    def test_a_refused_grant_that_somebody_else_renewed(self):
        one = record(EXPIRED)
        result = fresh().run(
            *((Load, one), (Hold, True), (Load, one), (Load, None), (Save, 2)),
            *((Send, answer(400, {"error": "invalid_grant"})), (Load, kept(Record(token=FRESH2)))),
        )
        assert result.token.access_token == "a2"

    def test_a_refused_grant_that_somebody_else_may_have_spent(self):
        """We were suspended, our lease ended, and the next holder's answer is still on its way."""
        one = record(EXPIRED)
        theirs = record(EXPIRED, outcome=Outcome.BEGUN, lost_at=START)
        with pytest.raises(LockTimeout, match="took over"):
            fresh().run(
                *((Load, one), (Hold, True), (Load, one), (Load, None), (Save, 2)),
                *((Send, answer(400, {"error": "invalid_grant"})), (Load, theirs)),
            )

    def test_a_death_that_cannot_be_written_down(self):
        one, noted = record(EXPIRED), record(EXPIRED, outcome=Outcome.BEGUN)
        full = StoreUnavailable("full")
        with pytest.raises(LoginRequired):
            fresh().run(
                *((Load, one), (Hold, True), (Load, one), (Load, None), (Save, 2)),
                *((Send, answer(400, {"error": "invalid_grant"})), (Load, noted)),
                *((Save, full), (Notify, None)),
            )

    def test_a_lost_answer_is_tried_once_more_and_named(self):
        one = record(EXPIRED, outcome=Outcome.UNKNOWN, lost_at=START, failures=1)
        noted = record(EXPIRED, outcome=Outcome.BEGUN, lost_at=START, failures=1)
        script = fresh()
        with pytest.raises(LoginRequired) as caught:
            script.run(
                *((Load, one), (Hold, True), (Load, one), (Load, None), (Save, 2)),
                *((Send, answer(400, {"error": "invalid_grant"})), (Load, noted)),
                *((Save, 3), (Notify, None)),
            )
        assert "2026-11-23 12:00:00 UTC was lost" in caught.value.reason

    def test_retry_after_is_remembered_for_all_accounts(self):
        script = fresh()
        one = record(EXPIRED)
        with pytest.raises(RateLimited) as caught:
            script.run(
                *((Load, one), (Hold, True), (Load, one), (Load, None), (Save, 2)),
                (Send, answer(429, None, **{"retry-after": "143"})),
                *((Save, 3), (Load, None), (Save, 4)),
            )
        assert caught.value.retry_after == 143
        (pause,) = saves(script, CONTEXT.key(""))
        until = pause_from(Stored(payload=pause.payload, version=1))
        assert until == START + timedelta(seconds=143)

    def test_a_pause_that_cannot_be_read_is_none(self):
        one, damaged = record(EXPIRED), Stored(payload="{", version=7)
        script = fresh()
        sends = [(Load, one), (Hold, True), (Load, one), (Load, damaged), (Save, 2)]
        with pytest.raises(RateLimited):
            script.run(*sends, (Send, answer(429)), (Save, 3), (Load, damaged), (Save, 8))
        (pause,) = saves(script, CONTEXT.key(""))
        assert pause.replacing is None  # written anew

    @pytest.mark.parametrize(("asked", "written"), [(10, False), (500, True)])
    def test_the_longest_pause_counts(self, asked, written):
        one, script = record(EXPIRED), fresh()
        other = Stored(payload=pause_to(START + timedelta(seconds=100)), version=7)
        save = [(Save, StoreConflict("x")), (Load, other), (Save, 8)] if written else []
        with pytest.raises(RateLimited):
            script.run(
                *((Load, one), (Hold, True), (Load, one), (Load, None), (Save, 2)),
                (Send, answer(429, None, **{"retry-after": str(asked)})),
                *((Save, 3), (Load, other), *save),
            )
        pauses = saves(script, CONTEXT.key(""))
        assert [pause.replacing for pause in pauses] == ([7, 7] if written else [])

    def test_a_pause_that_others_write_all_the_time_is_theirs(self):
        one, script = record(EXPIRED), fresh()
        busy = [(Load, None), (Save, StoreConflict("x"))] * CONFLICTS
        with pytest.raises(RateLimited):
            script.run(
                *((Load, one), (Hold, True), (Load, one), (Load, None), (Save, 2)),
                *((Send, answer(429)), (Save, 3), *busy),
            )

    def test_one_account_with_many_failures_does_not_pause_the_others_for_long(self):
        one, script = record(EXPIRED, outcome=Outcome.FAILED, failures=12), fresh()
        with pytest.raises(RateLimited):
            script.run(
                *((Load, one), (Hold, True), (Load, one), (Load, None), (Save, 2)),
                *((Send, answer(429)), (Save, 3), (Load, None), (Save, 4)),
            )
        (pause,) = saves(script, CONTEXT.key(""))
        assert pause_from(Stored(payload=pause.payload, version=1)) == START + timedelta(seconds=2)

    @pytest.mark.parametrize("outcome", [None, Outcome.FAILED])
    def test_a_note_whose_answer_was_lost_is_taken_back(self, outcome):
        """The store has the note, and nothing was sent: no refresh is in doubt."""
        one = record(EXPIRED, outcome=outcome) if outcome else record(EXPIRED)
        script, away = fresh(), StoreUnavailable("away")
        begun = Attempt(outcome=Outcome.BEGUN, started_at=START)
        noted = kept(Record(token=EXPIRED, attempt=begun), 2)
        with pytest.raises(StoreUnavailable):
            script.run(
                *((Load, one), (Hold, True), (Load, one), (Load, None)),
                *((Save, away), (Load, noted), (Save, 3)),
            )
        back = saves(script)[1]
        assert back.replacing == 2
        assert journal(back) == Record.from_stored(one).attempt

    def test_a_note_that_was_not_written_is_not_taken_back(self):
        one, away = record(EXPIRED), StoreUnavailable("away")
        for after in (one, away):
            with pytest.raises(StoreUnavailable):
                fresh().run(
                    *((Load, one), (Hold, True), (Load, one), (Load, None)),
                    *((Save, away), (Load, after)),
                )

    def test_a_pause_is_told_with_what_is_left_of_it(self):
        one = record(EXPIRED)
        pause = Stored(payload=pause_to(START + timedelta(seconds=100)), version=1)
        with pytest.raises(RateLimited) as caught:
            fresh().run((Load, one), (Hold, True), (Load, one), (Load, pause))
        assert caught.value.retry_after == 100

    def test_too_early_after_a_failure(self):
        one = record(
            EXPIRED,
            outcome=Outcome.FAILED,
            retry_at=START + timedelta(minutes=20),
            reason="Trakt is unavailable (503)",
        )
        with pytest.raises(Unavailable, match="503") as caught:
            fresh().run((Load, one))
        assert caught.value.retry_after == 60

    def test_no_refresh_token(self):
        one = kept(Record(token=replace(EXPIRED, refresh_token=None)))
        with pytest.raises(LoginRequired, match="no refresh token"):
            fresh().run((Load, one))

    def test_a_record_that_is_written_all_the_time(self):
        one = record(EXPIRED)
        busy = [(Load, one), (Load, None), (Save, StoreConflict("x"))] * CONFLICTS
        with pytest.raises(StoreConflict):
            fresh().run((Load, one), (Hold, True), *busy)

    def test_a_conflict_looks_again(self):
        one = record(EXPIRED)
        result = fresh().run(
            *((Load, one), (Hold, True), (Load, one), (Load, None), (Save, StoreConflict("x"))),
            (Load, kept(Record(token=FRESH2))),
        )
        assert result.token.access_token == "a2"

    def test_a_corrupt_record_is_left_alone(self):
        with pytest.raises(StoreCorrupt):
            fresh().run((Load, Stored(payload="{", version=1)))

    def test_a_journal_that_cannot_be_settled_keeps_the_error(self):
        one = record(EXPIRED)
        full = StoreUnavailable("full")
        with pytest.raises(RateLimited):
            fresh().run(
                *((Load, one), (Hold, True), (Load, one), (Load, None), (Save, 2)),
                *((Send, answer(429)), (Save, full), (Load, None), (Save, full)),
            )


FRESH2 = token(2)


class TestWrongClocks:
    def test_a_pause_from_a_clock_that_was_ahead_is_not_believed(self):
        one = record(EXPIRED)
        pause = Stored(payload=pause_to(START + timedelta(hours=9)), version=1)
        fresh().run(
            *((Load, one), (Hold, True), (Load, one), (Load, pause)),
            *((Save, 2), (Send, granted(2)), (Save, 3), (Notify, None)),
        )

    def test_a_failure_from_a_clock_that_was_ahead_is_not_waited_for(self):
        later = START + timedelta(hours=8)
        failed = Attempt(outcome=Outcome.FAILED, started_at=later, retry_at=later)
        one = kept(Record(token=EXPIRED, attempt=failed))
        fresh().run(
            *((Load, one), (Hold, True), (Load, one), (Load, None)),
            *((Save, 2), (Send, granted(2)), (Save, 3), (Notify, None)),
        )


def test_a_conflict_and_then_an_unreadable_store_hand_the_pair_over():
    one = record(STALE)
    with pytest.raises(TokenNotSaved) as caught:
        fresh().run(
            *((Load, one), (Hold, True), (Load, one), (Load, None), (Save, 2)),
            *((Send, granted(2)), (Save, StoreConflict("x")), (Load, StoreUnavailable("gone"))),
            (Notify, None),
        )
    assert caught.value.token.refresh_token == "r2"


class TestTold:
    def test_refreshes_a_fresh_token(self):
        one = record(FRESH)
        result = told().run(
            *((Load, one), (Load, one), (Hold, True), (Load, one), (Load, None)),
            *((Save, 2), (Send, granted(2)), (Save, 3), (Notify, None)),
        )
        assert result.token.access_token == "a2"

    def test_does_not_risk_a_login_that_still_works(self):
        one = record(FRESH, outcome=Outcome.UNKNOWN, lost_at=START)
        with pytest.raises(TransportError) as caught:
            told().run((Load, one), (Load, one))
        assert caught.value.outcome_unknown

    def test_unless_impatient(self):
        impatient = replace(CONTEXT, replay_unknown=True)
        one = record(FRESH, outcome=Outcome.UNKNOWN, lost_at=START)
        result = Script(refresh.refresh(impatient, account="default")).run(
            *((Load, one), (Load, one), (Hold, True), (Load, one), (Load, None)),
            *((Save, 2), (Send, granted(2)), (Save, 3), (Notify, None)),
        )
        assert result.token.access_token == "a2"

    def test_a_dead_login_says_so_at_once(self):
        one = record(FRESH, outcome=Outcome.REFUSED, reason="revoked")
        with pytest.raises(LoginRequired, match="revoked"):
            told().run((Load, one), (Load, one))


class TestRejected:
    def rejected(self, access_token="a1"):
        return Script(refresh.refresh_rejected(CONTEXT, account="default", rejected=access_token))

    def test_somebody_has_refreshed_meanwhile(self):
        script = self.rejected()
        assert script.run((Load, kept(Record(token=FRESH2)))).token == FRESH2

    def test_a_lost_answer_is_no_reason_to_wait_any_more(self):
        one = record(FRESH, outcome=Outcome.UNKNOWN, lost_at=START)
        result = self.rejected().run(
            *((Load, one), (Hold, True), (Load, one), (Load, None)),
            *((Save, 2), (Send, granted(2)), (Save, 3), (Notify, None)),
        )
        assert result.token.access_token == "a2"

    def test_joining_a_refresh_that_was_not_for_us_looks_again(self):
        flow = refresh.refresh_rejected(CONTEXT, account="default", rejected="a1")
        moment = Moment(wall=START, monotonic=0)
        step = flow.send(None)
        for result in (FRESH, FRESH2):
            assert isinstance(step, Load)
            flow.send(record(FRESH))
            step = flow.send(moment)
            assert isinstance(step, Uninterruptible)
            assert step.wait is True
            step.flow.close()
            if result is FRESH:
                step = flow.send(Record(token=FRESH))
        with pytest.raises(StopIteration) as end:
            flow.send(Record(token=FRESH2))
        assert end.value.value.token == FRESH2
