/* SPDX-License-Identifier: Apache-2.0 */
#include "strict.h"

#include <string.h>

#include "target.h"

/* Bits of a byte's classes. */
enum { TOKEN = 1, VALUE = 2, DIGIT = 4, HEX = 8, HOST = 16 };

const char strict_cookie[] = "$ookie";

static unsigned char class_of[256];

/* Fields that decide who asks, for what, or how a body is read, and are no lists: said twice, a
 * proxy may believe one and a handler the other. */
#define ONCE(name)                                                                                 \
    { sizeof(name) - 1, name, "There is more than one " name "." }
static const struct {
    size_t n;
    const char *name, *why;
} once[] = {
    ONCE("range"),
    ONCE("origin"),
    ONCE("if-range"),
    ONCE("content-type"),
    ONCE("authorization"),
    ONCE("last-event-id"),
    ONCE("sec-fetch-site"),
    ONCE("sec-fetch-mode"),
    ONCE("idempotency-key"),
    ONCE("x-quern-project"),
    ONCE("content-encoding"),
    ONCE("x-quern-endpoint"),
    ONCE("x-mlflow-workspace"),
    ONCE("inference-header-content-length"),
};
#undef ONCE
static uint32_t once_lengths; /* a bit per length of the names above */

__attribute__((constructor)) static void classes_init(void) {
    for (int c = 0x20; c < 256; c++)
        if (c != 0x7f)
            class_of[c] |= VALUE;
    class_of['\t'] |= VALUE;
    for (const char *p = "!#$%&'*+-.^_`|~"; *p; p++)
        class_of[(unsigned char)*p] |= TOKEN;
    for (int c = 'a'; c <= 'z'; c++) {
        class_of[c] |= TOKEN | HOST;
        class_of[c - 32] |= TOKEN | HOST;
    }
    for (int c = '0'; c <= '9'; c++)
        class_of[c] |= TOKEN | DIGIT | HEX | HOST;
    for (int c = 'a'; c <= 'f'; c++) {
        class_of[c] |= HEX;
        class_of[c - 32] |= HEX;
    }
    for (const char *p = ".-_~:[]%"; *p; p++)
        class_of[(unsigned char)*p] |= HOST;
    for (size_t i = 0; i < sizeof(once) / sizeof(once[0]); i++)
        once_lengths |= UINT32_C(1) << once[i].n;
}

static bool is(char c, int bits) {
    return (class_of[(unsigned char)c] & bits) != 0;
}

bool strict_token(const char *s, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (!is(s[i], TOKEN))
            return false;
    return n > 0;
}

bool strict_in_body(const struct strict *s) {
    return s->state != STRICT_HEAD && s->state != STRICT_REFUSED;
}

void strict_refuse(struct strict *s, int status, const char *reason, const char *why) {
    if (s->refuse)
        return;
    s->refuse = status;
    s->reason = reason;
    s->why = why;
    if (s->state == STRICT_HEAD)
        s->heads++;
}

static const char get_stand_in[] = "GET / HTTP/1.1\r\nhost: refused\r\nconnection: close\r\n\r\n";
static const char head_stand_in[] = "HEAD / HTTP/1.1\r\nhost: refused\r\nconnection: close\r\n\r\n";

const char *strict_stand_in(const struct strict *s, size_t *n) {
    const char *text = "";
    switch (s->state) {
    case STRICT_HEAD:
        text = s->head_method ? head_stand_in : get_stand_in;
        break;
    case STRICT_SIZE:
    case STRICT_LAST:
        text = "0\r\n\r\n";
        break;
    case STRICT_DATA_END:
        text = "\r\n0\r\n\r\n";
        break;
    case STRICT_LENGTH:
    case STRICT_DATA:
    case STRICT_REFUSED:
        break;
    }
    *n = strlen(text);
    return text;
}

/* ------------------------------------------------------------------ request line and fields */

static int bad(struct strict *s, int status, const char *reason, const char *why) {
    strict_refuse(s, status, reason, why);
    return -1;
}

static bool method_known(const char *m, size_t n) {
    static const char *const known[] = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"};
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (strlen(known[i]) == n && memcmp(known[i], m, n) == 0)
            return true;
    return false;
}

static int request_line(struct strict *s, const char *p, size_t n) {
    const char *sp = memchr(p, ' ', n);
    if (!sp || !strict_token(p, (size_t)(sp - p)))
        return bad(s, 400, "request_line",
                   "The request line must be: METHOD SP target SP HTTP/1.1.");
    size_t method = (size_t)(sp - p);
    const char *target = sp + 1;
    const char *end = p + n;
    const char *sp2 = memchr(target, ' ', (size_t)(end - target));
    if (!sp2 || sp2 == target || end - sp2 != 9 || memcmp(sp2 + 1, "HTTP/", 5) != 0 ||
        !is(sp2[6], DIGIT) || sp2[7] != '.' || !is(sp2[8], DIGIT))
        return bad(s, 400, "request_line",
                   "The request line must be: METHOD SP target SP HTTP/1.1, one space each.");
    if (sp2[6] != '1' || (sp2[8] != '1' && sp2[8] != '0'))
        return bad(s, 505, "version", "Only HTTP/1.1 and HTTP/1.0 are spoken here.");
    s->v10 = sp2[8] == '0';
    s->head_method = method == 4 && memcmp(p, "HEAD", 4) == 0;
    if (!method_known(p, method))
        return bad(s, 501, "method",
                   "The method must be GET, HEAD, POST, PUT, PATCH, DELETE or OPTIONS.");
    size_t length = (size_t)(sp2 - target);
    if (length > STRICT_TARGET_MAX)
        return bad(s, 414, "target_length", "The target is longer than 16384 bytes.");
    const char *why = target_check(target, length);
    if (why)
        return bad(s, 400, "target", why);
    s->request_line = true;
    return 0;
}

static bool name_is(const char *name, size_t n, const char *want) {
    return strlen(want) == n && memcmp(name, want, n) == 0;
}

static bool value_is(const char *v, size_t n, const char *want) {
    if (strlen(want) != n)
        return false;
    for (size_t i = 0; i < n; i++)
        if ((v[i] | 0x20) != want[i])
            return false;
    return true;
}

static int content_length(struct strict *s, const char *v, size_t n) {
    if (s->lengths++)
        return bad(s, 400, "length", "There is more than one Content-Length.");
    if (n == 0)
        return bad(s, 400, "length", "Content-Length is empty.");
    uint64_t total = 0;
    for (size_t i = 0; i < n; i++) {
        if (!is(v[i], DIGIT))
            return bad(s, 400, "length", "Content-Length must be decimal digits alone.");
        uint64_t digit = (uint64_t)(v[i] - '0');
        if (total > ((uint64_t)INT64_MAX - digit) / 10)
            return bad(s, 413, "length", "Content-Length is beyond any limit.");
        total = total * 10 + digit;
    }
    s->length = total;
    return 0;
}

static int transfer_encoding(struct strict *s, const char *v, size_t n) {
    if (s->encodings++)
        return bad(s, 400, "encoding", "There is more than one Transfer-Encoding.");
    if (!value_is(v, n, "chunked"))
        return bad(s, 501, "encoding", "The only Transfer-Encoding understood is: chunked.");
    return 0;
}

static int said_once(struct strict *s, const char *name, size_t n) {
    if (n >= 32 || !(once_lengths >> n & 1))
        return 0;
    for (size_t i = 0; i < sizeof(once) / sizeof(once[0]); i++) {
        if (once[i].n != n || memcmp(once[i].name, name, n) != 0)
            continue;
        if (s->said & UINT32_C(1) << i)
            return bad(s, 400, "field", once[i].why);
        s->said |= UINT32_C(1) << i;
        break;
    }
    return 0;
}

static int field_meaning(struct strict *s, char *name, size_t nlen, const char *v, size_t n) {
    switch (nlen) {
    case 4:
        if (!name_is(name, nlen, "host"))
            return 0;
        if (s->hosts++)
            return bad(s, 400, "host", "There is more than one Host.");
        for (size_t i = 0; i < n; i++)
            if (!is(v[i], HOST))
                return bad(s, 400, "host", "Host is not a name or address with an optional port.");
        if (n == 0)
            return bad(s, 400, "host", "Host is empty.");
        return 0;
    case 6:
        if (name_is(name, nlen, strict_cookie))
            return bad(s, 400, "field_name", "A header line has a name that is used within.");
        if (name_is(name, nlen, "cookie"))
            memcpy(name, strict_cookie, nlen);
        if (!name_is(name, nlen, "expect"))
            return said_once(s, name, nlen);
        if (s->expects++ || !value_is(v, n, "100-continue"))
            return bad(s, 417, "expect", "The only expectation understood is: 100-continue.");
        return 0;
    case 14:
        if (name_is(name, nlen, "content-length"))
            return content_length(s, v, n);
        return said_once(s, name, nlen);
    case 17:
        return name_is(name, nlen, "transfer-encoding") ? transfer_encoding(s, v, n) : 0;
    default:
        return said_once(s, name, nlen);
    }
}

/* The library drops blanks before a value and keeps those behind it, so that its Content-Length
 * would be no number and its Transfer-Encoding no known one: they change sides. */
static void blanks_to_front(char *value, size_t n, size_t blanks) {
    memmove(value + blanks, value, n - blanks);
    memset(value, ' ', blanks);
}

static int field_line(struct strict *s, char *p, size_t n) {
    if (++s->fields > STRICT_FIELDS_MAX)
        return bad(s, 431, "fields", "The head has more than 100 header lines.");
    if (p[0] == ' ' || p[0] == '\t')
        return bad(s, 400, "fold", "Folded header lines are not accepted.");
    size_t i = 0;
    for (; i < n && is(p[i], TOKEN); i++)
        if (p[i] >= 'A' && p[i] <= 'Z')
            p[i] = (char)(p[i] | 0x20);
    if (i == 0 || i == n || p[i] != ':')
        return bad(s, 400, "field_name",
                   "A header line must be a token, a colon right behind it, and a value.");
    size_t from = i + 1, to = n;
    while (from < to && (p[from] == ' ' || p[from] == '\t'))
        from++;
    while (to > from && (p[to - 1] == ' ' || p[to - 1] == '\t'))
        to--;
    if (to < n && from < to) {
        blanks_to_front(p + from, n - from, n - to);
        from += n - to;
        to = n;
    }
    return field_meaning(s, p, i, p + from, to - from);
}

/* The empty line came: does the head as a whole make sense? */
static int head_end(struct strict *s) {
    if (!s->request_line)
        return bad(s, 400, "request_line", "An empty line stands where a request line belongs.");
    if (s->hosts == 0 && !s->v10)
        return bad(s, 400, "host", "HTTP/1.1 needs a Host.");
    if (s->lengths && s->encodings)
        return bad(s, 400, "framing", "Content-Length and Transfer-Encoding exclude each other.");
    if (s->encodings && s->v10)
        return bad(s, 400, "framing", "HTTP/1.0 has no Transfer-Encoding.");
    s->heads++;
    if (s->encodings) {
        s->state = STRICT_SIZE;
    } else if (s->length) {
        s->state = STRICT_LENGTH;
        s->left = s->length;
    }
    return 0;
}

static void head_begin(struct strict *s) {
    s->state = STRICT_HEAD;
    s->line = 0;
    s->fields = 0;
    s->request_line = s->v10 = s->head_method = false;
    s->hosts = s->lengths = s->encodings = s->expects = 0;
    s->said = 0;
    s->length = 0;
}

/* No line longer than the head may be; a request line that long is the target's fault. */
static int head_too_long(struct strict *s) {
    if (s->request_line)
        return bad(s, 431, "head_length", "The head is longer than 32768 bytes.");
    return bad(s, 414, "target_length", "The request line is longer than 32768 bytes.");
}

/* Bytes that may stand in a line; run on partial lines too, so that rubbish without any line end
 * is refused at once instead of at the deadline. */
static int line_bytes(struct strict *s, const char *p, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (is(p[i], VALUE))
            continue;
        if (p[i] == '\r')
            return bad(s, 400, "line_end", "A CR stands without its LF.");
        if (p[i] == '\0')
            return bad(s, 400, "control", "A NUL stands in the head.");
        return bad(s, 400, "control", "A control character stands in the head.");
    }
    return 0;
}

/* 1 when the head ended (*used set), 0 when more is needed, -1 refused. */
static int feed_head(struct strict *s, char *p, size_t n, size_t *used) {
    for (;;) {
        size_t have = n - s->line;
        char *line = p + s->line;
        char *lf = have ? memchr(line, '\n', have) : NULL;
        size_t end = lf ? (size_t)(lf - p) + 1 : n;
        if (end > STRICT_HEAD_MAX)
            return head_too_long(s);
        if (!lf) {
            /* The last byte may be the CR of a CRLF that is still under way. */
            if (have && line[have - 1] == '\r')
                have--;
            return line_bytes(s, line, have) ? -1 : 0;
        }
        size_t length = (size_t)(lf - line);
        if (length == 0 || line[length - 1] != '\r')
            return bad(s, 400, "line_end", "A line ends in LF without CR.");
        length--;
        if (line_bytes(s, line, length))
            return -1;
        s->line = end;
        if (length == 0) {
            *used = end;
            return head_end(s) ? -1 : 1;
        }
        if (s->request_line ? field_line(s, line, length) : request_line(s, line, length))
            return -1;
    }
}

/* ------------------------------------------------------------------ bodies */

static int hex_value(char c) {
    return c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10;
}

/* 1 when the line is whole, 0 when more is needed, -1 refused. Chunk extensions are refused: no
 * client sends them and their parsing differs from server to server. */
static int feed_size(struct strict *s, const char *p, size_t n, size_t *used) {
    uint64_t size = 0;
    size_t i = 0;
    for (; i < n && is(p[i], HEX); i++) {
        if (i >= 15)
            return bad(s, 413, "chunk", "A chunk size is beyond any limit.");
        size = size << 4 | (uint64_t)hex_value(p[i]);
    }
    if (i == n)
        return 0;
    if (i == 0 || p[i] != '\r' || (i + 1 < n && p[i + 1] != '\n'))
        return bad(s, 400, "chunk", "A chunk size must be hexadecimal digits and CRLF.");
    if (i + 1 == n)
        return 0;
    if (size == 0) {
        s->state = STRICT_LAST;
        s->last = i + 2;
        return 1;
    }
    *used = i + 2;
    s->left = size;
    s->state = STRICT_DATA;
    return 1;
}

static int feed_crlf(struct strict *s, const char *p, size_t n, const char *why) {
    if ((n >= 1 && p[0] != '\r') || (n >= 2 && p[1] != '\n'))
        return bad(s, 400, "chunk", why);
    return n >= 2;
}

size_t strict_feed(struct strict *s, char *data, size_t n) {
    size_t done = 0;
    while (!s->refuse && done < n) {
        char *p = data + done;
        size_t have = n - done;
        size_t used = 0;
        int step = 1;
        switch (s->state) {
        case STRICT_HEAD:
            step = feed_head(s, p, have, &used);
            break;
        case STRICT_LENGTH:
        case STRICT_DATA:
            used = s->left < have ? (size_t)s->left : have;
            s->left -= used;
            if (s->left == 0) {
                s->state = s->state == STRICT_DATA ? STRICT_DATA_END : STRICT_HEAD;
            }
            break;
        case STRICT_SIZE:
            step = feed_size(s, p, have, &used);
            break;
        case STRICT_DATA_END:
            step = feed_crlf(s, p, have, "Chunk data must be followed by CRLF.");
            if (step > 0) {
                used = 2;
                s->state = STRICT_SIZE;
            }
            break;
        case STRICT_LAST:
            /* The last-chunk line is still held back, it is passed again from its start. */
            if (have <= s->last) {
                step = 0;
                break;
            }
            step = feed_crlf(s, p + s->last, have - s->last, "Trailers are not accepted.");
            if (step > 0) {
                used = s->last + 2;
                s->state = STRICT_HEAD;
            }
            break;
        case STRICT_REFUSED:
            return done;
        }
        if (step <= 0)
            break;
        if (used && s->state == STRICT_HEAD)
            head_begin(s);
        done += used;
    }
    return done;
}
