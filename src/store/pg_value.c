/* Values out of a result of PostgreSQL's, all of them in binary. */
#include "store/pg.h"

/* Sums come as decimal numbers: count:2 weight:2 sign:2 scale:2, then `count` digits of base 10,000. */
static int read_numeric(struct slice bytes, int64_t *out)
{
    struct reader r = reader(bytes);
    int count = reader_u16(&r);
    int weight = (int16_t)reader_u16(&r);
    uint16_t sign = reader_u16(&r);
    (void)reader_u16(&r);
    int64_t v = 0;
    for (int i = 0; i <= weight || i < count; i++) {
        int64_t digit = i < count ? reader_u16(&r) : 0;
        if (i > weight && digit == 0)
            continue;
        if (i > weight || __builtin_mul_overflow(v, 10000, &v) || __builtin_sub_overflow(v, digit, &v))
            return -EUCLEAN; /* a fraction, or beyond 64 bits */
    }
    if (r.bad || (sign != 0 && sign != 0x4000) || (sign == 0 && v == INT64_MIN))
        return -EUCLEAN;
    *out = sign == 0 ? -v : v;
    return 0;
}

int pg_read(const PGresult *r, int row, int column, struct value *out)
{
    *out = (struct value){ 0 };
    if (PQgetisnull(r, row, column))
        return 0;
    struct slice bytes = slice(PQgetvalue(r, row, column), (size_t)PQgetlength(r, row, column));
    struct reader number = reader(bytes);
    out->kind = VALUE_I64;
    switch (PQftype(r, column)) {
    case OID_BOOL:
        out->number = reader_u8(&number);
        return 0;
    case OID_INT2:
        out->number = (int16_t)reader_u16(&number);
        return 0;
    case OID_INT4:
        out->number = (int32_t)reader_u32(&number);
        return 0;
    case OID_INT8:
        out->number = (int64_t)reader_u64(&number);
        return number.bad ? -EUCLEAN : 0;
    case OID_NUMERIC:
        return read_numeric(bytes, &out->number);
    case OID_TEXT:
    case OID_VARCHAR:
    case OID_JSON:
    case OID_UNKNOWN:
        out->kind = VALUE_TEXT;
        out->bytes = bytes;
        return 0;
    case OID_BYTEA:
        out->kind = VALUE_BLOB;
        out->bytes = bytes;
        return 0;
    default:
        return -EUCLEAN;
    }
}
