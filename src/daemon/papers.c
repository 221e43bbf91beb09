/* Two questions to the vault, put together. */
#include "daemon/papers.h"

#include <stdlib.h>

#include "base/util.h"
#include "daemon/vault_client.h"

int papers_check(struct daemon *d, const struct papers *p, answer_fn on_answer, void *ctx)
{
    vlt_CertificateCheck *m CLEANUP(freep) = calloc(1, sizeof(*m)); /* 5 KiB */
    if (m == NULL)
        return -ENOMEM;
    m->has_delegation = p->delegation.len > 0;
    m->has_presenter = p->presenter != NULL;
    if (m->has_presenter)
        memcpy(m->presenter, p->presenter->bytes, sizeof(m->presenter));
    memcpy(m->list_root, p->list_root, sizeof(m->list_root));
    int r = CODEC_SET_BYTES(m->certificate, p->certificate);
    if (r == 0)
        r = CODEC_SET_BYTES(m->delegation, p->delegation);
    if (r == 0)
        r = CODEC_SET_BYTES(m->info, p->info);
    if (r == 0)
        r = vault_call(d->vault, &ASK(vlt_Type_CERTIFICATE_CHECK, vlt_Type_CERTIFICATE_STATE, vlt_CertificateCheck, m),
                       on_answer, ctx);
    return r > 0 ? -EMSGSIZE : r;
}

int papers_refuse(struct daemon *d, const struct papers *p, answer_fn on_answer, void *ctx)
{
    vlt_CertificateRefuse m = vlt_CertificateRefuse_init_zero;
    m.has_delegation = p->delegation.len > 0;
    int r = CODEC_SET_BYTES(m.certificate, p->certificate);
    if (r == 0)
        r = CODEC_SET_BYTES(m.delegation, p->delegation);
    if (r == 0)
        r = vault_call(d->vault,
                       &ASK(vlt_Type_CERTIFICATE_REFUSE, vlt_Type_CERTIFICATE_STATE, vlt_CertificateRefuse, &m),
                       on_answer, ctx);
    return r > 0 ? -EMSGSIZE : r;
}
