/* Which of a router's calls on its disk and its lines are counted, and which one ends differently?
 *
 * Loaded in front of the C library (LD_PRELOAD), it stands between the router, SQLite's own VFS included, and the system. It
 * knows by their names the files of one state folder, and by its port or its device the terminal. The proof steers it through a
 * page that both have mapped (struct page), and reads what was called in a list of lines.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "undo.c"

/* What the proof sets and reads. The order is known to shim.rs as well. */
struct page {
    uint32_t armed;  /* counting has begun */
    uint32_t at;     /* which of the counted calls ends differently; 0: none */
    uint32_t point;  /* before the call, in its middle, or after it */
    uint32_t deed;   /* what happens there */
    uint32_t error;  /* the errno of a call that fails */
    uint32_t seed;   /* which sectors survive a power cut */
    uint32_t roles;  /* bits of the roles that are counted */
    uint32_t kinds;  /* bits of the kinds that are counted */
    uint32_t count;  /* how many were counted */
    uint32_t met;    /* how often a call ended differently */
    uint32_t lasts;  /* whether every later call of these roles and kinds fails, too */
    uint32_t undone; /* how many calls a power cut has undone */
};

enum point { BEFORE, TORN, AFTER };
enum deed { NOTHING, KILL, POWER_ALL, POWER_SOME, FAIL, SHORT };
enum role { OTHER, JOURNAL, LOG, INDEX, LOCK, FOLDER, TERMINAL, TILL };
enum kind { WRITE, SYNC, SIZE, NAME, SEND };

static const char *ROLES[] = {"other", "journal", "log", "index", "lock", "folder", "terminal", "till"};
static const char *KINDS[] = {"write", "sync", "size", "name", "send"};

static struct page *page;
static int lines = -1;
static char state_dir[4096];
static unsigned terminal_port;
static pthread_mutex_t counting = PTHREAD_MUTEX_INITIALIZER;

/* How a call goes on. */
enum verdict { PASS, HALF_AND_DIE, DIE_AFTER, REFUSE, HALF };

static const char *setting(const char *name) {
    const char *value = getenv(name);
    return value ? value : "";
}

__attribute__((constructor)) static void load(void) {
    int fd = syscall(SYS_openat, AT_FDCWD, setting("SHIM_PAGE"), O_RDWR | O_CLOEXEC);
    if (fd < 0) return;
    void *mapped = mmap(NULL, sizeof(struct page), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    syscall(SYS_close, fd);
    if (mapped == MAP_FAILED) return;
    lines = syscall(SYS_openat, AT_FDCWD, setting("SHIM_LINES"), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    snprintf(state_dir, sizeof state_dir, "%s", setting("SHIM_STATE"));
    terminal_port = atoi(setting("SHIM_TERMINAL_PORT"));
    undo_in(setting("SHIM_ATTIC"));
    page = mapped;
}

static int ends_with(const char *text, const char *end) {
    size_t length = strlen(text), wanted = strlen(end);
    return length >= wanted && strcmp(text + length - wanted, end) == 0;
}

static enum role role_of_path(const char *path) {
    size_t length = strlen(state_dir);
    if (length == 0) return OTHER;
    if (strncmp(path, state_dir, length) != 0) {
        /* The folder that the state folder is in counts as one: it holds the name of that. */
        const char *slash = strrchr(state_dir, '/');
        int is_parent = slash && strlen(path) == (size_t)(slash - state_dir) && !strncmp(path, state_dir, slash - state_dir);
        return is_parent ? FOLDER : OTHER;
    }
    if (path[length] == 0) return FOLDER;
    if (path[length] != '/') return OTHER;
    if (ends_with(path, "-wal")) return LOG;
    if (ends_with(path, "-shm")) return INDEX;
    if (ends_with(path, ".lock")) return LOCK;
    return JOURNAL;
}

static enum role role_of_socket(int fd) {
    struct sockaddr_in peer;
    socklen_t length = sizeof peer;
    if (getpeername(fd, (struct sockaddr *)&peer, &length) != 0 || peer.sin_family != AF_INET) return OTHER;
    return ntohs(peer.sin_port) == terminal_port ? TERMINAL : TILL;
}

/* The path of a descriptor; empty when it has none. */
static void path_of(int fd, char *path, size_t size) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = syscall(SYS_readlinkat, AT_FDCWD, link, path, size - 1);
    path[length < 0 ? 0 : length] = 0;
}

static enum role role_of(int fd, char *path, size_t size) {
    struct stat about;
    path[0] = 0;
    if (fstat(fd, &about) != 0) return OTHER;
    if (S_ISSOCK(about.st_mode)) return role_of_socket(fd);
    path_of(fd, path, size);
    if (S_ISCHR(about.st_mode)) return strncmp(path, "/dev/pts/", 9) == 0 ? TERMINAL : OTHER;
    return S_ISREG(about.st_mode) || S_ISDIR(about.st_mode) ? role_of_path(path) : OTHER;
}

static void note(const char *text, size_t length) {
    if (lines >= 0) syscall(SYS_write, lines, text, length);
}

/* `12 write log 4096 0a0b…`: number, kind, role, size, the first bytes. */
static void list(uint32_t number, enum kind kind, enum role role, size_t size, const unsigned char *bytes) {
    char line[128];
    int length = snprintf(line, sizeof line, "%u %s %s %zu ", number, KINDS[kind], ROLES[role], size);
    for (size_t place = 0; bytes && place < size && place < 16; place++)
        length += snprintf(line + length, sizeof line - length, "%02x", bytes[place]);
    line[length++] = '\n';
    note(line, length);
}

/* The end of this process, and of what was not durable, if the power goes with it. */
static void die(void) {
    if (page->deed == POWER_ALL || page->deed == POWER_SOME)
        page->undone += undo_everything(page->deed == POWER_SOME, page->seed);
    for (;;) syscall(SYS_kill, getpid(), SIGKILL);
}

static enum verdict judge(uint32_t number) {
    if (page->at == 0 || number < page->at) return PASS;
    if (number > page->at) {
        if (page->lasts && page->deed == FAIL) return page->met++, REFUSE;
        return PASS;
    }
    page->met++;
    switch (page->deed) {
    case KILL:
    case POWER_ALL:
    case POWER_SOME:
        if (page->point == BEFORE) die();
        return page->point == TORN ? HALF_AND_DIE : DIE_AFTER;
    case FAIL: return REFUSE;
    case SHORT: return HALF;
    default: return PASS;
    }
}

/* Counts a call and says how it goes on. Does not return from a call that is the last one before its beginning. */
static enum verdict meet(enum kind kind, enum role role, size_t size, const void *bytes) {
    if (!page || !page->armed || role == OTHER || role == INDEX) return PASS;
    if (!(page->roles & 1u << role) || !(page->kinds & 1u << kind)) return PASS;
    pthread_mutex_lock(&counting);
    uint32_t number = ++page->count;
    list(number, kind, role, size, bytes);
    enum verdict verdict = judge(number);
    pthread_mutex_unlock(&counting);
    if (verdict == REFUSE) errno = page->error;
    return verdict;
}

#define REAL(name) ((__typeof__(&name))real(#name))

static void *real(const char *name) {
    return dlsym(RTLD_NEXT, name);
}

/* Bytes to a file or a line, by whatever call: `offset` is -1 where the file's own position counts. */
static ssize_t put(int fd, const void *bytes, size_t size, off_t offset, ssize_t (*send_it)(int, const void *, size_t, off_t)) {
    char path[4096];
    if (!page) return send_it(fd, bytes, size, offset);
    enum role role = role_of(fd, path, sizeof path);
    if (role == OTHER || role == INDEX) return send_it(fd, bytes, size, offset);
    int is_line = role == TERMINAL || role == TILL;
    enum verdict verdict = meet(is_line ? SEND : WRITE, role, size, bytes);
    if (verdict == REFUSE) return -1;
    size_t whole = size;
    if (verdict == HALF_AND_DIE || verdict == HALF) size = size > 1 ? size / 2 : size;
    if (!is_line) undo_write(fd, path, offset, whole);
    ssize_t result = send_it(fd, bytes, size, offset);
    if (verdict == HALF_AND_DIE || verdict == DIE_AFTER) die();
    return result;
}

static ssize_t by_write(int fd, const void *bytes, size_t size, off_t offset) {
    (void)offset;
    return REAL(write)(fd, bytes, size);
}

static ssize_t by_pwrite(int fd, const void *bytes, size_t size, off_t offset) {
    return REAL(pwrite64)(fd, bytes, size, offset);
}

static __thread int send_flags;

static ssize_t by_send(int fd, const void *bytes, size_t size, off_t offset) {
    (void)offset;
    return REAL(send)(fd, bytes, size, send_flags);
}

ssize_t write(int fd, const void *bytes, size_t size) {
    return put(fd, bytes, size, -1, by_write);
}

ssize_t pwrite64(int fd, const void *bytes, size_t size, off64_t offset) {
    return put(fd, bytes, size, offset, by_pwrite);
}

ssize_t pwrite(int fd, const void *bytes, size_t size, off_t offset) {
    return put(fd, bytes, size, offset, by_pwrite);
}

ssize_t send(int fd, const void *bytes, size_t size, int flags) {
    send_flags = flags;
    return put(fd, bytes, size, -1, by_send);
}

ssize_t sendto(int fd, const void *bytes, size_t size, int flags, const struct sockaddr *to, socklen_t length) {
    if (to) return REAL(sendto)(fd, bytes, size, flags, to, length);
    return send(fd, bytes, size, flags);
}

/* Several pieces become one: half of them is half of all bytes. */
static char *joined(const struct iovec *pieces, int count, size_t *size) {
    *size = 0;
    for (int place = 0; place < count; place++) *size += pieces[place].iov_len;
    char *bytes = malloc(*size + 1), *end = bytes;
    for (int place = 0; bytes && place < count; place++) {
        memcpy(end, pieces[place].iov_base, pieces[place].iov_len);
        end += pieces[place].iov_len;
    }
    return bytes;
}

static ssize_t put_pieces(int fd, const struct iovec *pieces, int count, ssize_t (*send_it)(int, const void *, size_t, off_t)) {
    size_t size;
    char *bytes = joined(pieces, count, &size);
    if (!bytes) return errno = ENOMEM, -1;
    ssize_t result = put(fd, bytes, size, -1, send_it);
    int error = errno;
    free(bytes);
    errno = error;
    return result;
}

ssize_t writev(int fd, const struct iovec *pieces, int count) {
    return page ? put_pieces(fd, pieces, count, by_write) : REAL(writev)(fd, pieces, count);
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags) {
    if (!page || message->msg_name || message->msg_controllen) return REAL(sendmsg)(fd, message, flags);
    send_flags = flags;
    return put_pieces(fd, message->msg_iov, message->msg_iovlen, by_send);
}

static int make_durable(int fd, int (*sync_it)(int)) {
    char path[4096];
    enum role role = page ? role_of(fd, path, sizeof path) : OTHER;
    enum verdict verdict = meet(SYNC, role, 0, NULL);
    if (verdict == REFUSE) {
        /* What was interrupted can be done again. */
        if (page->error != EINTR) undo_poison(fd);
        return errno = page->error, -1;
    }
    if (verdict == HALF_AND_DIE) die();
    int result = sync_it(fd);
    if (result == 0 && role != OTHER) undo_forget(fd);
    if (verdict == DIE_AFTER) die();
    return result;
}

static int by_fsync(int fd) { return REAL(fsync)(fd); }
static int by_fdatasync(int fd) { return REAL(fdatasync)(fd); }
int fsync(int fd) { return make_durable(fd, by_fsync); }
int fdatasync(int fd) { return make_durable(fd, by_fdatasync); }

int ftruncate64(int fd, off64_t size) {
    char path[4096];
    enum role role = page ? role_of(fd, path, sizeof path) : OTHER;
    enum verdict verdict = meet(SIZE, role, size, NULL);
    if (verdict == REFUSE) return -1;
    if (verdict == HALF_AND_DIE) die();
    if (role != OTHER && role != INDEX) undo_size(fd, path, size);
    int result = REAL(ftruncate64)(fd, size);
    if (verdict == DIE_AFTER) die();
    return result;
}

int ftruncate(int fd, off_t size) { return ftruncate64(fd, size); }

/* A new name in a folder, or one less. Returns 1 where the call is not to be made. */
static int name_is_refused(const char *path, enum verdict *verdict) {
    *verdict = PASS;
    if (!page) return 0;
    *verdict = meet(NAME, role_of_path(path), 0, NULL);
    if (*verdict == HALF_AND_DIE) die();
    return *verdict == REFUSE;
}

int open64(const char *path, int flags, ...) {
    va_list more;
    va_start(more, flags);
    mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(more, mode_t) : 0;
    va_end(more);
    enum role role = page ? role_of_path(path) : OTHER;
    int is_new = role != OTHER && flags & O_CREAT && syscall(SYS_faccessat, AT_FDCWD, path, F_OK) != 0;
    enum verdict verdict = PASS;
    if (is_new && name_is_refused(path, &verdict)) return -1;
    int fd = syscall(SYS_openat, AT_FDCWD, path, flags, mode);
    if (fd >= 0 && is_new && role != INDEX) undo_name(path);
    if (verdict == DIE_AFTER) die();
    return fd;
}

int open(const char *path, int flags, ...) {
    va_list more;
    va_start(more, flags);
    mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(more, mode_t) : 0;
    va_end(more);
    return open64(path, flags, mode);
}

int mkdir(const char *path, mode_t mode) {
    enum verdict verdict;
    if (name_is_refused(path, &verdict)) return -1;
    int result = REAL(mkdir)(path, mode);
    if (result == 0 && page && role_of_path(path) != OTHER) undo_name(path);
    if (verdict == DIE_AFTER) die();
    return result;
}

int unlink(const char *path) {
    enum verdict verdict;
    if (name_is_refused(path, &verdict)) return -1;
    if (page && role_of_path(path) != OTHER && role_of_path(path) != INDEX) undo_unlink(path);
    int result = REAL(unlink)(path);
    if (verdict == DIE_AFTER) die();
    return result;
}

int rename(const char *from, const char *to) {
    enum verdict verdict;
    if (name_is_refused(to, &verdict)) return -1;
    if (page && role_of_path(to) != OTHER) undo_rename(from, to);
    int result = REAL(rename)(from, to);
    if (verdict == DIE_AFTER) die();
    return result;
}
