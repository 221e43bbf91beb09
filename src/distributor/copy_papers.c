/* Sealing and signing. Any thread. */
#include "distributor/copy_papers.h"

#include "base/util.h"
#include "distributor/licenses.h"

void copy_papers_wipe(struct copy_papers *p)
{
    key32_wipe(&p->license_half);
    key32_wipe(&p->copy_pair.seed);
}

int copy_papers_make(struct copy_papers *p, struct buf *document)
{
    struct signer signer;
    struct buf license CLEANUP(buf_free) = buf(sizeof(p->certificate.license.bytes));
    signer_from_pair(&signer, p->pair);
    int r = licenses_seal(&p->license, p->sealing_key, &p->license_half, &signer, &license);
    if (r != 0)
        return r;
    if (CODEC_SET_BYTES(p->certificate.license, buf_slice(&license)) != 0)
        return -EMSGSIZE;
    r = document_sign(document, DOCUMENT_COPY_CERTIFICATE, &p->certificate, &signer);
    return r > 0 ? -EMSGSIZE : r;
}
