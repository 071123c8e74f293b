/* Identity columns: which number is next, sequences that hand numbers out, and the high-water mark. */
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "delta/column_default_int.h"
#include "delta/schema_edit.h"
#include "delta/schema_int.h"

static const char START[] = "delta.identity.start", STEP[] = "delta.identity.step";
static const char HIGH_WATER[] = "delta.identity.highWaterMark", EXPLICIT[] = "delta.identity.allowExplicitInsert";

bool delta_is_identity(const DeltaField *field)
{
    return delta_field_has_metadata(field, START);
}

void delta_identity_metadata(int64_t start, int64_t step, bool always, Text *out)
{
    text_printf(out, "\"%s\":%" PRId64 ",\"%s\":%" PRId64 ",\"%s\":%s", START, start, STEP, step, EXPLICIT,
                always ? "false" : "true");
}

Status delta_identity_check(const DeltaField *field, const char *const *partition_columns, size_t n, Error *err)
{
    Status rc = OK;

    if (field->type->id != DELTA_LONG) {
        rc = error_set(err, E_DELTA_SCHEMA, "the identity column \"%s\" has to be BIGINT", field->name);
        error_klass(err, "DELTA_IDENTITY_COLUMNS_UNSUPPORTED_DATA_TYPE");
        return rc;
    }
    for (size_t i = 0; i < n; i++) {
        if (str_ieq(partition_columns[i], field->name)) {
            rc = error_set(err, E_DELTA_SCHEMA, "the identity column \"%s\" cannot partition the table", field->name);
            error_klass(err, "DELTA_IDENTITY_COLUMNS_PARTITION_NOT_SUPPORTED");
        }
    }
    return rc;
}

/* ---- identity: the numbers ---- */

typedef struct Identity {
    int64_t start, step, next;
    bool allows_explicit, exhausted;
} Identity;

static Status read_identity(const DeltaField *field, Identity *out, Error *err)
{
    Status rc = OK;
    json_t *object = NULL;
    JsonSource source = {.name = "the metadata of an identity column"};
    int64_t mark = 0;

    *out = (Identity){.start = 1, .step = 1, .allows_explicit = true};
    TRY(json_parse_object(field->metadata, strlen(field->metadata), &source, &object, err));
    TRY(json_get_i64(object, START, &out->start, err));
    TRY(json_get_i64(object, STEP, &out->step, err));
    TRY(json_opt_bool(object, EXPLICIT, &out->allows_explicit, err));
    if (out->step == 0) {
        rc = error_set(err, E_DELTA_CORRUPT, "the identity column \"%s\" goes on by 0", field->name);
        goto out;
    }
    out->next = out->start;
    if (json_has(object, HIGH_WATER)) {
        TRY(json_get_i64(object, HIGH_WATER, &mark, err));
        __int128 beyond = (__int128)mark - out->start, step = out->step, next = out->start;
        bool before_start = step > 0 ? beyond < 0 : beyond > 0;
        next += before_start ? 0 : (beyond / step + 1) * step;
        out->exhausted = next > INT64_MAX || next < INT64_MIN;
        out->next = out->exhausted ? 0 : (int64_t)next;
    }
out:
    json_decref(object);
    return rc;
}

/* A name that only columns with the same next numbers share: what one of them leaves is a gap for the other. */
static void sequence_name(const DeltaField *field, const Identity *identity, char out[64])
{
    uint64_t hash = UINT64_C(14695981039346656037);

    for (const char *s = field->name; *s != '\0'; s++) {
        hash = (hash ^ (uint64_t)tolower((unsigned char)*s)) * UINT64_C(1099511628211);
    }
    hash = (hash ^ (uint64_t)identity->next) * UINT64_C(1099511628211);
    hash = (hash ^ (uint64_t)identity->step) * UINT64_C(1099511628211);
    snprintf(out, 64, "freshet_identity_%016" PRIx64, hash);
}

/* Appends nextval(...) of the column's sequence, which is made if it is not there. */
Status delta_identity_sql(DuckConn *conn, const DeltaField *field, Text *out, Error *err)
{
    Status rc = OK;
    Identity identity;
    char name[64];

    TRY(read_identity(field, &identity, err));
    if (identity.exhausted) {
        TRY(error_set(err, E_LIMIT, "the identity column \"%s\" has used up its numbers", field->name));
    }
    sequence_name(field, &identity, name);
    TRY(duck_execf(conn, err,
                   "CREATE TEMP SEQUENCE IF NOT EXISTS %s START WITH %" PRId64 " INCREMENT BY %" PRId64
                   " MINVALUE -9223372036854775808 MAXVALUE 9223372036854775807",
                   name, identity.next, identity.step));
    text_printf(out, "nextval('%s')", name);
out:
    return rc;
}

static Status last_number(DuckConn *conn, const char *sequence, int64_t *out, bool *used, Error *err)
{
    Status rc = OK;
    DuckResult *rows = NULL;
    Text sql = TEXT(4096);
    bool more = false;

    text_printf(&sql, "SELECT last_value FROM duckdb_sequences() WHERE temporary AND sequence_name = '%s'", sequence);
    TRY(duck_query(conn, text_str(&sql), &rows, err));
    TRY(duck_result_next(rows, &more, err));
    *used = more && !duck_result_is_null(rows, 0);
    *out = *used ? duck_result_i64(rows, 0) : 0;
out:
    duck_result_free(rows);
    text_free(&sql);
    return rc;
}

Status delta_identity_advance(DeltaTransaction *txn, DuckConn *conn, Error *err)
{
    Status rc = OK;
    Arena *arena = arena_new();
    DeltaSchema *schema = delta_schema_ref(delta_transaction_schema(txn)), *moved = NULL;
    bool any = false;

    for (size_t i = 0; i < schema->n_fields; i++) {
        DeltaField field = schema->fields[i];
        Identity identity;
        int64_t last = 0;
        bool used = false;
        char name[64];
        if (!delta_is_identity(&field)) {
            continue;
        }
        TRY(read_identity(&field, &identity, err));
        sequence_name(&field, &identity, name);
        TRY(last_number(conn, name, &last, &used, err));
        if (used) {
            TRY(delta_field_with(arena, &field, HIGH_WATER, json_integer(last), &field, err));
            TRY(delta_schema_put(schema, (DeltaPath){&field.name, 1}, &field, &moved, err));
            delta_schema_unref(schema);
            schema = moved;
            any = true;
            TRY(duck_execf(conn, err, "DROP SEQUENCE IF EXISTS temp.%s", name));
        }
    }
    if (any) {
        TRY(delta_transaction_set_schema(txn, schema, err));
    }
out:
    delta_schema_unref(schema);
    arena_free(arena);
    return rc;
}

Status delta_identity_check_given(const DeltaField *field, Error *err)
{
    Status rc = OK;
    Identity identity;

    if (!delta_is_identity(field)) {
        goto out;
    }
    TRY(read_identity(field, &identity, err));
    if (!identity.allows_explicit) {
        rc = error_set(err, E_DELTA_SCHEMA, "column \"%s\" is GENERATED ALWAYS AS IDENTITY and takes no values",
                       field->name);
        error_klass(err, "DELTA_IDENTITY_COLUMNS_EXPLICIT_INSERT_NOT_SUPPORTED");
        error_hint(err, "leave it out of the columns of INSERT, or make it GENERATED BY DEFAULT AS IDENTITY");
    }
out:
    return rc;
}

Status delta_identity_check_query(DuckConn *conn, const DeltaSchema *schema, const char *query, Error *err)
{
    Status rc = OK;
    Arena *arena = arena_new();
    DuckColumnInfo *columns = NULL;
    size_t n = 0;

    for (size_t i = 0; i < schema->n_fields; i++) {
        const DeltaField *field = &schema->fields[i];
        if (!delta_is_identity(field)) {
            continue;
        }
        if (columns == NULL) {
            TRY(duck_describe(conn, query, arena, &columns, &n, err));
        }
        for (size_t k = 0; k < n; k++) {
            TRY(str_ieq(columns[k].name, field->name) ? delta_identity_check_given(field, err) : OK);
        }
    }
out:
    arena_free(arena);
    return rc;
}

Status delta_identity_keep_marks(const DeltaSchema *schema, const DeltaSchema *now, DeltaSchema **out, Error *err)
{
    Status rc = OK;
    Arena *arena = arena_new();
    DeltaSchemaBuilder *builder = delta_schema_builder_new(NULL);

    for (size_t i = 0; i < schema->n_fields; i++) {
        DeltaField field = schema->fields[i];
        const DeltaField *newer = delta_schema_find(now, field.name);
        if (delta_is_identity(&field) && newer != NULL && delta_is_identity(newer)) {
            Identity then, present;
            TRY(read_identity(&field, &then, err));
            TRY(read_identity(newer, &present, err));
            bool further = then.step > 0 ? present.next > then.next : present.next < then.next;
            if (further && !present.exhausted) {
                TRY(delta_field_with(arena, &field, HIGH_WATER, json_integer(present.next - present.step), &field,
                                     err));
            }
        }
        delta_schema_builder_add(builder, field.name, field.type, field.nullable, field.metadata);
    }
out:;
    DeltaSchema *kept = delta_schema_builder_finish(builder);
    if (rc == OK) {
        *out = kept;
    } else {
        delta_schema_unref(kept);
    }
    arena_free(arena);
    return rc;
}
