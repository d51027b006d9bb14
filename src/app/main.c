/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "command.h"
#include "quern/base/fd.h"
#include "quern/process/process.h"
#include "quern/serving/serving.h"

int main(int argc, char **argv) {
    fd_reserve_std();
    /* The program starts itself again as these two; they are no commands for people. */
    if (argc == 3 && strcmp(argv[1], "keeper") == 0) {
        return keeper_main(argv[2]);
    }
    if (argc == 3 && strcmp(argv[1], "vet") == 0) {
        return vet_main(argv[2]);
    }
    return command_main(argc, argv);
}
