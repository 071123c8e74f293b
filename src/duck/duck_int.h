/* What the files of src/duck share. The only header that includes duckdb.h, and no file outside src/duck includes it.
 */
#ifndef FRESHET_DUCK_INT_H
#define FRESHET_DUCK_INT_H

#ifndef DUCK_DEPRECATED_TOO
#define DUCKDB_API_NO_DEPRECATED
#endif
#include <duckdb.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/mem.h"
#include "duck/duck.h"
#include "duck/function.h"
#include "duck/parquet.h"
#include "duck/type.h"

/* ---- tempdir.c: the folder DuckDB spills to ---- */

typedef struct TempDir {
    char *path;
    int lock_fd; /* holds the flock that says "in use"; -1: the folder is the user's, not ours */
} TempDir;

Status duck_tempdir_init(TempDir *dir, const char *wanted, Error *err);
void duck_tempdir_fini(TempDir *dir);

/* ---- limits.c: what this process may use ---- */

int64_t duck_limit_memory_bytes(void); /* the smaller of the machine's memory and the cgroups' limits */
int duck_limit_threads(void);          /* the smaller of the affinity mask and the cgroups' quota, at least 1 */

/* ---- error.c: what DuckDB says, as an Error ---- */

/* Errors of our own functions, kept while DuckDB carries only a token of them up to the caller of the statement. */
enum { DUCK_KEPT_ERRORS = 32 };
typedef struct KeptErrors {
    pthread_mutex_t lock;
    uint64_t next; /* token of the next one; token t lies in slot t % DUCK_KEPT_ERRORS */
    Error *errors[DUCK_KEPT_ERRORS];
    uint64_t tokens[DUCK_KEPT_ERRORS];
} KeptErrors;

void duck_kept_errors_init(KeptErrors *kept);
void duck_kept_errors_fini(KeptErrors *kept);
enum { DUCK_TOKEN_TEXT = 512 };
/* Keeps *err and writes the text DuckDB is to be given in its place. */
void duck_error_keep(Duck *duck, const Error *err, char text[DUCK_TOKEN_TEXT]);
/* Sets *err from a message of DuckDB (JSON, see errors_as_json) and the connection's error position. */
Status duck_error_translate(DuckConn *conn, const char *message, Error *err);

/* ---- registry.c: things SQL names by a number ---- */

typedef struct Registry Registry; /* thread safe */
Registry *duck_registry_new(void);
void duck_registry_free(Registry *registry, void (*free_item)(void *));
uint64_t duck_registry_add(Registry *registry, void *item);
void *duck_registry_get(Registry *registry, uint64_t handle, void (*ref)(void *)); /* NULL when there is none */
void *duck_registry_remove(Registry *registry, uint64_t handle);

/* ---- instance.c ---- */

struct Duck {
    duckdb_database database;
    duckdb_connection admin; /* registrations only, under admin_lock */
    pthread_mutex_t admin_lock;
    TempDir temp;
    KeptErrors kept;
    Registry *relations, *counters;
    _Atomic(ParquetBlame) blame; /* names the file when a Parquet file is damaged; NULL: nobody */
};

struct DuckConn {
    Duck *duck;
    duckdb_connection handle;
    char *user_metadata; /* NULL = none */
    int64_t error_position;
    bool probing;                /* it looks for a damaged file itself: its errors blame nobody */
    atomic_bool progress_wanted; /* set by any thread */
    bool counts_progress;
};

/* Before a statement: makes sure that its progress is known if somebody wants it. */
void duck_progress_ready(DuckConn *conn);

/* ---- result.c ---- */

/* Takes *result over, on success only; statement may be NULL and is taken over too. */
Status duck_result_wrap(DuckConn *conn, duckdb_result *result, duckdb_prepared_statement statement, DuckResult **out,
                        Error *err);

/* ---- value.c: any value as text ---- */

/* A row of a vector; or of a plain array laid out like one, without nulls, when `data` is set. */
typedef struct DuckCell {
    const DuckType *type;
    duckdb_vector vector;
    size_t row;
    const void *data;
} DuckCell;

__extension__ typedef __int128 DuckInt;
__extension__ typedef unsigned __int128 DuckUint;

/* An integer of any width, BOOLEAN, DATE, TIME or timestamp as its number; false for other types. */
bool duck_load_int(DuckTypeId id, const void *data, size_t row, DuckInt *out);
enum { DUCK_DECIMAL_TEXT = 64 };
void duck_decimal_text(const DuckType *type, const void *data, size_t row, char text[DUCK_DECIMAL_TEXT]);
bool duck_cell_is_null(const DuckCell *cell);
void duck_cell_json(const DuckCell *cell, Text *out);
void duck_cell_print(const DuckCell *cell, Text *out);

/* variant.c */
void duck_variant_json(const DuckCell *cell, Text *out);
void duck_variant_print(const DuckCell *cell, Text *out);

/* The current row's value. */
DuckCell duck_result_cell(const DuckResult *result, size_t column);

/* ---- type.c ---- */

enum { DUCK_TYPE_DEPTH_MAX = 128 };
/* The tree of a logical type, in `arena`. Fails when nested deeper than DUCK_TYPE_DEPTH_MAX. */
Status duck_type_from_logical(duckdb_logical_type logical, Arena *arena, const DuckType **out, Error *err);
/* The other way; the caller destroys it. NULL for a type that cannot be declared (VARIANT, OTHER). */
duckdb_logical_type duck_type_to_logical(const DuckType *type);
/* A type from its SQL spelling. */
Status duck_type_parse_logical(DuckConn *conn, const char *sql, duckdb_logical_type *out, Error *err);
/* Width in bytes of what a value takes in its vector; 0 for types made only of children. */
size_t duck_type_width(const DuckType *type);

/* ---- function.c, relation.c ---- */

/* Registers what every instance has: freshet_count and freshet_relation. */
Status duck_functions_init(Duck *duck, Error *err);
Status duck_relation_init(Duck *duck, Error *err);
void duck_relation_unref(void *entry); /* an item of Duck.relations */
DuckColumn duck_column_of(duckdb_vector vector, bool writable);
/* Members of a null struct have to be null too before DuckDB sees them. */
void duck_column_settle_nulls(const DuckColumn *column, const DuckType *type, size_t rows);

#endif
