/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_DUCK_LIBRARY_H
#define QUERN_DUCK_LIBRARY_H
/* Library: the functions of DuckDB's C interface that are used, declared by their documented forms
 * and found by name. */
#include <stdbool.h>
#include <stdint.h>

typedef struct duckdb_database_ *duckdb_database;
typedef struct duckdb_connection_ *duckdb_connection;
typedef struct duckdb_config_ *duckdb_config;
typedef struct duckdb_statement_ *duckdb_statement;
typedef struct duckdb_pending_ *duckdb_pending;
typedef struct duckdb_chunk_ *duckdb_chunk;
typedef struct duckdb_vector_ *duckdb_vector;

/* Passed by address and, in one place, by value: its size is part of the interface. */
typedef struct {
    uint64_t old_counts[3];
    void *old_columns;
    char *old_error;
    void *data;
} duckdb_result;

/* Up to 12 bytes lie within, longer ones elsewhere. */
typedef union {
    struct {
        uint32_t length;
        char prefix[4];
        const char *data;
    } far_;
    struct {
        uint32_t length;
        char data[12];
    } near_;
} duckdb_string;

enum duckdb_type {
    DUCKDB_BOOLEAN = 1,
    DUCKDB_TINYINT = 2,
    DUCKDB_SMALLINT = 3,
    DUCKDB_INTEGER = 4,
    DUCKDB_BIGINT = 5,
    DUCKDB_UTINYINT = 6,
    DUCKDB_USMALLINT = 7,
    DUCKDB_UINTEGER = 8,
    DUCKDB_FLOAT = 10,
    DUCKDB_DOUBLE = 11,
    DUCKDB_VARCHAR = 17,
};

/* name, result, arguments; states are 0 for success. */
#define DUCK_FUNCTIONS(X)                                                                          \
    X(library_version, const char *, (void))                                                       \
    X(create_config, int, (duckdb_config *))                                                       \
    X(set_config, int, (duckdb_config, const char *, const char *))                                \
    X(destroy_config, void, (duckdb_config *))                                                     \
    X(open_ext, int, (const char *, duckdb_database *, duckdb_config, char **))                    \
    X(close, void, (duckdb_database *))                                                            \
    X(free, void, (void *))                                                                        \
    X(connect, int, (duckdb_database, duckdb_connection *))                                        \
    X(disconnect, void, (duckdb_connection *))                                                     \
    X(query, int, (duckdb_connection, const char *, duckdb_result *))                              \
    X(destroy_result, void, (duckdb_result *))                                                     \
    X(result_error, const char *, (duckdb_result *))                                               \
    X(column_count, uint64_t, (duckdb_result *))                                                   \
    X(column_name, const char *, (duckdb_result *, uint64_t))                                      \
    X(column_type, int, (duckdb_result *, uint64_t))                                               \
    X(prepare, int, (duckdb_connection, const char *, duckdb_statement *))                         \
    X(prepare_error, const char *, (duckdb_statement))                                             \
    X(destroy_prepare, void, (duckdb_statement *))                                                 \
    X(pending_prepared_streaming, int, (duckdb_statement, duckdb_pending *))                       \
    X(pending_error, const char *, (duckdb_pending))                                               \
    X(execute_pending, int, (duckdb_pending, duckdb_result *))                                     \
    X(destroy_pending, void, (duckdb_pending *))                                                   \
    X(fetch_chunk, duckdb_chunk, (duckdb_result))                                                  \
    X(destroy_data_chunk, void, (duckdb_chunk *))                                                  \
    X(data_chunk_get_size, uint64_t, (duckdb_chunk))                                               \
    X(data_chunk_get_vector, duckdb_vector, (duckdb_chunk, uint64_t))                              \
    X(vector_get_data, void *, (duckdb_vector))                                                    \
    X(vector_get_validity, uint64_t *, (duckdb_vector))

struct duck_library {
#define DUCK_SLOT(name, result, args) result(*name) args;
    DUCK_FUNCTIONS(DUCK_SLOT)
#undef DUCK_SLOT
};
extern struct duck_library duck_library;

#endif
