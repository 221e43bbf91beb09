/* The cases. Each says what it expects and why; the table of states is in docs/SECURITY.md, "Time". */
#include "time_run.h"

/* clang-format off */
#define WALL(ms)            { OP_WALL, ms, 0 }
#define PASS(ms)            { OP_PASS, ms, 0 }
#define BOOT(ms)            { OP_BOOT, ms, 0 }
#define RESTART             { OP_RESTART, 0, 0 }
#define HEAR(ms)            { OP_HEAR, ms, 0 }
#define HEAR_REFUSED(ms, r) { OP_HEAR, ms, REASON_##r }
#define HEAR_OTHER(ms)      { OP_HEAR_OTHER, ms, 0 }
#define HEAR_PARTNER(ms)    { OP_HEAR_PARTNER, ms, 0 }
#define HEAR_AGAIN          { OP_HEAR_AGAIN, 0, 0 }
#define JOIN_OTHER          { OP_JOIN_OTHER, 0, 0 }
#define LEAVE_OTHER         { OP_LEAVE_OTHER, 0, 0 }
#define MEET_PARTNER        { OP_MEET_PARTNER, 0, 0 }
#define KEYSET(ms, r)       { OP_KEYSET, ms, REASON_##r }
#define KEYSET_FROM(ms, r)  { OP_KEYSET_FROM, ms, REASON_##r }
#define ROSTER(ms, r)       { OP_ROSTER, ms, REASON_##r }
#define STATE(s)            { OP_STATE, 0, TIME_##s }
#define STATE_OTHER(s)      { OP_STATE_OTHER, 0, TIME_##s }
#define NOW(ms)             { OP_NOW, ms, 0 }
#define PLAY(r)             { OP_PLAY, 0, REASON_##r }
#define PLAY_FREE(r)        { OP_PLAY_FREE, 0, REASON_##r }
#define BODY                { OP_BODY, 0, 0 }
#define RENEW(ms)           { OP_RENEW, ms, 0 }
#define OFFER(ms, r)        { OP_OFFER, ms, REASON_##r }
#define OFFER_FROM(ms, r)   { OP_OFFER_FROM, ms, REASON_##r }
#define COMMIT(r)           { OP_COMMIT, 0, REASON_##r }
#define RELEASE(ms, r)      { OP_RELEASE, ms, REASON_##r }
#define REGISTER(r)         { OP_REGISTER, 0, REASON_##r }

#define NO_TERMS      { 0 }
#define UNTIL(ms)     { .until = ms }
#define FROM(ms)      { .from = ms }
#define LEASE(ms, g)  { .lease = ms, .grace = g }
#define DOWNLOAD(a, b) { .download_from = a, .download_until = b }
#define TEN_DAYS      UNTIL(10 * DAY)

/* Nobody was heard: the license's own issue, at noon, is what the clock is held against. */
#define UNHEARD(name, at, verdict, why) { "nobody heard, clock " name, why, TEN_DAYS, { BOOT(at), PLAY(verdict), PLAY_FREE(NONE) } }
/* The shop was heard an hour after noon; then the machine started again with the clock at `at`. */
#define BOOTED(name, at, verdict, why) { "heard, then booted, clock " name, why, TEN_DAYS, { PASS(HOUR), HEAR(HOUR), BOOT(at), PLAY(verdict), PLAY_FREE(NONE) } }
/* The same without a start: its word counts on, whatever the clock is set to. */
#define SET(name, at, why) { "heard, then set, clock " name, why, TEN_DAYS, { HEAR(HOUR), WALL(at), PLAY(NONE), STATE(HEARD), NOW(HOUR) } }

const struct time_case time_cases[] = {
    UNHEARD("1970", IN_1970, CLOCK_UNTRUSTED, "no battery; it is later than the license's issue"),
    UNHEARD("1970 and a day", IN_1970_AND(DAY), CLOCK_UNTRUSTED, "no battery, on for a day"),
    UNHEARD("2000", IN_2000, CLOCK_UNTRUSTED, "where other boards begin"),
    UNHEARD("a year back", -YEAR, CLOCK_UNTRUSTED, "before the issue"),
    UNHEARD("a day back", -DAY, CLOCK_UNTRUSTED, "before the issue"),
    UNHEARD("an hour back", -HOUR, CLOCK_UNTRUSTED, "before the issue by more than clocks differ"),
    UNHEARD("a ms beyond the skew", -SKEW - 1, CLOCK_UNTRUSTED, "the edge of the skew"),
    UNHEARD("at the skew", -SKEW, NONE, "clocks may differ by as much"),
    UNHEARD("a ms back", -1, NONE, "as clocks do"),
    UNHEARD("right", 0, NONE, "nothing speaks against it"),
    UNHEARD("a ms ahead", 1, NONE, "within the period"),
    UNHEARD("an hour ahead", HOUR, NONE, "within the period"),
    UNHEARD("a day ahead", DAY, NONE, "within the period"),
    UNHEARD("at the last ms", 10 * DAY, NONE, "the end belongs to the period"),
    UNHEARD("a ms after the end", 10 * DAY + 1, LICENSE_EXPIRED, "the only clock there is says so"),
    UNHEARD("ten years ahead", 10 * YEAR, LICENSE_EXPIRED, "the only clock there is says so"),

    BOOTED("1970", IN_1970, CLOCK_UNTRUSTED, "before the mark"),
    BOOTED("2000", IN_2000, CLOCK_UNTRUSTED, "before the mark"),
    BOOTED("a year back", -YEAR, CLOCK_UNTRUSTED, "before the mark"),
    BOOTED("a day back", HOUR - DAY, CLOCK_UNTRUSTED, "before the mark"),
    BOOTED("an hour back", -1, CLOCK_UNTRUSTED, "after the issue, but before the mark"),
    BOOTED("a ms beyond the skew", HOUR - SKEW - 1, CLOCK_UNTRUSTED, "the edge of the skew"),
    BOOTED("at the skew", HOUR - SKEW, NONE, "clocks may differ by as much"),
    BOOTED("right", HOUR, NONE, "at the mark"),
    BOOTED("an hour ahead", 2 * HOUR, NONE, "after the mark"),
    BOOTED("at the last ms", 10 * DAY, NONE, "the end belongs to the period"),
    BOOTED("a ms after the end", 10 * DAY + 1, LICENSE_EXPIRED, "by the clock, until somebody is heard"),
    BOOTED("ten years ahead", 10 * YEAR, LICENSE_EXPIRED, "by the clock, until somebody is heard"),

    SET("1970", IN_1970, "its distributor's word is what counts"),
    SET("2000", IN_2000, "its distributor's word is what counts"),
    SET("a year back", -YEAR, "its distributor's word is what counts"),
    SET("a ms back", HOUR - 1, "its distributor's word is what counts"),
    SET("an hour ahead", 2 * HOUR, "its distributor's word is what counts"),
    SET("a ms after the end", 10 * DAY + 1, "nothing ends early"),
    SET("ten years ahead", 10 * YEAR, "nothing ends early"),

    /* --- by its distributor's word, at the edges --- */
    { "heard at the last ms", "the end belongs to the period", TEN_DAYS, { HEAR(10 * DAY), PLAY(NONE) } },
    { "heard a ms after the end", "it is over", TEN_DAYS, { HEAR(10 * DAY + 1), PLAY(LICENSE_EXPIRED) } },
    { "the end passes while it runs", "boot time counts on from its word", TEN_DAYS,
      { HEAR(10 * DAY - HOUR), PASS(HOUR), PLAY(NONE), PASS(1), PLAY(LICENSE_EXPIRED) } },
    { "the end passes, the clock stopped", "turning the clock back each hour gains nothing", TEN_DAYS,
      { HEAR(9 * DAY), PASS(DAY), WALL(0), PLAY(NONE), PASS(DAY), WALL(0), PLAY(LICENSE_EXPIRED) } },
    { "suspended over the end", "boot time goes on while suspended", TEN_DAYS, { HEAR(0 + 1), PASS(11 * DAY), WALL(1), PLAY(LICENSE_EXPIRED) } },
    { "suspended within the period", "a week in a drawer", TEN_DAYS, { HEAR(1), PASS(7 * DAY), PLAY(NONE), NOW(7 * DAY + 1) } },
    { "the vault alone starts again", "heard is forgotten, the mark is not", TEN_DAYS,
      { HEAR(HOUR), WALL(IN_1970), PLAY(NONE), RESTART, STATE(BEHIND), PLAY(CLOCK_UNTRUSTED) } },
    { "ended by the mark, clock in 1970", "what has ended by its signed word has ended, whatever the clock", TEN_DAYS,
      { HEAR(11 * DAY), BOOT(IN_1970), PLAY(LICENSE_EXPIRED), PLAY_FREE(NONE) } },
    { "ended by the clock alone wakes", "a clock ten years ahead, then right: nothing lost", TEN_DAYS,
      { WALL(10 * YEAR), PLAY(LICENSE_EXPIRED), WALL(HOUR), PLAY(NONE) } },
    { "ended by the clock wakes when heard", "the clock is still wrong", TEN_DAYS,
      { WALL(10 * YEAR), PLAY(LICENSE_EXPIRED), HEAR(HOUR), PLAY(NONE), NOW(HOUR) } },
    { "untrusted wakes when the clock is set", "nobody needs to be reached", TEN_DAYS,
      { BOOT(IN_1970), PLAY(CLOCK_UNTRUSTED), WALL(HOUR), PLAY(NONE), STATE(BY_CLOCK) } },
    { "untrusted wakes when heard", "the clock is still wrong", TEN_DAYS,
      { BOOT(IN_1970), PLAY(CLOCK_UNTRUSTED), HEAR(HOUR), PLAY(NONE), STATE(HEARD) } },
    { "the clock jumps between two requests", "back, ahead, and back again", TEN_DAYS,
      { HEAR(HOUR), WALL(IN_1970), PLAY(NONE), WALL(10 * YEAR), PLAY(NONE), WALL(-DAY), PLAY(NONE), NOW(HOUR) } },
    { "the clock jumps, nobody heard", "each verdict is by the clock of its moment, none lasts", TEN_DAYS,
      { WALL(-DAY), PLAY(CLOCK_UNTRUSTED), WALL(10 * YEAR), PLAY(LICENSE_EXPIRED), WALL(DAY), PLAY(NONE), WALL(IN_1970), PLAY(CLOCK_UNTRUSTED) } },
    { "booted twice with the battery empty", "the mark is durable", TEN_DAYS,
      { HEAR(HOUR), BOOT(IN_1970), BOOT(IN_1970), PLAY(CLOCK_UNTRUSTED), STATE(BEHIND), NOW(HOUR) } },

    /* --- signed times that prove nothing --- */
    { "a replay after the clock was turned back", "not above the mark: nothing is heard", TEN_DAYS,
      { HEAR(HOUR), BOOT(IN_1970), HEAR_AGAIN, STATE(BEHIND), PLAY(CLOCK_UNTRUSTED) } },
    { "a replay while it is heard", "time does not go backwards", TEN_DAYS,
      { HEAR(HOUR), PASS(10 * DAY), HEAR_AGAIN, NOW(10 * DAY + HOUR), PLAY(LICENSE_EXPIRED) } },
    { "an older time while it is heard", "held back by whoever carries it", TEN_DAYS,
      { HEAR(HOUR), PASS(10 * DAY), HEAR(2 * HOUR), NOW(10 * DAY + HOUR), PLAY(LICENSE_EXPIRED) } },
    { "a time from before its mark", "its distributor's clock was set back: the mark stays", TEN_DAYS,
      { HEAR(DAY), RESTART, HEAR(HOUR), NOW(DAY), STATE(BEHIND) } },
    { "a later time is taken", "the next session", TEN_DAYS, { HEAR(HOUR), PASS(HOUR), HEAR(2 * DAY), NOW(2 * DAY) } },
    { "a time after its keyset's end", "an ended keyset proves no time", TEN_DAYS,
      { HEAR_REFUSED(31 * DAY, KEYSET_INVALID), STATE(BY_CLOCK), NOW(0), PLAY(NONE) } },
    { "a time after its key's end", "nor does an ended key", TEN_DAYS, { HEAR_REFUSED(200 * DAY, SIGNATURE_INVALID), NOW(0), PLAY(NONE) } },
    { "a time from before its keyset", "a replay from an earlier life", TEN_DAYS,
      { BOOT(IN_1970), HEAR(-2 * DAY), STATE(BEHIND), PLAY(CLOCK_UNTRUSTED) } },
    { "a replay with the clock ten years ahead", "no lower bound brings it back", TEN_DAYS,
      { HEAR(HOUR), BOOT(10 * YEAR), { OP_HEAR_AGAIN, 0, REASON_KEYSET_INVALID }, PLAY(LICENSE_EXPIRED) } },

    /* --- a period that has not begun --- */
    { "before it, heard, clock right", "not yet", FROM(5 * DAY), { HEAR(HOUR), WALL(HOUR), PLAY(NOT_PERMITTED) } },
    { "before it, heard, clock six days ahead", "a clock ahead opens nothing early", FROM(5 * DAY), { HEAR(HOUR), WALL(6 * DAY), PLAY(NOT_PERMITTED) } },
    { "before it, heard, clock ten years ahead", "a clock ahead opens nothing early", FROM(5 * DAY), { HEAR(HOUR), WALL(10 * YEAR), PLAY(NOT_PERMITTED) } },
    { "a ms before it", "the edge", FROM(5 * DAY), { HEAR(5 * DAY - 1), PLAY(NOT_PERMITTED), PASS(1), PLAY(NONE) } },
    { "at its first ms", "the beginning belongs to the period", FROM(5 * DAY), { HEAR(5 * DAY), PLAY(NONE) } },
    { "within it, clock in 1970", "nothing is known: it waits, though it has begun", FROM(5 * DAY), { HEAR(6 * DAY), BOOT(IN_1970), PLAY(CLOCK_UNTRUSTED) } },
    { "before it, clock in 1970", "whether it has begun is not known either", FROM(5 * DAY), { BOOT(IN_1970), PLAY(CLOCK_UNTRUSTED) } },
    { "before it, nobody heard, clock ahead", "only the clock speaks; its distributor, once heard, closes it again", FROM(5 * DAY),
      { WALL(6 * DAY), PLAY(NONE), HEAR(HOUR), PLAY(NOT_PERMITTED) } },

    /* --- leases --- */
    { "lease, clock in 1970", "a lease is not kept awake by turning the clock back", LEASE(2 * DAY, DAY), { HEAR(HOUR), BOOT(IN_1970), PLAY(CLOCK_UNTRUSTED) } },
    { "lease, at the last ms of its grace", "grace belongs to it", LEASE(2 * DAY, DAY), { HEAR(3 * DAY), PLAY(NONE) } },
    { "lease, a ms after its grace", "asleep", LEASE(2 * DAY, DAY), { HEAR(3 * DAY + 1), PLAY(LEASE_ENDED) } },
    { "lease, in its grace, clock ten years ahead", "grace is not lost to a clock", LEASE(2 * DAY, DAY), { HEAR(2 * DAY + HOUR), WALL(10 * YEAR), PLAY(NONE) } },
    { "lease, in its grace, clock back in the lease", "nor made longer: the vault counts on", LEASE(2 * DAY, DAY),
      { HEAR(2 * DAY + HOUR), PASS(DAY), WALL(HOUR), PLAY(LEASE_ENDED) } },
    { "lease, clock ahead, then right", "it wakes by itself", LEASE(2 * DAY, DAY), { WALL(10 * YEAR), PLAY(LEASE_ENDED), WALL(DAY), PLAY(NONE) } },
    { "lease, ended by the mark, clock in 1970", "what has ended by its signed word has ended", LEASE(2 * DAY, DAY), { HEAR(4 * DAY), BOOT(IN_1970), PLAY(LEASE_ENDED) } },
    { "lease, suspended over its end", "boot time goes on", LEASE(2 * DAY, DAY), { HEAR(HOUR), PASS(3 * DAY), WALL(HOUR), PLAY(LEASE_ENDED) } },

    /* --- download periods: what is noted lasts, so only a trusted time notes it --- */
    { "download, in time", "noted, and good for ever", DOWNLOAD(0, 5 * DAY), { HEAR(HOUR), BODY, HEAR(9 * DAY), PLAY(NONE) } },
    { "download, at the last ms", "the end belongs to the period", DOWNLOAD(0, 5 * DAY), { HEAR(5 * DAY), BODY, PASS(DAY), PLAY(NONE) } },
    { "download, a ms late", "the edge", DOWNLOAD(0, 5 * DAY), { HEAR(5 * DAY + 1), BODY, PLAY(OUTSIDE_DOWNLOAD_PERIOD) } },
    { "download, clock in 1970", "nothing is noted, nothing refused for good", DOWNLOAD(0, 5 * DAY), { BOOT(IN_1970), BODY, PLAY(CLOCK_UNTRUSTED), HEAR(HOUR), PLAY(NONE) } },
    { "download, late, clock turned back to the mark's day", "it cannot be made to have been in time", DOWNLOAD(0, 5 * DAY),
      { HEAR(4 * DAY), BOOT(HOUR), BODY, HEAR(6 * DAY), PLAY(OUTSIDE_DOWNLOAD_PERIOD) } },
    { "download, late, heard, clock turned back", "its distributor's word is what counts", DOWNLOAD(0, 5 * DAY), { HEAR(6 * DAY), WALL(HOUR), BODY, PLAY(OUTSIDE_DOWNLOAD_PERIOD) } },
    { "download, early, heard, clock ahead", "a clock ahead opens nothing early", DOWNLOAD(2 * DAY, 5 * DAY),
      { HEAR(HOUR), WALL(3 * DAY), BODY, PLAY(OUTSIDE_DOWNLOAD_PERIOD), PASS(2 * DAY), PLAY(NONE) } },
    { "download, clock ahead, then right", "told again, it is noted", DOWNLOAD(0, 5 * DAY),
      { WALL(10 * YEAR), BODY, PLAY(OUTSIDE_DOWNLOAD_PERIOD), WALL(HOUR), BODY, HEAR(9 * DAY), PLAY(NONE) } },
    { "download, noted, then clock in 1970", "what was in time needs no clock", DOWNLOAD(0, 5 * DAY), { HEAR(HOUR), BODY, BOOT(IN_1970), HEAR(9 * DAY), PLAY(NONE) } },

    /* --- copy certificates --- */
    { "a copy, clock in 1970", "what others hand over waits", NO_TERMS, { BOOT(IN_1970), OFFER(5 * DAY, CLOCK_UNTRUSTED) } },
    { "a copy, clock a day back of the mark", "what others hand over waits", NO_TERMS, { HEAR(DAY), BOOT(0), OFFER(5 * DAY, CLOCK_UNTRUSTED) } },
    { "a copy, untrusted, then heard", "the same certificate is good then", NO_TERMS,
      { BOOT(IN_1970), OFFER(5 * DAY, CLOCK_UNTRUSTED), HEAR(HOUR), OFFER(5 * DAY, NONE), COMMIT(NONE) } },
    { "a copy, heard, clock ten years ahead", "it has not ended", NO_TERMS, { HEAR(HOUR), WALL(10 * YEAR), OFFER(5 * DAY, NONE), COMMIT(NONE) } },
    { "a copy that ended, clock turned back", "it has ended", NO_TERMS, { HEAR(6 * DAY), WALL(DAY), OFFER(5 * DAY, CERTIFICATE_EXPIRED) } },
    { "a copy at its end and the skew", "clocks may differ by as much", NO_TERMS, { HEAR(5 * DAY + SKEW), OFFER(5 * DAY, NONE) } },
    { "a copy a ms after that", "the edge", NO_TERMS, { HEAR(5 * DAY + SKEW + 1), OFFER(5 * DAY, CERTIFICATE_EXPIRED) } },
    { "a copy issued a skew ahead", "clocks may differ by as much", NO_TERMS, { HEAR(HOUR), OFFER_FROM(HOUR + SKEW, NONE) } },
    { "a copy issued a ms more ahead", "the edge", NO_TERMS, { HEAR(HOUR), OFFER_FROM(HOUR + SKEW + 1, CERTIFICATE_EXPIRED) } },
    { "reserved, then the clock falls to 1970", "the commit waits, the reservation stays", NO_TERMS,
      { OFFER(5 * DAY, NONE), BOOT(IN_1970), COMMIT(CLOCK_UNTRUSTED), HEAR(HOUR), COMMIT(NONE) } },
    { "reserved, then ten years ahead, then right", "nothing is forgotten by a wrong clock", NO_TERMS,
      { OFFER(5 * DAY, NONE), BOOT(10 * YEAR), BOOT(HOUR), COMMIT(NONE) } },
    { "reserved, ten years ahead, commit", "by the clock it has ended; when heard it has not", NO_TERMS,
      { OFFER(5 * DAY, NONE), WALL(20 * DAY), COMMIT(CERTIFICATE_EXPIRED), HEAR(HOUR), COMMIT(NONE) } },
    { "reserved, ended by the mark, restarted", "what its signed word has ended is forgotten", NO_TERMS,
      { OFFER(5 * DAY, NONE), HEAR(5 * DAY + SKEW + 1), RESTART, COMMIT(NOT_FOUND) } },
    { "reserved, at the end and the skew, restarted", "the edge of forgetting is that of the verdict", NO_TERMS,
      { OFFER(5 * DAY, NONE), HEAR(5 * DAY + SKEW), BOOT(5 * DAY + SKEW), COMMIT(NONE) } },

    /* --- letting a license out for a move --- */
    { "a move, clock in 1970", "it waits, the license stays awake", TEN_DAYS, { BOOT(IN_1970), RELEASE(5 * DAY, CLOCK_UNTRUSTED), HEAR(HOUR), PLAY(NONE) } },
    { "a move, untrusted, then heard", "then it goes", NO_TERMS, { BOOT(IN_1970), RELEASE(5 * DAY, CLOCK_UNTRUSTED), HEAR(HOUR), RELEASE(5 * DAY, NONE), PLAY(LICENSE_SUSPENDED) } },
    { "a move, heard, clock ten years ahead", "it has not ended", NO_TERMS, { HEAR(HOUR), WALL(10 * YEAR), RELEASE(5 * DAY, NONE) } },
    { "a move that ended, clock turned back", "it has ended", NO_TERMS, { HEAR(6 * DAY), WALL(DAY), RELEASE(5 * DAY, CERTIFICATE_EXPIRED), PLAY(NONE) } },
    { "a move that ended by the mark, clock in 1970", "it has ended in any case", NO_TERMS, { HEAR(6 * DAY), BOOT(IN_1970), RELEASE(5 * DAY, CERTIFICATE_EXPIRED) } },
    { "a move at its end and the skew", "clocks may differ by as much", NO_TERMS, { HEAR(5 * DAY + SKEW), RELEASE(5 * DAY, NONE) } },
    { "a move a ms after that", "the edge", NO_TERMS, { HEAR(5 * DAY + SKEW + 1), RELEASE(5 * DAY, CERTIFICATE_EXPIRED) } },

    /* --- what is bought --- */
    { "a renewal, clock in 1970", "what its own distributor sends waits for no clock", UNTIL(DAY), { BOOT(IN_1970), RENEW(40 * DAY), PLAY(CLOCK_UNTRUSTED), HEAR(HOUR), PLAY(NONE) } },
    { "a renewal, clock ahead within the keyset", "it wakes what the clock had ended", UNTIL(DAY), { WALL(20 * DAY), PLAY(LICENSE_EXPIRED), RENEW(40 * DAY), PLAY(NONE) } },
    { "a renewal, heard, clock ten years ahead", "a session is all it takes", UNTIL(DAY), { WALL(10 * YEAR), HEAR(2 * DAY), PLAY(LICENSE_EXPIRED), RENEW(40 * DAY), PLAY(NONE) } },

    /* --- keysets, registering, rosters: a wrong clock keeps out nobody who can put it right --- */
    { "its keyset, clock in 1970", "its issue is a time it is at least", TEN_DAYS, { BOOT(IN_1970), KEYSET(30 * DAY, NONE), HEAR(HOUR), PLAY(NONE) } },
    { "its keyset issued after the mark, clock in 1970", "no deadlock: it may be heard again", TEN_DAYS,
      { HEAR(HOUR), BOOT(IN_1970), KEYSET_FROM(3 * DAY, NONE), HEAR(4 * DAY), STATE(HEARD), PLAY(NONE) } },
    { "its keyset, clock ten years ahead", "no deadlock: it may be heard again", TEN_DAYS, { BOOT(10 * YEAR), KEYSET(30 * DAY, NONE), HEAR(HOUR), STATE(HEARD), PLAY(NONE) } },
    { "its keyset, ended by the mark", "its own word has ended it", NO_TERMS, { HEAR(3 * DAY), KEYSET(2 * DAY, KEYSET_INVALID) } },
    { "its keyset, ended by the mark, clock in 1970", "its own word has ended it", NO_TERMS, { HEAR(3 * DAY), BOOT(IN_1970), KEYSET(2 * DAY, KEYSET_INVALID) } },
    { "its keyset, at its end and the skew", "clocks may differ by as much", NO_TERMS, { HEAR(3 * DAY), KEYSET(3 * DAY - SKEW, NONE) } },
    { "its keyset, a ms after that", "the edge", NO_TERMS, { HEAR(3 * DAY), KEYSET(3 * DAY - SKEW - 1, KEYSET_INVALID) } },
    { "its keyset ended by the clock, nothing signed", "accepted for hearing the time, and for nothing else", NO_TERMS,
      { WALL(40 * DAY), KEYSET(30 * DAY, NONE), OFFER(50 * DAY, KEYSET_INVALID), ROSTER(39 * DAY, KEYSET_INVALID) } },
    { "registering, clock in 1970, heard", "the first session tells the time", NO_TERMS, { BOOT(IN_1970), KEYSET(30 * DAY, NONE), HEAR(HOUR), REGISTER(NONE) } },
    { "registering, clock ten years ahead, heard", "the first session tells the time", NO_TERMS, { BOOT(10 * YEAR), KEYSET(30 * DAY, NONE), HEAR(HOUR), REGISTER(NONE) } },
    { "registering, clock ten years ahead, not heard", "by the clock its keyset has ended", NO_TERMS, { BOOT(10 * YEAR), REGISTER(KEYSET_INVALID) } },
    { "a roster, heard, clock in 1970", "its distributor's word is what counts", NO_TERMS, { HEAR(HOUR), WALL(IN_1970), ROSTER(0, NONE) } },
    { "a roster, heard, clock ten years ahead", "it has not ended", NO_TERMS, { HEAR(HOUR), WALL(10 * YEAR), ROSTER(0, NONE) } },
    { "a roster that ended, clock turned back", "it has ended", NO_TERMS, { HEAR(3 * DAY), WALL(HOUR), ROSTER(0, CERTIFICATE_EXPIRED) } },

    /* --- several distributors --- */
    { "another lies ahead, clock right", "its word ends nothing of the shop's", TEN_DAYS, { JOIN_OTHER, HEAR(HOUR), HEAR_OTHER(29 * DAY), WALL(HOUR), PLAY(NONE), NOW(HOUR) } },
    { "another lies ahead, the shop not heard", "a doubt, not an end", TEN_DAYS, { JOIN_OTHER, HEAR_OTHER(29 * DAY), STATE(BEHIND), PLAY(CLOCK_UNTRUSTED), HEAR(HOUR), PLAY(NONE) } },
    { "another lies ahead, then is left", "its word goes with it", TEN_DAYS, { JOIN_OTHER, HEAR_OTHER(29 * DAY), PLAY(CLOCK_UNTRUSTED), LEAVE_OTHER, PLAY(NONE), STATE(BY_CLOCK) } },
    { "another was heard, clock turned back to the shop's mark", "its word makes turning back show", TEN_DAYS,
      { JOIN_OTHER, HEAR(HOUR), HEAR_OTHER(9 * DAY), BOOT(2 * HOUR), STATE(BEHIND), PLAY(CLOCK_UNTRUSTED) } },
    { "another is heard, clock ten years ahead", "it disagrees: nothing of the shop's ends by that clock", TEN_DAYS,
      { JOIN_OTHER, WALL(10 * YEAR), PLAY(LICENSE_EXPIRED), HEAR_OTHER(HOUR), STATE(CONTRADICTED), PLAY(CLOCK_UNTRUSTED) } },
    { "another is heard, clock ahead of the beginning", "nor does anything begin", FROM(5 * DAY), { JOIN_OTHER, WALL(6 * DAY), HEAR_OTHER(HOUR), PLAY(CLOCK_UNTRUSTED) } },
    { "another is heard and agrees", "the clock is right", TEN_DAYS, { JOIN_OTHER, HEAR_OTHER(HOUR), WALL(HOUR), STATE(BY_CLOCK), PLAY(NONE) } },
    { "another is heard, a skew apart", "clocks may differ by as much", TEN_DAYS, { JOIN_OTHER, HEAR_OTHER(HOUR), WALL(HOUR + SKEW), STATE(BY_CLOCK), WALL(HOUR + SKEW + 1), STATE(CONTRADICTED) } },
    { "the shop's word is not another's", "each judges what is its own", NO_TERMS, { JOIN_OTHER, HEAR(9 * DAY), STATE_OTHER(BEHIND), STATE(HEARD) } },
    { "a partner is heard, clock in 1970", "it is none of this device's distributors", TEN_DAYS, { MEET_PARTNER, BOOT(IN_1970), HEAR_PARTNER(HOUR), STATE(BEHIND), PLAY(CLOCK_UNTRUSTED) } },
    { "a partner lies ahead", "it does not even raise a doubt", TEN_DAYS, { MEET_PARTNER, HEAR_PARTNER(29 * DAY), STATE(BY_CLOCK), PLAY(NONE) } },
    { "a partner lies back", "nor that way", TEN_DAYS, { MEET_PARTNER, WALL(11 * DAY), HEAR_PARTNER(HOUR), STATE(BY_CLOCK), PLAY(LICENSE_EXPIRED) } },
};
const size_t time_case_count = sizeof(time_cases) / sizeof(time_cases[0]);
