/* Names of tables and flows, and the files that remember where they lie. */
#include "table/warehouse.h"

#include <string.h>

#include "base/json.h"
#include "base/map.h"
#include "delta/allowed.h"

enum { REGISTRY_FILE_MAX = 1 << 20, NAME_MAX_BYTES = 200 };

struct Warehouse {
    Duck *duck;
    Store *store;
};

Status warehouse_open(Duck *duck, const char *uri, Warehouse **out, Error *err)
{
    Status rc = OK;
    Warehouse *warehouse = mem_alloc(sizeof *warehouse);

    warehouse->duck = duck;
    TRY(store_open(uri != NULL ? uri : "warehouse", &warehouse->store, err));
    delta_allowed_open(store_uri(warehouse->store));
    *out = warehouse;
    warehouse = NULL;
out:
    mem_free(warehouse);
    return rc;
}

void warehouse_close(Warehouse *warehouse)
{
    if (warehouse != NULL) {
        delta_allowed_close(store_uri(warehouse->store));
        store_unref(warehouse->store);
        mem_free(warehouse);
    }
}

const char *warehouse_uri(const Warehouse *warehouse)
{
    return store_uri(warehouse->store);
}

/* ---- names ---- */

static Status check_part(const char *what, const char *name, Error *err)
{
    static const char legal[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_$-";

    if (name[0] != '\0' && name[strspn(name, legal)] == '\0' && strlen(name) <= NAME_MAX_BYTES) {
        return OK;
    }
    Status rc = error_set(err, E_PIPELINE_NAME, "\"%s\" is not a %s name", name, what);
    error_hint(err, "names are letters, digits, _, $ and -, at most %d of them", NAME_MAX_BYTES);
    return rc;
}

static Status check_schema(const char *schema, Error *err)
{
    static const char *const reserved[] = {"delta", "json", "csv", "parquet"};
    Status rc = OK;

    TRY(check_part("schema", schema, err));
    if (schema[0] == '_') {
        rc = error_set(err, E_PIPELINE_NAME, "the schema name %s is reserved: schemas do not start with _", schema);
        goto out;
    }
    for (size_t i = 0; i < sizeof reserved / sizeof *reserved; i++) {
        if (str_ieq(schema, reserved[i])) {
            rc = error_set(err, E_PIPELINE_NAME, "the schema name %s is reserved", schema);
            error_hint(err, "delta, json, csv and parquet name what a path holds, as in delta.`folder`");
            goto out;
        }
    }
out:
    return rc;
}

Status warehouse_check_name(const char *schema, const char *name, Error *err)
{
    Status rc = check_part("table", name, err);

    return rc == OK && schema != NULL ? check_schema(schema, err) : rc;
}

/* Appends "<schema><separator><name>" in lower case. */
static void append_name(Text *out, const char *schema, char separator, const char *name)
{
    size_t begin = out->length;

    text_printf(out, "%s%c%s", schema != NULL ? schema : "default", separator, name);
    str_lower(out->data + begin);
}

void warehouse_key(const char *schema, const char *name, Text *out)
{
    append_name(out, schema, '.', name);
}

/* ---- the registry of tables ---- */

static void registry_key(const char *schema, const char *name, Text *out)
{
    text_append(out, "_freshet/tables/");
    append_name(out, schema, '.', name);
    text_append(out, ".json");
}

/* The place written in a registry file; *out stays empty when the name is not registered. */
static Status registered_location(Warehouse *warehouse, const char *key, Text *out, Error *err)
{
    Text data = TEXT(REGISTRY_FILE_MAX);
    json_t *object = NULL;
    const char *location = NULL;
    JsonSource source = {.name = key};
    Status rc = store_read(warehouse->store, key, REGISTRY_FILE_MAX, &data, NULL, err);

    if (rc == ERR_NOT_FOUND) {
        error_clear(err);
        rc = OK;
        goto out;
    }
    if (rc != OK) {
        goto out;
    }
    TRY(json_parse_object(text_str(&data), data.length, &source, &object, err));
    TRY(json_get_string(object, "location", &location, err));
    store_place_read(location, warehouse_uri(warehouse), out);
out:
    if (rc != OK) {
        error_context(err, "%s/%s", warehouse_uri(warehouse), key);
    }
    json_decref(object);
    text_free(&data);
    return rc;
}

static void own_location(const Warehouse *warehouse, const char *schema, const char *name, Text *out)
{
    text_printf(out, "%s/", warehouse_uri(warehouse));
    append_name(out, schema, '/', name);
}

Status warehouse_location(Warehouse *warehouse, const char *schema, const char *name, Text *out, Error *err)
{
    Status rc = OK;
    Text key = TEXT(4096);
    size_t before = out->length;

    registry_key(schema, name, &key);
    TRY(registered_location(warehouse, text_str(&key), out, err));
    if (out->length == before) {
        own_location(warehouse, schema, name, out);
    }
out:
    text_free(&key);
    return rc;
}

Status warehouse_table(Warehouse *warehouse, const char *schema, const char *name, DeltaTable **out, bool *exists,
                       Error *err)
{
    Status rc = OK;
    Text location = TEXT(1 << 16);
    DeltaTable *table = NULL;

    TRY(warehouse_location(warehouse, schema, name, &location, err));
    TRY(delta_table_open(warehouse->duck, text_str(&location), &table, err));
    TRY(delta_table_exists(table, exists, err));
    *out = table;
    table = NULL;
out:
    delta_table_close(table);
    text_free(&location);
    return rc;
}

/* The same spelling that a store gives: absolute, without "." and "//". */
static Status absolute_location(const char *location, Text *out, Error *err)
{
    Store *store = NULL;
    Status rc = store_open(location, &store, err);

    if (rc == OK) {
        text_append(out, store_uri(store));
    }
    store_unref(store);
    return rc;
}

static Status write_registry(Warehouse *warehouse, const char *key, const char *location, Error *err)
{
    Status rc = OK;
    Text json = TEXT(REGISTRY_FILE_MAX), before = TEXT(1 << 16);

    text_append(&json, "{\"version\":1,\"location\":");
    text_append_json_string(&json, store_place_write(location, warehouse_uri(warehouse)));
    text_append(&json, "}\n");
    rc = store_put_if_absent(warehouse->store, key, text_str(&json), json.length, err);
    if (rc != ERR_EXISTS) {
        goto out;
    }
    error_clear(err);
    TRY(registered_location(warehouse, key, &before, err));
    if (strcmp(text_str(&before), location) != 0) {
        rc = error_set(err, E_PIPELINE_CHANGED, "the table is at %s, not at %s", text_str(&before), location);
        error_hint(err, "a table keeps its place: leave LOCATION as it was, or give the new one another name");
    }
out:
    text_free(&json);
    text_free(&before);
    return rc;
}

Status warehouse_register(Warehouse *warehouse, const char *schema, const char *name, const char *location, Error *err)
{
    Status rc = OK;
    Text key = TEXT(4096), place = TEXT(1 << 16), known = TEXT(1 << 16);

    registry_key(schema, name, &key);
    if (location != NULL) {
        TRY(absolute_location(location, &place, err));
    } else {
        own_location(warehouse, schema, name, &place);
    }
    /* Read first: in the usual case the name is known, and nothing has to be written. */
    TRY(registered_location(warehouse, text_str(&key), &known, err));
    if (strcmp(text_str(&known), text_str(&place)) != 0) {
        TRY(write_registry(warehouse, text_str(&key), text_str(&place), err));
    }
out:
    text_free(&key);
    text_free(&place);
    text_free(&known);
    return rc;
}

Status warehouse_forget(Warehouse *warehouse, const char *schema, const char *name, Error *err)
{
    Text key = TEXT(4096);

    registry_key(schema, name, &key);
    Status rc = store_delete(warehouse->store, text_str(&key), err);
    text_free(&key);
    return rc;
}

/* ---- all tables ---- */

typedef struct Names {
    char **names;
    size_t n, capacity;
    const char *suffix; /* only names that end so; it is cut off */
    bool folders;
} Names;

static bool collect(void *context, const StoreEntry *entry)
{
    Names *all = context;

    if (entry->info.is_dir != all->folders || entry->name[0] == '_' || entry->name[0] == '.' ||
        !str_ends(entry->name, all->suffix)) {
        return true;
    }
    all->names = mem_grow(all->names, all->n, &all->capacity, sizeof *all->names);
    all->names[all->n++] = mem_strndup(entry->name, strlen(entry->name) - strlen(all->suffix));
    return true;
}

static void names_free(Names *all)
{
    for (size_t i = 0; i < all->n; i++) {
        mem_free(all->names[i]);
    }
    mem_free(all->names);
}

/* Reports the name once, if there is a table. */
static Status visit_name(Warehouse *warehouse, Map *seen, const char *schema, const char *name,
                         WarehouseCallback callback, void *context, Error *err)
{
    Status rc = OK;
    Text key = TEXT(4096);
    DeltaTable *table = NULL;
    bool exists = false;

    warehouse_key(schema, name, &key);
    if (map_has(seen, text_str(&key)) || warehouse_check_name(schema, name, NULL) != OK) {
        goto out;
    }
    map_put(seen, text_str(&key), warehouse);
    TRY(warehouse_table(warehouse, schema, name, &table, &exists, err));
    if (exists) {
        TRY(callback(context, schema, name, delta_table_uri(table), err));
    }
out:
    delta_table_close(table);
    text_free(&key);
    return rc;
}

static Status each_registered(Warehouse *warehouse, Map *seen, WarehouseCallback callback, void *context, Error *err)
{
    Status rc = OK;
    Names files = {.suffix = ".json"};

    TRY(store_list(warehouse->store, "_freshet/tables", NULL, collect, &files, err));
    for (size_t i = 0; i < files.n; i++) {
        char *dot = strchr(files.names[i], '.');
        if (dot != NULL) {
            *dot = '\0';
            TRY(visit_name(warehouse, seen, files.names[i], dot + 1, callback, context, err));
        }
    }
out:
    names_free(&files);
    return rc;
}

Status warehouse_each(Warehouse *warehouse, WarehouseCallback callback, void *context, Error *err)
{
    Status rc = OK;
    Names schemas = {.suffix = "", .folders = true};
    Map *seen = map_new();

    TRY(each_registered(warehouse, seen, callback, context, err));
    TRY(store_list(warehouse->store, "", NULL, collect, &schemas, err));
    for (size_t i = 0; i < schemas.n; i++) {
        Names tables = {.suffix = "", .folders = true};
        rc = store_list(warehouse->store, schemas.names[i], NULL, collect, &tables, err);
        for (size_t k = 0; rc == OK && k < tables.n; k++) {
            rc = visit_name(warehouse, seen, schemas.names[i], tables.names[k], callback, context, err);
        }
        names_free(&tables);
        if (rc != OK) {
            goto out;
        }
    }
out:
    names_free(&schemas);
    map_free(seen, NULL);
    return rc;
}

/* ---- schemas ---- */

static void schema_key(const char *schema, Text *out)
{
    text_append(out, "_freshet/schemas/");
    size_t begin = out->length;
    text_printf(out, "%s.json", schema);
    str_lower(out->data + begin);
}

typedef struct SchemaTables {
    const char *schema;
    size_t n;
} SchemaTables;

static Status count_table(void *context, const char *schema, const char *name, const char *location, Error *err)
{
    SchemaTables *tables = context;
    (void)name;
    (void)location;
    (void)err;

    tables->n += str_ieq(schema, tables->schema);
    return OK;
}

static Status was_made(Warehouse *warehouse, const char *schema, bool *made, Error *err)
{
    Text key = TEXT(4096), data = TEXT(REGISTRY_FILE_MAX);

    schema_key(schema, &key);
    Status rc = store_read(warehouse->store, text_str(&key), REGISTRY_FILE_MAX, &data, NULL, err);
    *made = rc == OK;
    if (rc == ERR_NOT_FOUND) {
        error_clear(err);
        rc = OK;
    }
    text_free(&key);
    text_free(&data);
    return rc;
}

Status warehouse_has_schema(Warehouse *warehouse, const char *schema, bool *exists, Error *err)
{
    SchemaTables tables = {.schema = schema};
    Status rc = OK;
    bool made = str_ieq(schema, "default");

    TRY(check_schema(schema, err));
    if (!made) {
        TRY(was_made(warehouse, schema, &made, err));
    }
    if (!made) {
        TRY(warehouse_each(warehouse, count_table, &tables, err));
    }
    *exists = made || tables.n > 0;
out:
    return rc;
}

Status warehouse_create_schema(Warehouse *warehouse, const char *schema, Error *err)
{
    static const char MADE[] = "{\"version\":1}\n";
    Text key = TEXT(4096);
    Status rc = OK;
    bool exists = false;

    TRY(warehouse_has_schema(warehouse, schema, &exists, err));
    if (!exists) {
        schema_key(schema, &key);
        rc = store_put_if_absent(warehouse->store, text_str(&key), MADE, strlen(MADE), err);
        exists = rc == ERR_EXISTS; /* somebody was quicker */
    }
    if (exists) {
        rc = error_set(err, E_PIPELINE_SCHEMA, "there is a schema %s already", schema);
        error_klass(err, "SCHEMA_ALREADY_EXISTS");
        error_hint(err, "CREATE SCHEMA IF NOT EXISTS %s leaves it as it is", schema);
    }
out:
    text_free(&key);
    return rc;
}

Status warehouse_drop_schema(Warehouse *warehouse, const char *schema, Error *err)
{
    SchemaTables tables = {.schema = schema};
    Text key = TEXT(4096);
    Status rc = OK;
    bool made = false;

    TRY(check_schema(schema, err));
    TRY(was_made(warehouse, schema, &made, err));
    TRY(warehouse_each(warehouse, count_table, &tables, err));
    if (tables.n > 0) {
        rc = error_set(err, E_PIPELINE_SCHEMA, "schema %s holds %zu table%s", schema, tables.n,
                       tables.n == 1 ? "" : "s");
        error_klass(err, "SCHEMA_NOT_EMPTY");
        error_hint(err, "DROP TABLE each of them first; SHOW TABLES IN %s lists them", schema);
    } else if (str_ieq(schema, "default")) {
        rc = error_set(err, E_PIPELINE_SCHEMA, "the schema default is always there: it cannot be dropped");
    } else if (made) {
        schema_key(schema, &key);
        rc = store_delete(warehouse->store, text_str(&key), err);
    } else {
        rc = error_set(err, E_PIPELINE_SCHEMA, "there is no schema %s in %s", schema, warehouse_uri(warehouse));
    }
out:
    text_free(&key);
    return rc;
}

typedef struct EachSchema {
    Map *seen;
    WarehouseSchemaCallback callback;
    void *context;
} EachSchema;

static Status visit_schema(EachSchema *each, const char *schema, Error *err)
{
    if (map_has(each->seen, schema)) {
        return OK;
    }
    map_put(each->seen, schema, each);
    return each->callback(each->context, schema, err);
}

static Status visit_schema_of_table(void *context, const char *schema, const char *name, const char *location,
                                    Error *err)
{
    (void)name;
    (void)location;
    return visit_schema(context, schema, err);
}

Status warehouse_each_schema(Warehouse *warehouse, WarehouseSchemaCallback callback, void *context, Error *err)
{
    EachSchema each = {.seen = map_new(), .callback = callback, .context = context};
    Names made = {.suffix = ".json"};
    Status rc = OK;

    TRY(visit_schema(&each, "default", err));
    TRY(store_list(warehouse->store, "_freshet/schemas", NULL, collect, &made, err));
    for (size_t i = 0; i < made.n; i++) {
        TRY(visit_schema(&each, made.names[i], err));
    }
    TRY(warehouse_each(warehouse, visit_schema_of_table, &each, err));
out:
    names_free(&made);
    map_free(each.seen, NULL);
    return rc;
}

/* ---- checkpoints ---- */

typedef struct Highest {
    int64_t number;
} Highest;

static bool find_highest(void *context, const StoreEntry *entry)
{
    Highest *highest = context;
    int64_t n = 0;

    if (str_parse_i64(entry->name, &n) && n >= 0 && n < INT32_MAX && n > highest->number) {
        highest->number = n;
    }
    return true;
}

/* Remembers where a flow's checkpoints are, for whoever has to know which streams still need a file. */
static Status register_flow(Warehouse *warehouse, const char *schema, const char *table, const char *flow,
                            const char *folder, Error *err)
{
    Status rc = OK;
    Text key = TEXT(4096), json = TEXT(REGISTRY_FILE_MAX), before = TEXT(REGISTRY_FILE_MAX);

    text_append(&key, "_freshet/flows/");
    append_name(&key, schema, '.', table);
    text_printf(&key, ".%s.json", flow);
    text_append(&json, "{\"version\":1,\"flow\":");
    text_append_json_string(&json, flow);
    text_append(&json, ",\"checkpoint\":");
    text_append_json_string(&json, store_place_write(folder, warehouse_uri(warehouse)));
    text_append(&json, "}\n");
    if (store_read(warehouse->store, text_str(&key), REGISTRY_FILE_MAX, &before, NULL, NULL) != OK ||
        strcmp(text_str(&before), text_str(&json)) != 0) {
        TRY(store_put(warehouse->store, text_str(&key), text_str(&json), json.length, err));
    }
out:
    text_free(&key);
    text_free(&json);
    text_free(&before);
    return rc;
}

Status warehouse_checkpoint(Warehouse *warehouse, const char *schema, const char *table, const char *flow,
                            const char *custom, int wanted, Text *out, int *number, Error *err)
{
    Status rc = OK;
    Text folder = TEXT(1 << 16);
    Store *store = NULL;
    Highest highest = {.number = -1};

    if (custom != NULL) {
        TRY(absolute_location(custom, &folder, err));
    } else {
        text_printf(&folder, "%s/_checkpoints/", warehouse_uri(warehouse));
        append_name(&folder, schema, '/', table);
        text_printf(&folder, "/%s", flow);
    }
    TRY(store_open(text_str(&folder), &store, err));
    TRY(store_list(store, "", NULL, find_highest, &highest, err));
    TRY(register_flow(warehouse, schema, table, flow, text_str(&folder), err));
    int64_t n = wanted >= 0 ? wanted : highest.number > 0 ? highest.number : 0;
    text_append(out, text_str(&folder));
    if (custom == NULL || n > 0) { /* a folder that was given is used itself, as Spark would */
        text_printf(out, "/%lld", (long long)n);
    }
    *number = (int)n;
out:
    store_unref(store);
    text_free(&folder);
    return rc;
}

/* The folder a registry file of flows names, with the highest number below it. */
static Status newest_checkpoint(Warehouse *warehouse, const char *key, Text *out, Error *err)
{
    Text data = TEXT(REGISTRY_FILE_MAX);
    JsonSource source = {.name = key};
    Highest highest = {.number = -1};
    json_t *object = NULL;
    const char *folder = NULL;
    Store *store = NULL;
    Status rc = OK;

    TRY(store_read(warehouse->store, key, REGISTRY_FILE_MAX, &data, NULL, err));
    TRY(json_parse_object(text_str(&data), data.length, &source, &object, err));
    TRY(json_get_string(object, "checkpoint", &folder, err));
    store_place_read(folder, warehouse_uri(warehouse), out);
    TRY(store_open(text_str(out), &store, err));
    TRY(store_list(store, "", NULL, find_highest, &highest, err));
    if (highest.number >= 0) { /* without: a folder that was given */
        text_printf(out, "/%lld", (long long)highest.number);
    }
out:
    store_unref(store);
    json_decref(object);
    text_free(&data);
    return rc;
}

Status warehouse_each_flow(Warehouse *warehouse, const char *schema, const char *table, WarehouseFlowCallback callback,
                           void *context, Error *err)
{
    Names files = {.suffix = ".json"};
    Text prefix = TEXT(4096), key = TEXT(4096), folder = TEXT(1 << 16);
    Status rc = OK;

    append_name(&prefix, schema, '.', table);
    text_append_char(&prefix, '.');
    TRY(store_list(warehouse->store, "_freshet/flows", NULL, collect, &files, err));
    str_sort((const char **)files.names, files.n);
    for (size_t i = 0; i < files.n; i++) {
        if (!str_starts(files.names[i], text_str(&prefix))) {
            continue;
        }
        text_clear(&key);
        text_clear(&folder);
        text_printf(&key, "_freshet/flows/%s.json", files.names[i]);
        TRY(newest_checkpoint(warehouse, text_str(&key), &folder, err));
        TRY(callback(context, files.names[i] + prefix.length, text_str(&folder), err));
    }
out:
    names_free(&files);
    text_free(&prefix);
    text_free(&key);
    text_free(&folder);
    return rc;
}
