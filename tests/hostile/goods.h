/* What a member has honestly, and offers as it likes. */
#ifndef TESTS_HOSTILE_GOODS_H
#define TESTS_HOSTILE_GOODS_H

#include "crypto/body.h"
#include "stage.h"

/* What the member has: the body as the distributor gave it, and a certificate for the destination. */
struct goods {
    msg_Info info;
    doc_ContentInfo content;
    struct body_shape shape;
    uint8_t *list;
    uint8_t **blocks;
    msg_Result result;
};
/* Bought from the stage's distributor, with a certificate for the stage's destination. Owned; NULL: complained. */
struct goods *get_goods(struct stage *s) MUST_USE;
void goods_free(struct goods *g);
void goods_freep(struct goods **g);
/* As it would be offered; info of another content, or NULL. */
void goods_offer(const struct goods *g, const msg_Info *other_info, msg_Offer *out);

#endif
