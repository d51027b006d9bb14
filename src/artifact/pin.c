/* SPDX-License-Identifier: Apache-2.0 */
#include "pin.h"

#include <pthread.h>
#include <stdlib.h>

#include "blob.h"
#include "quern/base/arena.h"
#include "quern/base/map.h"

struct pin {
    unsigned count;
    bool doomed;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct map *pins;

void pin_open(void) {
    pthread_mutex_lock(&lock);
    if (!pins)
        pins = map_new();
    pthread_mutex_unlock(&lock);
}

void pin_close(void) {
    pthread_mutex_lock(&lock);
    if (pins)
        map_free(pins, free);
    pins = NULL;
    pthread_mutex_unlock(&lock);
}

static struct pin *find(const char *sha256, bool make) {
    struct pin *p = map_get(pins, sha256);
    if (!p && make) {
        p = mem_alloc(sizeof(*p));
        map_set(pins, sha256, p);
    }
    return p;
}

static void forget_if_idle(const char *sha256, const struct pin *p) {
    if (p && p->count == 0 && !p->doomed)
        free(map_remove(pins, sha256));
}

void pin_take(const char *sha256) {
    pthread_mutex_lock(&lock);
    struct pin *p = find(sha256, true);
    p->count++;
    p->doomed = false;
    pthread_mutex_unlock(&lock);
}

void pin_drop(const char *sha256) {
    pthread_mutex_lock(&lock);
    struct pin *p = pins ? find(sha256, false) : NULL;
    if (p && p->count > 0)
        p->count--;
    forget_if_idle(sha256, p);
    pthread_mutex_unlock(&lock);
}

bool pin_held(const char *sha256) {
    pthread_mutex_lock(&lock);
    const struct pin *p = find(sha256, false);
    bool held = p && p->count > 0;
    pthread_mutex_unlock(&lock);
    return held;
}

bool pin_spare(const char *sha256) {
    pthread_mutex_lock(&lock);
    struct pin *p = find(sha256, false);
    if (p)
        p->doomed = false;
    forget_if_idle(sha256, p);
    bool stored = blob_exists(sha256);
    pthread_mutex_unlock(&lock);
    return stored;
}

bool pin_doom(const char *sha256) {
    pthread_mutex_lock(&lock);
    struct pin *p = find(sha256, true);
    bool free_to_go = p->count == 0;
    if (free_to_go)
        p->doomed = true;
    pthread_mutex_unlock(&lock);
    return free_to_go;
}

void pin_forgive(const char *sha256) {
    pthread_mutex_lock(&lock);
    struct pin *p = find(sha256, false);
    if (p)
        p->doomed = false;
    forget_if_idle(sha256, p);
    pthread_mutex_unlock(&lock);
}

int pin_execute(const char *sha256, char trash[64]) {
    int rc = 0;
    pthread_mutex_lock(&lock);
    struct pin *p = find(sha256, false);
    if (p && p->doomed && p->count == 0) {
        rc = blob_discard(sha256, trash);
        if (rc == 0)
            rc = 1;
        p->doomed = false;
    }
    forget_if_idle(sha256, p);
    pthread_mutex_unlock(&lock);
    return rc;
}
