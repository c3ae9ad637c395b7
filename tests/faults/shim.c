/* Faults under a running program, by LD_PRELOAD: kill it before its n-th operation, let operations fail, write down what
 * reaches the disk and in which order, move its clock. Steered from outside through a block of shared memory: the file
 * named by SHIM_CONTROL, or attached by shim_attach() after a fork. Linux, x86_64 and aarch64; tests/faults/shim.py is
 * the other side and must lay out `struct control` and `struct record` alike.
 *
 * The calls below are those that SQLite (pysqlite3), CPython, uvloop and asyncpg were seen to make (strace). What works
 * on the file system without them: memory maps (SQLite's -shm file, which recovery rebuilds) and open(O_CREAT), which is
 * taken from the first write.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { WRITE = 1, SYNC = 2, TRUNCATE = 4, NAME = 8, SEND = 16 };
enum { COUNT = 0, KILL = 1, FAIL = 2 };

struct control {
    int64_t clock_seconds;  /* added to the real-time clock */
    int64_t counted;        /* operations of the kinds in `mask` since it was armed */
    int64_t at;             /* the operation it happens to, from 1 */
    int64_t failed;         /* operations that were made to fail */
    int32_t mask, action, error, onwards;  /* onwards: this one and all that follow */
    char folder[1024];      /* of files, only those below are counted, failed and recorded */
    char log[1024];         /* where to record; empty: nowhere */
};

struct record {
    uint32_t length;        /* of the whole record */
    uint32_t kind;          /* 'w' write, 't' truncate, 's' sync, 'r' rename, 'l' link, 'u' unlink, 'm' mark */
    uint64_t inode;
    int64_t number;         /* w: offset; t: new length; s: the log's length when the sync began */
    uint32_t path, content; /* lengths of what follows */
};

static struct control *control;
static pid_t owner;
static int log_file = -1;
static pthread_mutex_t in_order = PTHREAD_MUTEX_INITIALIZER;

int shim_attach(const char *path)
{
    int file = open(path, O_RDWR | O_CLOEXEC);
    if (file < 0) return -1;
    void *block = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    if (block == MAP_FAILED) return -1;
    control = block;
    owner = getpid();
    if (control->log[0]) log_file = open(control->log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    return control->log[0] && log_file < 0 ? -1 : 0;
}

__attribute__((constructor)) static void attach_by_environment(void)
{
    const char *path = getenv("SHIM_CONTROL");
    if (path && shim_attach(path)) _exit(126);
}

/* A child that was forked but has not called exec yet is no business of ours. */
static int watched(void) { return control && owner == (pid_t)syscall(SYS_getpid); }

static int below(const char *path)
{
    size_t length = strlen(control->folder);
    return length && !strncmp(path, control->folder, length) && (path[length] == '/' || !path[length]);
}

static int absolute(char *found, int folder, const char *path)
{
    char here[PATH_MAX], link[64];
    if (path[0] == '/') return snprintf(found, PATH_MAX, "%s", path) < PATH_MAX;
    snprintf(link, sizeof link, folder == AT_FDCWD ? "/proc/self/cwd" : "/proc/self/fd/%d", folder);
    ssize_t length = readlink(link, here, sizeof here - 1);
    if (length < 0) return 0;
    here[length] = 0;
    return snprintf(found, PATH_MAX, "%s/%s", here, path) < PATH_MAX;
}

/* Where a descriptor leads: 0 nowhere of ours, 1 a file or folder below control->folder, 2 a socket. */
static int leads(int file, char *path, struct stat *is)
{
    char link[64];
    if (!watched() || fstat(file, is)) return 0;
    if (S_ISSOCK(is->st_mode)) return 2;
    if (!S_ISREG(is->st_mode) && !S_ISDIR(is->st_mode)) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, PATH_MAX - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return below(path);
}

/* Count one operation; the errno with which it must fail, or 0. */
static int strike(int kind)
{
    if (!(control->mask & kind)) return 0;
    int64_t number = __atomic_add_fetch(&control->counted, 1, __ATOMIC_SEQ_CST);
    if (control->action == COUNT || number < control->at || (number > control->at && !control->onwards)) return 0;
    if (control->action == KILL)
        for (;;) syscall(SYS_kill, owner, SIGKILL);
    __atomic_add_fetch(&control->failed, 1, __ATOMIC_SEQ_CST);
    return control->error;
}

static int refused(int error)
{
    errno = error;
    return -1;
}

static void put_down(uint32_t kind, uint64_t inode, int64_t number, const char *path, const void *content, size_t size)
{
    int before = errno;
    struct record head = {sizeof head + strlen(path) + size, kind, inode, number, strlen(path), size};
    struct iovec parts[] = {{&head, sizeof head}, {(void *)path, strlen(path)}, {(void *)content, size}};
    if (log_file >= 0 && syscall(SYS_writev, log_file, parts, 3) != (ssize_t)head.length) _exit(125);
    errno = before;
}

static void put_down_write(int file, const struct iovec *parts, int count, int64_t at, ssize_t done,
                           const char *path, const struct stat *is)
{
    if (at < 0) at = syscall(SYS_lseek, file, 0, SEEK_CUR) - done;
    for (int i = 0; i < count && done > 0; i++) {
        size_t size = (size_t)done < parts[i].iov_len ? (size_t)done : parts[i].iov_len;
        put_down('w', is->st_ino, at, path, parts[i].iov_base, size);
        at += size;
        done -= size;
    }
}

/* Every way to write ends here; offset -1: where the descriptor stands. */
static ssize_t write_parts(int file, const struct iovec *parts, int count, int64_t offset)
{
    char path[PATH_MAX];
    struct stat is;
    int where = leads(file, path, &is);
    int error = where ? strike(where == 2 ? SEND : WRITE) : 0;
    if (error) return refused(error);
    int recorded = where == 1 && log_file >= 0;
    if (recorded) pthread_mutex_lock(&in_order);
    ssize_t done = offset < 0 ? syscall(SYS_writev, file, parts, count)
                              : syscall(SYS_pwritev, file, parts, count, (long)offset, 0L);
    if (recorded && done > 0) put_down_write(file, parts, count, offset, done, path, &is);
    if (recorded) pthread_mutex_unlock(&in_order);
    return done;
}

ssize_t write(int file, const void *content, size_t size)
{
    struct iovec part = {(void *)content, size};
    return control ? write_parts(file, &part, 1, -1) : syscall(SYS_write, file, content, size);
}

ssize_t writev(int file, const struct iovec *parts, int count)
{
    return control ? write_parts(file, parts, count, -1) : syscall(SYS_writev, file, parts, count);
}

ssize_t pwrite(int file, const void *content, size_t size, off_t offset)
{
    struct iovec part = {(void *)content, size};
    return write_parts(file, &part, 1, offset);
}

ssize_t pwrite64(int file, const void *content, size_t size, off64_t offset)
{
    struct iovec part = {(void *)content, size};
    return write_parts(file, &part, 1, offset);
}

ssize_t pwritev(int file, const struct iovec *parts, int count, off_t offset)
{
    return write_parts(file, parts, count, offset);
}

ssize_t pwritev64(int file, const struct iovec *parts, int count, off64_t offset)
{
    return write_parts(file, parts, count, offset);
}

static ssize_t send_by(long number, int file, const void *content, size_t size, int flags, const void *to, socklen_t length)
{
    int error = watched() ? strike(SEND) : 0;
    return error ? refused(error) : syscall(number, file, content, size, flags, to, length);
}

ssize_t send(int file, const void *content, size_t size, int flags)
{
    return send_by(SYS_sendto, file, content, size, flags, NULL, 0);
}

ssize_t sendto(int file, const void *content, size_t size, int flags, const struct sockaddr *to, socklen_t length)
{
    return send_by(SYS_sendto, file, content, size, flags, to, length);
}

ssize_t sendmsg(int file, const struct msghdr *message, int flags)
{
    int error = watched() ? strike(SEND) : 0;
    return error ? refused(error) : syscall(SYS_sendmsg, file, message, flags);
}

static int sync_by(long number, int file)
{
    char path[PATH_MAX];
    struct stat is, so_far = {0};
    int where = leads(file, path, &is);
    int error = where == 1 ? strike(SYNC) : 0;
    if (error) return refused(error);
    if (where == 1 && log_file >= 0) fstat(log_file, &so_far);
    int failed = syscall(number, file);
    if (where == 1 && !failed) put_down('s', is.st_ino, so_far.st_size, path, NULL, 0);
    return failed;
}

int fsync(int file) { return sync_by(SYS_fsync, file); }

int fdatasync(int file) { return sync_by(SYS_fdatasync, file); }

int ftruncate(int file, off_t length)
{
    char path[PATH_MAX];
    struct stat is;
    int where = leads(file, path, &is);
    int error = where == 1 ? strike(TRUNCATE) : 0;
    if (error) return refused(error);
    pthread_mutex_lock(&in_order);
    int failed = syscall(SYS_ftruncate, file, length);
    if (where == 1 && !failed) put_down('t', is.st_ino, length, path, NULL, 0);
    pthread_mutex_unlock(&in_order);
    return failed;
}

int ftruncate64(int file, off64_t length) { return ftruncate(file, length); }

/* rename, link and unlink; `to` is NULL for unlink. */
static int name_by(uint32_t kind, int folder, const char *path, int to_folder, const char *to, int flags)
{
    char one[PATH_MAX] = "", other[PATH_MAX] = "";
    int ours = watched() && absolute(one, folder, path) && (!to || absolute(other, to_folder, to)) &&
               (below(one) || (to && below(other)));
    int error = ours ? strike(NAME) : 0;
    if (error) return refused(error);
    pthread_mutex_lock(&in_order);
    int failed = kind == 'r'   ? syscall(SYS_renameat2, folder, path, to_folder, to, flags)
                 : kind == 'l' ? syscall(SYS_linkat, folder, path, to_folder, to, flags)
                               : syscall(SYS_unlinkat, folder, path, flags);
    if (ours && !failed) put_down(kind, 0, 0, one, other, strlen(other));
    pthread_mutex_unlock(&in_order);
    return failed;
}

int rename(const char *path, const char *to) { return name_by('r', AT_FDCWD, path, AT_FDCWD, to, 0); }

int renameat(int folder, const char *path, int to_folder, const char *to)
{
    return name_by('r', folder, path, to_folder, to, 0);
}

int link(const char *path, const char *to) { return name_by('l', AT_FDCWD, path, AT_FDCWD, to, 0); }

int linkat(int folder, const char *path, int to_folder, const char *to, int flags)
{
    return name_by('l', folder, path, to_folder, to, flags);
}

int unlink(const char *path) { return name_by('u', AT_FDCWD, path, 0, NULL, 0); }

int unlinkat(int folder, const char *path, int flags) { return name_by('u', folder, path, 0, NULL, flags); }

int clock_gettime(clockid_t clock, struct timespec *now)
{
    int failed = syscall(SYS_clock_gettime, clock, now);
    if (!failed && control && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
        now->tv_sec += control->clock_seconds;
    return failed;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone)
{
    (void)zone;
    struct timespec fine;
    int failed = clock_gettime(CLOCK_REALTIME, &fine);
    now->tv_sec = fine.tv_sec;
    now->tv_usec = fine.tv_nsec / 1000;
    return failed;
}

time_t time(time_t *also)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (also) *also = now.tv_sec;
    return now.tv_sec;
}
