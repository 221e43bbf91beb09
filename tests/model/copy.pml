/* A copy or move of one license under one certificate (design section 6.5; S111-S173): source (hearthd and vault), destination (vault) and issuer, with
 * what src/protocol/copy_out.h, copy_in.h, src/vault/moves.h and certificates.h make durable before what.
 *
 * Whatever was sent once may arrive any number of times, at any later moment, or never: that covers loss, repetition, another order, and connections
 * that are long stale. Each of the three may be killed between any two durable steps; what is not stored is lost then.
 *
 *   MOVE    1: a move, 0: a copy
 *   BROKEN  0, or the number of one deliberate fault; each must be found
 *
 * What is proved, at every reachable state: the license of a move can never be used on both sides; it is never lost on both; it is stored at most
 * once, however often the certificate is shown, also after it was given up there; count and price come back only when the certificate can
 * never be used; a report to the issuer is always true. That the good ends can be reached is shown by GOAL. */
#ifndef MOVE
#define MOVE 1
#endif
#ifndef BROKEN
#define BROKEN 0
#endif
#ifndef GOAL
#define GOAL 0 /* 1: stored and reported; 2: taken back and reported; found when it can be reached */
#endif

#define RELEASED_AWAKE 1      /* the certificate leaves before the license sleeps */
#define AWAKES_ALONE 2        /* cancelling wakes the license without the destination's word */
#define SURRENDER_EARLY 3     /* the license is given up when the offer is taken */
#define SERIAL_UNUSED 4       /* the serial is not stored with the license */
#define RECEIPT_EARLY 5       /* the receipt leaves before the commit */
#define REFUSAL_FORGOTTEN 6   /* the refusal is signed but not stored */
#define COMMIT_UNCHECKED 7    /* the commit does not look at the serial again */
#define GIVES_BACK_AT_END 8   /* the issuer gives back what merely ended */
#define REFUSES_STORED 9      /* the destination signs a refusal of what it has stored */
#define DELETES_EARLY 10      /* the source deletes its certificate when it has offered it (S153) */

/* --- sent, once or more --- */
bool offer, withdraw, receipt, refusal, report_stored, report_refused;
bool taken; /* OFFER_TAKEN */

/* --- time --- */
bool ended; /* the certificate */

/* --- issuer: durable --- */
mtype = { NONE, ISSUED, REDEEMED, BACK };
mtype issuer_state = NONE;

/* --- source: durable --- */
mtype = { IDLE, ASKING, HELD, WITHDRAWING, DELIVERED, REFUSED, DONE, GONE };
mtype source = IDLE;
mtype = { VALID, SLEEPS, SURRENDERED };
mtype license = VALID; /* in the source's vault */
mtype = { UNKNOWN, RELEASED, FINISHED, CANCELLED };
mtype row = UNKNOWN; /* of the move, in the source's vault */
bool source_body = true;
/* lost at a kill */
bool opened;  /* a move's certificate, out of the vault */
bool got_receipt, got_refusal;

/* --- destination: durable --- */
mtype = { UNSEEN, RESERVED, STORED, NEVER };
mtype serial = UNSEEN;
bool has_license;
byte stores;
bool given_up; /* the license that came was moved on or returned since */
/* lost at a kill */
bool received; /* the body, by this offer */
bool judged;   /* and reserved, by this run */

#define AT_SOURCE (license == VALID)
#define HERE has_license

inline check()
{
    assert(!(MOVE && AT_SOURCE && HERE && issuer_state != NONE)); /* used on both sides */
    assert(!MOVE || license != SURRENDERED || HERE || given_up);  /* lost on both */
    assert(stores <= 1);
    assert(issuer_state != BACK || (!HERE && stores == 0 && (serial == NEVER))); /* given back, and used */
    assert(issuer_state != REDEEMED || stores == 1);
    assert(!(source == DONE) || stores == 1);
    assert(!(GOAL == 1 && source == DONE && issuer_state == REDEEMED && (!MOVE || (license == SURRENDERED && !source_body))));
    assert(!(GOAL == 2 && source == GONE && issuer_state == BACK && license == VALID))
}

active proctype issuer()
{
end:
    do
    :: atomic { source == ASKING && issuer_state == NONE -> issuer_state = ISSUED } /* exactly once: transaction.pml */
    :: atomic { report_stored && issuer_state == ISSUED -> issuer_state = REDEEMED; check() }
    :: atomic { report_refused && issuer_state == ISSUED -> issuer_state = BACK; check() }
    :: atomic { BROKEN == GIVES_BACK_AT_END && ended && issuer_state == ISSUED -> issuer_state = BACK; check() }
    :: atomic { issuer_state != NONE && !ended -> ended = true }
    od
}

active proctype source_device()
{
end:
    do
    :: atomic { source == IDLE -> source = ASKING }
    :: atomic { source == ASKING && issuer_state != NONE -> source = HELD } /* sealed, when it is a move */

    /* RELEASE: the vault suspends the license, durably, and only then opens the certificate. Repeated after a kill. */
    :: atomic { MOVE && source == HELD && !opened && row == UNKNOWN && license == VALID && BROKEN != RELEASED_AWAKE && !ended ->
        license = SLEEPS; row = RELEASED; opened = true; check() }
    :: atomic { MOVE && source == HELD && !opened && row == RELEASED -> opened = true }
    :: atomic { MOVE && BROKEN == RELEASED_AWAKE && source == HELD && !opened -> opened = true }
    :: atomic { MOVE && BROKEN == RELEASED_AWAKE && opened && row == UNKNOWN -> license = SLEEPS; row = RELEASED }

    :: atomic { source == HELD && (!MOVE || opened) -> offer = true;
        if
        :: BROKEN == DELETES_EARLY -> source = DONE; check()
        :: else -> skip
        fi }
    :: atomic { BROKEN == SURRENDER_EARLY && MOVE && taken && row == RELEASED -> license = SURRENDERED; row = FINISHED; check() }

    /* Taken back: what never left ends at once; anything else by the destination's word alone. */
    :: atomic { source == ASKING && issuer_state == NONE -> source = GONE }
    :: atomic { source == HELD && MOVE && row == UNKNOWN && BROKEN != RELEASED_AWAKE -> source = GONE } /* nothing left; it sleeps at the issuer till a person asks */
    :: atomic { source == HELD && (!MOVE || row == RELEASED) -> source = WITHDRAWING;
        if
        :: BROKEN == AWAKES_ALONE && MOVE -> license = VALID; row = CANCELLED; check()
        :: else -> skip
        fi }
    :: atomic { source == WITHDRAWING -> withdraw = true }

    /* What comes back; DELIVERED and REFUSED are stored before anything is done about it. */
    :: atomic { receipt && (source == HELD || source == WITHDRAWING) && !got_receipt -> got_receipt = true }
    :: atomic { got_receipt && (source == HELD || source == WITHDRAWING) ->
        got_receipt = false;
        if
        :: MOVE -> source = DELIVERED
        :: !MOVE -> source = DONE; report_stored = true; check() /* report and deletion in one transaction (S153) */
        fi }
    :: atomic { refusal && (source == HELD || source == WITHDRAWING) && !got_refusal -> got_refusal = true }
    :: atomic { got_refusal && (source == HELD || source == WITHDRAWING) ->
        got_refusal = false;
        if
        :: MOVE -> source = REFUSED
        :: !MOVE -> source = GONE; report_refused = true
        fi }

    /* A move that arrived: surrender, delete, report. */
    :: atomic { source == DELIVERED && row == RELEASED -> license = SURRENDERED; row = FINISHED; check() }
    :: atomic { source == DELIVERED && row == FINISHED && source_body -> source_body = false }
    :: atomic { source == DELIVERED && row == FINISHED && !source_body -> source = DONE; report_stored = true; check() }
    /* One that was refused: wake, report. */
    :: atomic { source == REFUSED && row == RELEASED -> license = VALID; row = CANCELLED; check() }
    :: atomic { source == REFUSED && row == CANCELLED -> source = GONE; report_refused = true; check() }

    /* Killed. */
    :: atomic { opened || got_receipt || got_refusal -> opened = false; got_receipt = false; got_refusal = false }
    od
}

active proctype destination()
{
end:
    do
    /* S162-S168, and the serial is reserved. */
    :: atomic { offer && (serial == UNSEEN || (BROKEN == SERIAL_UNUSED && serial == STORED && !has_license)) && !ended ->
        serial = RESERVED; judged = true; taken = true }
    :: atomic { offer && serial == RESERVED && !judged -> judged = true; taken = true } /* the same again */
    :: atomic { offer && serial == STORED && BROKEN != SERIAL_UNUSED -> receipt = true } /* the same receipt for ever */
    :: atomic { judged && serial == RESERVED && !received -> received = true }
    :: atomic { BROKEN == RECEIPT_EARLY && received && serial == RESERVED -> receipt = true }

    /* S171-S173: every check again; license, header, serial and receipt in one transaction. */
    :: atomic { received && judged && (serial == RESERVED || (BROKEN == COMMIT_UNCHECKED && serial == NEVER)) && !ended ->
        serial = STORED; has_license = true; stores++; received = false; judged = false;
        receipt = true; report_stored = true;
        check() }

    /* WITHDRAW. */
    :: atomic { withdraw && (serial == UNSEEN || serial == RESERVED) ->
        if
        :: BROKEN == REFUSAL_FORGOTTEN -> skip
        :: else -> serial = NEVER
        fi;
        if
        :: BROKEN == COMMIT_UNCHECKED -> skip
        :: else -> received = false; judged = false
        fi;
        refusal = true; check() }
    :: atomic { withdraw && serial == NEVER -> refusal = true }
    /* Its owner does not want it; the source hears it, now or when it offers again. */
    :: atomic { serial == RESERVED && judged && BROKEN != REFUSAL_FORGOTTEN -> serial = NEVER; received = false; judged = false; refusal = true; check() }
    :: atomic { offer && serial == NEVER -> refusal = true }
    :: atomic { withdraw && serial == STORED ->
        if
        :: BROKEN == REFUSES_STORED -> refusal = true
        :: else -> receipt = true
        fi }

    /* Later the license is moved on, or given back, from here. */
    :: atomic { has_license && !given_up -> has_license = false; given_up = true; check() }

    /* Killed. */
    :: atomic { judged || received -> judged = false; received = false }
    od
}
