/* What is on a disk after its power was cut?
 *
 * What was written, and no successful sync of that file came after it, may be gone; so may the name of a file, a folder or a
 * removal, as long as the folder that holds the name was not synced. Everything of that kind is kept here, newest first, with
 * what was there before. Included by calls.c; its own calls go to the system directly and are not counted.
 */
#include <stdatomic.h>

enum { SECTOR = 512 };
enum undo_kind { UNDO_BYTES, UNDO_SIZE, UNDO_NAME, UNDO_UNLINK, UNDO_RENAME };

struct undo {
    struct undo *older;
    enum undo_kind kind;
    dev_t device; /* of the file, or of the folder that holds the name */
    ino_t inode;
    char path[512];
    char kept[512]; /* where a removed file waits; the old name of a renamed one */
    off_t offset;
    size_t length; /* how many bytes were written */
    size_t old_length; /* how many of them were there before */
    off_t old_size;
    unsigned char *old;
    int poisoned; /* a sync of it failed: a later one that succeeds proves nothing */
};

/* All of it is in a file, at the same address in every process: the next router does not know what a killed one never synced. */
static struct store {
    struct undo *newest;
    size_t used;
    unsigned kept_files;
} *store;

enum { STORE_SIZE = 256 << 20 };
static void *const STORE_PLACE = (void *)0x600000000000;
static char attic[512];
static pthread_mutex_t undoing = PTHREAD_MUTEX_INITIALIZER;

/* Nothing is kept unless there is a place for it. */
static void undo_in(const char *folder) {
    char file[600];
    if (!folder[0]) return;
    snprintf(attic, sizeof attic, "%s", folder);
    snprintf(file, sizeof file, "%s/undo", attic);
    int fd = syscall(SYS_openat, AT_FDCWD, file, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || syscall(SYS_ftruncate, fd, (off_t)STORE_SIZE) != 0) abort();
    int flags = MAP_SHARED | MAP_FIXED_NOREPLACE | MAP_NORESERVE;
    store = mmap(STORE_PLACE, STORE_SIZE, PROT_READ | PROT_WRITE, flags, fd, 0);
    if (store != STORE_PLACE) abort();
    syscall(SYS_close, fd);
    if (store->used == 0) store->used = sizeof *store;
}

/* Never given back: a run is short. */
static void *undo_room(size_t size) {
    size_t place = (store->used + 15) / 16 * 16;
    if (place + size > STORE_SIZE) abort();
    store->used = place + size;
    return (char *)store + place;
}

static struct undo *undo_of(enum undo_kind kind, const char *path) {
    struct undo *undo = undo_room(sizeof *undo);
    undo->kind = kind;
    snprintf(undo->path, sizeof undo->path, "%s", path);
    return undo;
}

static void undo_keep(struct undo *undo) {
    undo->older = store->newest;
    store->newest = undo;
}

/* The folder that a name is in. */
static void undo_folder(struct undo *undo) {
    char folder[512];
    snprintf(folder, sizeof folder, "%s", undo->path);
    char *slash = strrchr(folder, '/');
    struct stat about;
    if (slash) *slash = 0;
    if (slash && stat(folder, &about) == 0) undo->device = about.st_dev, undo->inode = about.st_ino;
}

static void undo_bytes(enum undo_kind kind, int fd, const char *path, off_t offset, size_t length) {
    struct stat about;
    if (fstat(fd, &about) != 0) return;
    struct undo *undo = undo_of(kind, path);
    undo->device = about.st_dev, undo->inode = about.st_ino;
    undo->offset = offset, undo->length = length, undo->old_size = about.st_size;
    off_t there = about.st_size - offset;
    undo->old_length = there <= 0 ? 0 : (size_t)there < length ? (size_t)there : length;
    undo->old = undo_room(undo->old_length);
    /* The descriptor may be open for writing only. */
    int reading = syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
    if (reading < 0) abort();
    if (syscall(SYS_pread64, reading, undo->old, undo->old_length, offset) != (ssize_t)undo->old_length) abort();
    syscall(SYS_close, reading);
    undo_keep(undo);
}

static void undo_write(int fd, const char *path, off_t offset, size_t length) {
    if (!attic[0]) return;
    pthread_mutex_lock(&undoing);
    int appends = fcntl(fd, F_GETFL) & O_APPEND;
    if (offset < 0) offset = lseek(fd, 0, appends ? SEEK_END : SEEK_CUR);
    undo_bytes(UNDO_BYTES, fd, path, offset, length);
    pthread_mutex_unlock(&undoing);
}

static void undo_size(int fd, const char *path, off_t size) {
    struct stat about;
    if (!attic[0] || fstat(fd, &about) != 0) return;
    pthread_mutex_lock(&undoing);
    undo_bytes(UNDO_SIZE, fd, path, size, about.st_size > size ? about.st_size - size : 0);
    pthread_mutex_unlock(&undoing);
}

static void undo_name_as(enum undo_kind kind, const char *path, const char *kept) {
    struct undo *undo = undo_of(kind, path);
    snprintf(undo->kept, sizeof undo->kept, "%s", kept);
    undo_folder(undo);
    undo_keep(undo);
}

/* A file or a folder was made. */
static void undo_name(const char *path) {
    if (!attic[0]) return;
    pthread_mutex_lock(&undoing);
    undo_name_as(UNDO_NAME, path, "");
    pthread_mutex_unlock(&undoing);
}

/* A file is about to be removed. */
static void undo_unlink(const char *path) {
    if (!attic[0]) return;
    pthread_mutex_lock(&undoing);
    char kept[512];
    snprintf(kept, sizeof kept, "%.480s/removed-%u-%d", attic, store->kept_files++, getpid());
    if (syscall(SYS_linkat, AT_FDCWD, path, AT_FDCWD, kept, 0) == 0) undo_name_as(UNDO_UNLINK, path, kept);
    pthread_mutex_unlock(&undoing);
}

/* A file is about to get another name, which nothing has yet. */
static void undo_rename(const char *from, const char *to) {
    if (!attic[0]) return;
    pthread_mutex_lock(&undoing);
    undo_name_as(UNDO_RENAME, to, from);
    pthread_mutex_unlock(&undoing);
}

static int is_of_file(const struct undo *undo) {
    return undo->kind == UNDO_BYTES || undo->kind == UNDO_SIZE;
}

static int is_about(const struct undo *undo, const struct stat *about) {
    int same = undo->device == about->st_dev && undo->inode == about->st_ino;
    return same && is_of_file(undo) == !S_ISDIR(about->st_mode);
}

/* Whether all of its bytes were written once more, behind the sync that failed. */
static int is_written_again(const struct undo *old) {
    for (struct undo *undo = store->newest; undo != old; undo = undo->older) {
        int same = undo->kind == UNDO_BYTES && undo->device == old->device && undo->inode == old->inode && !undo->poisoned;
        off_t end = undo->offset + (off_t)undo->length, old_end = old->offset + (off_t)old->length;
        if (same && undo->offset <= old->offset && end >= old_end) return 1;
    }
    return 0;
}

/* A file or a folder is durable as it is now. */
static void undo_forget(int fd) {
    struct stat about;
    if (!attic[0] || fstat(fd, &about) != 0) return;
    pthread_mutex_lock(&undoing);
    for (struct undo *undo = store->newest; undo; undo = undo->older)
        if (undo->poisoned && undo->kind == UNDO_BYTES && is_about(undo, &about) && is_written_again(undo)) undo->poisoned = 0;
    for (struct undo **place = &store->newest; *place;) {
        struct undo *undo = *place;
        if (is_about(undo, &about) && !undo->poisoned) *place = undo->older;
        else place = &undo->older;
    }
    pthread_mutex_unlock(&undoing);
}

/* A sync has failed. The system takes the pages for clean from then on, and what was in them may never reach the disk. */
static void undo_poison(int fd) {
    struct stat about;
    if (!attic[0] || fstat(fd, &about) != 0) return;
    pthread_mutex_lock(&undoing);
    for (struct undo *undo = store->newest; undo; undo = undo->older)
        if (is_about(undo, &about)) undo->poisoned = 1;
    pthread_mutex_unlock(&undoing);
}

static uint64_t chance;

static int undo_coin(void) {
    chance ^= chance >> 12, chance ^= chance << 25, chance ^= chance >> 27;
    return chance * 0x2545F4914F6CDD1Dull >> 63;
}

/* Sectors that already have the content that they will have. */
static struct settled {
    dev_t device;
    ino_t inode;
    off_t sector;
} settled[65536];
static size_t settled_count;

static int undo_is_settled(const struct undo *undo, off_t sector) {
    for (size_t place = 0; place < settled_count; place++)
        if (settled[place].sector == sector && settled[place].inode == undo->inode && settled[place].device == undo->device)
            return 1;
    return 0;
}

static void undo_settle(const struct undo *undo, off_t sector) {
    if (settled_count < sizeof settled / sizeof *settled)
        settled[settled_count++] = (struct settled){undo->device, undo->inode, sector};
}

/* One sector's share of a write: it keeps what was written, or gets back what was there before. */
static void undo_sector(const struct undo *undo, int fd, off_t sector) {
    static const unsigned char nothing[SECTOR];
    off_t from = sector * SECTOR > undo->offset ? sector * SECTOR : undo->offset;
    off_t end = undo->offset + (off_t)undo->length, until = (sector + 1) * SECTOR < end ? (sector + 1) * SECTOR : end;
    off_t old_end = undo->offset + (off_t)undo->old_length;
    off_t middle = old_end < from ? from : old_end < until ? old_end : until;
    if (middle > from) syscall(SYS_pwrite64, fd, undo->old + (from - undo->offset), middle - from, from);
    if (until > middle) syscall(SYS_pwrite64, fd, nothing, until - middle, middle);
}

static void undo_one_write(const struct undo *undo, int some) {
    int fd = syscall(SYS_openat, AT_FDCWD, undo->path, O_RDWR | O_CLOEXEC);
    if (fd < 0) return;
    off_t last = undo->length ? (undo->offset + (off_t)undo->length - 1) / SECTOR : undo->offset / SECTOR - 1;
    for (off_t sector = undo->offset / SECTOR; sector <= last; sector++) {
        if (some && undo_is_settled(undo, sector)) continue;
        if (some && undo_coin()) undo_settle(undo, sector);
        else undo_sector(undo, fd, sector);
    }
    /* The length of a file is one more thing that is on the disk or is not. */
    if (!some || undo_coin()) syscall(SYS_ftruncate, fd, undo->old_size);
    syscall(SYS_close, fd);
}

static void undo_one_name(const struct undo *undo) {
    char lost[512];
    switch (undo->kind) {
    case UNDO_NAME:
        /* A folder goes with everything in it. */
        snprintf(lost, sizeof lost, "%.480s/lost-%u-%d", attic, store->kept_files++, getpid());
        syscall(SYS_renameat2, AT_FDCWD, undo->path, AT_FDCWD, lost, 0);
        break;
    case UNDO_UNLINK: syscall(SYS_renameat2, AT_FDCWD, undo->kept, AT_FDCWD, undo->path, 0); break;
    case UNDO_RENAME: syscall(SYS_renameat2, AT_FDCWD, undo->path, AT_FDCWD, undo->kept, 0); break;
    default: break;
    }
}

/* The power is cut: all of it is gone, or what the seed says. Whoever else writes now waits for the end. */
static unsigned undo_everything(int some, uint32_t seed) {
    pthread_mutex_lock(&undoing);
    chance = (seed + 1ull) * 0x9E3779B97F4A7C15ull | 1;
    unsigned count = 0;
    for (struct undo *undo = store->newest; undo; undo = undo->older, count++) {
        if (is_of_file(undo)) undo_one_write(undo, some);
        else if (!some || undo_coin()) undo_one_name(undo);
    }
    store->newest = NULL;
    return count;
}
