/* Exactly-once transactions (R5; design section 5) between one device and one distributor: what src/protocol/txn.c decides, with the durable
 * steps of src/daemon/transact.c and src/distributor/transact.c around it.
 *
 * A connection keeps order and repeats nothing (TLS), but it may be abandoned at any time, and what was sent on it may still arrive long after
 * newer connections were opened, or never. Either side may stop at any time: the device loses what is not stored; the distributor loses nothing,
 * because it answers only what is durable, and an answer that was lost with it is an answer on an abandoned connection.
 *
 *   N            transactions the device wants
 *   CONNECTIONS  it may open
 *   RESTORED     1: once, the device is put back to an earlier copy of all it has stored
 *   BROKEN       0, or the number of one deliberate fault; each must be found
 *
 * What is proved, at every reachable state: nothing is executed twice; nothing that was executed is forgotten before the device has its result;
 * the same transaction always gets the same result; a device that was never restored is never out of step. */
#ifndef N
#define N 3
#endif
#ifndef CONNECTIONS
#define CONNECTIONS 4
#endif
#ifndef RESTORED
#define RESTORED 0
#endif
#ifndef BROKEN
#define BROKEN 0
#endif

#define NO_REPEAT 1       /* the distributor keeps no answer: a repeat is executed again */
#define NO_SESSION 2      /* an old connection is served like the current one */
#define RESETS_BIT 3      /* opening a session resets the bit */
#define ANSWERS_EARLY 4   /* answered before it is durable: may be lost with the distributor */
#define ANY_ID 5          /* same bit, another ID: answered as a repeat */
#define SENDS_UNSTORED 6  /* the device sends before it has stored the ID */
#define FINISHES_EARLY 7  /* the device's row says finished before the result is safe */
#define BIT_STAYS 8       /* an executed transaction does not advance the bit */
#define COMMITS_EARLY 9   /* the device commits before the result is safe */
#define ASKS_AGAIN 10     /* a device that was put back sends what the copy finds outstanding */

#define IDS (2 * N + 1) /* those drawn anew after a restore included; 0: none */

mtype = { HELLO, WELCOME, TRANSACT, COMMIT, TRANSACTED, OUT_OF_STEP };

chan up[CONNECTIONS] = [2] of { mtype, byte /* session */, bit, byte /* id */ };
chan down[CONNECTIONS] = [2] of { mtype, byte /* session; or the result */, bit, byte /* id */ };

/* --- the device's vault: durable --- */
byte kept[IDS];  /* the result, safe in vault or database */
bool had[IDS];   /* it was safe once, in what the restore took away */

/* --- the distributor: all of it durable --- */
byte s_session;
bit s_bit;
byte s_id;
bool s_pending;
byte s_result;
byte results; /* handed out so far; 0 is a refusal */
byte executed[IDS];
byte result_of[IDS];
bool s_behind; /* it has seen a later generation of the vault */

inline answer(to, what, with, its_bit, its_id)
{
    if
    :: nfull(down[to]) -> down[to]!what(with, its_bit, its_id)
    :: full(down[to]) -> skip /* nobody reads there any more */
    fi
}

inline execute(id)
{
    if
    :: s_behind -> s_result = 0 /* every item is refused; the answer advances the bit all the same */
    :: else ->
        executed[id]++;
        assert(executed[id] == 1); /* nothing is charged twice */
        results++;
        s_result = results;
        result_of[id] = results
    fi
}

/* What the device was answered is forgotten now: it must have its result, or be about to be given all that was executed (RESTORED). */
inline forget()
{
    assert(s_id == 0 || executed[s_id] == 0 || kept[s_id] || had[s_id] || (RESTORED && s_behind))
}

inline judge(k, session, b, id)
{
    if
    :: session != s_session && BROKEN != NO_SESSION -> skip /* session-replaced: the device opens another */
    :: else ->
        if
        :: b != s_bit && id != s_id ->
            forget();
            if
            :: BROKEN == ANSWERS_EARLY -> answer(k, TRANSACTED, results + 1, b, id) /* and the transaction was undone */
            :: true ->
                execute(id);
                s_id = id;
                s_pending = true;
                if
                :: BROKEN == BIT_STAYS -> skip
                :: else -> s_bit = b
                fi;
                answer(k, TRANSACTED, s_result, b, id)
            fi
        :: b == s_bit && (id == s_id || BROKEN == ANY_ID) && s_pending ->
            if
            :: BROKEN == NO_REPEAT -> execute(id)
            :: else -> skip
            fi;
            answer(k, TRANSACTED, s_result, b, id)
        :: else ->
            if
            :: s_pending -> answer(k, OUT_OF_STEP, s_result, s_bit, s_id)
            :: !s_pending -> answer(k, OUT_OF_STEP, 0, s_bit, s_id)
            fi
        fi
    fi
}

active proctype distributor()
{
    byte k, session, id;
    bit b;
    mtype type;
end:
    do
    :: atomic {
        /* any connection that has something, whether the device still knows it or not */
        if
        :: nempty(up[0]) -> k = 0
        :: nempty(up[1]) -> k = 1
        :: nempty(up[2]) -> k = 2
        :: CONNECTIONS > 3 && nempty(up[CONNECTIONS - 1]) -> k = CONNECTIONS - 1
        fi;
        up[k]?type(session, b, id);
        if
        :: type == HELLO ->
            s_session++;
            if
            :: BROKEN == RESETS_BIT -> s_bit = 0; s_id = 0; s_pending = false
            :: else -> skip
            fi;
            if
            :: s_behind -> answer(k, WELCOME, s_session, s_bit, 1)
            :: !s_behind -> answer(k, WELCOME, s_session, s_bit, 0)
            fi
        :: type == TRANSACT -> judge(k, session, b, id)
        :: type == COMMIT ->
            if
            :: s_pending && session == s_session && b == s_bit && id == s_id -> forget(); s_pending = false
            :: else -> skip
            fi
        fi;
        k = 0; session = 0; id = 0; b = 0; type = 0 /* fewer states */
    }
    od
}

/* --- the device: durable --- */
bit d_bit;
bool d_outstanding;
byte d_id;
byte drawn; /* IDs; random in truth, so that a device that was put back never draws one again */
byte begun;

/* --- the device: lost at a stop --- */
byte opened; /* connections so far */
#define NONE 255
byte c = NONE; /* the current one */
byte session;
bool sent;
byte got;   /* the result that is being kept + 1; 0: none */
bool is_kept, committed;
bool resumed; /* the outstanding one is an earlier run's */

#define UNSENT_ID (BROKEN == SENDS_UNSTORED && drawn < IDS - 1)

inline stop()
{
    c = NONE; session = 0; sent = false; got = 0; is_kept = false; committed = false
}

inline keep(id, result)
{
    if
    :: result == 0 -> skip /* refused: nothing to keep */
    :: else ->
        assert(result == result_of[id]); /* it is the result of that transaction, and always the same */
        assert(kept[id] == 0 || kept[id] == result);
        kept[id] = result
    fi
}

active proctype device()
{
    byte value, id, i;
    bit b;
    mtype type;
    /* the copy that it may be put back to */
    bool saved, put_back;
    bit saved_bit;
    bool saved_outstanding;
    byte saved_id, saved_begun;
    byte saved_kept[IDS];
end:
    do
    /* Begins: bit, ID and items are stored before anything is sent. */
    :: atomic { !d_outstanding && begun < N && drawn < IDS - 1 && got == 0 ->
        begun++; drawn++; d_id = drawn; d_outstanding = true; resumed = false; sent = false;
        committed = false }

    /* Opens another connection; the last one is left to itself. */
    :: atomic { opened < CONNECTIONS ->
        stop(); c = opened; opened++; up[c]!HELLO(0, 0, 0) }

    :: atomic { session != 0 && d_outstanding && !sent && got == 0 && nfull(up[c]) ->
        if
        :: UNSENT_ID -> drawn++; up[c]!TRANSACT(session, !d_bit, drawn); /* stored only with the answer */
                        if
                        :: d_id = drawn; sent = true
                        :: stop()
                        fi
        :: else -> up[c]!TRANSACT(session, !d_bit, d_id); sent = true
        fi }

    /* The last one of a run is committed by a message of its own. */
    :: atomic { session != 0 && !d_outstanding && d_id != 0 && !committed && nfull(up[c]) ->
        up[c]!COMMIT(session, d_bit, d_id); committed = true }
    :: atomic { BROKEN == COMMITS_EARLY && got != 0 && !committed && nfull(up[c]) ->
        up[c]!COMMIT(session, !d_bit, d_id); committed = true }

    :: atomic { c != NONE && nempty(down[c]) ->
        down[c]?type(value, b, id);
        if
        :: type == WELCOME ->
            session = value;
            if /* what an earlier copy finds outstanding may have been executed since: it is never sent */
            :: id == 1 && d_outstanding && resumed && BROKEN != ASKS_AGAIN -> d_outstanding = false; d_id = 0; d_bit = b
            :: else -> skip
            fi
        :: type == TRANSACTED && d_outstanding && b != d_bit && id == d_id -> got = value + 1
        :: type == TRANSACTED && !(d_outstanding && b != d_bit && id == d_id) -> skip
        :: type == OUT_OF_STEP ->
            assert(RESTORED && put_back); /* only a device that was put back */
            /* It keeps what the results grant and follows the bit. */
            keep(id, value);
            d_bit = b;
            if
            :: d_outstanding && resumed && BROKEN != ASKS_AGAIN -> d_outstanding = false; d_id = 0
            :: d_outstanding && !(resumed && BROKEN != ASKS_AGAIN) && drawn < IDS - 1 ->
                drawn++; d_id = drawn; sent = false /* drawn by this very run: nothing can have executed it */
            :: d_outstanding && !(resumed && BROKEN != ASKS_AGAIN) && drawn == IDS - 1 -> d_outstanding = false; d_id = 0
            :: else -> d_id = 0
            fi
        fi;
        value = 0; id = 0; b = 0; type = 0 }

    /* Keeps the result, then finishes the row; between the two it may stop. */
    :: atomic { got != 0 && !is_kept && BROKEN != FINISHES_EARLY -> keep(d_id, got - 1); is_kept = true }
    :: atomic { got != 0 && (is_kept || BROKEN == FINISHES_EARLY) ->
        d_bit = !d_bit; d_outstanding = false; sent = false;
        if
        :: BROKEN == FINISHES_EARLY ->
            if
            :: keep(d_id, got - 1)
            :: skip /* stopped in between */
            fi
        :: else -> skip
        fi;
        got = 0; is_kept = false; committed = false }

    /* Is killed. */
    :: atomic { c != NONE -> stop(); resumed = d_outstanding }

    /* Catches up: takes the distributor's word of all that it was granted. Until then it is refused. */
    :: atomic { RESTORED && s_behind && session == s_session && !(d_outstanding && resumed && BROKEN != ASKS_AGAIN) ->
        i = 1;
        do
        :: i < IDS && executed[i] != 0 -> kept[i] = result_of[i]; i++
        :: i < IDS && executed[i] == 0 -> i++
        :: else -> break
        od;
        i = 0;
        s_behind = false }

    /* Is copied, and put back. */
    :: atomic { RESTORED && !saved ->
        saved = true; saved_bit = d_bit; saved_outstanding = d_outstanding; saved_id = d_id; saved_begun = begun;
        i = 0;
        do
        :: i < IDS -> saved_kept[i] = kept[i]; i++
        :: else -> break
        od;
        i = 0 }
    :: atomic { RESTORED && saved && !put_back ->
        put_back = true;
        /* The distributor sees the older generation at the greeting that comes first on every connection. */
        s_behind = true;
        stop();
        d_bit = saved_bit; d_outstanding = saved_outstanding; d_id = saved_id; begun = saved_begun;
        resumed = d_outstanding;
        i = 0;
        do
        :: i < IDS -> had[i] = had[i] || kept[i] != 0; kept[i] = saved_kept[i]; i++
        :: else -> break
        od;
        i = 0 }
    od
}
