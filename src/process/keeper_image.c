/* SPDX-License-Identifier: Apache-2.0 */
#include "keeper_image.h"

#include <fcntl.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "quern/base/fd.h"

#ifdef QUERN_KEEPER_IMAGE
__asm__(".pushsection .rodata\n"
        ".balign 16\n"
        ".global quern_keeper_image, quern_keeper_image_end\n"
        "quern_keeper_image:\n"
        ".incbin \"" QUERN_KEEPER_IMAGE "\"\n"
        "quern_keeper_image_end:\n"
        ".popsection\n");
extern const unsigned char quern_keeper_image[];
extern const unsigned char quern_keeper_image_end[];

#ifndef MFD_EXEC
#define MFD_EXEC 0x0010U /* Linux 6.3; older ones make every memfd executable */
#endif

int keeper_image_open(void) {
    const size_t n = (size_t)(quern_keeper_image_end - quern_keeper_image);
    const unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
    int fd = memfd_create("quern-keeper", flags | MFD_EXEC);
    if (fd < 0) {
        fd = memfd_create("quern-keeper", flags);
    }
    /* Written to the end and sealed, so that what is executed is what was built. */
    if (fd >= 0 && fd_write_all(fd, quern_keeper_image, n) == 0 && fchmod(fd, 0500) == 0 &&
        fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) == 0) {
        return fd;
    }
    fd_close(fd);
    return -1;
}
#else
int keeper_image_open(void) {
    return -1;
}
#endif
