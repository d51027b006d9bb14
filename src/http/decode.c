/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <zlib.h>
#include <zstd.h>

#include "call.h"
#include "quern/base/arena.h"
#include "quern/base/str.h"

/* A body that comes compressed is unpacked as it arrives, so that a small body that would become a
 * huge one is refused at the byte where it goes over the row's cap. */

#define STEP (64u << 10)   /* unpacked at a time */
#define ZSTD_WINDOW_LOG 23 /* 8 MiB: what every decoder must offer, and a bound on its memory */
#define WINDOW_RAW (-15)
#define WINDOW_ZLIB 15
#define WINDOW_GZIP (15 + 16)

struct decoder {
    const char *name;
    z_stream z;
    ZSTD_DCtx *zstd; /* NULL: z is used */
    int window;      /* 0: a deflate body, whose first byte was not seen yet */
    bool open;       /* z is to be ended */
    bool ended;      /* the last stream is complete */
    unsigned char step[STEP];
};

void decode_close(struct call *k) {
    struct decoder *d = k->decoder;
    if (!d)
        return;
    k->decoder = NULL;
    if (d->open)
        inflateEnd(&d->z);
    ZSTD_freeDCtx(d->zstd);
    free(d);
}

static int start(struct call *k, struct decoder *d, int window) {
    d->window = window;
    d->open = inflateInit2(&d->z, window) == Z_OK;
    return d->open ? 0 : fail(&k->c, ERR_INTERNAL, "zlib could not be started");
}

int decode_open(struct call *k) {
    const struct route *row = k->entry->row;
    const char *encoding = ctx_header(&k->c, "content-encoding");
    bool raw = (row->flags & ROUTE_RAW_BODY) && !(row->flags & ROUTE_PACKED);
    if (!encoding || !*encoding || str_ieq(encoding, "identity") || raw ||
        (row->flags & ROUTE_UPLOAD) || !call_has_body(k))
        return 0;
    bool gzip = str_ieq(encoding, "gzip") || str_ieq(encoding, "x-gzip");
    bool zstd = str_ieq(encoding, "zstd");
    if (!gzip && !zstd && !str_ieq(encoding, "deflate")) {
        reply_header(&k->c, "Accept-Encoding", "gzip, deflate, zstd");
        return fail(&k->c, ERR_MEDIA_TYPE,
                    "Content-Encoding '%.40s' is not served; send gzip, deflate, zstd or none.",
                    encoding);
    }
    struct decoder *d = k->decoder = mem_alloc(sizeof(*d));
    d->name = gzip ? "gzip" : zstd ? "zstd" : "deflate";
    if (gzip)
        return start(k, d, WINDOW_GZIP);
    if (zstd) {
        d->zstd = ZSTD_createDCtx();
        if (!d->zstd)
            mem_die();
        ZSTD_DCtx_setParameter(d->zstd, ZSTD_d_windowLogMax, ZSTD_WINDOW_LOG);
    }
    return 0;
}

static int broken(struct call *k) {
    return fail(&k->c, ERR_BAD_REQUEST, "The body is not what Content-Encoding: %s says.",
                k->decoder->name);
}

static int feed_zstd(struct call *k, struct decoder *d, const char *data, size_t n) {
    ZSTD_inBuffer in = {data, n, 0};
    for (;;) {
        ZSTD_outBuffer out = {d->step, sizeof(d->step), 0};
        size_t left = ZSTD_decompressStream(d->zstd, &out, &in);
        if (ZSTD_isError(left))
            return broken(k);
        d->ended = left == 0;
        int rc = out.pos ? body_append(k, (char *)d->step, out.pos) : 0;
        /* A full step may leave more within the decoder although all input is consumed, but not at
         * the end of a frame: asked again there, it begins with another. */
        if (rc || (in.pos == in.size && (out.pos < out.size || d->ended)))
            return rc;
    }
}

static int feed_zlib(struct call *k, struct decoder *d, const char *data, size_t n) {
    d->z.next_in = (Bytef *)data;
    d->z.avail_in = (uInt)n;
    for (;;) {
        if (d->ended) {
            if (!d->z.avail_in)
                return 0;
            /* gzip streams may follow each other; behind the other kinds nothing may stand. */
            if (d->window != WINDOW_GZIP || inflateReset(&d->z) != Z_OK)
                return broken(k);
            d->ended = false;
        }
        d->z.next_out = d->step;
        d->z.avail_out = sizeof(d->step);
        int z = inflate(&d->z, Z_NO_FLUSH);
        size_t got = sizeof(d->step) - d->z.avail_out;
        int rc = got ? body_append(k, (char *)d->step, got) : 0;
        if (rc)
            return rc;
        if (z == Z_STREAM_END)
            d->ended = true;
        else if (z == Z_BUF_ERROR || (z == Z_OK && d->z.avail_out && !d->z.avail_in))
            return 0; /* all that came is consumed */
        else if (z != Z_OK)
            return broken(k);
    }
}

int decode_data(struct call *k, const char *data, size_t n) {
    struct decoder *d = k->decoder;
    if (d->zstd)
        return feed_zstd(k, d, data, n);
    if (!d->window && n) {
        /* "deflate" means zlib's format, and some send it bare. A bare stream does not begin with
         * the low bits 1000: a stored block with padding that is not zero. */
        int rc = start(k, d, (data[0] & 0x8f) == 8 ? WINDOW_ZLIB : WINDOW_RAW);
        if (rc)
            return rc;
    }
    return feed_zlib(k, d, data, n);
}

int decode_end(struct call *k) {
    bool ended = !k->decoder || k->decoder->ended;
    const char *name = k->decoder ? k->decoder->name : "";
    decode_close(k);
    if (ended)
        return 0;
    return fail(&k->c, ERR_BAD_REQUEST, "The body ends before its %s stream does.", name);
}
