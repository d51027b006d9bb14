/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_ONNX_ORT_ABI_H
#define QUERN_ONNX_ORT_ABI_H
/* Ort abi: the part of ONNX Runtime's C interface that is used here, by slot number. The runtime's
 * function table only ever grows at its end, so a slot keeps its meaning in every later release;
 * asking for API 16 works with every library from 1.16 on. */
#include <stddef.h>
#include <stdint.h>

#define ORT_API_WANTED 16

typedef struct ort_env ort_env;
typedef struct ort_status ort_status; /* NULL is success */
typedef struct ort_session ort_session;
typedef struct ort_options ort_options;
typedef struct ort_value ort_value;
typedef struct ort_memory_info ort_memory_info;
typedef struct ort_allocator ort_allocator;
typedef struct ort_type_info ort_type_info;
typedef struct ort_tensor_info ort_tensor_info;
typedef struct ort_sequence_info ort_sequence_info;
typedef struct ort_map_info ort_map_info;
typedef struct ort_metadata ort_metadata;
typedef struct ort_run_options ort_run_options;

struct ort_api_base {
    const void *(*get_api)(uint32_t version);
    const char *(*get_version)(void);
};

enum ort_code {
    ORT_OK = 0,
    ORT_INVALID_ARGUMENT = 2,
    ORT_NO_SUCHFILE = 3,
    ORT_NO_MODEL = 4,
    ORT_INVALID_PROTOBUF = 7,
    ORT_NOT_IMPLEMENTED = 9,
    ORT_INVALID_GRAPH = 10,
};
enum ort_type { ORT_TENSOR = 1, ORT_SEQUENCE = 2, ORT_MAP = 3 };
enum ort_element {
    ORT_FLOAT = 1,
    ORT_UINT8,
    ORT_INT8,
    ORT_UINT16,
    ORT_INT16,
    ORT_INT32,
    ORT_INT64,
    ORT_STRING,
    ORT_BOOL,
    ORT_FLOAT16,
    ORT_DOUBLE,
    ORT_UINT32,
    ORT_UINT64,
    ORT_COMPLEX64,
    ORT_COMPLEX128,
    ORT_BFLOAT16,
};

typedef void ort_logger(void *param, int level, const char *category, const char *logid,
                        const char *location, const char *message);

/* ORT(slot, name, return type, arguments) */
#define ORT_FUNCTIONS(ORT)                                                                         \
    ORT(1, get_error_code, int, (const ort_status *))                                              \
    ORT(2, get_error_message, const char *, (const ort_status *))                                  \
    ORT(4, create_env_logger, ort_status *,                                                        \
        (ort_logger *, void *param, int level, const char *id, ort_env **))                        \
    ORT(6, disable_telemetry, ort_status *, (const ort_env *))                                     \
    ORT(7, create_session, ort_status *,                                                           \
        (const ort_env *, const char *path, const ort_options *, ort_session **))                  \
    ORT(8, create_session_array, ort_status *,                                                     \
        (const ort_env *, const void *, size_t, const ort_options *, ort_session **))              \
    ORT(9, run, ort_status *,                                                                      \
        (ort_session *, const ort_run_options *, const char *const *, const ort_value *const *,    \
         size_t, const char *const *, size_t, ort_value **))                                       \
    ORT(10, create_options, ort_status *, (ort_options **))                                        \
    ORT(13, set_execution_mode, ort_status *, (ort_options *, int))                                \
    ORT(17, disable_mem_pattern, ort_status *, (ort_options *))                                    \
    ORT(19, disable_mem_arena, ort_status *, (ort_options *))                                      \
    ORT(23, set_optimization, ort_status *, (ort_options *, int))                                  \
    ORT(24, set_intra_threads, ort_status *, (ort_options *, int))                                 \
    ORT(25, set_inter_threads, ort_status *, (ort_options *, int))                                 \
    ORT(30, input_count, ort_status *, (const ort_session *, size_t *))                            \
    ORT(31, output_count, ort_status *, (const ort_session *, size_t *))                           \
    ORT(33, input_type, ort_status *, (const ort_session *, size_t, ort_type_info **))             \
    ORT(34, output_type, ort_status *, (const ort_session *, size_t, ort_type_info **))            \
    ORT(36, input_name, ort_status *, (const ort_session *, size_t, ort_allocator *, char **))     \
    ORT(37, output_name, ort_status *, (const ort_session *, size_t, ort_allocator *, char **))    \
    ORT(39, create_run_options, ort_status *, (ort_run_options **))                                \
    ORT(46, set_terminate, ort_status *, (ort_run_options *))                                      \
    ORT(47, unset_terminate, ort_status *, (ort_run_options *))                                    \
    ORT(48, create_tensor, ort_status *,                                                           \
        (ort_allocator *, const int64_t *, size_t, int, ort_value **))                             \
    ORT(49, wrap_tensor, ort_status *,                                                             \
        (const ort_memory_info *, void *, size_t, const int64_t *, size_t, int, ort_value **))     \
    ORT(51, tensor_data, ort_status *, (ort_value *, void **))                                     \
    ORT(53, strings_length, ort_status *, (const ort_value *, size_t *))                           \
    ORT(54, strings_content, ort_status *, (const ort_value *, void *, size_t, size_t *, size_t))  \
    ORT(55, cast_tensor_info, ort_status *, (const ort_type_info *, const ort_tensor_info **))     \
    ORT(56, type_of_info, ort_status *, (const ort_type_info *, int *))                            \
    ORT(60, element_type, ort_status *, (const ort_tensor_info *, int *))                          \
    ORT(61, dimension_count, ort_status *, (const ort_tensor_info *, size_t *))                    \
    ORT(62, dimensions, ort_status *, (const ort_tensor_info *, int64_t *, size_t))                \
    ORT(65, tensor_info, ort_status *, (const ort_value *, ort_tensor_info **))                    \
    ORT(67, value_type, ort_status *, (const ort_value *, int *))                                  \
    ORT(69, create_cpu_memory, ort_status *, (int, int, ort_memory_info **))                       \
    ORT(76, allocator_free, ort_status *, (ort_allocator *, void *))                               \
    ORT(78, default_allocator, ort_status *, (ort_allocator **))                                   \
    ORT(80, get_value, ort_status *, (const ort_value *, int, ort_allocator *, ort_value **))      \
    ORT(81, value_count, ort_status *, (const ort_value *, size_t *))                              \
    ORT(93, release_status, void, (ort_status *))                                                  \
    ORT(95, release_session, void, (ort_session *))                                                \
    ORT(96, release_value, void, (ort_value *))                                                    \
    ORT(98, release_type_info, void, (ort_type_info *))                                            \
    ORT(99, release_tensor_info, void, (ort_tensor_info *))                                        \
    ORT(100, release_options, void, (ort_options *))                                               \
    ORT(103, cast_map_info, ort_status *, (const ort_type_info *, const ort_map_info **))          \
    ORT(104, cast_sequence_info, ort_status *,                                                     \
        (const ort_type_info *, const ort_sequence_info **))                                       \
    ORT(105, map_key_type, ort_status *, (const ort_map_info *, int *))                            \
    ORT(106, map_value_type, ort_status *, (const ort_map_info *, ort_type_info **))               \
    ORT(107, sequence_element, ort_status *, (const ort_sequence_info *, ort_type_info **))        \
    ORT(111, model_metadata, ort_status *, (const ort_session *, ort_metadata **))                 \
    ORT(112, metadata_producer, ort_status *, (const ort_metadata *, ort_allocator *, char **))    \
    ORT(113, metadata_graph, ort_status *, (const ort_metadata *, ort_allocator *, char **))       \
    ORT(114, metadata_domain, ort_status *, (const ort_metadata *, ort_allocator *, char **))      \
    ORT(115, metadata_description, ort_status *, (const ort_metadata *, ort_allocator *, char **)) \
    ORT(116, metadata_lookup, ort_status *,                                                        \
        (const ort_metadata *, ort_allocator *, const char *, char **))                            \
    ORT(117, metadata_version, ort_status *, (const ort_metadata *, int64_t *))                    \
    ORT(118, release_metadata, void, (ort_metadata *))                                             \
    ORT(123, metadata_keys, ort_status *,                                                          \
        (const ort_metadata *, ort_allocator *, char ***, int64_t *))                              \
    ORT(130, add_config, ort_status *, (ort_options *, const char *, const char *))                \
    ORT(252, string_buffer, ort_status *, (ort_value *, size_t, size_t, char **))

struct ort {
#define ORT_MEMBER(slot, name, result, args) result(*name) args;
    ORT_FUNCTIONS(ORT_MEMBER)
#undef ORT_MEMBER
    ort_env *env;
    ort_memory_info *cpu;
    ort_allocator *allocator;
};

#endif
