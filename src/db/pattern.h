/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DB_PATTERN_H
#define DB_PATTERN_H
/* Pattern: regular expressions as MLflow's clients write them (Python's), on POSIX extended
 * expressions. What could make matching slow or compiling large is refused: back-references,
 * look-around, large repeats. */
#include <regex.h>

/* Heap; regfree and free it. NULL, and *why (constant, begins with "mlflow_") says what is wrong.
 */
regex_t *pattern_compile(const char *pattern, const char **why);

#endif
