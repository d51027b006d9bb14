/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "command.h"
#include "quern/base/fd.h"
#include "quern/process/process.h"
#include "quern/serving/serving.h"

int main(int argc, char **argv) {
    fd_reserve_std();
    /* Newer ONNX Runtimes report to their maker, from a database in the user's home. Nothing that
     * this program loads may; set here, before any thread could read the environment. */
    setenv("ORT_DISABLE_TELEMETRY", "1", 1);
    umask(077); /* whatever a command writes, a data directory, a backup, is its user's alone */
    /* The program starts itself again as these; they are no commands for people. */
    if (argc == 3 && strcmp(argv[1], "keeper") == 0) {
        return keeper_main(argv[2]);
    }
    if ((argc == 3 || argc == 4) && strcmp(argv[1], "vet") == 0) {
        return vet_main(argv[2], argv[3], false);
    }
    if (argc == 4 && strcmp(argv[1], "vet-record") == 0) {
        return vet_main(argv[2], argv[3], true);
    }
    if (argc == 3 && strcmp(argv[1], "batch-worker") == 0) {
        return batch_worker_main(argv[2]);
    }
    return command_main(argc, argv);
}
