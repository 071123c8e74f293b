/* See checkpoint.h for the layout. Formats: "v1", a line of JSON, and for offsets one line a source, without a last
 * line end. */
#include "stream/checkpoint.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/failpoint.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"

enum { ENTRY_BYTES_MAX = 64 << 20, IDENTITY_BYTES_MAX = 4 << 20, IDENTITY_VERSION = 1 };

struct Checkpoint {
    Store *store;
    char *query_id;
    int lock_fd; /* -1: the store is not a local folder */
};

static Status broken(Error *err, const char *name, const char *what)
{
    error_set(err, E_STREAM_CHECKPOINT, "%s: %s", name, what);
    error_hint(err, "put the file back from a copy, or start the flow anew with --full-refresh");
    return error_status(err);
}

/* ---- offsets/N ---- */

void offsets_entry_free(OffsetsEntry *entry)
{
    if (!entry) {
        return;
    }
    for (size_t i = 0; i < entry->n_ends; i++) {
        mem_free(entry->ends[i]);
    }
    mem_free(entry->ends);
    json_decref(entry->conf);
    mem_free(entry);
}

/* One line of [*at, end); false when there is none left. */
static bool next_line(const char **at, const char *end, const char **line, size_t *n)
{
    if (!*at) {
        return false;
    }
    const char *stop = memchr(*at, '\n', (size_t)(end - *at));
    *line = *at;
    *n = (size_t)((stop ? stop : end) - *at);
    *at = stop ? stop + 1 : NULL;
    return true;
}

static Status check_version(const char **at, const char *end, const char *name, Error *err)
{
    const char *line = NULL;
    size_t n = 0;
    char what[96];

    if (*at == end || !next_line(at, end, &line, &n) || n == 0) {
        return broken(err, name, "the file is empty");
    }
    if (n == 2 && memcmp(line, "v1", 2) == 0) {
        return *at ? OK : broken(err, name, "the file ends after its version");
    }
    snprintf(what, sizeof what, "format version '%.*s' is not understood, only v1", (int)(n < 16 ? n : 16), line);
    return broken(err, name, what);
}

static Status add_end(OffsetsEntry *entry, const char *line, size_t n, const char *name, Error *err)
{
    JsonSource source = {.name = name};
    json_t *value = NULL;

    entry->ends = mem_realloc(entry->ends, (entry->n_ends + 1) * sizeof *entry->ends);
    entry->ends[entry->n_ends++] = NULL;
    if (n == 1 && *line == '-') {
        return OK;
    }
    if (json_parse(line, n, &source, &value, err) != OK) {
        return broken(err, name, "the offset of a source is not JSON");
    }
    json_decref(value);
    entry->ends[entry->n_ends - 1] = mem_strndup(line, n);
    return OK;
}

Status offsets_entry_parse(const char *text, size_t n, const char *name, int64_t batch, OffsetsEntry **out, Error *err)
{
    OffsetsEntry *entry = mem_alloc(sizeof *entry);
    const char *at = text, *end = text + n, *line = NULL;
    JsonSource source = {.name = name, .first_line = 2};
    json_t *head = NULL, *conf = NULL;
    size_t length = 0;
    Status rc = OK;

    entry->batch = batch;
    TRY(check_version(&at, end, name, err));
    next_line(&at, end, &line, &length);
    TRY(json_parse_object(line, length, &source, &head, err));
    TRY(json_get_i64(head, "batchTimestampMs", &entry->time_ms, err));
    TRY(json_opt_i64(head, "batchWatermarkMs", &entry->watermark_ms, err));
    TRY(json_opt_object(head, "conf", &conf, err));
    entry->conf = conf ? json_incref(conf) : json_object();
    while (next_line(&at, end, &line, &length)) {
        if (length == 0 && !at) {
            break; /* a last line end does no harm */
        }
        TRY(add_end(entry, line, length, name, err));
    }
    *out = entry;
    entry = NULL;
out:
    if (rc != OK && err && err->id == E_JSON) {
        err->id = E_STREAM_CHECKPOINT;
        rc = error_status(err);
    }
    json_decref(head);
    offsets_entry_free(entry);
    return rc;
}

Status offsets_entry_write(const OffsetsEntry *entry, Text *out, Error *err)
{
    json_t *head = json_object();
    Status rc = OK;

    json_put_i64(head, "batchWatermarkMs", entry->watermark_ms);
    json_put_i64(head, "batchTimestampMs", entry->time_ms);
    json_put(head, "conf", entry->conf ? json_incref(entry->conf) : json_object());
    text_append(out, "v1\n");
    TRY(json_dump_text(head, out, err));
    for (size_t i = 0; i < entry->n_ends; i++) {
        text_append_char(out, '\n');
        text_append(out, entry->ends[i] ? entry->ends[i] : "-");
    }
out:
    json_decref(head);
    return rc;
}

/* ---- commits/N ---- */

void commits_entry_free(CommitsEntry *entry)
{
    if (entry) {
        json_decref(entry->freshet);
        mem_free(entry);
    }
}

Status commits_entry_parse(const char *text, size_t n, const char *name, int64_t batch, CommitsEntry **out, Error *err)
{
    CommitsEntry *entry = mem_alloc(sizeof *entry);
    const char *at = text, *end = text + n, *line = NULL;
    JsonSource source = {.name = name, .first_line = 2};
    json_t *facts = NULL, *freshet = NULL;
    size_t length = 0;
    Status rc = OK;

    entry->batch = batch;
    TRY(check_version(&at, end, name, err));
    next_line(&at, end, &line, &length);
    TRY(json_parse_object(line, length, &source, &facts, err));
    TRY(json_opt_i64(facts, "nextBatchWatermarkMs", &entry->next_watermark_ms, err)); /* old Spark wrote {} */
    TRY(json_opt_object(facts, "freshet", &freshet, err));
    entry->freshet = freshet ? json_incref(freshet) : NULL;
    *out = entry;
    entry = NULL;
out:
    if (rc != OK && err && err->id == E_JSON) {
        err->id = E_STREAM_CHECKPOINT;
        rc = error_status(err);
    }
    json_decref(facts);
    commits_entry_free(entry);
    return rc;
}

void commits_entry_write(int64_t next_watermark_ms, const char *freshet_json, Text *out)
{
    text_printf(out, "v1\n{\"nextBatchWatermarkMs\":%lld", (long long)next_watermark_ms);
    if (freshet_json) {
        text_append(out, ",\"freshet\":");
        text_append(out, freshet_json);
    }
    text_append_char(out, '}');
}

/* ---- the lock ---- */

/* Who holds the lock, as it wrote into the file; "" when it cannot be told. */
static void read_holder(int fd, char *holder, size_t size)
{
    ssize_t n = pread(fd, holder, size - 1, 0);

    holder[n > 0 ? n : 0] = '\0';
    holder[strcspn(holder, "\n")] = '\0';
}

static Status lock_held(int fd, const char *place, const char *flow, Error *err)
{
    char holder[128];

    read_holder(fd, holder, sizeof holder);
    error_set(err, E_STREAM_LOCKED, "another freshet runs %s: the lock of %s is held%s%s", flow, place,
              *holder ? " by " : "", holder);
    error_hint(err, "stop the other one first; the lock is freed when its process ends");
    return error_status(err);
}

static void write_holder(int fd)
{
    char host[64] = "", iso[32], text[128];

    gethostname(host, sizeof host - 1);
    time_iso_ms(clock_now_ms(), iso);
    int n = snprintf(text, sizeof text, "process %ld on %s since %s\n", (long)getpid(), host, iso);
    if (ftruncate(fd, 0) != 0 || pwrite(fd, text, (size_t)n, 0) != n) {
        log_debug("the lock's holder could not be noted"); /* only a courtesy to whoever finds it taken */
    }
}

/* An open-file-description lock belongs to this descriptor: also a second flow of this process is kept out, and the
 * kernel frees it whatever way the process ends. */
static Status take_lock(Checkpoint *checkpoint, const char *flow, Error *err)
{
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    Text path = TEXT(8192);
    int fd = -1;
    Status rc = OK;

    if (store_local_path(checkpoint->store, "freshet.lock", &path, NULL) != OK) {
        goto out; /* object stores and memory: put-if-absent of offsets/N decides */
    }
    TRY(store_mkdirs(checkpoint->store, "", err));
    fd = file_open(text_str(&path), O_RDWR | O_CREAT, 0644);
    if (fd < 0) {
        rc = error_errno(err, "%s", text_str(&path));
        goto out;
    }
    if (fcntl(fd, F_OFD_SETLK, &whole) != 0) {
        rc = errno == EAGAIN || errno == EACCES ? lock_held(fd, store_uri(checkpoint->store), flow, err)
                                                : error_errno(err, "locking %s", text_str(&path));
        goto out;
    }
    write_holder(fd);
    checkpoint->lock_fd = fd;
    fd = -1;
out:
    if (fd >= 0) {
        close(fd);
    }
    text_free(&path);
    return rc;
}

/* ---- metadata ---- */

static bool stop_at_number(void *context, const StoreEntry *entry)
{
    int64_t id = 0;

    *(bool *)context = *entry->name != '+' && str_parse_i64(entry->name, &id) && id >= 0;
    return !*(bool *)context;
}

/* No id although batches were run: whoever goes on would write them a second time. */
static Status check_empty(Checkpoint *checkpoint, Error *err)
{
    static const char *const FOLDERS[] = {"offsets", "commits"};
    Status rc = OK;

    for (size_t i = 0; i < 2; i++) {
        bool found = false;
        TRY(store_list(checkpoint->store, FOLDERS[i], NULL, stop_at_number, &found, err));
        if (found) {
            rc = broken(err, "metadata", "the file is missing although the checkpoint holds batches");
            goto out;
        }
    }
out:
    return rc;
}

static Status make_metadata(Checkpoint *checkpoint, Error *err)
{
    char id[UUID_TEXT], text[64];
    Status rc = OK;

    uuid_text(id);
    int n = snprintf(text, sizeof text, "{\"id\":\"%s\"}", id);
    TRY(check_empty(checkpoint, err));
    TRY(failpoint(FP_STREAM_METADATA_BEFORE_PUT, err));
    TRY(store_put_if_absent(checkpoint->store, "metadata", text, (size_t)n, err));
    TRY(failpoint(FP_STREAM_METADATA_AFTER_PUT, err));
    checkpoint->query_id = mem_strdup(id);
out:
    return rc;
}

static Status read_metadata(Checkpoint *checkpoint, bool *found, Error *err)
{
    JsonSource source = {.name = "metadata"};
    Text text = TEXT(65536);
    Error local = ERROR_NONE;
    json_t *object = NULL;
    const char *id = NULL;
    Status rc = store_read(checkpoint->store, "metadata", 65536, &text, NULL, &local);

    *found = rc == OK;
    if (rc == ERR_NOT_FOUND) {
        rc = OK;
        goto out;
    }
    if (rc != OK) {
        *err = local;
        goto out;
    }
    if (json_parse_object(text_str(&text), text.length, &source, &object, NULL) != OK ||
        json_get_string(object, "id", &id, NULL) != OK || !*id) {
        rc = broken(err, "metadata", "the file does not hold the id of the query");
        goto out;
    }
    checkpoint->query_id = mem_strdup(id);
out:
    json_decref(object);
    text_free(&text);
    return rc;
}

Status checkpoint_open(Store *store, const char *flow, Checkpoint **out, Error *err)
{
    Checkpoint *checkpoint = mem_alloc(sizeof *checkpoint);
    bool found = false;
    Status rc = OK;

    checkpoint->store = store_ref(store);
    checkpoint->lock_fd = -1;
    TRY(take_lock(checkpoint, flow, err));
    TRY(read_metadata(checkpoint, &found, err));
    if (!found) {
        TRY(make_metadata(checkpoint, err));
    }
    *out = checkpoint;
    checkpoint = NULL;
out:
    if (rc != OK && err->id != E_STREAM_LOCKED) {
        rc = error_context(err, "checkpoint %s", store_uri(store));
    }
    checkpoint_close(checkpoint);
    return rc;
}

void checkpoint_close(Checkpoint *checkpoint)
{
    if (!checkpoint) {
        return;
    }
    if (checkpoint->lock_fd >= 0) {
        close(checkpoint->lock_fd);
    }
    store_unref(checkpoint->store);
    mem_free(checkpoint->query_id);
    mem_free(checkpoint);
}

const char *checkpoint_query_id(const Checkpoint *checkpoint)
{
    return checkpoint->query_id;
}

Store *checkpoint_store(const Checkpoint *checkpoint)
{
    return checkpoint->store;
}

/* ---- freshet.json: {"version":1,"flow":"...","target":"...","sources":["...", ...]} ---- */

static Status foreign(Error *err, const char *what, const char *there, const char *here)
{
    error_set(err, E_STREAM_FOREIGN, "the checkpoint was made for %s %s, the flow has %s", what, there, here);
    error_hint(
        err,
        "a checkpoint belongs to one flow, its target and its sources in their order; restore the definition, or start "
        "anew with --full-refresh");
    return error_status(err);
}

static Status compare_sources(const json_t *there, const char *const *sources, size_t n, Error *err)
{
    char place[32];

    for (size_t i = 0; i < n || i < json_array_size(there); i++) {
        const char *was = json_string_value(json_array_get(there, i));
        snprintf(place, sizeof place, "source %zu =", i);
        if (!was || i >= n || strcmp(was, sources[i]) != 0) {
            return foreign(err, place, was ? was : "none", i < n ? sources[i] : "none");
        }
    }
    return OK;
}

static Status compare_identity(const Text *text, const char *flow, const char *target, const char *const *sources,
                               size_t n, Error *err)
{
    JsonSource source = {.name = "freshet.json"};
    json_t *object = NULL, *list = NULL;
    const char *its_flow = NULL, *its_target = NULL;
    int64_t version = 0;
    Status rc = OK;

    TRY(json_parse_object(text_str(text), text->length, &source, &object, err));
    TRY(json_get_i64(object, "version", &version, err));
    if (version != IDENTITY_VERSION) {
        rc = broken(err, "freshet.json", "its format version is not understood");
        goto out;
    }
    TRY(json_get_string(object, "flow", &its_flow, err));
    TRY(json_get_string(object, "target", &its_target, err));
    TRY(json_get_array(object, "sources", &list, err));
    if (strcmp(its_flow, flow) != 0) {
        rc = foreign(err, "flow", its_flow, flow);
    } else if (strcmp(its_target, target) != 0) {
        rc = foreign(err, "target", its_target, target);
    } else {
        rc = compare_sources(list, sources, n, err);
    }
out:
    json_decref(object);
    return rc;
}

static Status write_identity(Checkpoint *checkpoint, const char *flow, const char *target, const char *const *sources,
                             size_t n, Error *err)
{
    Text text = TEXT(IDENTITY_BYTES_MAX);
    Status rc = OK;

    text_printf(&text, "{\"version\":%d,\"flow\":", IDENTITY_VERSION);
    text_append_json_string(&text, flow);
    text_append(&text, ",\"target\":");
    text_append_json_string(&text, target);
    text_append(&text, ",\"sources\":[");
    for (size_t i = 0; i < n; i++) {
        text_append(&text, i ? "," : "");
        text_append_json_string(&text, sources[i]);
    }
    text_append(&text, "]}");
    TRY(failpoint(FP_STREAM_IDENTITY_BEFORE_PUT, err));
    TRY(store_put_if_absent(checkpoint->store, "freshet.json", text.data, text.length, err));
    TRY(failpoint(FP_STREAM_IDENTITY_AFTER_PUT, err));
out:
    text_free(&text);
    return rc;
}

Status checkpoint_bind(Checkpoint *checkpoint, const char *flow, const char *target, const char *const *sources,
                       size_t n_sources, Error *err)
{
    Text text = TEXT(IDENTITY_BYTES_MAX);
    Error local = ERROR_NONE;
    Status rc = store_read(checkpoint->store, "freshet.json", IDENTITY_BYTES_MAX, &text, NULL, &local);

    if (rc == OK) {
        rc = compare_identity(&text, flow, target, sources, n_sources, err);
    } else if (rc == ERR_NOT_FOUND) {
        rc = write_identity(checkpoint, flow, target, sources, n_sources, err);
    } else {
        *err = local;
    }
    if (rc != OK) {
        rc = error_context(err, "checkpoint %s", store_uri(checkpoint->store));
    }
    text_free(&text);
    return rc;
}
