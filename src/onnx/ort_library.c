/* SPDX-License-Identifier: Apache-2.0 */
#include "ort_library.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#include "quern/base/arena.h"
#include "quern/base/buf.h"
#include "quern/base/log.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "quern/onnx/onnx.h"

struct ort ort;

static char *library_path;
static const char *library_version = "";

static void on_log(void *param, int level, const char *category, const char *logid,
                   const char *location, const char *message) {
    (void)param;
    (void)category;
    (void)logid;
    (void)location;
    log_write(level >= 3 ? LOG_WARN : LOG_DEBUG, "onnx.runtime", "%s", message);
}

static void fill(const void *table) {
    void *const *slots = table;
/* A pointer to data and one to a function are the same on every platform with dlsym; memcpy is the
 * form that the language has no objection to. */
#define ORT_FILL(slot, name, result, args) memcpy(&ort.name, &slots[slot], sizeof(void *));
    ORT_FUNCTIONS(ORT_FILL)
#undef ORT_FILL
}

static const char *message_of(ort_status *status, struct buf *keep) {
    buf_clear(keep);
    buf_puts(keep, ort.get_error_message(status));
    ort.release_status(status);
    return keep->data;
}

static int open_one(const char *path, struct buf *error) {
    void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!handle) {
        buf_printf(error, "%s%s", error->len ? "; " : "", dlerror());
        return -1;
    }
    void *symbol = dlsym(handle, "OrtGetApiBase");
    if (!symbol) {
        buf_printf(error, "%s%s is not ONNX Runtime (no OrtGetApiBase)", error->len ? "; " : "",
                   path);
        dlclose(handle);
        return -1;
    }
    const struct ort_api_base *(*get_base)(void);
    memcpy(&get_base, &symbol, sizeof symbol);
    const struct ort_api_base *base = get_base();
    const void *table = base ? base->get_api(ORT_API_WANTED) : NULL;
    if (!table) {
        buf_printf(error, "%s%s is ONNX Runtime %s; 1.%d or newer is needed",
                   error->len ? "; " : "", path, base ? base->get_version() : "?", ORT_API_WANTED);
        return -1; /* stays mapped: its threads and statics do not like to go */
    }
    fill(table);
    struct buf text = {0};
    ort_status *st = ort.create_env_logger(on_log, NULL, 2, "quern", &ort.env);
    if (!st)
        st = ort.create_cpu_memory(1, 0, &ort.cpu);
    if (!st)
        st = ort.default_allocator(&ort.allocator);
    if (st) {
        buf_printf(error, "%sONNX Runtime did not start: %s", error->len ? "; " : "",
                   message_of(st, &text));
        buf_free(&text);
        ort.env = NULL;
        return -1;
    }
    ort_ignore(ort.disable_telemetry(ort.env));
    library_version = base->get_version();
    library_path = mem_strdup(path);
    return 0;
}

int onnx_open(const char *path, const char *const *more, struct buf *error) {
    if (onnx_ready())
        return 0;
    struct buf why = {0};
    /* Official builds from 1.29 on report models and usage to their maker unless this is set before
     * they are loaded; the call for it comes too late. They also keep a database in HOME. */
    setenv("ORT_DISABLE_TELEMETRY", "1", 0); /* set in main already; tests have no main of ours */
    if (path && *path) {
        if (open_one(path, &why) == 0) {
            buf_free(&why);
            return 0;
        }
        log_warn("onnx.open", "%s", why.data);
    }
    for (size_t i = 0; more && more[i]; i++)
        if (*more[i] && open_one(more[i], &why) == 0) {
            buf_free(&why);
            return 0;
        }
    if (why.len)
        buf_puts(error, why.data);
    else
        buf_puts(error, "no place to look for libonnxruntime.so was given");
    buf_free(&why);
    return -1;
}

bool onnx_ready(void) {
    return library_path != NULL;
}

const char *onnx_version(void) {
    return library_version;
}

const char *onnx_path(void) {
    return library_path ? library_path : "";
}

void ort_ignore(ort_status *status) {
    if (status)
        ort.release_status(status);
}

int ort_check(struct ctx *c, ort_status *status, int fallback, const char *what) {
    if (!status)
        return 0;
    int code = ort.get_error_code(status) == ORT_INVALID_ARGUMENT ? ERR_INVALID : fallback;
    const char *said = ort.get_error_message(status);
    size_t n = strlen(said);
    while (n > 0 && (said[n - 1] == '\n' || said[n - 1] == ' '))
        n--;
    n = n > 1000 ? 1000 : n;
    while (n > 0 && (said[n] & 0xC0) == 0x80)
        n--; /* not in the middle of a character */
    if (!utf8_valid(said, n)) {
        said = "(unreadable)";
        n = strlen(said);
    }
    int rc = fail(c, code, "%s: %.*s", what, (int)n, said);
    ort.release_status(status);
    return rc;
}
