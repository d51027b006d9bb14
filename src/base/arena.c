/* SPDX-License-Identifier: Apache-2.0 */
#include "quern/base/arena.h"

#include <limits.h>
#include <pthread.h>
#include <stdalign.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ALIGN alignof(max_align_t)
#define BLOCK_MIN ((size_t)4096)
#define BLOCK_MAX ((size_t)256 * 1024)

/* A block is a header and its bytes behind it. In the malloc build every block holds exactly one
 * allocation, so that ASan sees each bound. */
struct block {
    alignas(max_align_t) struct block *next;
    size_t used;
    size_t size;
};

struct defer {
    struct defer *next;
    void (*release)(void *object);
    void *object;
};

struct arena {
    struct block *blocks;
    struct defer *defers;
    size_t bytes;
    size_t next_size;
};

_Noreturn void mem_die(void) {
    static const char text[] = "quern: out of memory\n";
    /* Nothing can be done about a failed write here. */
    if (write(STDERR_FILENO, text, sizeof text - 1) < 0)
        _exit(70);
    abort();
}

void *mem_alloc(size_t size) {
    void *p = calloc(1, size ? size : 1);
    if (!p)
        mem_die();
    return p;
}

void *mem_realloc(void *p, size_t size) {
    void *q = realloc(p, size ? size : 1);
    if (!q)
        mem_die();
    return q;
}

char *mem_strdup(const char *s) {
    size_t n = strlen(s) + 1;
    return memcpy(mem_alloc(n), s, n);
}

#ifndef QUERN_ARENA_MALLOC
/* ---- blocks at hand ---- */

/* Each thread keeps a block of each of the two first sizes, zeroed: most arenas need no other. */
static _Thread_local struct block *spare[2];
static pthread_key_t spare_key;
static pthread_once_t spare_once = PTHREAD_ONCE_INIT;

static void spare_free(void *unused) {
    (void)unused;
    for (int i = 0; i < 2; i++) {
        free(spare[i]);
        spare[i] = NULL;
    }
}

static void spare_init(void) {
    pthread_key_create(&spare_key, spare_free);
}

static struct block **spare_place(size_t size) {
    return size == BLOCK_MIN ? &spare[0] : size == 2 * BLOCK_MIN ? &spare[1] : NULL;
}

static bool spare_keep(struct block *b) {
    struct block **place = spare_place(b->size);
    if (!place || *place)
        return false;
    memset(b + 1, 0, b->used);
    b->used = 0;
    b->next = NULL;
    *place = b;
    pthread_once(&spare_once, spare_init);
    pthread_setspecific(spare_key, spare); /* so that the thread's end frees them */
    return true;
}

static struct block *spare_take(size_t size) {
    struct block **place = spare_place(size);
    struct block *b = place ? *place : NULL;
    if (b)
        *place = NULL;
    return b;
}
#else
static bool spare_keep(struct block *b) {
    (void)b;
    return false;
}

static struct block *spare_take(size_t size) {
    (void)size;
    return NULL;
}
#endif

struct arena *arena_new(void) {
    struct arena *a = mem_alloc(sizeof *a);
    a->next_size = BLOCK_MIN;
    return a;
}

void arena_free(struct arena *a) {
    if (!a)
        return;
    /* A release may defer again; take one at a time. */
    while (a->defers) {
        struct defer *d = a->defers;
        a->defers = d->next;
        d->release(d->object);
    }
    struct block *b = a->blocks;
    while (b) {
        struct block *next = b->next;
        if (!spare_keep(b))
            free(b);
        b = next;
    }
    free(a);
}

static struct block *block_new(struct arena *a, size_t size) {
    if (size > SIZE_MAX - sizeof(struct block))
        mem_die();
    struct block *b = spare_take(size);
    if (!b)
        b = calloc(1, sizeof *b + size);
    if (!b)
        mem_die();
    b->size = size;
    b->next = a->blocks;
    a->blocks = b;
    return b;
}

#ifdef QUERN_ARENA_MALLOC
static void *take(struct arena *a, size_t size) {
    struct block *b = block_new(a, size);
    b->used = size;
    return b + 1;
}
#else
static void *take(struct arena *a, size_t size) {
    if (size > SIZE_MAX - (ALIGN - 1))
        mem_die();
    size = (size + ALIGN - 1) & ~(size_t)(ALIGN - 1);
    struct block *b = a->blocks;
    if (!b || b->size - b->used < size) {
        if (size > a->next_size / 2) {
            /* Large ones get a block of their own, behind the current one, whose rest stays in
             * use. */
            struct block *own = block_new(a, size);
            own->used = size;
            if (b) {
                a->blocks = b;
                own->next = b->next;
                b->next = own;
            }
            return own + 1;
        }
        b = block_new(a, a->next_size);
        if (a->next_size < BLOCK_MAX)
            a->next_size *= 2;
    }
    void *p = (char *)(b + 1) + b->used;
    b->used += size;
    return p;
}
#endif

void *arena_alloc(struct arena *a, size_t size) {
    void *p = take(a, size ? size : 1);
    a->bytes += size;
    return p;
}

void *arena_alloc_unset(struct arena *a, size_t size) {
    if (size <= BLOCK_MAX)
        return arena_alloc(a, size);
    if (size > SIZE_MAX - sizeof(struct block))
        mem_die();
    struct block *own = malloc(sizeof *own + size);
    if (!own)
        mem_die();
    own->used = own->size = size;
    /* Behind the current block, whose rest stays in use. */
    struct block **at = a->blocks ? &a->blocks->next : &a->blocks;
    own->next = *at;
    *at = own;
    a->bytes += size;
    return own + 1;
}

void *arena_alloc_n(struct arena *a, size_t count, size_t size) {
    size_t total;
    if (__builtin_mul_overflow(count, size, &total))
        mem_die();
    return arena_alloc(a, total);
}

void *arena_dup(struct arena *a, const void *data, size_t size) {
    void *p = arena_alloc(a, size);
    if (size)
        memcpy(p, data, size);
    return p;
}

void *arena_room(struct arena *a, void *items, size_t n, size_t *cap, size_t size) {
    if (n < *cap)
        return items;
    *cap = *cap ? *cap * 2 : 8;
    void *wider = arena_alloc_n(a, *cap, size);
    if (n)
        memcpy(wider, items, n * size);
    return wider;
}

void *arena_push(struct arena *a, void **items, size_t *n, size_t *cap, size_t size) {
    *items = arena_room(a, *items, *n, cap, size);
    return (char *)*items + (*n)++ * size;
}

char *arena_strdup(struct arena *a, const char *s) {
    return s ? arena_dup(a, s, strlen(s) + 1) : NULL;
}

char *arena_strndup(struct arena *a, const char *s, size_t n) {
    if (!s)
        return NULL;
    n = strnlen(s, n);
    if (n == SIZE_MAX)
        mem_die();
    char *p = arena_alloc(a, n + 1);
    memcpy(p, s, n);
    return p;
}

char *arena_vprintf(struct arena *a, const char *fmt, va_list ap) {
    va_list again;
    if (!fmt)
        fmt = "";
    va_copy(again, ap);
    char probe[1];
    int n = vsnprintf(probe, sizeof probe, fmt, ap);
    if (n < 0) {
        va_end(again);
        return arena_strdup(a, "");
    }
    char *p = arena_alloc(a, (size_t)n + 1);
    vsnprintf(p, (size_t)n + 1, fmt, again);
    va_end(again);
    return p;
}

char *arena_printf(struct arena *a, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    char *p = arena_vprintf(a, fmt, ap);
    va_end(ap);
    return p;
}

void arena_defer(struct arena *a, void (*release)(void *object), void *object) {
    struct defer *d = ARENA_NEW(a, struct defer);
    d->release = release;
    d->object = object;
    d->next = a->defers;
    a->defers = d;
}

size_t arena_bytes(const struct arena *a) {
    return a->bytes;
}
