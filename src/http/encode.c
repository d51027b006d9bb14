/* SPDX-License-Identifier: Apache-2.0 */
#include "call.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include "quern/base/arena.h"

#define PACK_MOST (64u << 20) /* larger texts would hold a network thread for too long */

/* Whether Accept-Encoding names the coding with a quality other than 0. */
static bool accepts(const char *header, const char *coding) {
    size_t want = strlen(coding);
    for (const char *p = header; *p;) {
        p += strspn(p, " \t,");
        size_t item = strcspn(p, ",");
        size_t name = strcspn(p, ";, \t");
        if (name == want && strncasecmp(p, coding, want) == 0) {
            const char *q = memchr(p, ';', item);
            while (q && (*q == ';' || *q == ' ' || *q == '\t'))
                q++;
            if (!q || strncasecmp(q, "q=", 2) != 0)
                return true;
            return strtod(q + 2, NULL) > 0;
        }
        p += item;
    }
    return false;
}

static bool is_text(const char *type) {
    static const char *const prefixes[] = {"text/",
                                           "application/json",
                                           "application/problem+json",
                                           "application/openmetrics-text",
                                           "image/svg+xml",
                                           "application/javascript"};
    for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++)
        if (strncmp(type, prefixes[i], strlen(prefixes[i])) == 0)
            return true;
    return false;
}

static bool pack_zstd(struct call *k, const char *data, size_t n, char **out, size_t *out_n) {
    struct net_thread *t = net_thread(k->s);
    if (!t->zstd)
        t->zstd = ZSTD_createCCtx();
    if (!t->zstd)
        return false;
    size_t room = ZSTD_compressBound(n);
    char *packed = mem_alloc(room);
    size_t got = ZSTD_compressCCtx(t->zstd, packed, room, data, n, 1);
    if (ZSTD_isError(got) || got >= n) {
        free(packed);
        return false;
    }
    *out = packed;
    *out_n = got;
    return true;
}

/* window: 15 for zlib's format, 16 more for gzip's. */
static bool pack_zlib(int window, const char *data, size_t n, char **out, size_t *out_n) {
    z_stream z = {0};
    if (deflateInit2(&z, 1, Z_DEFLATED, window, 8, Z_DEFAULT_STRATEGY) != Z_OK)
        return false;
    size_t room = deflateBound(&z, n);
    char *packed = mem_alloc(room);
    z.next_in = (Bytef *)data;
    z.avail_in = (uInt)n;
    z.next_out = (Bytef *)packed;
    z.avail_out = (uInt)room;
    int rc = deflate(&z, Z_FINISH);
    size_t got = z.total_out;
    deflateEnd(&z);
    if (rc != Z_STREAM_END || got >= n) {
        free(packed);
        return false;
    }
    *out = packed;
    *out_n = got;
    return true;
}

bool encode_body(struct call *k, const char *content_type, const char *data, size_t n, char **out,
                 size_t *out_n, const char **encoding) {
    bool any = k->entry && (k->entry->row->flags & ROUTE_PACKED);
    if (n < ENCODE_LEAST || n > PACK_MOST || !content_type || (!any && !is_text(content_type)))
        return false;
    const char *header = ctx_header(&k->c, "accept-encoding");
    for (struct reply_header *h = k->c.reply.headers; h; h = h->next)
        if (strcasecmp(h->name, "Content-Encoding") == 0)
            return false; /* the handler has packed it already */
    if (!header)
        return false;
    if (accepts(header, "zstd") && pack_zstd(k, data, n, out, out_n)) {
        *encoding = "zstd";
        return true;
    }
    if (accepts(header, "gzip") && pack_zlib(15 + 16, data, n, out, out_n)) {
        *encoding = "gzip";
        return true;
    }
    if (accepts(header, "deflate") && pack_zlib(15, data, n, out, out_n)) {
        *encoding = "deflate";
        return true;
    }
    return false;
}
