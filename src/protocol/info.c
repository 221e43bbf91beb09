/* Content information: what a body says of itself, hashed into its name. No keys. Any thread. */
#include "crypto/body.h"
#include "protocol/metadata.h"

int info_judge(struct slice info, const uint8_t list_root[32], doc_ContentInfo *out, struct id *content)
{
    doc_ContentInfo read;
    int r = CODEC_DECODE(doc_ContentInfo, info, &read);
    if (r)
        return r < 0 ? r : REASON_MALFORMED;
    struct body_shape shape;
    if (body_shape_init(&shape, read.plain_bytes, read.block_bytes, info.len) != 0)
        return REASON_MALFORMED;
    if (read.block_count != shape.block_count || read.media_type[0] == '\0')
        return REASON_MALFORMED;
    if (read.has_metadata_signers && !metadata_range_is_valid(&read.metadata_signers))
        return REASON_MALFORMED;
    body_content_id(info, list_root, content);
    *out = read;
    return 0;
}
