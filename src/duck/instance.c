/* The instance and its connections.
 *
 * What can be set when DuckDB opens is set there (one pass, no statements). TimeZone belongs to ICU, which is loaded
 * only then: one SET GLOBAL on the first connection gives it to all. Extensions are never fetched from the network.
 */
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/resource.h>

#include "duck/duck_int.h"

#define MINOR_TEXT_(major, minor) "v" #major "." #minor "."
#define MINOR_TEXT(major, minor)  MINOR_TEXT_(major, minor)
#define VERSION_PREFIX            MINOR_TEXT(DUCKDB_API_VERSION_MAJOR, DUCKDB_API_VERSION_MINOR)

const char *duck_library_version(void)
{
    return duckdb_library_version();
}

/* Share of the process's memory that DuckDB may hold when nothing is said: the rest is ours, the allocator's slack,
 * and what DuckDB does not count. */
static const double MEMORY_SHARE = 0.4;

/* How many files of a partitioned write may be open at once. */
static int partition_files(void)
{
    enum { FEWEST = 100, MOST = 1000 };
    struct rlimit limit;
    rlim_t half = getrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_cur / 2 : FEWEST;
    return half < FEWEST ? FEWEST : half > MOST ? MOST : (int)half;
}

static Status open_database(Duck *duck, const DuckConfig *config, Error *err)
{
    int64_t memory = config != NULL && config->memory_limit_bytes > 0
                         ? config->memory_limit_bytes
                         : (int64_t)(MEMORY_SHARE * (double)duck_limit_memory_bytes());
    int threads = config != NULL && config->threads > 0 ? config->threads : duck_limit_threads();
    char memory_text[32], threads_text[16], files_text[16];
    snprintf(memory_text, sizeof memory_text, "%" PRId64 "B", memory);
    snprintf(threads_text, sizeof threads_text, "%d", threads);
    snprintf(files_text, sizeof files_text, "%d", partition_files());
    const struct {
        const char *name, *value;
    } settings[] = {
        {"memory_limit", memory_text},
        {"threads", threads_text},
        {"temp_directory", duck->temp.path},
        {"autoinstall_known_extensions", "false"},
        {"autoload_known_extensions", "false"},
        {"preserve_insertion_order", "false"},
        {"partitioned_write_max_open_files", files_text},
        {"errors_as_json", "true"},
        {"enable_external_file_cache", "false"}, /* the kernel has one; DuckDB's never forgets a file's name */
    };
    duckdb_config options;
    if (duckdb_create_config(&options) != DuckDBSuccess) {
        return error_set(err, E_DUCK_OPEN, "starting DuckDB: no memory for its configuration");
    }
    Status rc = OK;
    char *message = NULL;
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) {
        if (duckdb_set_config(options, settings[i].name, settings[i].value) != DuckDBSuccess) {
            rc = error_set(err, E_DUCK_OPEN, "starting DuckDB: it does not take %s = '%s'", settings[i].name,
                           settings[i].value);
            goto out;
        }
    }
    if (duckdb_open_ext(NULL, &duck->database, options, &message) != DuckDBSuccess) {
        rc = error_set(err, E_DUCK_OPEN, "starting DuckDB: %s", message == NULL ? "no reason given" : message);
        goto out;
    }
out:
    duckdb_free(message);
    duckdb_destroy_config(&options);
    return rc;
}

Status duck_open(const DuckConfig *config, Duck **out, Error *err)
{
    const char *version = duckdb_library_version();
    if (!str_starts(version, VERSION_PREFIX)) {
        Status rc = error_set(err, E_DUCK_OPEN, "DuckDB %s was found at run time, but this program is made for %sx",
                              version, VERSION_PREFIX);
        error_hint(err,
                   "put the libduckdb.so that came with freshet beside it, or build freshet against the other one");
        return rc;
    }
    Status rc = OK;
    Duck *duck = mem_alloc(sizeof *duck);
    duck->temp.lock_fd = -1;
    pthread_mutex_init(&duck->admin_lock, NULL);
    duck_kept_errors_init(&duck->kept);
    duck->relations = duck_registry_new();
    duck->counters = duck_registry_new();
    TRY(duck_tempdir_init(&duck->temp, config == NULL ? NULL : config->temp_dir, err));
    TRY(open_database(duck, config, err));
    if (duckdb_connect(duck->database, &duck->admin) != DuckDBSuccess) {
        rc = error_set(err, E_DUCK_OPEN, "starting DuckDB: no first connection");
        goto out;
    }
    DuckConn admin = {.duck = duck, .handle = duck->admin};
    TRY(duck_exec(&admin, "SET GLOBAL TimeZone = 'UTC'", err));
    TRY(duck_functions_init(duck, err));
    *out = duck;
    return OK;
out:
    duck_close(duck);
    return rc;
}

void duck_close(Duck *duck)
{
    if (duck == NULL) {
        return;
    }
    duckdb_disconnect(&duck->admin);
    duckdb_close(&duck->database);
    duck_registry_free(duck->relations, duck_relation_unref);
    duck_registry_free(duck->counters, NULL);
    duck_kept_errors_fini(&duck->kept);
    duck_tempdir_fini(&duck->temp);
    pthread_mutex_destroy(&duck->admin_lock);
    mem_free(duck);
}

Status duck_connect(Duck *duck, DuckConn **out, Error *err)
{
    DuckConn *conn = mem_alloc(sizeof *conn);
    conn->duck = duck;
    conn->error_position = -1;
    if (duckdb_connect(duck->database, &conn->handle) != DuckDBSuccess) {
        duck_disconnect(conn);
        return error_set(err, E_DUCK_OPEN, "connecting to DuckDB failed");
    }
    *out = conn;
    return OK;
}

void duck_disconnect(DuckConn *conn)
{
    if (conn == NULL) {
        return;
    }
    duckdb_disconnect(&conn->handle);
    mem_free(conn->user_metadata);
    mem_free(conn);
}

Duck *duck_instance(DuckConn *conn)
{
    return conn->duck;
}

void duck_set_user_metadata(DuckConn *conn, const char *text)
{
    mem_free(conn->user_metadata);
    conn->user_metadata = text != NULL && *text != '\0' ? mem_strdup(text) : NULL;
}

const char *duck_user_metadata(const DuckConn *conn)
{
    return conn->user_metadata;
}

int64_t duck_error_position(const DuckConn *conn)
{
    return conn->error_position;
}

void duck_error_rebase(DuckConn *conn, int64_t ahead, int64_t length)
{
    int64_t position = conn->error_position - ahead;
    conn->error_position = conn->error_position >= 0 && position >= 0 && position <= length ? position : -1;
}

void duck_interrupt(DuckConn *conn)
{
    duckdb_interrupt(conn->handle);
}

/* DuckDB counts only where its progress bar is on, and then whenever a thread looks for work: a tenth of the CPU time
 * of small batches. So it is off until somebody wants to know. */
void duck_progress_ready(DuckConn *conn)
{
    duckdb_result result;

    if (!conn->counts_progress && atomic_load_explicit(&conn->progress_wanted, memory_order_relaxed)) {
        conn->counts_progress = true;
        (void)duckdb_query(conn->handle, "SET enable_progress_bar = true; SET enable_progress_bar_print = false",
                           &result);
        duckdb_destroy_result(&result);
    }
}

double duck_progress(DuckConn *conn)
{
    atomic_store_explicit(&conn->progress_wanted, true, memory_order_relaxed);
    duckdb_query_progress_type progress = duckdb_query_progress(conn->handle);
    /* unknown is -1, for a moment NaN; estimates may overshoot */
    return !(progress.percentage >= 0) ? -1 : progress.percentage > 100 ? 1 : progress.percentage / 100;
}
