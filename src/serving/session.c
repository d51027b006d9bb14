/* SPDX-License-Identifier: Apache-2.0 */
#include "session.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "quern/base/arena.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "quern/onnx/onnx.h"

static struct {
    pthread_mutex_t lock;
    struct shared_session *first;
} sessions = {.lock = PTHREAD_MUTEX_INITIALIZER};

static struct shared_session *take(const char *sha256) {
    for (struct shared_session *s = sessions.first; s; s = s->next)
        if (strcmp(s->sha256, sha256) == 0) {
            s->refs++;
            return s;
        }
    return NULL;
}

int session_share(struct ctx *c, const char *path, const char *sha256,
                  struct shared_session **out) {
    struct shared_session *s = NULL;
    if (sha256) {
        pthread_mutex_lock(&sessions.lock);
        s = take(sha256);
        pthread_mutex_unlock(&sessions.lock);
    }
    *out = s;
    if (s)
        return 0;
    struct onnx_session *loaded = NULL;
    int rc = onnx_load_file(c, path, &loaded);
    if (rc < 0)
        return rc;
    pthread_mutex_lock(&sessions.lock);
    s = sha256 ? take(sha256) : NULL; /* another thread may have been faster */
    if (!s) {
        s = mem_alloc(sizeof *s);
        s->session = loaded;
        s->refs = 1;
        loaded = NULL;
        if (sha256) {
            str_copy(s->sha256, sizeof s->sha256, sha256);
            s->next = sessions.first;
            sessions.first = s;
        }
    }
    pthread_mutex_unlock(&sessions.lock);
    onnx_free(loaded);
    *out = s;
    return 0;
}

void session_release(struct shared_session *s) {
    if (!s)
        return;
    pthread_mutex_lock(&sessions.lock);
    bool last = --s->refs == 0;
    for (struct shared_session **at = &sessions.first; last && *at; at = &(*at)->next)
        if (*at == s) {
            *at = s->next;
            break;
        }
    pthread_mutex_unlock(&sessions.lock);
    if (!last)
        return;
    onnx_free(s->session);
    free(s);
}
