/* Has what flushes files to disk fail with EIO while the file that FLUSH_FAILS names exists. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

static int flushed(const char *name, int fd) {
    const char *mark = getenv("FLUSH_FAILS");
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
    if (mark != NULL && access(mark, F_OK) == 0) {
        errno = EIO;
        return -1;
    }
    return real(fd);
}

int fsync(int fd) { return flushed("fsync", fd); }
int fdatasync(int fd) { return flushed("fdatasync", fd); }
