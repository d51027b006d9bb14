/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "quern/base/buf.h"
#include "quern/base/str.h"
#include "quern/config/config.h"

/* Config stands beside json, not above it, so it escapes its few texts itself. Values are one line
 * of UTF-8 by config_set. */
static void put_json_text(struct buf *out, const char *s) {
    buf_putc(out, '"');
    for (; *s; s++) {
        if (*s == '"' || *s == '\\')
            buf_printf(out, "\\%c", *s);
        else if ((unsigned char)*s < 0x20)
            buf_printf(out, "\\u%04x", (unsigned char)*s);
        else
            buf_putc(out, *s);
    }
    buf_putc(out, '"');
}

static const char *shown(const struct config *c, int i) {
    const char *text = config_str(c, (enum config_id)i);
    return config_rows[i].secret && *text ? "***" : text;
}

static void show_json(const struct config *c, struct buf *out) {
    buf_putc(out, '{');
    for (int i = 0; i < CONFIG_COUNT; i++) {
        buf_puts(out, i ? ",\n " : "\n ");
        put_json_text(out, config_rows[i].key);
        buf_puts(out, ": {\"value\": ");
        put_json_text(out, shown(c, i));
        buf_puts(out, ", \"origin\": ");
        put_json_text(out, config_origin(c, (enum config_id)i));
        buf_puts(out, ", \"default\": ");
        put_json_text(out, config_rows[i].def);
        buf_putc(out, '}');
    }
    buf_puts(out, "\n}\n");
}

void config_show(const struct config *c, bool json, struct buf *out) {
    if (json) {
        show_json(c, out);
        return;
    }
    size_t key_width = 0, value_width = 0;
    for (int i = 0; i < CONFIG_COUNT; i++) {
        size_t k = strlen(config_rows[i].key), v = utf8_count(shown(c, i));
        key_width = k > key_width ? k : key_width;
        value_width = v > value_width && v <= 48 ? v : value_width;
    }
    for (int i = 0; i < CONFIG_COUNT; i++) {
        size_t v = utf8_count(shown(c, i));
        buf_printf(out, "%-*s = %s%*s  # %s\n", (int)key_width, config_rows[i].key, shown(c, i),
                   (int)(v < value_width ? value_width - v : 0), "",
                   config_origin(c, (enum config_id)i));
    }
}
