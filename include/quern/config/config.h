/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_CONFIG_CONFIG_H
#define QUERN_CONFIG_CONFIG_H
/* Config: settings as rows (config.def), values with their origin. Order: default < file <
 * QUERN_* environment < flags. The file is "key = value" lines with # comments. */
#include <stdbool.h>
#include <stdint.h>

struct config;
struct buf;

enum config_id {
#define SETTING(id, key, type, def, lo, hi, doc) CONFIG_##id,
#include "quern/config/config.def"
#undef SETTING
    CONFIG_COUNT
};
enum config_type { CONFIG_STR, CONFIG_INT, CONFIG_BYTES, CONFIG_MS, CONFIG_BOOL, CONFIG_LIST };

struct config_row {
    const char *key; /* "db.queue": flag --db-queue, environment QUERN_DB_QUEUE */
    enum config_type type;
    const char *def;
    int64_t lo, hi; /* for numbers; hi 0: none */
    const char *doc;
    bool secret;       /* value never printed */
    const char *words; /* the only values there are, blanks between; NULL: any */
};

extern const struct config_row config_rows[CONFIG_COUNT];

struct config *config_new(void);
void config_free(struct config *c);
/* Each returns 0 or -1 with a message in `error` (a sentence: what is wrong, what would be right).
 */
int config_file(struct config *c, const char *path, bool must_exist, struct buf *error);
int config_env(struct config *c, char **environ_, struct buf *error);
int config_set(struct config *c, const char *key, const char *value, const char *origin,
               struct buf *error);
const char *config_str(const struct config *c, enum config_id id);
int64_t config_int(const struct config *c, enum config_id id); /* also bytes and milliseconds */
bool config_bool(const struct config *c, enum config_id id);
const char *config_origin(const struct config *c,
                          enum config_id id); /* "default" "file:line" "env" "flag" */
void config_show(const struct config *c, bool json, struct buf *out);

#endif
