#include "source/files_watch.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"

enum { EVENT_BYTES = 64 << 10 };

struct FilesWatch {
    int epoll, inotify, timer;
    char **folders; /* by watch descriptor */
    size_t n_folders, capacity;
    bool unreliable;
};

static void add_to_epoll(FilesWatch *watch, int fd)
{
    struct epoll_event event = {.events = EPOLLIN};
    if (fd >= 0) {
        epoll_ctl(watch->epoll, EPOLL_CTL_ADD, fd, &event);
    }
}

FilesWatch *files_watch_new(void)
{
    FilesWatch *watch = mem_alloc(sizeof *watch);
    watch->epoll = epoll_create1(EPOLL_CLOEXEC);
    watch->inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    watch->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    watch->unreliable = watch->inotify < 0;
    add_to_epoll(watch, watch->inotify);
    add_to_epoll(watch, watch->timer);
    return watch;
}

void files_watch_free(FilesWatch *watch)
{
    if (watch == NULL) {
        return;
    }
    const int fds[] = {watch->epoll, watch->inotify, watch->timer};
    for (size_t i = 0; i < sizeof fds / sizeof *fds; i++) {
        if (fds[i] >= 0) {
            close(fds[i]);
        }
    }
    for (size_t i = 0; i < watch->n_folders; i++) {
        mem_free(watch->folders[i]);
    }
    mem_free(watch->folders);
    mem_free(watch);
}

int files_watch_fd(const FilesWatch *watch)
{
    return watch->epoll;
}

bool files_watch_reliable(const FilesWatch *watch)
{
    return !watch->unreliable;
}

void files_watch_folder(FilesWatch *watch, const char *path)
{
    const uint32_t mask = IN_CLOSE_WRITE | IN_MOVED_TO | IN_CREATE | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR;
    int wd = watch->inotify < 0 ? -1 : inotify_add_watch(watch->inotify, path, mask);

    if (wd < 0) {
        if (!watch->unreliable && errno != ENOENT) {
            log_warning("%s cannot be watched (%s); it is listed every second instead. fs.inotify.max_user_watches may "
                        "be too low",
                        path, strerror(errno));
            watch->unreliable = true;
        }
        return;
    }
    while (watch->n_folders <= (size_t)wd) {
        watch->folders = mem_grow(watch->folders, watch->n_folders, &watch->capacity, sizeof *watch->folders);
        watch->folders[watch->n_folders++] = NULL;
    }
    if (watch->folders[wd] == NULL || strcmp(watch->folders[wd], path) != 0) {
        mem_free(watch->folders[wd]);
        watch->folders[wd] = mem_strdup(path);
    }
}

void files_watch_timer(FilesWatch *watch, int64_t in_us)
{
    int64_t us = in_us < 0 ? 0 : in_us == 0 ? 1 : in_us;
    struct itimerspec when = {.it_value = {.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000}};
    if (watch->timer >= 0) {
        timerfd_settime(watch->timer, 0, &when, NULL);
    }
}

static void hand_over(FilesWatch *watch, const struct inotify_event *e,
                      void (*event)(void *context, FilesEvent what, const char *path), void *context)
{
    const char *folder = e->wd >= 0 && (size_t)e->wd < watch->n_folders ? watch->folders[e->wd] : NULL;

    if (e->mask & (IN_Q_OVERFLOW | IN_DELETE_SELF | IN_MOVE_SELF)) {
        event(context, FILES_LOST, NULL);
        return;
    }
    if (folder == NULL || e->len == 0) {
        return;
    }
    Text path = TEXT(1 << 20);
    path_join(&path, folder, e->name);
    bool complete = (e->mask & (IN_CLOSE_WRITE | IN_MOVED_TO)) != 0;
    event(context, e->mask & IN_ISDIR ? FILES_FOLDER : complete ? FILES_COMPLETE : FILES_BEGUN, text_str(&path));
    text_free(&path);
}

void files_watch_drain(FilesWatch *watch, void (*event)(void *context, FilesEvent what, const char *path),
                       void *context)
{
    _Alignas(struct inotify_event) char buffer[EVENT_BYTES];
    uint64_t expirations;

    while (watch->timer >= 0 && read(watch->timer, &expirations, sizeof expirations) > 0) {
    }
    for (ssize_t n; watch->inotify >= 0 && (n = read(watch->inotify, buffer, sizeof buffer)) > 0;) {
        for (const char *at = buffer; at < buffer + n;) {
            const struct inotify_event *e = (const struct inotify_event *)(const void *)at;
            hand_over(watch, e, event, context);
            at += sizeof *e + e->len;
        }
    }
}
