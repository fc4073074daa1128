/* What does a router see on the wall when it looks at its clock?
 *
 * Loaded in front of the C library (LD_PRELOAD). The clock that people read is moved by what stands in the first bytes of a page
 * that the proof has mapped, too: a number of nanoseconds, and whether the clock stands still at that instant. The clock that
 * only counts is left alone.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

/* What the proof sets; the order is known to clocks/wall.rs as well. */
struct page {
    int64_t nanoseconds; /* ahead of the real clock; or since 1970, when it stands still */
    int64_t still;       /* whether it stands still */
    int64_t looks;       /* how often somebody has looked */
};

static volatile struct page *page;
static int (*real)(clockid_t, struct timespec *);

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("CLOCK_PAGE");
    real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    int file = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (file < 0) return;
    void *mapped = mmap(NULL, sizeof(struct page), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    if (mapped != MAP_FAILED) page = mapped;
}

int clock_gettime(clockid_t clock, struct timespec *at) {
    if (!real) real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    int result = real(clock, at);
    if (result || !page || (clock != CLOCK_REALTIME && clock != CLOCK_REALTIME_COARSE)) return result;
    __sync_fetch_and_add((int64_t *)&page->looks, 1);
    int64_t now = (int64_t)at->tv_sec * 1000000000 + at->tv_nsec;
    now = page->still ? page->nanoseconds : now + page->nanoseconds;
    at->tv_sec = now / 1000000000;
    at->tv_nsec = now % 1000000000;
    return 0;
}

int gettimeofday(struct timeval *restrict at, void *restrict zone) {
    (void)zone;
    struct timespec now;
    if (clock_gettime(CLOCK_REALTIME, &now)) return -1;
    at->tv_sec = now.tv_sec;
    at->tv_usec = now.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *at) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (at) *at = now.tv_sec;
    return now.tv_sec;
}
