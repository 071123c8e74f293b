#include "source/files_finder.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "source/byte_input.h"
#include "source/files_watch.h"

enum { DECODE_BYTES_MAX = 8 << 20, POLL_US = 1000000, SETTLE_STEP_US = 20000, LIST_SHARE = 200 };

/* A file that is not complete: looked at again at `due_us` (monotonic). */
typedef struct Waiting {
    char *path;
    int64_t due_us;
} Waiting;

typedef struct Event {
    FilesEvent what;
    char *path;
} Event;

struct FilesFinder {
    const FilesPlace *place;
    const FilesOptions *options;
    FilesSet *known;
    FilesWatch *watch;
    FilesItem *pending;
    size_t begin, n, capacity; /* pending[begin .. n) */
    bool unsorted;
    Waiting *waiting;
    size_t n_waiting, waiting_capacity;
    Event *events;
    size_t n_events, events_capacity;
    bool relist, frozen;
    bool rootless;                   /* when it was listed last, the place did not exist */
    int64_t listed_us, list_cost_us; /* monotonic time of the last listing, and how long it took */
    int64_t newest_us;               /* the newest time of a file, for maxFileAge */
};

FilesFinder *files_finder_new(const FilesPlace *place, const FilesOptions *options, FilesSet *known)
{
    FilesFinder *f = mem_alloc(sizeof *f);
    *f = (FilesFinder){.place = place,
                       .options = options,
                       .known = known,
                       .watch = files_watch_new(),
                       .relist = true,
                       .newest_us = INT64_MIN};
    return f;
}

static void free_path(const char *path)
{
    mem_free((char *)(uintptr_t)path);
}

void files_finder_free(FilesFinder *f)
{
    if (f == NULL) {
        return;
    }
    for (size_t i = f->begin; i < f->n; i++) {
        free_path(f->pending[i].path);
    }
    for (size_t i = 0; i < f->n_waiting; i++) {
        mem_free(f->waiting[i].path);
    }
    for (size_t i = 0; i < f->n_events; i++) {
        mem_free(f->events[i].path);
    }
    files_watch_free(f->watch);
    mem_free(f->pending);
    mem_free(f->waiting);
    mem_free(f->events);
    mem_free(f);
}

/* ---- is it complete? ---- */

static int64_t mtime_us(const struct stat *st)
{
    return (int64_t)st->st_mtim.tv_sec * 1000000 + st->st_mtim.tv_nsec / 1000;
}

static bool tail_is(const char *path, int64_t size, const char *end, size_t n)
{
    char tail[8];
    int fd = size >= (int64_t)n ? file_open(path, O_RDONLY, 0) : -1;
    bool is = fd >= 0 && pread(fd, tail, n, size - (int64_t)n) == (ssize_t)n && memcmp(tail, end, n) == 0;
    if (fd >= 0) {
        close(fd);
    }
    return is;
}

/* A compressed file is complete when it decompresses to its end. */
static bool decompresses(const char *path)
{
    ByteInput *in = NULL;
    Error ignored = ERROR_NONE;
    char *buffer = mem_alloc(64 << 10);
    size_t got = 1;
    Status rc = byte_input_open(path, 0, &in, &ignored);

    while (rc == OK && got > 0) {
        rc = byte_input_read(in, buffer, 64 << 10, &got, &ignored);
    }
    byte_input_close(in);
    mem_free(buffer);
    return rc == OK;
}

static bool ends_well(const FilesFinder *f, const char *path, int64_t size)
{
    Error ignored = ERROR_NONE;
    bool compressed = false;
    FilesOptions named = *f->options;

    if (size == 0 || files_format_find(&named, path, &ignored) != OK) {
        return false;
    }
    if (named.format == FILES_PARQUET) {
        return tail_is(path, size, "PAR1", 4);
    }
    if (byte_input_probe(path, &compressed, &ignored) != OK) {
        return false;
    }
    return compressed ? size <= DECODE_BYTES_MAX && decompresses(path) : tail_is(path, size, "\n", 1);
}

static bool is_complete(const FilesFinder *f, const char *path, const struct stat *st)
{
    int64_t age_us = clock_now_us() - mtime_us(st);
    return age_us < 0 || age_us >= f->options->settle_us || ends_well(f, path, st->st_size);
}

/* ---- what is found ---- */

static int by_time(const void *a, const void *b)
{
    const FilesItem *x = a, *y = b;
    return x->mtime_us != y->mtime_us ? (x->mtime_us > y->mtime_us) - (x->mtime_us < y->mtime_us)
                                      : strcmp(x->path, y->path);
}

static int by_time_newest_first(const void *a, const void *b)
{
    return by_time(b, a);
}

static void add_pending(FilesFinder *f, const char *path, const struct stat *st)
{
    FilesItem item = {mem_strdup(path), st->st_size, mtime_us(st)};

    if (f->begin > f->n / 2) {
        f->n -= f->begin;
        memmove(f->pending, f->pending + f->begin, f->n * sizeof *f->pending);
        f->begin = 0;
    }
    f->unsorted = f->unsorted || f->options->latest_first ||
                  (f->n > f->begin && by_time(&item, &f->pending[f->n - 1]) < 0);
    f->pending = mem_grow(f->pending, f->n, &f->capacity, sizeof *f->pending);
    f->pending[f->n++] = item;
    f->newest_us = item.mtime_us > f->newest_us ? item.mtime_us : f->newest_us;
}

static void add_waiting(FilesFinder *f, const char *path)
{
    f->waiting = mem_grow(f->waiting, f->n_waiting, &f->waiting_capacity, sizeof *f->waiting);
    f->waiting[f->n_waiting++] = (Waiting){mem_strdup(path), clock_mono_us() + f->options->settle_us};
}

static bool is_wanted(const FilesFinder *f, const struct stat *st)
{
    int64_t us = mtime_us(st);
    bool young = f->options->max_age_us == INT64_MAX || f->newest_us == INT64_MIN ||
                 us >= f->newest_us - f->options->max_age_us;
    return us > f->options->modified_after_us && us < f->options->modified_before_us && young;
}

static bool is_known(void *context, const char *path)
{
    return files_set_has(((FilesFinder *)context)->known, path);
}

static void watch_folder(void *context, const char *path)
{
    FilesFinder *f = context;
    if (!f->frozen) {
        files_watch_folder(f->watch, path);
    }
}

static void found(void *context, const char *path, const struct stat *st)
{
    FilesFinder *f = context;
    if (!is_wanted(f, st) || !files_set_add(f->known, path)) {
        return;
    }
    if (is_complete(f, path, st)) {
        add_pending(f, path, st);
    } else {
        add_waiting(f, path);
    }
}

/* ---- events ---- */

static void keep_event(void *context, FilesEvent what, const char *path)
{
    FilesFinder *f = context;
    if (what == FILES_LOST) {
        f->relist = true;
        return;
    }
    f->events = mem_grow(f->events, f->n_events, &f->events_capacity, sizeof *f->events);
    f->events[f->n_events++] = (Event){what, mem_strdup(path)};
}

void files_finder_clear(FilesFinder *f)
{
    files_watch_drain(f->watch, keep_event, f);
}

static Waiting *find_waiting(FilesFinder *f, const char *path)
{
    for (size_t i = 0; i < f->n_waiting; i++) {
        if (strcmp(f->waiting[i].path, path) == 0) {
            return &f->waiting[i];
        }
    }
    return NULL;
}

static void drop_waiting(FilesFinder *f, Waiting *waiting)
{
    mem_free(waiting->path);
    *waiting = f->waiting[--f->n_waiting];
}

/* A file that was made and is still being written waits; one that appeared whole by a link is complete. */
static void file_event(FilesFinder *f, FilesEvent what, const char *path)
{
    struct stat st;
    Waiting *waiting = find_waiting(f, path);

    if (waiting == NULL && (!files_place_matches(f->place, path) || is_known(f, path))) {
        return;
    }
    if (lstat(path, &st) != 0) {
        return;
    }
    bool whole = what == FILES_COMPLETE || st.st_nlink > 1 || S_ISLNK(st.st_mode);
    if (stat(path, &st) != 0 || !S_ISREG(st.st_mode) || !is_wanted(f, &st)) {
        return;
    }
    if (waiting != NULL && whole) {
        drop_waiting(f, waiting);
        add_pending(f, path, &st);
    } else if (waiting == NULL && files_set_add(f->known, path)) {
        if (whole) {
            add_pending(f, path, &st);
        } else {
            add_waiting(f, path);
        }
    }
}

static Status handle_events(FilesFinder *f, Error *err)
{
    FilesVisitor visitor = {is_known, watch_folder, found, f};
    Status rc = OK;

    for (size_t i = 0; i < f->n_events; i++) {
        Event *event = &f->events[i];
        if (rc == OK && event->what == FILES_FOLDER) {
            rc = files_place_hides(f->place, files_name(event->path)) && !files_place_matches(f->place, event->path)
                     ? OK
                     : files_place_list_below(f->place, event->path, &visitor, err);
        } else if (rc == OK) {
            file_event(f, event->what, event->path);
        }
        mem_free(event->path);
    }
    f->n_events = 0;
    return rc;
}

/* ---- looking ---- */

static int64_t list_interval(const FilesFinder *f)
{
    if (!files_watch_reliable(f->watch) || f->rootless) {
        return f->list_cost_us * LIST_SHARE > POLL_US ? f->list_cost_us * LIST_SHARE : POLL_US;
    }
    return f->options->backfill_us > f->list_cost_us * LIST_SHARE ? f->options->backfill_us
                                                                  : f->list_cost_us * LIST_SHARE;
}

static Status list_all(FilesFinder *f, Error *err)
{
    FilesVisitor visitor = {is_known, watch_folder, found, f};
    int64_t start_us = clock_mono_us();
    f->rootless = !files_place_exists(f->place);
    if (f->rootless && f->listed_us == 0) {
        error_set(err, E_IO_NOT_FOUND, "%s does not exist", files_place_root(f->place));
        error_hint(err, "make the folder, even an empty one, before files are to be read from it");
        return ERR_NOT_FOUND;
    }
    Status rc = files_place_list(f->place, &visitor, err);
    if (rc == OK) {
        f->listed_us = clock_mono_us();
        f->list_cost_us = f->listed_us - start_us;
        f->relist = false;
    }
    return rc;
}

static void check_waiting(FilesFinder *f)
{
    int64_t now_us = clock_mono_us();
    struct stat st;

    for (size_t i = 0; i < f->n_waiting;) {
        Waiting *waiting = &f->waiting[i];
        if (stat(waiting->path, &st) != 0) {
            files_set_remove(f->known, waiting->path);
            drop_waiting(f, waiting);
        } else if (clock_now_us() - mtime_us(&st) >= f->options->settle_us ||
                   (f->frozen && ends_well(f, waiting->path, st.st_size))) {
            add_pending(f, waiting->path, &st);
            drop_waiting(f, waiting);
        } else {
            waiting->due_us = now_us + f->options->settle_us - (clock_now_us() - mtime_us(&st));
            i++;
        }
    }
}

static void set_timer(FilesFinder *f)
{
    int64_t now_us = clock_mono_us(), due_us = f->listed_us + list_interval(f);
    for (size_t i = 0; i < f->n_waiting; i++) {
        due_us = f->waiting[i].due_us < due_us ? f->waiting[i].due_us : due_us;
    }
    files_watch_timer(f->watch, due_us > now_us ? due_us - now_us : 0);
}

Status files_finder_refresh(FilesFinder *f, Error *err)
{
    Status rc = OK;

    if (f->frozen) {
        return OK;
    }
    files_finder_clear(f);
    TRY(handle_events(f, err));
    if (f->relist || clock_mono_us() >= f->listed_us + list_interval(f)) {
        TRY(list_all(f, err));
    }
    check_waiting(f);
    set_timer(f);
out:
    return rc;
}

void files_finder_settle(FilesFinder *f)
{
    int64_t deadline_us = clock_mono_us() + 2 * f->options->settle_us;
    for (check_waiting(f); f->n_waiting > 0 && clock_mono_us() < deadline_us; check_waiting(f)) {
        nanosleep(&(struct timespec){.tv_nsec = SETTLE_STEP_US * 1000L}, NULL);
    }
}

Status files_finder_freeze(FilesFinder *f, Error *err)
{
    f->frozen = true;
    Status rc = list_all(f, err);
    if (rc == OK) {
        files_finder_settle(f);
    }
    return rc;
}

/* ---- what is pending ---- */

const FilesItem *files_finder_pending(FilesFinder *f, size_t *n)
{
    if (f->unsorted) {
        qsort(f->pending + f->begin, f->n - f->begin, sizeof *f->pending,
              f->options->latest_first ? by_time_newest_first : by_time);
        f->unsorted = false;
    }
    *n = f->n - f->begin;
    return f->pending != NULL ? f->pending + f->begin : NULL;
}

bool files_finder_confirm(FilesFinder *f, size_t i)
{
    FilesItem *item = &f->pending[f->begin + i];
    struct stat st;

    if (stat(item->path, &st) == 0 && S_ISREG(st.st_mode)) {
        item->size = st.st_size;
        item->mtime_us = mtime_us(&st);
        return true;
    }
    files_set_remove(f->known, item->path);
    free_path(item->path);
    f->n--;
    memmove(item, item + 1, (f->n - f->begin - i) * sizeof *item);
    return false;
}

void files_finder_take(FilesFinder *f, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        free_path(f->pending[f->begin + i].path);
    }
    f->begin += n;
    if (f->begin == f->n) {
        f->begin = f->n = 0;
    }
}

int64_t files_finder_bytes(const FilesFinder *f)
{
    int64_t bytes = 0;
    for (size_t i = f->begin; i < f->n; i++) {
        bytes += f->pending[i].size;
    }
    return bytes;
}

int files_finder_fd(const FilesFinder *f)
{
    return files_watch_fd(f->watch);
}
