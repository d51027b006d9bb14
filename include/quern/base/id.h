/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_BASE_ID_H
#define QUERN_BASE_ID_H
/* Id: random identifiers from getrandom(2). */
#include <stddef.h>

void id_random(void *out, size_t n);
void id_hex32(char out[33]);         /* UUIDv4 as 32 lower-case hex digits, MLflow's run id form */
void id_uuid(char out[37]);          /* UUIDv4 with dashes */
void id_base62(char *out, size_t n); /* n characters and a NUL */

#endif
