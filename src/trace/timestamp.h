/* SPDX-License-Identifier: Apache-2.0 */
#include "quern/trace/timestamp.h"
