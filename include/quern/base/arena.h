/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_BASE_ARENA_H
#define QUERN_BASE_ARENA_H
/* Arena: memory that lives and dies with one request or one job.
 *
 * Every allocation is zeroed, aligned for any type, and freed all at once by arena_free. Foreign
 * objects (file descriptors, library handles) are hung on the arena with arena_defer and are
 * released in reverse order before the memory goes. Running out of memory ends the process in
 * mem_die(), so no caller checks for NULL. Not thread-safe: one arena belongs to one thread at a
 * time. With QUERN_ARENA_MALLOC defined (ASan builds) each allocation is its own malloc. */
#include <stdarg.h>
#include <stddef.h>

struct arena;

struct arena *arena_new(void);
void arena_free(struct arena *a); /* NULL is allowed */
void *arena_alloc(struct arena *a, size_t size);
/* The same without zeroes where it is large: for what is overwritten at once. */
void *arena_alloc_unset(struct arena *a, size_t size);
void *arena_alloc_n(struct arena *a, size_t count, size_t size); /* dies on overflow */
void *arena_dup(struct arena *a, const void *data, size_t size);
/* An array of n items in space for *cap (0 at first), with room for one more behind them, zeroed:
 * `items` itself or a wider copy; the narrower one stays until the arena goes. */
void *arena_room(struct arena *a, void *items, size_t n, size_t *cap, size_t size);
/* The item behind the last of *items, which is counted now; earlier items may have moved. */
void *arena_push(struct arena *a, void **items, size_t *n, size_t *cap, size_t size);
char *arena_strdup(struct arena *a, const char *s); /* NULL gives NULL */
char *arena_strndup(struct arena *a, const char *s, size_t n);
char *arena_printf(struct arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
char *arena_vprintf(struct arena *a, const char *fmt, va_list ap)
    __attribute__((format(printf, 2, 0)));
void arena_defer(struct arena *a, void (*release)(void *object), void *object);
size_t arena_bytes(const struct arena *a); /* bytes handed out so far */

/* Heap with the same promise: never NULL, the process ends instead. Freed with free(). */
void *mem_alloc(size_t size); /* zeroed */
void *mem_realloc(void *p, size_t size);
char *mem_strdup(const char *s);
_Noreturn void mem_die(void);

#define ARENA_NEW(a, type) ((type *)arena_alloc((a), sizeof(type)))
#define ARENA_ARRAY(a, type, n) ((type *)arena_alloc_n((a), (n), sizeof(type)))
#define ARRAY_LEN(x) (sizeof(x) / sizeof((x)[0]))

#endif
