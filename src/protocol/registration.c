/* Registration: states, what is next, what came. */
#include "protocol/registration.h"

#include <assert.h>

static bool may_become(enum registration_state from, enum registration_state to)
{
#define TO(state) (1u << (state))
    static const uint32_t table[REGISTRATION_STATE_COUNT] = {
        [REGISTRATION_ASKING] = TO(REGISTRATION_KEEPING) | TO(REGISTRATION_REFUSED),
        [REGISTRATION_KEEPING] = TO(REGISTRATION_TOKEN) | TO(REGISTRATION_STORING) | TO(REGISTRATION_REFUSED),
        [REGISTRATION_TOKEN] = TO(REGISTRATION_STORING) | TO(REGISTRATION_REFUSED),
        [REGISTRATION_STORING] = TO(REGISTRATION_GREETING) | TO(REGISTRATION_DONE) | TO(REGISTRATION_REFUSED),
        [REGISTRATION_GREETING] = TO(REGISTRATION_DONE),
    };
#undef TO
    return (table[from] >> to & 1u) != 0;
}

static void set_state(struct registration *r, enum registration_state to)
{
    assert(may_become(r->state, to));
    r->state = to;
    r->given = false;
}

static void refuse(struct registration *r, enum reason why, const msg_Refusal *refusal)
{
    set_state(r, REGISTRATION_REFUSED);
    r->why = why;
    if (refusal != NULL)
        r->refusal = *refusal;
    else
        reason_refusal(&r->refusal, why, NULL);
}

void registration_init(struct registration *r, bool is_new)
{
    *r = (struct registration){ .state = REGISTRATION_ASKING, .is_new = is_new };
}

struct registration_action registration_next(struct registration *r)
{
    static const enum registration_action_kind kinds[REGISTRATION_STATE_COUNT] = {
        [REGISTRATION_ASKING] = REGISTRATION_ASK,       [REGISTRATION_KEEPING] = REGISTRATION_KEEP,
        [REGISTRATION_TOKEN] = REGISTRATION_KEEP_LOGIN, [REGISTRATION_STORING] = REGISTRATION_STORE,
        [REGISTRATION_GREETING] = REGISTRATION_GREET,   [REGISTRATION_DONE] = REGISTRATION_END,
        [REGISTRATION_REFUSED] = REGISTRATION_END,
    };
    if (r->given)
        return (struct registration_action){ .kind = REGISTRATION_WAIT };
    r->given = true;
    return (struct registration_action){ .kind = kinds[r->state],
                                         .certificate = CODEC_BYTES(r->reply.certificate),
                                         .sealed = r->sealed };
}

void registration_answered(struct registration *r, const struct frame *reply, enum reason why,
                           const msg_Refusal *refusal)
{
    msg_Refusal read = msg_Refusal_init_zero;
    if (r->state != REGISTRATION_ASKING)
        return;
    if (reply != NULL) {
        why = reason_of_reply(reply, msg_Type_REGISTERED, &read);
        if (why != REASON_NONE && read.text[0] != '\0')
            refusal = &read;
    } else if (why == REASON_NONE) {
        why = REASON_OFFLINE;
    }
    if (why == REASON_NONE && (CODEC_DECODE(msg_Registered, reply->message, &r->reply) != 0 ||
                               r->reply.certificate.size == 0 || reply->tail.len == 0))
        why = REASON_MALFORMED;
    if (why != REASON_NONE) {
        refuse(r, why, refusal);
        return;
    }
    r->sealed = reply->tail;
    set_state(r, REGISTRATION_KEEPING);
}

void registration_kept(struct registration *r, enum reason why, const msg_Refusal *refusal)
{
    if (r->state != REGISTRATION_KEEPING)
        return;
    r->sealed = slice(NULL, 0);
    if (why != REASON_NONE)
        refuse(r, why, refusal);
    else
        set_state(r, r->reply.has_login ? REGISTRATION_TOKEN : REGISTRATION_STORING);
}

void registration_login_kept(struct registration *r, enum reason why, const msg_Refusal *refusal)
{
    if (r->state != REGISTRATION_TOKEN)
        return;
    if (why != REASON_NONE)
        refuse(r, why, refusal);
    else
        set_state(r, REGISTRATION_STORING);
}

void registration_stored(struct registration *r, enum reason why)
{
    if (r->state != REGISTRATION_STORING)
        return;
    if (why != REASON_NONE)
        refuse(r, why, NULL);
    else /* one that was known is greeted already: what WELCOME would say came with the answer */
        set_state(r, r->is_new ? REGISTRATION_GREETING : REGISTRATION_DONE);
}

void registration_greeted(struct registration *r)
{
    if (r->state == REGISTRATION_GREETING)
        set_state(r, REGISTRATION_DONE);
}
