/* SPDX-License-Identifier: Apache-2.0 */
/* The keeper as a program of its own: linked statically, without the libraries that only the daemon
 * needs, it starts in a fraction of the time. The daemon carries it inside (keeper_image.c). */
#include <string.h>

#include "quern/base/fd.h"
#include "quern/process/process.h"

int main(int argc, char **argv) {
    fd_reserve_std();
    return argc == 3 && strcmp(argv[1], "keeper") == 0 ? keeper_main(argv[2]) : 64;
}
