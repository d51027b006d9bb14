/* SPDX-License-Identifier: Apache-2.0 */
#include "quern/core/shape.h"

/* C has no empty array, so the row list of the empty shape is no list at all. */
const struct shape shape_empty = {.name = "Empty"};
